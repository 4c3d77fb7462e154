// Before the first paint: light or dark, the wall display, and the language, so that nothing changes after it is shown.
// `?theme=dark`, `?lang=zh` and `?kiosk` in the URL override what was chosen here, and that the system's preference.
(() => {
  const root = document.documentElement;
  const here = document.currentScript.src;
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const query = new URLSearchParams(location.search);
  let asked = query.get("theme");
  if (query.has("kiosk")) root.dataset.kiosk = "";

  function kept(name) {
    try {
      return localStorage.getItem(`lookout.${name}`);
    } catch {
      return null; // Storage may be blocked; the page works without it.
    }
  }

  function showTheme() {
    const choice = asked || kept("theme");
    root.dataset.theme = choice === "dark" || (choice !== "light" && wish.matches) ? "dark" : "light";
  }

  function language() {
    const wished = [query.get("lang"), kept("language"), ...(navigator.languages ?? [navigator.language])];
    const known = wished.map((one) => one?.toLowerCase().match(/^(en|zh)\b/)?.[1]).find(Boolean);
    return known === "zh" ? "zh-Hant" : "en";
  }

  // Fetches the texts in parallel with the modules that need them.
  function fetchTexts() {
    const link = document.createElement("link");
    link.rel = "modulepreload";
    link.href = new URL(`texts.${root.lang}.js`, here).href;
    document.head.append(link);
  }

  // If a file does not load, the page does not work, and a wall display has no user to reload it.
  function startAgain(event) {
    if (event.target?.localName === "script") setTimeout(() => location.reload(), 5000);
  }

  root.lang = language();
  fetchTexts();
  showTheme();
  wish.addEventListener("change", showTheme);
  addEventListener("error", startAgain, true);
  addEventListener("lookout:theme", () => {
    asked = null;
    showTheme();
  });
})();
