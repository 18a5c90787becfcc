// Keeps the page fresh: by the server's stream; while that does not come through, by asking every five seconds.
// What comes is held while the reader has frozen the page, or is busy in the part that it concerns.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const root = one("#stream");
  if (!root) return;

  const EVERY = 5000; // milliseconds between two questions
  const OPENS_WITHIN = 5000; // a stream that has said nothing by then is given up for now
  const SILENT_AFTER = 40000; // it says something every 15 s
  const TRIES_AGAIN = 60000;

  // --- what state the page is in, in words -----------------------------------------------------------

  const WORDS = {
    connecting: "Connecting",
    live: "Live",
    poll: "Live, every 5 s",
    lost: "Not live, trying again",
    over: "Not live: sign in again",
  };
  const sign = one("#live");
  let state = "connecting";
  let frozen = false;
  const say = (now = state) => {
    state = now;
    sign.dataset.state = frozen ? "frozen" : state;
    sign.setAttribute("aria-pressed", frozen);
    const text = frozen ? "Frozen" : WORDS[state];
    if (one("span", sign).textContent !== text) one("span", sign).textContent = text;
  };

  // --- what has come ---------------------------------------------------------------------------------

  const held = new Map(); // block id -> its newest HTML, not shown yet
  const known = new Map(); // block id -> how it looked when it came last, clocks aside
  let changes = 0; // that came while the page was frozen
  const still = (html) => html.replace(/(<time\b[^>]*\sdata-(?:since|until)=[^>]*>)[^<]*/g, "$1");

  const take = (blocks) => {
    for (const [id, html] of Object.entries(blocks)) {
      const looks = still(html);
      if (known.get(id) === looks) continue;
      // The first that comes is what the page shows already; counts beside the navigation follow from other changes.
      if (frozen && known.has(id) && !id.startsWith("count-")) changes++;
      known.set(id, looks);
      held.set(id, html);
    }
    show();
  };

  // A draft is not overwritten by what the server has meanwhile: htmx spares only the field that has the focus.
  const isDraft = (field) =>
    field.matches("select")
      ? [...field.options].some((option) => option.selected !== option.defaultSelected)
      : field.value !== field.defaultValue;
  htmx.registerExtension("drafts", {
    htmx_before_morph_node: (field) => !(field.matches?.("select, textarea") && isDraft(field)),
    htmx_before_morph_attr: (field, { attrName }) =>
      !(attrName === "value" && field.matches("input:not([type=checkbox], [type=radio])") && isDraft(field)),
  });

  // An open menu or dialog, and selected text, would be lost.
  const isBusy = (block) => {
    const selection = getSelection();
    return (
      block.closest(".menu[open], dialog[open]") !== null ||
      one(".menu[open], dialog[open], :popover-open", block) !== null ||
      (!selection.isCollapsed && selection.containsNode(block, true))
    );
  };

  const show = () => {
    chip();
    if (frozen || !held.size) return;
    const parts = [];
    for (const [id, html] of held) {
      const block = document.getElementById(id);
      if (block && isBusy(block)) continue;
      held.delete(id);
      if (block) parts.push(`<hx-partial hx-target="#${id}" hx-swap="outerMorph">${html}</hx-partial>`);
    }
    if (parts.length) htmx.swap({ sourceElement: root, target: root, swap: "none", text: parts.join("") });
  };
  for (const event of ["toggle", "close"]) document.addEventListener(event, () => setTimeout(show), true);
  document.addEventListener("selectionchange", show);

  // The stream draws a cell for a form without it, as it draws for everybody: who may act fetches the form.
  const fill = () => {
    if (!("operator" in document.documentElement.dataset)) return;
    for (const cell of document.querySelectorAll("[data-form]")) {
      const where = cell.dataset.form;
      delete cell.dataset.form;
      cell.setAttribute("hx-morph-skip", "");
      htmx.ajax("GET", where, { target: cell, swap: "innerHTML" });
    }
  };
  document.addEventListener("htmx:after:swap", fill);

  // --- frozen by the reader --------------------------------------------------------------------------

  const box = one("#held");
  let announcing;
  const announce = (text) => {
    one("[role=status]", box).textContent = text;
  };
  const chip = () => {
    const button = one("button", box);
    button.hidden = !frozen;
    button.textContent = changes ? `${changes} change${changes === 1 ? "" : "s"}, resume` : "Frozen, resume";
    if (frozen && changes && !announcing)
      announcing = setTimeout(() => {
        announcing = 0;
        if (frozen) announce(`${changes} change${changes === 1 ? " is" : "s are"} held.`);
      }, 3000);
  };
  const freeze = (on) => {
    const had = box.contains(document.activeElement);
    frozen = on;
    changes = 0;
    say();
    show();
    announce(on ? "The page is frozen." : "");
    if (had && !on) sign.focus({ preventScroll: true });
  };
  sign.addEventListener("click", () => freeze(!frozen));
  one("button", box).addEventListener("click", () => freeze(false));

  // --- how it comes ----------------------------------------------------------------------------------

  let source, silence, again, asking; // the stream; timers: it is silent, try it again, ask
  let isOpen = false;
  let pause = 1000;
  let tag = "";

  const stop = () => {
    source?.close();
    source = null;
    for (const timer of [silence, again, asking]) clearTimeout(timer);
    silence = again = asking = 0;
    isOpen = false;
  };

  const isThere = () => {
    clearTimeout(asking);
    clearTimeout(silence);
    asking = 0;
    isOpen = true;
    silence = setTimeout(isSilent, SILENT_AFTER);
    pause = 1000;
    say("live");
  };
  const isSilent = () => {
    silence = 0;
    if (source?.readyState !== EventSource.CLOSED) again = setTimeout(open, TRIES_AGAIN);
    ask();
  };
  const wait = () => {
    if (!silence && !asking) silence = setTimeout(isSilent, OPENS_WITHIN);
  };

  const open = () => {
    clearTimeout(again);
    source?.close();
    source = new EventSource(root.dataset.stream);
    source.onmessage = (event) => {
      isThere();
      take(JSON.parse(event.data));
    };
    source.addEventListener("beat", isThere);
    source.onerror = () => {
      if (isOpen) {
        clearTimeout(silence);
        isOpen = false;
        silence = 0;
      }
      if (!asking) say("lost");
      wait();
      later();
    };
    wait();
  };
  // The browser itself comes back to a stream that broke off, but not to one that was refused.
  const later = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(again);
    again = setTimeout(open, pause);
    pause = Math.min(pause * 2, TRIES_AGAIN);
  };

  const ask = async () => {
    const mine = (asking = setTimeout(() => {}));
    try {
      const answer = await fetch(root.dataset.blocks, {
        headers: tag ? { "If-None-Match": tag } : {},
        cache: "no-store",
        signal: AbortSignal.timeout(2 * EVERY),
      });
      const blocks = answer.ok ? await answer.json() : {};
      if (asking !== mine) return; // the stream has come, or the page is hidden
      if (answer.status === 401) {
        stop();
        return say("over");
      }
      if (!answer.ok && answer.status !== 304) throw new Error(answer.status);
      tag = answer.headers.get("ETag") ?? tag;
      say("poll");
      take(blocks);
    } catch {
      if (asking === mine) say("lost");
    }
    if (asking === mine) asking = setTimeout(ask, EVERY);
  };

  const start = () => {
    stop();
    if (document.hidden || state === "over") return;
    if (root.dataset.live === "poll") ask();
    else open();
  };
  document.addEventListener("visibilitychange", start);
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && start());
  say();
  start();
})();
