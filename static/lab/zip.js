// A zip archive of files that are already compressed, so they are stored as they are. It does not touch the page.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param {Uint8Array} bytes @returns {number} the archive's check sum of them */
export function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum >>> 8) ^ TABLE[(sum ^ byte) & 0xff];
  return (sum ^ 0xffffffff) >>> 0;
}

function header(sizes) {
  const bytes = new Uint8Array(sizes.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of sizes) {
    if (size === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += size;
  }
  return bytes;
}

const UTF8 = 0x0800; // names are in UTF-8
const DAY = (44 << 9) | (1 << 5) | 1; // the archive's date, 2024-01-01: what it was made of is in the names

/** @param {{ name: string, bytes: Uint8Array }[]} files  at most 65,535 @returns {Uint8Array[]} parts of the archive, in order */
export function zipOf(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, bytes } of files) {
    const path = new TextEncoder().encode(name);
    const common = [[2, 20], [2, UTF8], [2, 0], [2, 0], [2, DAY], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, path.length], [2, 0]];
    const local = header([[4, 0x04034b50], ...common]);
    directory.push(header([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), path);
    parts.push(local, path, bytes);
    at += local.length + path.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = [[4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]];
  return [...parts, ...directory, header(end)];
}

/** @param {string} typed @returns {string} a folder's name on any system; empty if nothing is left */
export function folderOf(typed) {
  return typed.normalize("NFC").replace(/[\\/:*?"<>|\u0000-\u001f]/g, " ").replace(/\s+/g, " ").replace(/^[. ]+|[. ]+$/g, "").slice(0, 60);
}

/** @param {{ name: string, bytes: number[] }[]} files @returns {number[]} the whole archive, for the tests */
export function archiveOf(files) {
  return zipOf(files.map(({ name, bytes }) => ({ name, bytes: Uint8Array.from(bytes) }))).flatMap((part) => [...part]);
}
