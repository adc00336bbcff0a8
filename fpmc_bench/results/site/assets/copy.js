// A button beside a text that copies it; where that is not allowed, the text is selected instead.
"use strict";

async function copied(text, source) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    source.closest("details")?.setAttribute("open", "");
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }
}

for (const controls of document.querySelectorAll("[data-copies]")) {
  const source = document.getElementById(controls.dataset.copies);
  const said = controls.querySelector("output");
  controls.querySelector("button").addEventListener("click", async () => {
    said.textContent = (await copied(source.textContent, source))
      ? "Copied" : "Selected: copy it by Ctrl+C";
  });
  controls.hidden = false;
}
