// Takes colors and color mode from the Airflow page around this one. Loaded before the body, so that nothing flashes.
"use strict";

(() => {
  const root = document.documentElement;
  const outer = (() => {
    try {
      return window.parent !== window && window.parent.document ? window.parent : null;
    } catch {
      return null; // a page of another origin
    }
  })();
  const tokens = [
    "bg", "bg-subtle", "bg-muted", "bg-panel", "fg", "fg-muted", "fg-subtle", "border", "border-emphasized",
    "brand-solid", "brand-contrast", "brand-fg", "brand-subtle", "brand-muted", "brand-focus-ring",
    ...["green", "orange", "red", "cyan", "blue", "gray", "purple"].flatMap((name) =>
      ["solid", "fg", "subtle", "muted"].map((part) => `${name}-${part}`)),
  ];

  function stored(key) {
    try {
      const value = localStorage.getItem(key);
      return value === null ? null : value.replace(/^"|"$/g, "");
    } catch {
      return null;
    }
  }

  function applyTheme() {
    const chosen = stored("theme");
    const dark = outer
      ? outer.document.documentElement.classList.contains("dark")
      : chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.classList.toggle("dark", dark);
    if (!outer) return;
    const style = outer.getComputedStyle(outer.document.documentElement);
    for (const token of tokens) {
      const value = style.getPropertyValue(`--chakra-colors-${token}`).trim();
      if (value) root.style.setProperty(`--airflow-${token}`, value);
    }
    const font = outer.getComputedStyle(outer.document.body).fontFamily;
    if (font) root.style.setProperty("--airflow-font", font);
  }

  applyTheme();
  root.classList.add("script");
  root.classList.toggle("framed", outer !== null);
  if (outer) {
    new MutationObserver(applyTheme).observe(outer.document.documentElement, { attributeFilter: ["class", "style"] });
  }
  addEventListener("storage", (event) => event.key === "theme" && applyTheme());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  window.customerio = { outer, stored };
})();
