// The door: takes a token from the address or the form, trades it for a cookie, and forgets it.

import { address, call } from "./api.js";
import { byId, setText } from "./dom.js";
import { explain } from "./problems.js";
import { offerLanguage, switchLanguage, t, translatePage } from "./words.js";

const form = byId("form");
const field = byId("token");
const problem = byId("problem");
const go = byId("go");
const reveal = byId("reveal");

const given = new URLSearchParams(window.location.hash.slice(1)).get("token");
// At once, before anything can fail: the token must not stay in the address, its history or a screenshot.
if (window.location.hash) history.replaceState(null, "", window.location.pathname + window.location.search);

function words() {
  translatePage();
  offerLanguage(byId("language"));
  setText(reveal, t(field.type === "password" ? "login.show" : "login.hide"));
}

async function enter(token) {
  go.disabled = true;
  setText(problem, "");
  setText(go, t("login.busy"));
  try {
    await call("POST", "api/login", { json: { token } });
    window.location.replace(address(`./${window.location.search}`));
  } catch (error) {
    setText(problem, error.status === 401 ? t("login.wrong") : explain(error));
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
byId("language").addEventListener("click", () => {
  switchLanguage();
  words();
});

words();
if (given) enter(given);
else field.focus();
