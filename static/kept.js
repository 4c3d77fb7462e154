// What this browser remembers between visits. Storage may be blocked; then nothing is remembered.

/** @param {string} name @returns {string | null | undefined} null: nothing was stored; undefined: storage is blocked */
export function recall(name) {
  try {
    return localStorage.getItem(`lookout.${name}`);
  } catch {
    return undefined;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`lookout.${name}`, value);
  } catch {
    // Then it is remembered for this visit only.
  }
}
