// The login page: takes a token from the URL or the form, exchanges it for a cookie, and forgets it.

import { Problem, address, call } from "./api.js";
import { byId, setText } from "./dom.js";
import { explain } from "./problems.js";
import { addTexts, offerLanguage, switchLanguage, t, translatePage } from "./i18n.js";

const form = byId("form");
const field = byId("token");
const problem = byId("problem");
const go = byId("go");
const reveal = byId("reveal");

const why = byId("why");

// In a frame on another site, browsers keep the login only over HTTPS, and only for sites that Lookout allows.
const isFramed = window.top !== window.self;

const given = new URLSearchParams(window.location.hash.slice(1)).get("token");
// First of all, before anything can fail: the token must not stay in the URL, the history or a screenshot.
if (window.location.hash) history.replaceState(null, "", window.location.pathname + window.location.search);

function words() {
  translatePage();
  offerLanguage(byId("language"));
  setText(reveal, t(field.type === "password" ? "login.show" : "login.hide"));
}

/** @returns {Promise<{logged_in: boolean, token_exists: boolean, command: string}>} */
async function look() {
  const door = await call("GET", "api/login");
  setText(byId("command"), door.command);
  why.dataset.t = door.token_exists ? "login.more" : "login.first";
  setText(why, t(why.dataset.t));
  return door;
}

async function enter(token) {
  go.disabled = true;
  setText(problem, "");
  setText(go, t("login.busy"));
  try {
    await call("POST", "api/login", { json: { token } });
    if (!(await look()).logged_in) throw new Error(t(isFramed ? "login.framed" : "login.cookie"));
    window.location.replace(address(`./${window.location.search}`));
  } catch (error) {
    setText(problem, error.status === 401 ? t("login.wrong") : error instanceof Problem ? explain(error) : error.message);
    setText(go, t("login.go"));
    go.disabled = false;
    field.select();
    field.focus();
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  enter(field.value.trim());
});
reveal.addEventListener("click", () => {
  field.type = field.type === "password" ? "text" : "password";
  reveal.setAttribute("aria-pressed", String(field.type === "text"));
  words();
});
byId("language").addEventListener("click", async () => {
  await switchLanguage();
  words();
});

await addTexts({ en: () => import("./login.en.js"), "zh-Hant": () => import("./login.zh-Hant.js") });
words();
look().catch(() => {}); // the page then shows the usual command
if (given) enter(given);
else field.focus();
