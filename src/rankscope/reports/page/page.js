const { looks, charts } = JSON.parse(document.getElementById("specifications").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const NARROW = 520;

async function draw(place) {
  const specification = structuredClone(charts[place.dataset.chart]);
  const config = structuredClone(dark.matches ? looks.dark : looks.light);
  if (place.clientWidth < NARROW) {
    config.legend.columns = 2;
    config.legend.layout = { direction: "vertical" };
    config.legend.labelLimit = 130;
    config.axis.labelLimit = 110;
  }
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
