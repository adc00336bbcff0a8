// Tables are whole without this: it lets readers sort and filter them, and switch what images show.
"use strict";

const place = (cell, kind) => {
  const value = cell.dataset.value;
  if (kind === "text") return value.toLowerCase();
  return value === "" ? NaN : Number(value);
};

// What has no value, as a row that has failed, stands last in either direction.
function compare(a, b, kind, direction) {
  if (kind === "text") return direction * (a < b ? -1 : a > b ? 1 : 0);
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return direction * (a - b);
}

function sort(table, header, direction) {
  const column = header.cellIndex, kind = header.dataset.sort, body = table.tBodies[0];
  const rows = Array.from(body.rows, (row, order) => {
    const cell = row.cells[column];
    return { row, order, key: cell && "value" in cell.dataset ? place(cell, kind) : kind === "text" ? "" : NaN };
  });
  rows.sort((a, b) => compare(a.key, b.key, kind, direction) || a.order - b.order);
  for (const { row } of rows) body.append(row);
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
}

for (const header of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => {
    sort(header.closest("table"), header, header.getAttribute("aria-sort") === "ascending" ? -1 : 1);
  });
}

for (const controls of document.querySelectorAll("[data-controls]")) {
  const rows = Array.from(document.getElementById(controls.dataset.controls).tBodies[0].rows);
  const input = controls.querySelector("input"), said = controls.querySelector("output");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.querySelector("th").textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += Number(!row.hidden);
    }
    said.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  };
  input.addEventListener("input", filter);
  controls.hidden = false;
  filter();
}

for (const group of document.querySelectorAll("[data-switch]")) {
  const gallery = group.nextElementSibling.querySelector("table");
  for (const button of group.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      gallery.dataset.shown = button.dataset.show;
      for (const other of group.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
    });
  }
  group.hidden = false;
}
