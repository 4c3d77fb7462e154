// The integrations: which are on, their status, and a test notice to each target.

import { call } from "./api.js";
import { button, el, show } from "./dom.js";
import { faultInWords } from "./faults.js";
import { clock, has, languageInUse, t } from "./i18n.js";
import { complain, tell } from "./problems.js";

// The service retries on its own every few seconds.
const LOOK_MS = 10_000;
// By then most targets have responded, and the card shows those that have not.
const ANSWER_MS = 2000;
const GUIDES = { mqtt: "mqtt.url", notify: "notify.rules", metrics: "metrics.enabled", mdns: "server.announce" };

/**
 * @param {HTMLElement} page  of the settings
 * @returns {{content: HTMLElement, look: () => void, translate: () => void}} the card's content
 */
export function programsCard(page) {
  const list = el("dl.facts", {});
  const targets = el("div.buttons", { hidden: true });
  let language = "";
  const look = () => Promise.all([call("GET", "api/integrations"), call("GET", "api/notify")]).then(
    ([{ integrations }, notify]) => {
      language = languageInUse();
      list.replaceChildren(...integrations.map(row));
      show(targets, notify.targets.length > 0);
      const wanted = [language, ...notify.targets.map(({ name }) => name)].join();
      if (targets.dataset.names !== wanted) { // otherwise a focused button would lose the focus
        targets.dataset.names = wanted;
        targets.replaceChildren(...notify.targets.map(({ name }) => tryButton(name, look)));
      }
    },
    () => {}, // The page already says that the service cannot be reached.
  );
  const translate = () => {
    if (!language || language === languageInUse()) return;
    language = languageInUse();
    look();
  };
  setInterval(() => page.hidden || document.hidden || look(), LOOK_MS);
  return { content: el("div", {}, el("p.note", { text: "programs.more" }), list, targets), look, translate };
}

// since: when the status last changed.
function row({ name, status, since, ...fault }) {
  const bad = status === "failed" || status === "missing";
  const title = `programs.${name}`;
  const words = [el("span", {}, t(`programs.${status}`, { clock: since ? clock(new Date(since)) : "", key: GUIDES[name] ?? name }))];
  if (bad) words.push(" ", el("span.note", {}, faultInWords(fault)));
  return el("div", {}, el("dt", {}, has(title) ? t(title) : name), el("dd", { data: { bad: String(bad) } }, ...words));
}

function tryButton(name, look) {
  const send = async () => {
    try {
      await call("POST", "api/notify/test", { json: { target: name } });
      tell(t("programs.sent", { name }));
      setTimeout(look, ANSWER_MS);
    } catch (error) {
      complain(error);
    }
  };
  return button("button", { onclick: send }, t("programs.test", { name }));
}
