"use strict";
// Draws the figures that the page carries as JSON, in the colours of the page.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const narrow = matchMedia("(max-width: 40rem)");

  const themed = (layout) => {
    const style = getComputedStyle(document.documentElement);
    const [ink, soft, line, card] = ["--ink", "--soft", "--line", "--card"].map((name) =>
      style.getPropertyValue(name).trim());
    const result = {
      ...layout,
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: narrow.matches ? 11 : 13, color: ink },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink },
      hoverlabel: { bgcolor: card, bordercolor: line, font: { color: ink, size: 13 }, align: "left" },
    };
    if (touch) result.dragmode = false; // a finger scrolls the page
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      const title = { ...layout[name].title, font: { color: soft }, standoff: 8 };
      result[name] = { ...layout[name], title, gridcolor: line, linecolor: line, zerolinecolor: line };
      const [left, right] = layout[name].range ?? [0, 0];
      if (narrow.matches && layout[name].type === "log" && right - left > 2) result[name].dtick = 1;
      if (touch) result[name].fixedrange = true;
    }
    return result;
  };

  // Cells are tinted with the ground showing through, so the ink of the page is read on all.
  const inked = (data) => data.map((trace) => {
    if (trace.type !== "heatmap") return structuredClone(trace);
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    return { ...structuredClone(trace), textfont: { color: ink } };
  });

  const settings = {
    responsive: true,
    displaylogo: false,
    displayModeBar: touch ? false : "hover",
    modeBarButtons: [["toImage", "zoom2d", "resetScale2d"]],
  };

  for (const place of document.querySelectorAll(".plot")) {
    const stored = document.getElementById(`figure-${place.dataset.place}`);
    const choices = JSON.parse(stored.textContent);
    let chosen = 0;
    const draw = () => {
      const { data, layout } = choices[chosen].figure;
      Plotly.react(place, inked(data), themed(layout), settings);
    };
    if (choices.length > 1) {
      const bar = document.createElement("div");
      bar.className = "choices";
      choices.forEach((choice, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = choice.words;
        button.setAttribute("aria-pressed", String(index === 0));
        button.addEventListener("click", () => {
          chosen = index;
          [...bar.children].forEach((other, i) => other.setAttribute("aria-pressed", String(i === index)));
          draw();
        });
        bar.append(button);
      });
      place.before(bar);
    }
    draw();
    dark.addEventListener("change", draw);
    narrow.addEventListener("change", draw);
  }

  // A click on a column's head sorts by it; unknown values stay at the end.
  const value = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? (cell.dataset.value === "" ? null : Number(cell.dataset.value)) : cell.textContent;
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
        rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }
})();
