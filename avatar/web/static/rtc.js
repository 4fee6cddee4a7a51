// Video connections. No servers of others: the program answers on the address of this page.
import { post } from "/static/api.js";

const connect = async (path, prepare) => {
  const peer = new RTCPeerConnection({ iceServers: [] });
  prepare(peer);
  await peer.setLocalDescription();
  // The offer goes out before any address is known: the program needs none of this page's.
  const { sdp } = await post(path, { sdp: peer.localDescription.sdp });
  await peer.setRemoteDescription({ type: "answer", sdp });
  return peer;
};

const settled = (peer) =>
  new Promise((resolve) => {
    let timer;
    const look = () => {
      clearTimeout(timer);
      if (["failed", "closed"].includes(peer.connectionState)) resolve();
      // It may still come back by itself.
      if (peer.connectionState === "disconnected") timer = setTimeout(resolve, 3000);
    };
    peer.addEventListener("connectionstatechange", look);
    look();
  });

// Shows the avatar in a <video>, for ever: a connection that breaks is made anew.
export class Watching {
  #peer = null;
  #ended = false;
  #wake = () => {};

  constructor(video, trouble) {
    this.video = video;
    this.trouble = trouble;
    addEventListener("pagehide", () => this.end());
    this.#keep();
  }

  // Try at once instead of after the pause.
  again() {
    this.#wake();
  }

  end() {
    this.#ended = true;
    this.#peer?.close();
  }

  async #keep() {
    for (let pause = 500; !this.#ended; pause = Math.min(pause * 2, 5000)) {
      try {
        this.#peer = await connect("/api/watch", (peer) => {
          const transceiver = peer.addTransceiver("video", { direction: "recvonly" });
          peer.ontrack = ({ track }) => {
            // Show each picture when it comes; there is no sound to be in step with.
            if ("jitterBufferTarget" in transceiver.receiver) transceiver.receiver.jitterBufferTarget = 0;
            this.video.srcObject = new MediaStream([track]);
            this.video.play().catch(() => {});
          };
        });
        pause = 250;
        await settled(this.#peer);
      } catch (error) {
        this.trouble(error);
      }
      this.#peer?.close();
      if (this.#ended) return;
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  }
}

// Sends this page's camera. Ends by itself when the camera or the connection does.
export class Sending {
  over = false;
  stream = null;

  constructor(ended) {
    this.ended = ended;
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
    this.peer = await connect("/api/camera", (peer) => {
      const transceiver = peer.addTransceiver(track, { direction: "sendonly", streams: [this.stream] });
      const known = RTCRtpSender.getCapabilities?.("video")?.codecs ?? [];
      const fit = known.filter(({ mimeType }) => ["video/H264", "video/VP8", "video/rtx"].includes(mimeType));
      fit.sort((a, b) => (b.mimeType === "video/H264") - (a.mimeType === "video/H264"));
      if (fit.length) transceiver.setCodecPreferences(fit);
    });
    const [sender] = this.peer.getSenders();
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-framerate";
    if (parameters.encodings?.[0]) parameters.encodings[0].maxBitrate = 4_000_000;
    await sender.setParameters(parameters).catch(() => {});
    settled(this.peer).then(() => this.end());
  }

  end() {
    if (this.over) return;
    this.over = true;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.peer?.close();
    this.ended();
  }
}
