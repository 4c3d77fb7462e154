// What the bench computes, as Python to be copied: it prints the bench's numbers (tests/lab/ runs it).

/**
 * @typedef {object} Layer
 * @property {import("./arithmetic.js").Volume} input
 * @property {import("./arithmetic.js").Volume} kernel  as it is applied, flipped or not
 * @property {number} bias
 * @property {number} stride
 * @property {number} padding
 * @property {"none" | "relu" | "sigmoid"} activation
 * @property {import("./arithmetic.js").Pooling | null} pooling
 */

/** @param {Layer} layer @returns {string} a program that needs NumPy only */
export function numpyCode(layer) {
  const { kernel, stride, padding, bias } = layer;
  const [height, width] = [kernel[0].length, kernel[0][0].length];
  return lines(
    "import numpy as np",
    "",
    ...arrays(layer, "np.array", "dtype=float"),
    `x = np.pad(x, ((0, 0), (${padding}, ${padding}), (${padding}, ${padding})))`,
    `rows, columns = (x.shape[1] - ${height}) // ${stride} + 1, (x.shape[2] - ${width}) // ${stride} + 1`,
    "y = np.array([",
    `    [(x[:, i * ${stride} : i * ${stride} + ${height}, j * ${stride} : j * ${stride} + ${width}] * w).sum() + ${python(bias)}`,
    "     for j in range(columns)]",
    "    for i in range(rows)",
    "])",
    ...{ none: [], relu: ["y = np.maximum(y, 0)"], sigmoid: ["y = 1 / (1 + np.exp(-y))"] }[layer.activation],
    ...numpyPooling(layer.pooling),
    "print(y.tolist())",
  );
}

function numpyPooling(pooling) {
  if (!pooling) return [];
  const { kind, size, stride, ceil } = pooling;
  const [up, down] = ceil ? ["-(-(", ") // "] : ["(", ") // "];
  const count = (axis) => `${up}y.shape[${axis}] - ${size}${down}${stride}${ceil ? ")" : ""} + 1`;
  return [
    `rows, columns = ${count(0)}, ${count(1)}`,
    // A last window that would begin beyond the picture does not count.
    ...(ceil ? [`rows -= (rows - 1) * ${stride} >= y.shape[0]`, `columns -= (columns - 1) * ${stride} >= y.shape[1]`] : []),
    "y = np.array([",
    `    [y[i * ${stride} : i * ${stride} + ${size}, j * ${stride} : j * ${stride} + ${size}].${kind}() for j in range(columns)]`,
    "    for i in range(rows)",
    "])",
  ];
}

/** @param {Layer} layer @returns {string} a program that needs PyTorch */
export function torchCode(layer) {
  const { stride, padding, bias, pooling } = layer;
  return lines(
    "import torch",
    "from torch.nn import functional as F",
    "",
    ...arrays(layer, "torch.tensor", "dtype=torch.float64"),
    `b = torch.tensor([${python(bias)}], dtype=torch.float64)`,
    `y = F.conv2d(x[None], w[None], b, stride=${stride}, padding=${padding})`,
    ...{ none: [], relu: ["y = F.relu(y)"], sigmoid: ["y = torch.sigmoid(y)"] }[layer.activation],
    ...(pooling
      ? [`y = F.${pooling.kind === "max" ? "max" : "avg"}_pool2d(y, ${pooling.size}, ${pooling.stride}, ceil_mode=${pooling.ceil ? "True" : "False"})`]
      : []),
    "print(y[0, 0].tolist())",
  );
}

function arrays({ input, kernel }, make, type) {
  return [`x = ${make}(${volume(input)}, ${type})  # channels x height x width`, `w = ${make}(${volume(kernel)}, ${type})`];
}

function volume(planes) {
  const written = planes.map((plane) => `[${plane.map((row) => `[${row.map(python).join(", ")}]`).join(",\n      ")}]`);
  return `[${written.join(",\n     ")}]`;
}

function python(number) {
  return String(number);
}

function lines(...all) {
  return `${all.join("\n")}\n`;
}
