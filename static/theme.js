// Before the first paint: light or dark (`?theme=`, else what was chosen here before, else the system's wish), and kiosk.
(() => {
  const root = document.documentElement;
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const query = new URLSearchParams(location.search);
  let asked = query.get("theme");
  if (query.has("kiosk")) root.dataset.kiosk = "";

  function kept() {
    try {
      return localStorage.getItem("lookout.theme");
    } catch {
      return null; // Storage may be forbidden; the page works without it.
    }
  }

  function show() {
    const choice = asked || kept();
    root.dataset.theme = choice === "dark" || (choice !== "light" && wish.matches) ? "dark" : "light";
  }

  show();
  wish.addEventListener("change", show);
  addEventListener("lookout:theme", () => {
    asked = null;
    show();
  });
})();
