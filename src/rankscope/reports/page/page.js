const { looks, charts } = JSON.parse(document.getElementById("specifications").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const [LETTER, SYMBOL] = [6.2, 40]; // widths in a legend, in pixels

function longestName(part) {
  if (part === null || typeof part !== "object") return 0;
  const names = part.color?.scale?.domain ?? [];
  return Math.max(0, ...names.map((name) => name.length), ...Object.values(part).map(longestName));
}

async function draw(place) {
  const specification = structuredClone(charts[place.dataset.chart]);
  const config = structuredClone(dark.matches ? looks.dark : looks.light);
  const width = place.clientWidth;
  const room = longestName(specification) * LETTER + SYMBOL;
  const columns = Math.max(1, Math.min(3, Math.floor(width / room)));
  Object.assign(config.legend, { columns, labelLimit: width / columns - SYMBOL, layout: { direction: "vertical" } });
  config.axis.labelLimit = width / 3;
  Object.assign(specification, {
    config,
    width: "container",
    autosize: { type: "fit-x", contains: "padding" },
    background: "transparent",
  });
  const actions = { export: true, source: false, compiled: false, editor: false };
  await window.vegaEmbed(place, specification, { renderer: "svg", actions, logLevel: 1 });
}

async function drawAll() {
  for (const place of document.querySelectorAll("[data-chart]")) await draw(place);
  document.documentElement.dataset.drawn = "true";
}

function sortBy(button) {
  const heading = button.parentElement;
  const table = heading.closest("table");
  const place = [...heading.parentElement.children].indexOf(heading);
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  const value = (row) => row.children[place].dataset.value;
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.every((row) => value(row) === "" || Number.isFinite(Number(value(row))));
  rows.sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
    return rising ? order : -order;
  });
  for (const other of heading.parentElement.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => sortBy(button));
}
dark.addEventListener("change", drawAll);
drawAll();
