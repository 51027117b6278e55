"use strict";
for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("thead button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.closest("th"), body = table.tBodies[0];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const number = cell => ({inf: Infinity, "-inf": -Infinity})[cell.dataset.number] ?? parseFloat(cell.dataset.number);
    const compare = (a, b) => {
      const [x, y] = [number(a), number(b)];
      if (!isNaN(x) && !isNaN(y)) return sign * (x < y ? -1 : x > y ? 1 : 0);
      if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
      return sign * a.textContent.localeCompare(b.textContent, undefined, {numeric: true});
    };
    body.append(...[...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column])));
  }));
}
const fold = document.getElementById("fold");
fold.addEventListener("click", () => {
  const folded = fold.getAttribute("aria-pressed") !== "true";
  for (const part of document.querySelectorAll("details.section")) part.open = !folded;
  fold.setAttribute("aria-pressed", String(folded));
  fold.textContent = folded ? "Unfold all" : "Fold all";
});
addEventListener("hashchange", () => document.querySelector(location.hash)?.setAttribute("open", ""));
