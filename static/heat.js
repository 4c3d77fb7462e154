// A class activation map over a picture: what counts for the label is tinted warm, the rest is darkened.

/**
 * @param {string} uri  a PNG as data URI, whose brightness (times opacity) is the weight of each place
 * @returns {Promise<HTMLCanvasElement>} the map in colour: dark where nothing supports the label, hardly tinted where much does
 */
export async function heatOf(uri) {
  const bitmap = await bitmapOf(uri);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) warm(pixels.data, i);
  pen.putImageData(pixels, 0, 0);
  return canvas;
}

/** @param {string} uri  a picture as data URI, which the page's policy does not allow to fetch @returns {Promise<ImageBitmap>} */
export function bitmapOf(uri) {
  const [head, data] = uri.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: head.slice("data:".length, head.indexOf(";")) }));
}

// From dark violet to a thin yellow, so that what supports the label is seen best, in greyscale, too.
function warm(data, i) {
  const strength = (Math.max(data[i], data[i + 1], data[i + 2]) / 255) * (data[i + 3] / 255);
  data[i] = 30 + 225 * Math.min(1, strength * 1.5);
  data[i + 1] = 10 + 190 * strength;
  data[i + 2] = 50 * (1 - strength);
  data[i + 3] = 130 - 80 * strength;
}

/**
 * @param {HTMLCanvasElement} target  cleared first; its size is kept
 * @param {HTMLCanvasElement} heat
 * @param {{x: number, y: number, width: number, height: number}} region  of the target, normalised to 0..1
 */
export function drawHeat(target, heat, region) {
  const pen = target.getContext("2d");
  const { width, height } = target;
  pen.clearRect(0, 0, width, height);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(heat, region.x * width, region.y * height, region.width * width, region.height * height);
}
