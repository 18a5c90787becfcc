// What HTML cannot do by itself: durations that count, local times, steppers, the theme, dialogs, toasts.
// No framework, no eval, no inline handlers. Every page reads and works without it.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  root.dataset.js = "";

  // The theme: kept in a cookie, so that the server prints it and no page flashes.
  const setTheme = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    document.cookie = `theme=${theme};path=/;max-age=31536000;samesite=lax`;
    for (const button of all("[data-set-theme]"))
      button.setAttribute("aria-pressed", button.dataset.setTheme === theme);
  };

  // Durations count up from data-since, data-times as fast, and down to data-until, by the server's clock.
  // One timer a page, none in a hidden tab.
  const skew = Date.parse(one("meta[name=server-now]")?.content ?? new Date()) - Date.now();
  const two = (number) => String(number).padStart(2, "0");
  const inWords = (s) =>
    s < 60
      ? `${s}s`
      : s < 3600
        ? `${(s / 60) | 0}m ${two(s % 60)}s`
        : `${(s / 3600) | 0}h ${two(((s / 60) | 0) % 60)}m`;
  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const count = () => {
    if (document.hidden) return;
    const now = Date.now() + skew;
    for (const time of all("time[data-since]")) {
      const gone = ((now - Date.parse(time.dataset.since)) / 1000) * (time.dataset.times ?? 1);
      say(time, inWords(Math.max(0, gone | 0)));
    }
    for (const time of all("time[data-until]")) {
      const left = Math.ceil((Date.parse(time.dataset.until) - now) / 1000);
      say(time, left > 0 ? `in ${inWords(left)}` : "now");
    }
  };

  // The server writes UTC; the reader sees the browser's zone.
  const localise = () => {
    for (const time of all("time[data-local]")) {
      const moment = new Date(time.dateTime);
      const text =
        time.dataset.local === "day"
          ? moment.toLocaleString([], {
              day: "2-digit",
              month: "short",
              hour: "2-digit",
              minute: "2-digit",
              hour12: false,
            })
          : moment.toLocaleTimeString([], {
              hour12: false,
              hour: "2-digit",
              minute: "2-digit",
              second: time.dataset.local === "minute" ? undefined : "2-digit",
              fractionalSecondDigits: time.dataset.local === "exact" ? 3 : undefined,
            });
      say(time, text);
    }
    for (const tick of all(".chart text[data-at]")) {
      const moment = new Date(tick.dataset.at);
      const form = tick.textContent.includes(":")
        ? { hour: "2-digit", minute: "2-digit", hour12: false }
        : { day: "2-digit", month: "short" };
      say(tick, moment.toLocaleString([], form));
    }
  };

  // Times are typed in the reader's zone, and sent in UTC, in which they are typed without a script.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = () => {
    for (const name of all("[data-zone]")) say(name, zone);
    for (const field of all("input[data-utc=''][type=datetime-local]")) {
      field.dataset.utc = "here";
      const moment = new Date(`${field.value}Z`);
      if (!isNaN(moment)) field.value = new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
      field.defaultValue = field.value;
    }
  };
  const inUtc = ({ type, value }) => {
    if (type !== "time") return new Date(value).toISOString().slice(0, 16);
    const next = new Date();
    next.setHours(...value.split(":"), 0, 0);
    if (next < Date.now()) next.setDate(next.getDate() + 1);
    return next.toISOString().slice(11, 16);
  };
  document.addEventListener("formdata", ({ target, formData }) => {
    for (const field of all("input[data-utc]", target)) if (field.value) formData.set(field.name, inUtc(field));
  });

  // A stepper, or a choice, holds a draft; nothing is sent until Save. A draft is never overwritten by what comes live.
  const stepper = (input) => {
    const step = input.closest(".step");
    const dirty = input.value !== input.defaultValue;
    step?.classList.toggle("dirty", dirty);
    const save = step?.closest("form") && one("[data-save]", step.closest("form"));
    if (save && save.classList.contains("sm")) save.hidden = !dirty;
  };
  const steppers = () => all(".step input").forEach(stepper);
  // What the address proposes is a draft of what is in force.
  const drafts = () => {
    for (const input of all(".step input[data-saved]")) {
      const draft = input.value;
      input.defaultValue = input.dataset.saved;
      input.value = draft;
      delete input.dataset.saved;
    }
  };
  const follow = () => {
    for (const row of all("[data-row][data-limit][data-version]")) {
      const form = row.dataset.editor ? document.getElementById(row.dataset.editor) : one("form.lim", row);
      const inputs = form ? all(".step input, input[type=radio]", form) : [];
      const isDraft = (input) =>
        input === document.activeElement ||
        (input.type === "radio" ? input.checked !== input.defaultChecked : input.value !== input.defaultValue);
      if (!inputs.length || inputs.some(isDraft)) continue;
      for (const input of inputs) {
        if (input.type === "radio") input.checked = input.defaultChecked = input.value === row.dataset.limit;
        else input.value = input.defaultValue = row.dataset.limit;
      }
      const known = { version: row.dataset.version, seen: row.dataset.seen ?? row.dataset.limit };
      for (const [name, value] of Object.entries(known)) {
        const field = one(`input[name=${name}]`, form);
        if (field) field.value = value;
      }
    }
  };

  // A form that says what its reader saw goes along with what comes live.
  const witness = () => {
    for (const field of all("input[data-as-in]")) {
      const seen = document.getElementById(field.dataset.asIn)?.dataset[field.name];
      if (seen !== undefined) field.value = seen;
    }
  };

  // The icon of the tab tells of failures that wait for a person.
  const tab = () => {
    const icon = one("link[rel=icon][data-failed]");
    const wanted = one("#count-failures")?.textContent ? icon?.dataset.failed : icon?.dataset.calm;
    if (wanted && icon.getAttribute("href") !== wanted) icon.href = wanted;
  };

  const toasts = () => {
    const box = one("#toasts");
    if (!box?.children.length) return;
    if (!box.matches(":popover-open")) box.showPopover?.();
    for (const toast of all(".toast:not([data-seen])", box)) {
      toast.dataset.seen = "";
      const lasts = one("[data-undo]", toast) ? 15000 : 6000;
      let timer;
      const wait = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          toast.remove();
          if (!box.children.length) box.hidePopover?.();
        }, lasts);
      };
      for (const held of ["pointerenter", "focusin"]) toast.addEventListener(held, () => clearTimeout(timer));
      for (const left of ["pointerleave", "focusout"]) toast.addEventListener(left, wait);
      wait();
    }
  };

  const dialog = () => {
    const box = one("#dialog");
    if (box?.children.length && !box.open) box.showModal();
  };

  const refresh = () => {
    localise();
    zones();
    count();
    drafts();
    follow();
    witness();
    steppers();
    tab();
    toasts();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.setTheme) setTheme(button.dataset.setTheme);
    if (button.dataset.step) {
      const input = one("input", button.parentElement);
      const wanted = (Number(input.value) || 0) + Number(button.dataset.step);
      input.value = Math.min(Number(input.max), Math.max(Number(input.min), wanted));
      input.dispatchEvent(new Event("input", { bubbles: true })); // heard here, and by who shows its effect
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches(".step input")) stepper(event.target);
  });
  // What a menu asks for is typed at once, and sent by Enter.
  const opened = ({ target }) => target.matches("details.menu[open]") && one("input:not([type=hidden]), select", target)?.focus();
  document.addEventListener("toggle", opened, true);
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-closes]")) one("#dialog").close();
    if (event.target.matches("[data-undo]")) {
      event.target.closest(".toast, .notice").hidden = true; // it goes later: htmx is about to send its form
      one("#content").focus({ preventScroll: true });
    }
  });
  one("#dialog")?.addEventListener("close", () => one("#dialog").replaceChildren());

  // After every swap, by an answer or by the stream.
  document.addEventListener("htmx:after:swap", () => {
    refresh();
    dialog();
  });

  document.addEventListener("log:arrived", localise);

  // A form that came back with errors is taken up at the first of them; after the browser has gone to the form.
  addEventListener("load", () => one("[aria-invalid=true]")?.focus());

  // On a phone the navigation is a line that scrolls: begin where the reader is.
  const here = one(".rail nav [aria-current]");
  if (here) here.closest("nav").scrollLeft = here.offsetLeft - here.closest("nav").offsetLeft - 8;

  setInterval(count, 1000);
  document.addEventListener("visibilitychange", count);
  refresh();
})();
