// Video connections. No servers of others: the program answers on this machine's addresses alone.
import { Trouble, post } from "/static/api.js";

// Firefox pairs no loopback address with its own, which are a network's alone. Whoever found no way
// asks the second time for this machine's other addresses, too.
let wide = false;
// As long as the program waits, too.
const CONNECT_WITHIN_MS = 15_000;

// A video connection, and why it did not come about.
class Connection {
  #addresses = 0;
  #connected = false;

  // `prepare` is given the peer connection. Throws a `Trouble`.
  async open(path, prepare) {
    if (typeof RTCPeerConnection === "undefined") throw new Trouble({ key: "noWebRtc", values: {} });
    const peer = this.peer = new RTCPeerConnection({ iceServers: [] });
    peer.addEventListener("icecandidate", ({ candidate }) => { this.#addresses += candidate?.candidate ? 1 : 0; });
    prepare(peer);
    await peer.setLocalDescription();
    const { sdp: offer } = peer.localDescription;
    wide ||= /^o=mozilla/m.test(offer);
    // The offer goes out before any address is known: the program needs none of this page's.
    const { sdp } = await post(path, { sdp: offer, wide });
    try {
      await peer.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      throw new Trouble({ key: "noVideoAnswer", values: { why: error.message } });
    }
    return this;
  }

  // When it has ended, or has not come about in time: why that is, or nothing. `begun` is called
  // when it has come about.
  ended(begun = () => {}) {
    return new Promise((resolve) => {
      let timer = setTimeout(resolve, CONNECT_WITHIN_MS);
      const look = () => {
        const state = this.peer.connectionState;
        if (state === "connected") {
          this.#connected = true;
          begun();
        }
        if (["failed", "closed"].includes(state)) resolve();
        if (state !== "connecting" && state !== "new") clearTimeout(timer);
        // It may still come back by itself.
        if (state === "disconnected") timer = setTimeout(resolve, 3000);
      };
      this.peer.addEventListener("connectionstatechange", look);
      look();
    }).then(() => this.#connected ? null : this.#noWay());
  }

  // What is known of a connection that shows nothing yet.
  get reason() {
    return this.#connected ? { key: "noPictures", values: {} } : this.#noWay().said;
  }

  close() {
    this.peer?.close();
  }

  #noWay() {
    wide = true;
    return new Trouble(this.#addresses ? { key: "noWay", values: {} } : { key: "noAddress", values: {} });
  }
}

// Shows the avatar in a <video>, for ever: a connection that breaks is made again.
export class Watching {
  #connection = null;
  #trouble = null;
  #ended = false;
  #wake = () => {};

  constructor(video, trouble) {
    this.video = video;
    this.trouble = trouble;
    addEventListener("pagehide", () => this.end());
    this.#keep();
  }

  // Why there is no picture, as far as that is known: a message.
  get reason() {
    return this.#trouble?.said || this.#connection?.reason;
  }

  // Try at once instead of after the pause.
  again() {
    this.#wake();
  }

  end() {
    this.#ended = true;
    this.#connection?.close();
  }

  async #keep() {
    for (let pause = 500; !this.#ended; pause = Math.min(pause * 2, 5000)) {
      const connection = new Connection();
      try {
        await connection.open("/api/watch", (peer) => this.#prepare(peer));
        this.#connection = connection;
        const trouble = await connection.ended(() => { this.#trouble = null; });
        if (trouble && !this.#ended) throw trouble;
        pause = 250;
      } catch (error) {
        this.#trouble = error;
        this.trouble(error);
        // Or Chromium shows a black picture that nobody sent, once it is closed.
        this.video.srcObject = null;
      }
      connection.close();
      if (this.#ended) return;
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  }

  #prepare(peer) {
    const transceiver = peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ track }) => {
      // Show each picture when it comes; there is no sound to be in step with.
      if ("jitterBufferTarget" in transceiver.receiver) transceiver.receiver.jitterBufferTarget = 0;
      this.video.srcObject = new MediaStream([track]);
      this.video.play().catch(() => {});
    };
  }
}

// Sends this page's camera. Ends by itself when the camera or the connection does; `ended` is told
// why no connection came about.
export class Sending {
  over = false;
  stream = null;

  constructor(ended) {
    this.ended = ended;
    // Else the program would wait half a minute for what does not come any more.
    addEventListener("pagehide", () => this.end());
  }

  async begin(constraints) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: constraints, audio: false });
    if (this.over) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    const [track] = this.stream.getVideoTracks();
    track.contentHint = "motion";
    track.addEventListener("ended", () => this.end());
    this.connection = new Connection();
    await this.connection.open("/api/camera", (peer) => {
      const transceiver = peer.addTransceiver(track, { direction: "sendonly", streams: [this.stream] });
      const known = RTCRtpSender.getCapabilities?.("video")?.codecs ?? [];
      const fit = known.filter(({ mimeType }) => ["video/H264", "video/VP8", "video/rtx"].includes(mimeType));
      fit.sort((a, b) => (b.mimeType === "video/H264") - (a.mimeType === "video/H264"));
      if (fit.length) transceiver.setCodecPreferences(fit);
    });
    const [sender] = this.connection.peer.getSenders();
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-framerate";
    if (parameters.encodings?.[0]) parameters.encodings[0].maxBitrate = 4_000_000;
    await sender.setParameters(parameters).catch(() => {});
    this.connection.ended().then((trouble) => this.end(trouble));
  }

  end(trouble = null) {
    if (this.over) return;
    this.over = true;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.connection?.close();
    this.ended(trouble);
  }
}
