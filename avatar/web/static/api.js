// Requests to the program, and what it says meanwhile.

// What went wrong: a message for `said`, the program's own where it has one.
export class Trouble extends Error {
  constructor(message, options) {
    super(message.line ?? message.key ?? message, options);
    this.said = message;
  }
}

const answered = async (request) => {
  let response;
  try {
    response = await request;
  } catch {
    throw new Trouble("", { cause: "unreachable" });
  }
  if (response.status === 401) throw new Trouble("", { cause: "token" });
  const type = response.headers.get("content-type") ?? "";
  const body = type.startsWith("application/json") ? await response.json() : await response.text();
  if (!response.ok) throw new Trouble(body.error ?? String(body));
  return body;
};

export const post = (path, values = {}) =>
  answered(fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(values),
  }));

export const act = (action, values) => post(`/api/act/${action}`, values);

// `progress` is told which share of the file was sent; `fetch` does not say.
export const upload = (file, kind, name, progress) =>
  answered(new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/avatars?${new URLSearchParams({ name })}`);
    request.setRequestHeader("content-type", kind);
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 1);
    request.upload.onload = () => progress(1);
    request.onerror = reject;
    request.onload = () => resolve(new Response(request.responseText, {
      status: request.status,
      headers: { "content-type": request.getResponseHeader("content-type") ?? "" },
    }));
    request.send(file);
  }));

export const get = (path) => answered(fetch(path));

// A WebSocket that comes back. `hear` gets objects and ArrayBuffers; `connected` true or false.
export class Live {
  #socket = null;
  #pause = 500;
  #told = {};

  constructor(hear, connected) {
    this.hear = hear;
    this.connected = connected;
    this.#open();
  }

  // Say something that holds until it is said otherwise, over reconnects too.
  tell(values) {
    this.#told = { ...this.#told, ...values };
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(this.#told));
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#pause = 500;
      this.#socket = socket;
      this.tell({});
      this.connected(true);
    };
    socket.onmessage = ({ data }) =>
      this.hear(typeof data === "string" ? JSON.parse(data) : data);
    socket.onclose = () => {
      this.#socket = null;
      this.connected(false);
      setTimeout(() => this.#open(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, 5000);
    };
  }
}
