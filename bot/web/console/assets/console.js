// What the console does beyond pages and forms: live regions, keys, ticking, canned answers, notifications.
"use strict";
(() => {
  const LIVE_MILLISECONDS = 700;
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  let waiting;

  // Live: a region is asked for again when a conversation that it shows has changed; at once, then not too often.
  const last = new Map();
  const timers = new Map();
  function refresh(region) {
    const key = region.id;
    const since = Date.now() - (last.get(key) || 0);
    if (timers.has(key)) return;
    const wait = Math.max(0, LIVE_MILLISECONDS - since);
    timers.set(key, setTimeout(() => {
      timers.delete(key);
      last.set(key, Date.now());
      const now = document.getElementById(key);
      if (now) window.htmx.trigger(now, "changed");
    }, wait));
  }
  function heard(changed) {
    for (const region of all("[data-live]")) {
      const shown = region.dataset.live.split(" ");
      if (shown.includes("*") || changed.includes("*") || shown.some((id) => changed.includes(id))) refresh(region);
    }
  }
  let source;
  function listen() {
    const wanted = one("[data-live]") !== null;
    if (!wanted || (source && source.readyState !== EventSource.CLOSED)) return;
    source = new EventSource("/live");
    source.addEventListener("changed", (event) => heard(JSON.parse(event.data)));
    // What changed between the making of the page and this moment was told to nobody.
    source.addEventListener("open", () => heard(["*"]));
  }
  addEventListener("pagehide", () => source && source.close());

  // The log of a conversation begins at its end, and stays there while new messages come, or where it was scrolled to.
  const END = Infinity;
  let place = null;
  function toPlace(wanted) {
    for (const log of all(".log")) log.scrollTop = Math.min(wanted, log.scrollHeight);
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const log = one(".log");
    if (event.detail.target === document.body) place = END;
    else if (log && event.detail.target === log) {
      place = log.scrollHeight - log.scrollTop - log.clientHeight < 80 ? END : log.scrollTop;
    }
  });

  function settled() {
    listen();
    read();
    // Who may not be texted any more: what was typed stays, and does not leave.
    const off = one("#textable .off") !== null;
    for (const part of all("form.composer button.primary, form.composer [data-compose]")) part.disabled = off;
    for (const submit of all("[data-submit] select, select[data-submit]")) submit.dataset.ready = "";
  }
  document.addEventListener("htmx:afterSettle", settled);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (place !== null) toPlace(place);
    place = null;
    if (event.detail.target === document.body) begin();
    if (event.detail.target.id === "waiting") notify(event.detail.target);
    // What was refused was not done: to try again is another request.
    const once = event.detail.target.id === "notice" && event.detail.requestConfig?.elt.querySelector("input[name=once]");
    if (once) once.value = crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
  });
  // Where reading a new page begins. With the swap and not once it has settled: by then a key may have moved the focus.
  function begin() {
    const first = one("[autofocus]") || one("#notice .notice") || one("#main");
    if (!first) return;
    if (first.matches(".notice")) first.tabIndex = -1;
    first.focus({ preventScroll: true });
  }

  // No answer, or one that is no page: said above the page. What is asked in the background comes again by itself.
  function failed(event) {
    const notice = one("#notice");
    if (!notice || event.detail.elt.closest("[data-live], [data-compose]")) return;
    const words = document.createElement("p");
    words.className = "notice bad";
    words.textContent = "The server did not answer. Try again.";
    notice.replaceChildren(words);
  }
  document.addEventListener("htmx:sendError", failed);
  document.addEventListener("htmx:responseError", failed);

  // What is looked at is read.
  function read() {
    const form = one("form[data-read]");
    if (!form || document.hidden || form.dataset.sent) return;
    form.dataset.sent = "true";
    fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
  }
  document.addEventListener("visibilitychange", read);

  document.addEventListener("change", (event) => {
    const target = event.target;
    if (target.matches("[data-tick-all]")) {
      for (const box of all("input[name='contacts[]']", target.form)) box.checked = target.checked;
    }
    if (target.matches("[data-tick-all], input[name='contacts[]']")) ticked(target.form);
    if (target.matches("select") && (target.dataset.submit !== undefined || target.form?.dataset.submit !== undefined)) {
      target.form.requestSubmit();
    }
  });
  function ticked(form) {
    const count = all("input[name='contacts[]']:checked", form).length;
    const shown = one("#ticked", form);
    if (shown) shown.textContent = count ? `${count} ticked` : "";
  }

  document.addEventListener("click", (event) => {
    const insert = event.target.closest("[data-insert]");
    if (insert) {
      const field = one("[data-compose]");
      if (!field) return;
      if (insert.dataset.replace !== undefined) field.value = insert.dataset.insert;
      else field.setRangeText(insert.dataset.insert, field.selectionStart, field.selectionEnd, "end");
      const template = field.form.elements.namedItem("template");
      if (template && insert.dataset.insert.includes("{{")) template.checked = true;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    }
    if (event.target.closest("[data-ask-notifications]")) ask();
  });

  // Keys: never while somebody writes.
  let went = false;
  const places = { i: "/inbox", c: "/contacts", l: "/lists", t: "/texts", p: "/phone", s: "/settings" };
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (field.matches("textarea[data-compose]") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      field.form.requestSubmit();
      return;
    }
    if (field.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (went && places[event.key]) { event.preventDefault(); location.assign(places[event.key]); }
    went = event.key === "g";
    if (event.key === "/") focusOn("[data-search]", event, "/contacts");
    if (event.key === "r") focusOn("[data-compose]", event);
    if (event.key === "?") { one("#keys")?.togglePopover(); }
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  });
  function focusOn(selector, event, otherwise) {
    const field = one(selector);
    if (field) { event.preventDefault(); field.focus(); } else if (otherwise) location.assign(otherwise);
  }
  function step(by) {
    const threads = all("a.thread");
    if (!threads.length) return;
    const current = threads.findIndex((thread) => thread.getAttribute("aria-current"));
    const next = Math.min(threads.length - 1, Math.max(0, current + by));
    if (next !== current) threads[next].click();
  }

  // Browser notifications: only when somebody begins to wait while nobody looks.
  function ask() {
    const shown = one("#notifications");
    if (!("Notification" in window)) { shown.textContent = "This browser has none."; return; }
    Notification.requestPermission().then((answer) => {
      shown.textContent = answer === "granted" ? "You will be told." : "The browser does not allow it.";
    });
  }
  // Who waited already when the page was opened is no news.
  function notify(badge) {
    const count = parseInt(badge.textContent, 10) || 0;
    if (count > waiting && document.hidden && "Notification" in window && Notification.permission === "granted") {
      const note = new Notification(document.title, { body: `${count} waiting for an answer`, tag: "textwright" });
      note.onclick = () => { window.focus(); location.assign("/inbox"); };
    }
    waiting = count;
  }

  settled();
  toPlace(END);
})();
