// A click on a column's name sorts its table: numbers by size, all else as text; what is missing comes last.
const words = new Intl.Collator("en", { numeric: true });
const value = (row, place) => {
  const cell = row.cells[place];
  return "value" in cell.dataset ? cell.dataset.value : cell.innerText.trim();
};
function compare(a, b) {
  const [x, y] = [a, b].map((text) => (text === "" || text === "–" ? NaN : Number(text.replaceAll(",", ""))));
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return words.compare(a, b);
}
const missing = (text) => text === "" || text === "–" || text.toLowerCase() === "nan";
function sort(table, header) {
  const place = header.cellIndex;
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [value(row, place), row]);
  rows.sort(([a], [b]) => missing(a) - missing(b) || (down ? compare(b, a) : compare(a, b)));
  body.append(...rows.map(([, row]) => row));
}
for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(table, header));
  }
}
