// Calls to the service. Addresses are relative to the page, so that a sub-path behind a proxy works.

const TIMEOUT_MS = 30_000;

/** An error the service explained: what happened, and what helps. */
export class Problem extends Error {
  /** @param {{title?: string, detail?: string, remedy?: string, code?: string, status?: number}} content */
  constructor(content) {
    super(content.detail || content.title || "");
    this.code = content.code ?? "error";
    this.status = content.status ?? 0;
    this.title = content.title ?? "";
    this.detail = content.detail ?? "";
    this.remedy = content.remedy ?? "";
  }
}

/** @param {string} path @returns {URL} the address of something the service offers */
export function address(path) {
  return new URL(path, document.baseURI);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{json?: unknown, body?: BodyInit, type?: string, timeout?: number}} [more]
 * @returns {Promise<any>} the answer's JSON
 * @throws {Problem}
 */
export async function call(method, path, more = {}) {
  const headers = { Accept: "application/json" };
  let body = more.body;
  if (more.type) headers["Content-Type"] = more.type;
  if ("json" in more) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(more.json);
  }
  const signal = AbortSignal.timeout(more.timeout ?? TIMEOUT_MS);
  let response;
  try {
    response = await fetch(address(path), { method, headers, body, signal, credentials: "same-origin" });
  } catch (error) {
    throw new Problem({ code: "unreachable", detail: String(error.message ?? error) });
  }
  const content = await response.json().catch(() => null);
  if (response.ok) return content;
  if (response.status === 401 && path !== "api/login") goToLogin();
  throw new Problem({ status: response.status, title: response.statusText, ...(content ?? {}) });
}

/**
 * Asks with each new connection for what seldom changes. Without an answer the page goes on without it.
 * @param {import("./store.js").Store} store @param {string} path @param {(content: any) => object} change  of the store
 */
export function keepAsking(store, path, change) {
  let asked = false;
  store.watch(({ connection }) => {
    const open = connection === "open";
    if (open && !asked) call("GET", path).then((content) => store.set(change(content)), () => {});
    asked = open;
  });
}

/** Leaves for the login page, which comes back here, also to the wall display. */
export function goToLogin() {
  window.location.replace(address(`login${window.location.search}`));
}
