// A layer table cut into stages, as one would draw it. Pure: the walk draws it, the tests compare it with networks.

const ADDING = new Set(["Add", "QLinearAdd", "Sum"]);
const LEARNING = new Set(["Conv", "FusedConv", "QLinearConv", "ConvInteger", "Gemm", "MatMul", "QGemm", "MatMulInteger", "QLinearMatMul"]);

/**
 * @param {any[]} layers  rows of a layer table
 * @returns {{name: string, rows: any[]}[]} what changes nothing and what the answer does not need is left out. A stage
 *   ends where the picture becomes smaller, and the head begins where it has no places any more.
 */
export function stagesOf(layers) {
  const rows = layers.filter((row) => row.main && !["Transpose", "Cast", "Sub", "Div", "Mul", "Identity"].includes(row.operator));
  const stages = [];
  let side = null;
  let isHead = false;
  for (const row of rows) {
    const here = sideOf(row);
    const headNow = isHead || here === null || here === 1;
    if (!stages.length || headNow !== isHead || (!headNow && here !== side)) stages.push({ name: "", rows: [] });
    isHead = headNow;
    side = here ?? side;
    stages.at(-1).rows.push(row);
  }
  const first = stages[0]?.rows.some((row) => ADDING.has(row.operator)) ? 1 : 0;
  stages.forEach((stage, i) => {
    const isLast = i === stages.length - 1 && isHead;
    stage.name = isLast ? "head" : i === 0 && !first ? "stem" : String(i + first);
  });
  return merged(stages);
}

// A network that halves its picture twice before it has a single shortcut has one stem, not two.
function merged(stages) {
  const adds = stages.findIndex(({ rows }) => rows.some((row) => ADDING.has(row.operator)));
  if (adds < 1) return stages;
  const stem = { name: "stem", rows: stages.slice(0, adds).flatMap(({ rows }) => rows) };
  // The pool that leads into the first stage has that stage's size.
  const firstStage = stages[adds];
  while (firstStage.rows[0]?.operator === "MaxPool") stem.rows.push(firstStage.rows.shift());
  let number = 0;
  return [stem, ...stages.slice(adds).map((stage) => (stage.name === "head" ? stage : { ...stage, name: String((number += 1)) }))];
}

function sideOf({ output, channels_last: last }) {
  if (output?.length !== 4) return null;
  return last ? output[2] : output[3];
}

/** @returns {boolean} whether it adds two branches */
export function isSum(row) {
  return ADDING.has(row.operator) && row.inputs?.length > 1;
}

/** @returns {string[]} for a sum: first the branch with more layers, which sees more, then the shortcut */
export function branches(row, layers) {
  const field = (name) => layers.find((one) => one.name === name)?.receptive_field?.[0] ?? 0;
  return [...(row.inputs ?? [])].sort((a, b) => field(b) - field(a));
}

/** @returns {string | null} "64 × 3 × 7 × 7": filters, channels each looks at, height, width */
export function kernelShape({ kernel, input, output, groups, operator, channels_last: last }) {
  if (operator === "Gemm" || operator === "MatMul" || operator === "QGemm") {
    return input && output ? `${output.at(-1)} × ${input.at(-1)}` : null;
  }
  if (!kernel || !LEARNING.has(operator) || !input || !output) return null;
  const channels = (shape) => (last ? shape.at(-1) : shape[1]);
  return [channels(output), input[1] / groups, ...kernel].join(" × ");
}

/** @returns {{weights: number, biases: number} | null} what a row has learned, where its shape says so */
export function learned(row) {
  const shape = kernelShape(row);
  if (!shape || !row.parameters) return null;
  const sides = shape.split(" × ").map(Number);
  const weights = sides.reduce((product, side) => product * side, 1);
  return row.parameters === weights || row.parameters === weights + sides[0] ? { weights, biases: row.parameters - weights } : null;
}

/**
 * Which pixels of the input one unit sees.
 * @param {any} row  with receptive_field, jump and start @param {[number, number]} unit
 * @returns {[number, number, number, number] | null} row, column, height, width; may begin and end in the padding
 */
export function fieldOf(row, unit) {
  const { receptive_field: size, jump, start } = row;
  if (!size || !jump || !start) return null;
  return [start[0] + unit[0] * jump[0], start[1] + unit[1] * jump[1], size[0], size[1]];
}

/**
 * The square that holds the picture and every unit's field.
 * @param {any} row  with receptive_field, jump and start @param {[number, number]} units  rows and columns of the map
 * @param {[number, number]} sides  of the picture
 * @returns {{top: number, left: number, side: number}} in pixels of the picture; top and left are negative or 0
 */
export function frameOf(row, units, sides) {
  const [first, last] = [fieldOf(row, [0, 0]), fieldOf(row, [units[0] - 1, units[1] - 1])];
  if (!first) return { top: 0, left: 0, side: Math.max(...sides) };
  const [top, left] = [Math.min(0, first[0]), Math.min(0, first[1])];
  const [bottom, right] = [0, 1].map((axis) => Math.max(sides[axis], last[axis] + last[axis + 2]));
  return { top, left, side: Math.max(bottom - top, right - left) };
}

/** @returns {string[]} keys of what there is to say of a row, in the course's words */
export function wordsFor(row) {
  const { operator, kernel, stride, padding, input, output } = row;
  const said = [];
  if (kernel && LEARNING.has(operator)) {
    const side = kernel[0];
    if (side === 1 && kernel[1] === 1) said.push("one");
    else if (padding?.every((p) => p === 0)) said.push("valid");
    else if (padding?.[0] === (side - 1) / 2) said.push("same");
    if (side > 1 && side % 2 === 1) said.push("odd");
    if (padding?.some((p) => p > 0)) said.push("pad");
    if (stride?.[0] > 1) said.push("stride");
  }
  if (/MaxPool/.test(operator)) said.push("maxpool", "pooling");
  if (/AveragePool/.test(operator)) said.push(input?.length === 4 && output?.[2] === 1 ? "globalpool" : "meanpool", "pooling");
  if (operator === "Relu" || operator === "Clip") said.push("relu");
  if (operator === "Tanh" || operator === "Sigmoid") said.push("squash");
  if (isSum(row)) said.push("add");
  if (["Gemm", "MatMul", "QGemm"].includes(operator)) said.push("dense");
  if (operator === "Flatten" || operator === "Reshape") said.push("flatten");
  if (operator === "BatchNormalization") said.push("batchnorm");
  if (operator === "LRN") said.push("lrn");
  if (operator === "ReduceMean") said.push("globalpool", "pooling");
  if (operator === "Softmax") said.push("softmax");
  return said;
}
