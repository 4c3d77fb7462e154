// The arithmetic of convolutional networks in plain numbers: no page, no state, so that it can be tested
// by itself (tests/lab/ compares it with PyTorch).
//
// A plane is a list of rows of numbers; a volume is a list of planes, one a channel. A kernel is a volume, too: one
// filter. Positions are [row, column], from 0.

/** @typedef {number[][]} Plane */
/** @typedef {Plane[]} Volume */
/** @typedef {{stride: number, padding: number}} Steps  the same number of zeros on all four sides */
/** @typedef {{kind: "max" | "mean", size: number, stride: number, ceil?: boolean}} Pooling */

/**
 * How often a window of f fits n padded pixels in steps of s.
 * @param {number} n @param {number} f @param {number} s @param {number} before @param {number} after  padding
 * @param {boolean} [ceil]  whether an incomplete last step counts, unless it would begin in the padding behind
 * @returns {number} (n + before + after − f) / s + 1, rounded down or up; less than 1 where nothing fits
 */
export function positions(n, f, s, before, after, ceil = false) {
  const room = n + before + after - f;
  if (!ceil) return Math.floor(room / s) + 1;
  const count = Math.ceil(room / s) + 1;
  return (count - 1) * s >= n + before ? count - 1 : count;
}

/** @returns {[number, number]} what TensorFlow's SAME pads before and after; an odd pixel goes to the end */
export function samePadding(n, f, s) {
  const total = Math.max(0, (Math.ceil(n / s) - 1) * s + f - n);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/**
 * @returns {{exact: number, floor: number, ceil: number, same: number, valid: number}} the size of the output as the
 *   formula has it, with p on both sides; and by TensorFlow's two padding modes, which have no p
 */
export function sizes(n, f, s, p) {
  return {
    exact: (n + 2 * p - f) / s + 1,
    floor: positions(n, f, s, p, p),
    ceil: positions(n, f, s, p, p, true),
    same: Math.ceil(n / s),
    valid: Math.ceil((n - f + 1) / s),
  };
}

/** @param {Plane} plane @returns {Plane} the same with p zeros around it */
export function padded(plane, p) {
  const width = plane[0].length + 2 * p;
  const zeros = () => Array.from({ length: p }, () => new Array(width).fill(0));
  const side = new Array(p).fill(0);
  return [...zeros(), ...plane.map((row) => [...side, ...row, ...side]), ...zeros()];
}

/** @param {Volume} kernel @returns {Volume} turned by 180 degrees: what mathematics calls a convolution uses this one */
export function flipped(kernel) {
  return kernel.map((plane) => plane.map((row) => [...row].reverse()).reverse());
}

function plane(rows, columns, value) {
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => value(i, j)));
}

/** @param {Volume} input @param {Volume} kernel @param {Steps} steps @returns {[number, number]} rows and columns */
export function outputSize(input, kernel, { stride, padding }) {
  return [
    positions(input[0].length, kernel[0].length, stride, padding, padding),
    positions(input[0][0].length, kernel[0][0].length, stride, padding, padding),
  ];
}

/**
 * The layer: at each position the products of window and kernel are added up, over all channels, and the bias.
 * @param {Volume} input @param {Volume} kernel @param {number} bias @param {Steps} steps @returns {Plane}
 */
export function convolve(input, kernel, bias, steps) {
  const [rows, columns] = outputSize(input, kernel, steps);
  const framed = input.map((one) => padded(one, steps.padding));
  return plane(rows, columns, (i, j) => {
    let sum = bias;
    kernel.forEach((weights, c) => {
      weights.forEach((line, y) => {
        const values = framed[c][i * steps.stride + y];
        line.forEach((weight, x) => (sum += weight * values[j * steps.stride + x]));
      });
    });
    return sum;
  });
}

/**
 * The terms of which one output value is the sum.
 * @param {Volume} input @param {Volume} kernel @param {Steps} steps @param {[number, number]} at  in the output
 * @returns {{channel: number, row: number, column: number, value: number, weight: number, isPadding: boolean}[]}
 */
export function terms(input, kernel, { stride, padding }, [i, j]) {
  const found = [];
  kernel.forEach((weights, channel) => {
    weights.forEach((line, y) => {
      line.forEach((weight, x) => {
        const [row, column] = [i * stride + y - padding, j * stride + x - padding];
        const value = input[channel][row]?.[column];
        found.push({ channel, row, column, value: value ?? 0, weight, isPadding: value === undefined });
      });
    });
  });
  return found;
}

/** @param {"none" | "relu" | "sigmoid"} kind @param {number} x */
export function activate(kind, x) {
  if (kind === "relu") return Math.max(0, x);
  return kind === "sigmoid" ? 1 / (1 + Math.exp(-x)) : x;
}

/** @param {number} [atZero]  ReLU has a corner there: PyTorch takes 0, some books 1 @returns {number} the slope at x */
export function slope(kind, x, atZero = 0) {
  if (kind === "relu") return x > 0 ? 1 : x < 0 ? 0 : atZero;
  if (kind !== "sigmoid") return 1;
  const y = activate(kind, x);
  return y * (1 - y);
}

/** @param {Plane} values @param {(x: number) => number} change @returns {Plane} */
export function each(values, change) {
  return values.map((row) => row.map(change));
}

/** @param {Plane} values @param {Pooling} pooling @returns {[number, number][][][]} per output value its window's places */
export function poolWindows(values, { size, stride, ceil = false }) {
  const [height, width] = [values.length, values[0].length];
  const count = (n) => Math.max(0, positions(n, size, stride, 0, 0, ceil));
  return plane(count(height), count(width), (i, j) => {
    const places = [];
    // An incomplete window contains only the values that exist.
    for (let y = i * stride; y < Math.min(height, i * stride + size); y += 1) {
      for (let x = j * stride; x < Math.min(width, j * stride + size); x += 1) places.push([y, x]);
    }
    return places;
  });
}

/** @param {Plane} values @param {Pooling} pooling @returns {Plane} */
export function pool(values, pooling) {
  return poolWindows(values, pooling).map((row) => row.map((places) => pooled(values, places, pooling.kind)));
}

function pooled(values, places, kind) {
  const found = places.map(([y, x]) => values[y][x]);
  return kind === "max" ? Math.max(...found) : found.reduce((sum, value) => sum + value, 0) / found.length;
}

/** @returns {[number, number]} the place that max pooling remembers: the first of the largest */
export function largest(values, places) {
  return places.reduce((best, place) => (values[place[0]][place[1]] > values[best[0]][best[1]] ? place : best));
}

/**
 * Each window written as a row: the convolution becomes one product of matrices.
 * @param {Volume} input @param {Volume} kernel  for its size @param {Steps} steps
 * @returns {number[][]} (rows · columns of the output) x (channels · height · width of the kernel)
 */
export function im2col(input, kernel, steps) {
  const [rows, columns] = outputSize(input, kernel, steps);
  const all = plane(rows, columns, (i, j) => terms(input, kernel, steps, [i, j]).map(({ value }) => value));
  return all.flat();
}

/**
 * The same layer as a dense one: a weight for each pair of output and input, most of them 0, the rest shared.
 * @returns {number[][]} (values of the output) x (values of the input, channel by channel)
 */
export function denseMatrix(input, kernel, steps) {
  const [rows, columns] = outputSize(input, kernel, steps);
  const [height, width] = [input[0].length, input[0][0].length];
  return plane(rows, columns, (i, j) => {
    const line = new Array(input.length * height * width).fill(0);
    for (const { channel, row, column, weight, isPadding } of terms(input, kernel, steps, [i, j])) {
      if (!isPadding) line[(channel * height + row) * width + column] += weight;
    }
    return line;
  }).flat();
}

/**
 * Backwards through the layer.
 * @param {Volume} input @param {Volume} kernel @param {Steps} steps
 * @param {Plane} gradient  of the loss by each value of the output
 * @returns {{input: Volume, kernel: Volume, bias: number}} of the loss by each of these
 */
export function convolveBackward(input, kernel, steps, gradient) {
  const zeros = (volume) => volume.map((one) => each(one, () => 0));
  const back = { input: zeros(input), kernel: zeros(kernel), bias: 0 };
  gradient.forEach((line, i) => {
    line.forEach((g, j) => {
      back.bias += g;
      terms(input, kernel, steps, [i, j]).forEach(({ channel, row, column, value, weight, isPadding }, n) => {
        const [height, width] = [kernel[0].length, kernel[0][0].length];
        const place = n % (height * width);
        back.kernel[channel][Math.floor(place / width)][place % width] += g * value;
        if (!isPadding) back.input[channel][row][column] += g * weight;
      });
    });
  });
  return back;
}

/** @returns {Plane} mean pooling shares a gradient evenly; max pooling gives all of it to the one it remembers */
export function poolBackward(values, pooling, gradient) {
  const back = each(values, () => 0);
  poolWindows(values, pooling).forEach((row, i) => {
    row.forEach((places, j) => {
      const receivers = pooling.kind === "max" ? [largest(values, places)] : places;
      for (const [y, x] of receivers) back[y][x] += gradient[i][j] / receivers.length;
    });
  });
  return back;
}

/** @returns {Plane} backwards through ReLU or sigmoid: the gradient times the slope. values: what went in */
export function activateBackward(kind, values, gradient, atZero = 0) {
  return values.map((row, i) => row.map((x, j) => gradient[i][j] * slope(kind, x, atZero)));
}

/** One step of learning: against the gradient. @returns {Volume} */
export function stepped(kernel, gradient, rate) {
  return kernel.map((one, c) => one.map((row, i) => row.map((weight, j) => weight - rate * gradient[c][i][j])));
}

/** @param {number[]} logits @param {number} temperature @returns {number[]} exp(l / T), as shares of their sum */
export function softmax(logits, temperature = 1) {
  const highest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp((logit - highest) / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** @returns {number} learned numbers of a convolution: f · f · channels weights and one bias for each filter */
export function convolutionParameters(f, channels, filters) {
  return (f * f * channels + 1) * filters;
}

/** @returns {number} learned numbers of a dense layer: a weight for each input and one bias, for each neuron */
export function denseParameters(inputs, neurons) {
  return (inputs + 1) * neurons;
}

/** @param {[number, number][]} layers  kernel and stride of each @returns {number} side of the field one unit sees */
export function receptiveField(layers) {
  return layers.reduce(([field, jump], [f, s]) => [field + (f - 1) * jump, jump * s], [1, 1])[0];
}
