// Times in the reader's zone, live updates, filters, and actions through Airflow's own API.
"use strict";

(() => {
  const { outer, stored } = window.customerio;
  const $ = (selector, inside = document) => inside.querySelector(selector);
  const $$ = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  // Times ------------------------------------------------------------------------------------------------

  function timeFormat() {
    const options = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    try {
      return new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: stored("timezone") || "UTC" });
    } catch {
      return new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: "UTC" });
    }
  }

  function showTimes() {
    const format = timeFormat();
    for (const time of $$("time[datetime]:not([data-age])")) time.textContent = format.format(new Date(time.dateTime));
    for (const time of $$("time[data-age]")) time.title = format.format(new Date(time.dateTime));
  }

  addEventListener("storage", (event) => event.key === "timezone" && showTimes());

  // Links out of the frame: its sandbox forbids them, a link of the page around it may go anywhere ----------

  function openOutside(url) {
    if (!outer) return location.assign(url);
    const link = outer.document.createElement("a");
    link.href = url;
    outer.document.body.append(link);
    link.click();
    link.remove();
  }

  // Frames of older Airflow versions allow no downloads: the page says where the report is instead.
  function showDownloads() {
    const frame = outer && window.frameElement;
    if (!frame || !frame.hasAttribute("sandbox") || frame.sandbox.contains("allow-downloads")) return;
    for (const hint of $$(".no-downloads")) hint.hidden = false;
    for (const link of $$("a[download]")) link.hidden = true;
  }

  // Live updates -------------------------------------------------------------------------------------------

  let timer = 0;

  async function refresh() {
    clearTimeout(timer);
    const live = $("#live");
    if (!live) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Requested-With": "refresh" } });
      if (answer.status === 401) return announce("Your session has ended. Log in again.", true);
      if (answer.ok) replace(live, new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // the API server does not answer: the next refresh tries again
    }
    schedule();
  }

  function replace(live, fresh) {
    const next = $("#live", fresh);
    if (!next) return;
    const focused = document.activeElement?.id;
    const open = $$("details[open][id]", live).map((each) => each.id);
    live.replaceWith(next);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    showTimes();
    showDownloads();
    filter();
  }

  function schedule() {
    clearTimeout(timer);
    const live = $("#live[data-refresh]");
    if (live && document.visibilityState === "visible") timer = setTimeout(refresh, 1000 * Number(live.dataset.refresh));
  }

  document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? refreshIfActive() : clearTimeout(timer)));

  function refreshIfActive() {
    if ($("#live[data-refresh]")) refresh();
  }

  // Filters of the list --------------------------------------------------------------------------------------

  function filter() {
    const form = $("#filters");
    if (!form) return;
    const words = form.elements.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const workspace = form.elements.workspace.value;
    const status = form.elements.status.value;
    let shown = 0;
    for (const group of $$("[data-workspace]")) {
      let inGroup = 0;
      for (const row of $$("[data-text]", group)) {
        const match = (!workspace || group.dataset.workspace === workspace)
          && (!status || row.dataset.status === status)
          && words.every((word) => row.dataset.text.includes(word));
        row.hidden = !match;
        inGroup += match;
      }
      group.hidden = inGroup === 0;
      shown += inGroup;
    }
    $("#shown").textContent = shown.toLocaleString("en");
    $("#nothing").hidden = shown > 0;
  }

  function rememberFilter() {
    const values = new URLSearchParams([...new FormData($("#filters"))].filter(([, value]) => value));
    history.replaceState(null, "", values.size ? `?${values}` : location.pathname);
    filter();
  }

  // Actions --------------------------------------------------------------------------------------------------

  function announce(text, bad = false) {
    const note = $("#note");
    note.textContent = text;
    note.classList.toggle("bad", bad);
    note.hidden = false;
  }

  function ask(button) {
    const dialog = $("#ask");
    $("#ask-title").textContent = button.dataset.title;
    $("#ask-text").textContent = button.dataset.question;
    const confirm = $("#ask-confirm");
    confirm.textContent = button.dataset.confirm;
    confirm.classList.toggle("danger", "danger" in button.dataset);
    dialog.returnValue = "";
    dialog.onclose = () => dialog.returnValue === "yes" && act(button);
    dialog.showModal();
  }

  async function act(button) {
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.url, {
        method: button.dataset.method,
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: button.dataset.body,
      });
      if (answer.ok) announce(button.dataset.done);
      else if (answer.status === 401) announce("Your session has ended. Log in again.", true);
      else if (answer.status === 403) announce("Your role in Airflow does not allow this.", true);
      else announce(`Airflow refused this (HTTP ${answer.status}).`, true);
    } catch {
      announce("Airflow does not answer. Try again.", true);
    }
    button.disabled = false;
    await refresh();
  }

  // Events ---------------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const action = target?.closest("button[data-url]");
    if (action) return ask(action);
    const outside = target?.closest("a[data-outside]");
    if (outside && outer && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      openOutside(outside.href);
    }
    const menu = $("details.menu[open]");
    if (menu && !menu.contains(target)) menu.open = false;
  });

  document.addEventListener("keydown", (event) => {
    const menu = $("details.menu[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      $("summary", menu).focus();
    }
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "")) {
      const search = $("input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  const form = $("#filters");
  if (form) {
    form.addEventListener("input", rememberFilter);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  const login = $("#login");
  if (login) {
    const here = (outer ?? window).location;
    login.href = `${login.getAttribute("href")}?next=${encodeURIComponent(here.pathname + here.search)}`;
  }
  showTimes();
  showDownloads();
  filter();
  schedule();
})();
