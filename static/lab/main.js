// The lab: what a convolutional network does, in numbers. Each part is loaded when it is
// opened; the dashboard never loads this page.

import { addTexts, offerLanguage, switchLanguage, t, translatePage } from "../i18n.js";
import { byId, el, setAttribute } from "../dom.js";

/** Each part's `mount(place)` fills its place and returns a function that ends it. */
const PARTS = {
  bench: () => import("./bench.js"),
  walk: () => import("./walk.js"),
  collect: () => import("./collect.js"),
  exercises: () => import("./exercises.js"),
  errata: () => import("./errata.js"),
};

await addTexts({ en: () => import("./texts.en.js"), "zh-Hant": () => import("./texts.zh-Hant.js") });

let end = () => {};

async function open() {
  const name = location.hash.slice(1) in PARTS ? location.hash.slice(1) : "bench";
  const { mount } = await PARTS[name]();
  end();
  const place = el("div.lab-part", { data: { part: name } });
  byId("lab").replaceChildren(place);
  end = mount(place) ?? (() => {});
  for (const link of byId("tabs").children) setAttribute(link, "aria-current", String(link.hash === `#${name}`));
  document.title = `Lookout: ${t(`lab.${name}`)}`;
}

function words() {
  translatePage();
  offerLanguage(byId("language"));
}

byId("tabs").append(...Object.keys(PARTS).map((name) => el("a", { href: `#${name}`, text: `lab.${name}` })));
byId("language").addEventListener("click", async () => {
  await switchLanguage();
  words();
  await open();
});
window.addEventListener("hashchange", open);
words();
await open();
