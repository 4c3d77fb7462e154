// Before the first paint: light or dark (`?theme=`, else what was chosen here before, else the system's wish), and kiosk.
(function () {
  "use strict";
  var wish = window.matchMedia("(prefers-color-scheme: dark)");
  var query = new URLSearchParams(window.location.search);
  var asked = query.get("theme");
  if (query.has("kiosk")) document.documentElement.dataset.kiosk = "";

  function kept() {
    try {
      return window.localStorage.getItem("lookout.theme");
    } catch (error) {
      return null; // Storage may be forbidden; the page works without it.
    }
  }

  function show() {
    var choice = asked || kept();
    var dark = choice === "dark" || (choice !== "light" && wish.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }

  show();
  wish.addEventListener("change", show);
  window.addEventListener("lookout:theme", function () {
    asked = null;
    show();
  });
})();
