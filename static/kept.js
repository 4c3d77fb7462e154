// What this browser remembers from one visit to the next. Storage may be forbidden: then nothing.

/** @param {string} name @returns {string | null | undefined} null: nothing was kept; undefined: nothing can be */
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
    // For this visit only, then.
  }
}
