"use strict";
{
  // Light or dark: what the reader chose, else what the system prefers.
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const KEY = "holdfast-theme";
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a page opened from disk may have no storage
    }
  };
  const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const tell = () => button.setAttribute("aria-pressed", String(shown() === "dark"));
  if (["dark", "light"].includes(kept())) root.dataset.theme = kept();
  if (button) {
    tell();
    dark.addEventListener("change", tell);
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        // kept for this visit only
      }
      tell();
    });
  }
  // On paper nothing can be opened: what was closed is opened for the print.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
    opened = [];
  });
}
