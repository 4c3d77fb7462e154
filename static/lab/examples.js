// Grids and kernels to begin with. Volumes: channels x rows x columns.

/** @type {Record<string, import("./arithmetic.js").Volume>} */
export const GRIDS = {
  // The worked example of the course: its first value under "vertical" is 3 + 1 + 2 − 1 − 8 − 2 = −5.
  course: [
    [
      [3, 0, 1, 2, 7, 4],
      [1, 5, 8, 9, 3, 1],
      [2, 7, 2, 5, 1, 3],
      [0, 1, 3, 1, 7, 8],
      [4, 2, 1, 6, 2, 8],
      [2, 4, 5, 2, 3, 9],
    ],
  ],
  half: [Array.from({ length: 6 }, () => [10, 10, 10, 0, 0, 0])],
  square: [
    [
      [0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0],
      [0, 0, 9, 9, 9, 0, 0],
      [0, 0, 9, 9, 9, 0, 0],
      [0, 0, 9, 9, 9, 0, 0],
      [0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0],
    ],
  ],
  colour: [
    [
      [9, 9, 1, 0],
      [9, 8, 0, 1],
      [9, 9, 1, 0],
      [8, 9, 0, 0],
    ],
    [
      [2, 1, 2, 2],
      [1, 2, 1, 2],
      [2, 2, 2, 1],
      [1, 1, 2, 2],
    ],
    [
      [0, 1, 8, 9],
      [1, 0, 9, 9],
      [0, 0, 9, 8],
      [1, 0, 8, 9],
    ],
  ],
};

const third = 1 / 9;

/** @type {Record<string, import("./arithmetic.js").Volume>} one plane: over several channels each gets a copy */
export const KERNELS = {
  vertical: [[[1, 0, -1], [1, 0, -1], [1, 0, -1]]],
  horizontal: [[[1, 1, 1], [0, 0, 0], [-1, -1, -1]]],
  sobel: [[[1, 0, -1], [2, 0, -2], [1, 0, -1]]],
  blur: [[[third, third, third], [third, third, third], [third, third, third]]],
  sharpen: [[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]],
  corner: [[[1, 2, 0], [2, 0, -2], [0, -2, -1]]],
  blur5: [Array.from({ length: 5 }, () => new Array(5).fill(1 / 25))],
};
