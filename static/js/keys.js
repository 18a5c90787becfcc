// By keyboard: the palette, moving between pages and rows, limits, and whatever carries data-key. Never while typing.
(() => {
  const one = (selector, within = document) => within?.querySelector(selector) ?? null;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Single keys may get in the way of who dictates or types elsewhere: they can be turned off.
  const KEPT = "sluice-single-keys";
  const kept = () => {
    try {
      return localStorage.getItem(KEPT) !== "off";
    } catch {
      return true;
    }
  };
  const keep = (on) => {
    try {
      localStorage.setItem(KEPT, on ? "on" : "off");
    } catch {
      // Without storage the choice holds for this page.
    }
    single = on;
  };
  let single = kept();

  if (/Mac|iPhone|iPad/.test(navigator.platform)) for (const key of all(".find kbd")) key.textContent = "⌘ K";

  const palette = one("#palette");
  const find = () => {
    if (!palette || palette.open) return;
    palette.showModal();
    one("input", palette).select();
  };
  const links = () => all("a", palette);
  const choose = (step) => {
    const found = links();
    const at = found.indexOf(document.activeElement) + step;
    if (at < 0) one("input", palette).focus();
    else found[Math.min(at, found.length - 1)]?.focus();
  };
  palette?.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(event.key === "ArrowDown" ? 1 : -1);
    }
  });
  // Enter takes the first that is found; while nothing has been found yet, the page of all results.
  one("form", palette)?.addEventListener("submit", (event) => {
    const first = links()[0];
    if (!first || one("#found").dataset.for !== one("input", palette).value.trim()) return;
    event.preventDefault();
    first.click();
  });
  document.addEventListener("htmx:after:swap", () => {
    const found = one("#found");
    if (found) found.dataset.for = one("input", palette).value.trim();
  });

  const help = one("#keys");
  const box = one("[data-single-keys]", help);
  if (box) box.checked = single;
  box?.addEventListener("change", () => keep(box.checked));

  // The rows of lists. The row that is looked at has the focus, on its name.
  const rows = () => all("[data-row] :is(a.nm, th a)").filter((link) => link.offsetParent);
  const here = () => document.activeElement?.closest("[data-row]");
  const move = (step) => {
    const found = rows();
    const at = found.findIndex((link) => link.closest("[data-row]") === here());
    const to = at < 0 ? (step > 0 ? 0 : found.length - 1) : Math.min(Math.max(at + step, 0), found.length - 1);
    found[to]?.focus();
  };
  const limit = (step) => one(`[data-step="${step}"]`, one("form", here()) ?? one("#editor"))?.click();
  const save = () => {
    const form = one("form.lim", here()) ?? one("#editor");
    if (form && one(".step.dirty", form)) form.requestSubmit();
  };
  const press = (key) => {
    const isMeant = ({ offsetParent, dataset }) => offsetParent && (!dataset.keyIf || one(dataset.keyIf, document));
    const button = all(`[data-key="${CSS.escape(key)}"]`).find(isMeant);
    if (button?.matches("input, select, textarea")) button.focus();
    else button?.click();
    if (button?.matches("summary")) one("input:not([type=hidden]), select", button.parentElement)?.focus();
    return Boolean(button);
  };

  let going = 0; // when g was pressed
  const act = (key) => {
    if (Date.now() - going < 1500) {
      going = 0;
      const link = one(`.rail [data-go="${CSS.escape(key)}"]`);
      if (link) return link.click();
    }
    const keys = {
      "/": find,
      "?": () => help?.showModal(),
      g: () => (going = Date.now()),
      j: () => move(1),
      k: () => move(-1),
      "+": () => limit(1),
      "=": () => limit(1),
      "-": () => limit(-1),
      s: save,
      l: () => one("button#live")?.click(),
      z: () => all(".toast:not([hidden]) [data-undo] button").at(-1)?.click(),
    };
    return keys[key] ? keys[key]() : press(key);
  };

  const typing = (target) =>
    target.closest("textarea, select, [contenteditable]") ||
    (target.matches("input") && !target.matches("[type=checkbox], [type=radio]"));
  document.addEventListener("keydown", (event) => {
    const withKey = event.ctrlKey || event.metaKey;
    if (withKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      return find();
    }
    if (withKey && event.key === "Enter") {
      const form = event.target.closest("form");
      if (form) {
        event.preventDefault();
        form.requestSubmit();
      }
      return;
    }
    if (!single || withKey || event.altKey || event.defaultPrevented || one("dialog[open]") || typing(event.target))
      return;
    if (event.key === "/") event.preventDefault(); // or it would be the first that is typed
    if (act(event.key) === true) event.preventDefault(); // or it would be typed into the field that it leads to
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-find]")) {
      event.preventDefault();
      find();
    }
    if (event.target.closest("[data-help]")) help?.showModal();
    if (event.target === palette) palette.close(); // beside it
  });
})();
