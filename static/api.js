// Calls to the service. URLs are relative to the page, so that a sub-path behind a proxy works.

const TIMEOUT_MS = 30_000;

/** An error that the service explained: what happened, and what helps. */
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

/** @param {string} path @returns {URL} the URL of a resource of the service */
export function address(path) {
  return new URL(path, document.baseURI);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{json?: unknown, body?: BodyInit, type?: string, timeout?: number}} [more]
 * @returns {Promise<any>} the JSON of the response
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
 * Fetches, with each new connection, data that seldom changes. If it fails, the page works without the data.
 * @param {import("./store.js").Store} store @param {string} path @param {(content: any) => object} change  to the store
 */
export function keepAsking(store, path, change) {
  let asked = false;
  store.watch(({ connection }) => {
    const open = connection === "open";
    if (open && !asked) call("GET", path).then((content) => store.set(change(content)), () => {});
    asked = open;
  });
}

/** Goes to the login page, which returns here afterwards, also to the wall display. */
export function goToLogin() {
  window.location.replace(address(`login${window.location.search}`));
}
