// The link to the service as it should be: a WebSocket with states and pictures in, confirmations out.

import { address } from "./api.js";

/**
 * @param {number} width  of pictures, in pixels
 * @param {import("./connection.js").Ears} ears
 * @returns {import("./connection.js").Link}
 */
export function openSocket(width, ears) {
  const url = address(`api/live?confirm=true&events=true&picture=${width}`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const link = { close, opened: false };
  socket.onopen = () => (link.opened = true);
  socket.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : show(data));
  socket.onclose = ({ code }) => ears.ended(code);

  function hear(message) {
    if (message.type === "state") {
      // At once: what is not confirmed counts as still on its way, and the service sends no more of it.
      reply("seen", message.sequence);
      ears.state(message);
    } else if (message.type === "picture") {
      ears.coming(message);
    } else if (message.type === "event") {
      ears.news();
    } else if (message.status) {
      ears.refused(message);
    }
  }

  async function show(data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    // Here, whether or not it is drawn yet: a busy browser is not a slow network.
    reply("got", header.sequence);
    try {
      await ears.picture(header, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    } catch (error) {
      console.warn("A picture could not be drawn.", error);
    } finally {
      // Only when it is drawn: the service then never sends more than this page can show.
      reply("ack", header.sequence);
    }
  }

  function reply(type, sequence) {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type, sequence }));
  }

  function close() {
    // A dead peer never answers a close; without its handlers the old socket can finish dying by itself.
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  return link;
}
