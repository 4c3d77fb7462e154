// The usual link to the service: a WebSocket that receives states and pictures, and sends confirmations.

import { address } from "./api.js";

/**
 * @param {number} width  of pictures, in pixels
 * @param {import("./connection.js").Callbacks} on
 * @returns {import("./connection.js").Link}
 */
export function openSocket(width, on) {
  const url = address(`api/live?confirm=true&events=true&picture=${width}`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const link = { close, opened: false };
  socket.onopen = () => (link.opened = true);
  socket.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : show(data));
  socket.onclose = ({ code }) => on.ended(code);

  function hear(message) {
    if (message.type === "state") {
      // At once: the service counts unconfirmed messages as still in transit, and sends no more of them.
      reply("seen", message.sequence);
      on.state(message);
    } else if (message.type === "picture") {
      on.coming(message);
    } else if (message.type === "event") {
      on.news();
    } else if (message.status) {
      on.refused(message);
    }
  }

  async function show(data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    // It has arrived, whether or not it is drawn yet: a busy browser is not a slow network.
    reply("got", header.sequence);
    try {
      await on.picture(header, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    } catch (error) {
      console.warn("A picture could not be drawn.", error);
    } finally {
      // Only when it is drawn, so that the service never sends more than this page can show.
      reply("ack", header.sequence);
    }
  }

  function reply(type, sequence) {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type, sequence }));
  }

  function close() {
    // A dead peer never answers a close; without its handlers, the old socket can finish closing on its own.
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  return link;
}
