// What would start something sooner takes a moment to work out: it is asked for after the page, and again when the wait
// has changed, but no more often than every five seconds. Without this script its heading leads to a page that says it.
(() => {
  const EVERY = 5000; // milliseconds between two questions about the same wait
  const PATIENCE = 15000;

  class Refused extends Error {}

  const seen = new WeakMap(); // where it is told -> about what was asked last, and when
  const about = ({ dataset: { sooner, mark } }) => `${sooner} ${mark}`;

  const say = (told, look, ...words) => {
    const line = document.createElement("p");
    line.className = `small ${look}`;
    line.setAttribute("role", "status");
    line.append(...words);
    told.replaceChildren(line);
  };

  const begin = (told, known) => {
    known.about = "";
    say(told, "soft", "Working it out …");
  };

  const fail = (box, told, known, error) => {
    const again = document.createElement("a");
    again.href = box.dataset.sooner;
    again.textContent = "Try again";
    again.addEventListener("click", (event) => {
      event.preventDefault();
      told.focus({ preventScroll: true }); // the link goes away
      begin(told, known);
      load(box, told, known);
    });
    const why = error instanceof Refused ? error.message : "the server does not answer";
    say(told, "is-fail", `It could not be loaded: ${why}. `, again);
  };

  const fetched = async (where) => {
    const headers = { "HX-Request": "true" };
    const answer = await fetch(where, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.redirected) throw new Refused("sign in again");
    if (!answer.ok) throw new Refused(`the server answered ${answer.status}`);
    return answer.text();
  };

  const load = async (box, told, known) => {
    const where = box.dataset.sooner;
    Object.assign(known, { about: about(box), at: Date.now(), timer: 0, busy: true });
    const isMeant = () => told.isConnected && box.dataset.sooner === where;
    try {
      const text = await fetched(where);
      // Morphed in, so that whoever has the focus on a button there keeps it.
      if (isMeant()) htmx.swap({ sourceElement: told, target: told, swap: "innerMorph", text });
    } catch (error) {
      if (isMeant()) fail(box, told, known, error);
    }
    known.busy = false;
    follow();
  };

  const follow = () => {
    for (const box of document.querySelectorAll("[data-sooner]")) {
      const told = box.querySelector(".told");
      if (!seen.has(told)) seen.set(told, { where: "", about: "", at: 0, timer: 0, busy: false });
      const known = seen.get(told);
      if (known.where !== box.dataset.sooner) {
        clearTimeout(known.timer);
        Object.assign(known, { where: box.dataset.sooner, at: 0, timer: 0 });
        begin(told, known);
      }
      if (known.busy || known.timer || known.about === about(box)) continue;
      known.timer = setTimeout(() => load(box, told, known), Math.max(0, known.at + EVERY - Date.now()));
    }
  };

  document.addEventListener("htmx:after:swap", follow);
  follow();
})();
