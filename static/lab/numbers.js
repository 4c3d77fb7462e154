// Numbers as the lab writes them: short, with a real minus sign.

/** @param {number} value @param {number} [digits]  behind the point, at most @returns {string} */
export function short(value, digits = 2) {
  if (!Number.isFinite(value)) return "–";
  const rounded = Number(value.toFixed(digits));
  return String(rounded === 0 ? 0 : rounded).replace("-", "−");
}

/** @param {string} text  what somebody typed, perhaps with a comma or a real minus sign @returns {number | null} */
export function typed(text) {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  if (/^-?\d+\/\d+$/.test(plain)) {
    const [above, below] = plain.split("/").map(Number);
    return below ? above / below : null;
  }
  return /^-?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

/** @param {number[]} values @returns {string} "3 + 1 − 8", or "0" */
export function sum(values, digits) {
  if (!values.length) return "0";
  return values
    .map((value, i) => {
      const size = short(Math.abs(value), digits);
      if (i === 0) return value < 0 ? `−${size}` : size;
      return value < 0 ? ` − ${size}` : ` + ${size}`;
    })
    .join("");
}

/** The size formula with its numbers. @returns {string} "⌊(6 + 2·0 − 3) / 1⌋ + 1 = 4" */
export function sizeFormula(n, f, s, p, size, rounding = "floor") {
  const [open, close] = rounding === "ceil" ? ["⌈", "⌉"] : ["⌊", "⌋"];
  return `${open}(${n} + 2·${p} − ${f}) / ${s}${close} + 1 = ${size}`;
}
