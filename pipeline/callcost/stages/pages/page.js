"use strict";
// Figures under the pointer, with the keys too, and tables sorted by a column. Every word shown comes from the page's tables.
(() => {
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.setAttribute("role", "status");
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 4)) + "px";
    tip.style.top = Math.max(4, y + 14 + box.height > innerHeight ? y - box.height - 10 : y + 14) + "px";
  };
  const clear = () => {
    tip.replaceChildren();
    document.querySelectorAll(".cursor").forEach((mark) => mark.remove());
  };
  const cursor = (inner, x, y, width, height) => {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ x, y, width, height, class: "cursor" })) mark.setAttribute(name, value);
    inner.append(mark);
  };
  const periodTip = (table, n) => {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    const cells = [...table.tBodies[0].rows[n].cells];
    const list = document.createElement("ul");
    cells.slice(1).forEach((cell, k) => {
      if (k && (!cell.textContent || /^\$?0(\.0+)?$/.test(cell.textContent))) return;
      const item = make("li", "", k ? heads[k].querySelector("[class]").className : "");
      item.append(make("span", heads[k].textContent), make("b", cell.textContent || "–"));
      list.append(item);
    });
    tip.replaceChildren(make("b", cells[0].textContent), list);
  };
  document.querySelectorAll(".bars").forEach((svg) => {
    const inner = svg.querySelector("svg");
    const table = svg.closest("figure").querySelector("table");
    const count = inner.viewBox.baseVal.width / 10;
    let at = -1;
    const plot = () => {
      const box = svg.getBoundingClientRect(), margin = parseFloat(getComputedStyle(svg).paddingLeft);
      return { left: box.left + margin, top: box.top, width: box.width - margin };
    };
    const show = (n, x, y) => {
      at = Math.max(0, Math.min(count - 1, n));
      clear();
      cursor(inner, at * 10, 0, 10, 1000);
      periodTip(table, at);
      place(x, y);
    };
    svg.addEventListener("pointermove", (event) => {
      const box = plot();
      show(Math.floor(((event.clientX - box.left) / box.width) * count), event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", clear);
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("blur", clear);
    svg.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 }[event.key];
      if (event.key === "Escape") clear();
      if (to === undefined) return;
      event.preventDefault();
      const box = plot();
      const n = Math.max(0, Math.min(count - 1, to));
      show(n, box.left + ((n + 0.5) / count) * box.width, box.top + 20);
    });
  });
  document.querySelectorAll(".heat").forEach((svg) => {
    const table = svg.closest("figure").querySelector("table");
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = Math.min(23, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * 24)));
      const y = Math.min(6, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * 7)));
      const row = table.tBodies[0].rows[y];
      const hour = table.tHead.rows[0].cells[x + 1].textContent;
      clear();
      tip.append(make("b", row.cells[x + 1].textContent || "nothing"), ` ${row.cells[0].textContent}, ${hour}:00`);
      place(event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", clear);
  });
  const valueOf = (cell) => {
    const text = cell.title || cell.textContent.trim();
    if (text === "–") return -Infinity;
    return /^[-$\d.,%<]+$/.test(text) ? parseFloat(text.replace(/[$,%<]/g, "")) : text;
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, n) => {
      if (table.tBodies[0].rows.length < 2 || table.tBodies[0].rows[0].cells[n].querySelector(".spark")) return;
      const button = make("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[n]), row]);
        rows.sort(([a], [b]) => (a < b ? 1 : a > b ? -1 : 0) * (down ? 1 : -1));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  });
})();
