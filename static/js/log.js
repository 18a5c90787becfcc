// Follows a log: fetches what is new when the stream says that there is something, and keeps the reader's place.
(() => {
  const box = document.getElementById("log-box");
  const list = box?.querySelector("ol");
  const tail = document.getElementById("log-tail");
  const chip = document.getElementById("log-new");
  if (!box) return;
  const SETTLES = 2000; // milliseconds after which no line turns up any more before one that was seen
  const PAGE = 500;
  const MOST = 2000; // lines on the page
  const PAUSE = 500; // milliseconds between two requests

  const arrived = new Map(); // line -> when it came
  const lines = () => [...list.querySelectorAll("li")];
  const id = (line) => Number(line?.dataset.line ?? 0);
  const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 8;
  const toEnd = () => (box.scrollTop = box.scrollHeight);
  let asked = Number(document.getElementById("log-pulse")?.dataset.last ?? 0);
  let unseen = 0;
  let isFull = false; // more is new than the page can take without moving what is being read
  let busy = false;

  const offer = () => {
    chip.hidden = !unseen && !isFull;
    chip.textContent = isFull ? "Many new lines: to the end" : `${unseen} new ${unseen === 1 ? "line" : "lines"}`;
  };

  // Put a line where its number belongs; one that is there already is not put again.
  const put = (line) => {
    let before = list.lastElementChild;
    while (before && id(before) > id(line)) before = before.previousElementSibling;
    if (before && id(before) === id(line)) return false;
    before ? before.after(line) : list.prepend(line);
    arrived.set(id(line), Date.now());
    return true;
  };

  // What the server is to leave out: all up to `settled`, and `seen` lines from there to `last`.
  const known = () => {
    const shown = lines().map(id);
    const recent = shown.slice(-PAGE).filter((line) => Date.now() - arrived.get(line) < SETTLES);
    const settled = shown[shown.length - recent.length - 1] ?? (shown[0] ?? 1) - 1;
    const seen = shown.filter((line) => line > settled).length;
    return `settled=${settled}&last=${shown.at(-1) ?? settled}&seen=${seen}`;
  };

  const take = (answer) => {
    const wasAtEnd = isAtEnd();
    const fresh = [...answer.querySelectorAll("li")];
    if ("more" in answer.dataset && lines().length) {
      isFull = !wasAtEnd;
      if (isFull) return;
      list.replaceChildren();
      arrived.clear();
    }
    const count = fresh.filter(put).length;
    document.dispatchEvent(new Event("log:arrived"));
    if (wasAtEnd) {
      for (const line of lines().slice(0, -MOST / 2)) line.remove();
      toEnd();
    } else {
      unseen += count;
      isFull = lines().length > MOST;
    }
  };

  const ask = async () => {
    const last = Number(document.getElementById("log-pulse")?.dataset.last ?? 0);
    if (busy || isFull || last <= asked || !("follows" in tail.dataset)) return;
    busy = true;
    try {
      const response = await fetch(box.dataset.fresh + known());
      if (response.ok) {
        const read = document.createElement("template");
        read.innerHTML = await response.text();
        take(read.content.querySelector("ol"));
        asked = last;
      }
    } catch {
      // The network is away: the next time that the stream says something, it is asked again.
    }
    offer();
    setTimeout(() => {
      busy = false;
      ask();
    }, PAUSE);
  };

  for (const line of lines()) arrived.set(id(line), Date.now());
  if (tail) toEnd();
  else return;

  tail.addEventListener("click", (event) => {
    event.preventDefault();
    const follows = tail.toggleAttribute("data-follows");
    history.replaceState(null, "", tail.href);
    [tail.href, tail.dataset.other] = [tail.dataset.other, tail.href];
    tail.querySelector("span").textContent = follows ? "Stop following" : "Follow";
    if (follows) ask();
  });
  chip.addEventListener("click", (event) => {
    if (isFull) return; // then it is a link to the end
    event.preventDefault();
    toEnd();
    box.focus({ preventScroll: true });
  });
  box.addEventListener("scroll", () => {
    if (!isAtEnd() || isFull) return;
    unseen = 0;
    offer();
  });
  document.addEventListener("htmx:after:swap", ask);
})();
