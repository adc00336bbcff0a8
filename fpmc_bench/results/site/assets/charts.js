// Charts by plotly from the JSON beside them, in the colours of the page, and rows shown and hidden.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 40rem)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const drawn = new Map();

// What all charts have in common, over what their own layout says.
function themed(layout) {
  const axis = (own) => ({
    ...own, gridcolor: colour("--grid"), linecolor: colour("--quiet"), zeroline: false,
    tickcolor: colour("--quiet"), tickfont: { size: narrow.matches ? 10 : 12 },
    minor: own.minor && { ...own.minor, tickcolor: colour("--line") },
    title: own.title && { ...own.title, font: { size: narrow.matches ? 11 : 13 } },
  });
  return {
    ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    autosize: true, showlegend: false, hovermode: "closest", hoverdistance: 30, dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", color: colour("--text") },
    hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--text"), size: 13 }, align: "left" },
    margin: { l: 56, r: 12, t: 16, b: 52 },
  };
}

const settings = {
  responsive: true, displaylogo: false, scrollZoom: false,
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
};

async function drawAll() {
  for (const [id, { data, layout }] of drawn) {
    await Plotly.react(document.getElementById(id), data, themed(layout), settings);
  }
  document.documentElement.dataset.charts = dark.matches ? "dark" : "light";
}

function show(row, visible) {
  for (const box of document.querySelectorAll("input[data-row]")) {
    if (box.dataset.row === row) box.checked = visible;
  }
  for (const { data } of drawn.values()) {
    for (const trace of data) if (trace.meta.row === row) trace.visible = visible;
  }
}

for (const script of document.querySelectorAll("script[data-chart]")) {
  drawn.set(script.dataset.chart, JSON.parse(script.textContent));
}
for (const legend of document.querySelectorAll("[data-legend]")) {
  const boxes = Array.from(legend.querySelectorAll("input"));
  for (const box of boxes) {
    box.addEventListener("change", () => { show(box.dataset.row, box.checked); drawAll(); });
  }
  for (const button of legend.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      for (const box of boxes) show(box.dataset.row, button.dataset.all === "show");
      drawAll();
    });
  }
  legend.hidden = false;
}
dark.addEventListener("change", drawAll);
narrow.addEventListener("change", drawAll);
window.matchMedia("print").addEventListener("change", drawAll);
drawAll();
