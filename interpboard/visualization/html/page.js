"use strict";
(() => {
  const page = document.body, tip = document.getElementById("tip");
  page.classList.add("live");

  // Numbers ------------------------------------------------------------------------------------
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const numbers = (array) => array.values ??= array.kind === "u16"
    ? Float32Array.from(new Uint16Array(bytes(array.data)), (v) => v / 65535)
    : new (array.kind === "f64" ? Float64Array : Float32Array)(bytes(array.data));
  const shown = (v) => Number.isFinite(v) ? String(Number(v.toPrecision(6))) : "not known";
  const level = (array, name, v) => {
    if (!Number.isFinite(v)) return 4;
    let share = (v - array.center) / array.limit;
    if (name === "rank" && array.limit > 1) share = Math.log(Math.max(1, v)) / Math.log(array.limit);
    share = Math.max(array.diverging ? -1 : 0, Math.min(1, share));
    return 4 + Math.round(4 * share);
  };
  const cards = new Map();
  const dataOf = (card) => {
    if (!cards.has(card)) {
      const script = card.querySelector('script[type="application/json"]');
      cards.set(card, script ? JSON.parse(script.textContent) : null);
    }
    return cards.get(card);
  };
  const idsOf = (top) => top.ids ??= new Uint32Array(bytes(top.index));
  const best = (data, at) => data.top?.texts[idsOf(data.top)[at * data.top.count]];
  const tops = (data, at) => {
    const top = data.top;
    if (!top) return [];
    const ids = idsOf(top), probs = numbers(top.probs);
    return Array.from({ length: top.count }, (_, k) => at * top.count + k)
      .map((i) => `${(100 * probs[i]).toFixed(1).padStart(5)}%  ${top.texts[ids[i]]}`);
  };

  // Hover --------------------------------------------------------------------------------------
  const describe = (data, where) => {
    const at = where.reduce((sum, i, k) => sum * data.axes[k].labels.length + i, 0);
    const place = data.axes.map((axis, k) => {
      const label = axis.labels[where[k]];
      const token = ["token", "query", "key"].includes(axis.name);
      return token ? `${axis.name} ${where[k]} ${label}` : `${axis.name} ${label}`;
    });
    const values = Object.entries(data.arrays).map(([n, a]) => `${n} ${shown(numbers(a)[at])}`);
    return [place.join(", "), ...values, ...tops(data, at)].join("\n");
  };
  const show = (text, event) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(2, Math.min(event.clientX + 14, innerWidth - box.width - 4))}px`;
    const below = event.clientY + 16;
    tip.style.top = `${below + box.height > innerHeight ? Math.max(2, event.clientY - box.height - 8) : below}px`;
  };
  const cellOf = (target) => {
    const td = target.closest(".grid td, .lens td");
    if (td) return [td.parentNode.sectionRowIndex, td.cellIndex - 1];
    const span = target.closest(".strip span");
    if (!span) return null;
    const at = [...span.parentNode.children].indexOf(span);
    return span.parentNode.classList.contains("row") ? [Number(span.parentNode.dataset.row), at] : [at];
  };
  const hover = (event) => {
    const card = event.target.closest?.(".card");
    const data = card && !event.target.closest(".extra") && dataOf(card);
    const where = data && (event.target.tagName === "CANVAS" ? onCanvas(event) : cellOf(event.target));
    if (where && where.length === data.axes.length) show(describe(data, where), event);
    else tip.hidden = true;
  };
  document.addEventListener("pointermove", hover);
  document.addEventListener("pointerdown", hover);
  document.addEventListener("pointerleave", () => { tip.hidden = true; });
  document.addEventListener("scroll", () => { tip.hidden = true; }, true);

  // A lens: the row of one layer as running text, and the array that colours the table -----------
  const lensRow = (card) => {
    const slider = card.querySelector("input.rows"), data = dataOf(card);
    if (!slider || !data) return;
    const row = Number(slider.value), out = card.querySelector(".strip.row");
    const cells = card.querySelector(".lens").tBodies[0].rows[row].cells;
    slider.nextElementSibling.value = data.axes[0].labels[row];
    card.querySelector("tr.sel")?.classList.remove("sel");
    cells[0].parentNode.classList.add("sel");
    out.dataset.row = row;
    out.replaceChildren(...data.axes[1].labels.map((token, i) => {
      const span = document.createElement("span"), says = document.createElement("small");
      span.className = cells[i + 1].className;
      span.textContent = token || "∅";
      says.textContent = "→ " + (best(data, row * data.axes[1].labels.length + i) ?? cells[i + 1].textContent);
      span.append(says);
      return span;
    }));
  };
  const colour = (card, name) => {
    const data = dataOf(card), array = data.arrays[name], values = numbers(array);
    const table = card.querySelector(".grid, .lens"), width = data.axes[1].labels.length;
    const words = table.classList.contains("grid");
    [...table.tBodies[0].rows].forEach((row, i) => {
      for (let j = 0; j < width; j++) {
        const cell = row.cells[j + 1], v = values[i * width + j];
        cell.className = "c" + level(array, name, v);
        if (words) cell.textContent = Number.isFinite(v) ? String(Number(v.toPrecision(3))) : "·";
      }
    });
    const ends = card.querySelector(".legend").children, limit = shown(array.center + array.limit);
    card.querySelector(".legend").hidden = name === "rank";
    if (ends.length === 5) [ends[0].textContent, ends[2].textContent, ends[4].textContent] =
      [array.diverging ? shown(array.center - array.limit) : "", shown(array.center), limit];
    else ends[ends.length - 1].textContent = limit;
    lensRow(card);
  };

  // Arrays of more than two axes: sliders and a canvas -------------------------------------------
  const canvases = new WeakMap();
  const draw = (card) => {
    const data = dataOf(card), canvas = card.querySelector("canvas");
    if (!data || !canvas) return;
    const style = getComputedStyle(page), paint = [...Array(9).keys()].map((i) => style.getPropertyValue(`--c${i}`));
    const lead = [...card.querySelectorAll(".slices input")].map((input) => {
      const label = data.axes[input.dataset.axis].labels[input.value];
      input.nextElementSibling.value = label;
      return Number(input.value);
    });
    const [rows, columns] = data.axes.slice(-2).map((axis) => axis.labels);
    const [name, array] = Object.entries(data.arrays)[0], values = numbers(array);
    const first = lead.reduce((sum, i, k) => sum * data.axes[k].labels.length + i, 0) * rows.length * columns.length;
    const size = Math.max(2, Math.min(22, Math.floor(Math.min(900 / columns.length, 900 / rows.length))));
    const named = size >= 10, ratio = devicePixelRatio || 1;
    const room = (labels) => 8 * Math.min(14, Math.max(...labels.map((label) => label.length)));
    const left = named ? 8 + room(rows) : 0, top = named ? 16 + .87 * room(columns) : 0;
    const width = left + columns.length * size, height = top + rows.length * size;
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    canvas.style.width = `${width}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < columns.length; j++) {
        pen.fillStyle = paint[level(array, name, values[first + i * columns.length + j])];
        pen.fillRect(left + j * size, top + i * size, size - (size > 4), size - (size > 4));
      }
    }
    if (named) {
      pen.fillStyle = style.color;
      pen.font = `${Math.min(12, size - 1)}px ui-monospace, monospace`;
      pen.textBaseline = "middle";
      rows.forEach((label, i) => pen.fillText(label.slice(0, 14), 2, top + (i + .5) * size));
      columns.forEach((label, j) => {
        pen.save();
        pen.translate(left + (j + .5) * size, top - 4);
        pen.rotate(-Math.PI / 3);
        pen.fillText(label.slice(0, 14), 0, 0);
        pen.restore();
      });
    }
    canvases.set(canvas, { lead, left, top, size, width, rows: rows.length, columns: columns.length });
  };
  const onCanvas = (event) => {
    const canvas = event.target, drawn = canvases.get(canvas), box = canvas.getBoundingClientRect();
    if (!drawn) return null;
    const ratio = drawn.width / box.width;
    const column = Math.floor(((event.clientX - box.left) * ratio - drawn.left) / drawn.size);
    const row = Math.floor(((event.clientY - box.top) * ratio - drawn.top) / drawn.size);
    const inside = row >= 0 && column >= 0 && row < drawn.rows && column < drawn.columns;
    return inside ? [...drawn.lead, row, column] : null;
  };

  // Tables that sort ---------------------------------------------------------------------------
  const key = (cell) => cell.dataset.v ?? cell.textContent;
  const number = (text) => text.trim() === "" ? NaN : Number(text);
  document.addEventListener("click", (event) => {
    const head = event.target.closest?.(".sortable thead th");
    if (!head) return;
    const table = head.closest("table"), at = head.cellIndex;
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].filter((row) => row.cells[at]);
    const compare = (a, b) => {
      const [x, y] = [key(a.cells[at]), key(b.cells[at])], [u, v] = [number(x), number(y)];
      if (Number.isNaN(u) || Number.isNaN(v)) return Number.isNaN(u) && Number.isNaN(v) ? x.localeCompare(y) : Number.isNaN(u) ? -1 : 1;
      return u - v;
    };
    rows.sort((a, b) => (down ? -1 : 1) * compare(a, b));
    table.tBodies[0].append(...rows);
  });

  // Panes and theme ----------------------------------------------------------------------------
  const links = [...document.querySelectorAll("nav a")], panes = [...document.querySelectorAll(".pane")];
  const choose = () => {
    const wanted = location.hash.slice(1), chosen = panes.find((pane) => pane.id === wanted) ?? panes[0];
    const text = page.dataset.show === "all", all = text || wanted === "all";
    page.classList.toggle("one", !all);
    for (const pane of panes) pane.classList.toggle("on", pane === chosen);
    for (const link of links) {
      const current = !text && link.hash === (all ? "#all" : "#" + chosen?.id);
      if (current) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    for (const pane of panes) if (all || pane === chosen) pane.querySelectorAll(".card").forEach(open);
    if (!text) requestAnimationFrame(() => scrollTo(0, 0));
  };
  const open = (card) => {
    if (card.dataset.open) return;
    card.dataset.open = "yes";
    lensRow(card);
    draw(card);
  };
  addEventListener("hashchange", choose);
  addEventListener("beforeprint", () => document.querySelectorAll(".card").forEach(open));
  document.getElementById("theme").addEventListener("click", () => {
    const dark = page.classList.contains("dark")
      || (!page.classList.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches);
    page.classList.remove("light", "dark");
    page.classList.add(dark ? "light" : "dark");
    document.querySelectorAll(".card[data-open]").forEach(draw);
  });
  document.addEventListener("input", (event) => {
    const card = event.target.closest(".card");
    if (event.target.matches("input.rows")) lensRow(card);
    else if (card && event.target.type === "range") draw(card);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("select.array")) colour(event.target.closest(".card"), event.target.value);
  });
  choose();
})();
