// The page works without this. With it: what changes is exchanged while one looks, keys get one around, things are copied.
"use strict";
(() => {
  const live = () => document.querySelectorAll("[data-live]");
  const status = document.getElementById("announce");

  // News: the page is asked for again, and only what differs is exchanged. What has the focus is left alone.
  let asked = 0;
  async function refresh() {
    const mine = ++asked;
    const answer = await fetch(location.href, { headers: { "x-ln6d-live": "1" }, redirect: "error" }).catch(() => null);
    if (!answer || !answer.ok || mine !== asked) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    let changed = false;
    for (const old of live()) {
      const now = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
      if (!now || old.contains(document.activeElement)) continue;
      const text = (node) => node.textContent.replace(/\s+/g, " ");
      if (text(old) !== text(now) && old.dataset.live !== "nav") changed = true;
      if (old.innerHTML !== now.innerHTML) old.replaceChildren(...now.cloneNode(true).childNodes);
    }
    if (changed && status) status.textContent = status.dataset.text;
  }
  if (live().length && document.body.dataset.inside && window.EventSource) {
    let source = null;
    const watch = () => {
      if (document.hidden) {
        if (source) source.close();
        source = null;
      } else if (!source) {
        source = new EventSource("/live");
        source.onmessage = refresh;
      }
    };
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) refresh();
      watch();
    });
    watch();
  }

  // Copying.
  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      if (status) status.textContent = button.dataset.said;
      button.classList.add("copied");
      setTimeout(() => button.classList.remove("copied"), 1500);
    });
  }

  // Choices that need no button.
  for (const choice of document.querySelectorAll("select[data-send]")) {
    choice.addEventListener("change", () => choice.form.requestSubmit());
  }

  // A form is sent once.
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
    });
  }
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  // Keys: / searches, g and a letter goes, ? explains.
  let waiting = false;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if (event.key === "?") {
      const help = document.getElementById("keys");
      if (help && help.showModal) help.showModal();
    } else if (waiting) {
      waiting = false;
      const entry = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (entry) entry.click();
    } else if (event.key === "g") {
      waiting = true;
      setTimeout(() => { waiting = false; }, 1200);
    } else if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("[data-row]")];
      const at = rows.findIndex((row) => row.contains(document.activeElement));
      const next = rows[event.key === "j" ? at + 1 : Math.max(at - 1, 0)];
      const stop = next && next.querySelector("a, button");
      if (stop) stop.focus();
    }
  });
})();
