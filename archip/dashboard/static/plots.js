// Plots: each <figure data-figure="address"> gets its figure as JSON and is drawn by plotly in the page's colours.
// A figure names colours as "--name": custom properties of the style sheet, so that both themes have their own.

const drawn = new Map(); // element → { url, text }
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

function resolved(value) {
  if (typeof value === "string") return value.startsWith("--") ? colour(value) : value;
  if (Array.isArray(value)) return value.map(resolved);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner)]));
}

function layout(own) {
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--soft"), automargin: true };
  const merged = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 60, r: 20, t: 40, b: 60 },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--soft"), font: { color: colour("--ink") }, align: "left" },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    ...own,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--soft") },
  };
  for (const key of new Set(["xaxis", "yaxis", ...Object.keys(own)])) {
    if (!/^[xy]axis\d*$/.test(key)) continue;
    const text = own[key]?.title?.text ?? "";
    merged[key] = { ...axis, ...own[key], title: { text, standoff: 10, font: { size: 13 } } };
  }
  return merged;
}

function draw(place, figure) {
  const options = { responsive: true, displaylogo: false, displayModeBar: false };
  return Plotly.react(place, resolved(figure.data), layout(resolved(figure.layout)), options);
}

async function load(holder) {
  const place = holder.querySelector(".plot");
  const answer = await fetch(holder.dataset.figure, { headers: { accept: "application/json" } });
  if (!answer.ok) {
    place.textContent = `This plot could not be made: ${await answer.text()}`;
    return;
  }
  const text = await answer.text();
  const before = drawn.get(place);
  if (before?.text === text) return;
  const figure = JSON.parse(text);
  drawn.set(place, { figure, text });
  if (!before) {
    place.classList.remove("waiting");
    place.replaceChildren();
  }
  await draw(place, figure);
  if (!before) place.on("plotly_click", (event) => open(event.points[0]));
  fillTwin(holder, figure);
}

function open(point) {
  const address = point.customdata;
  if (typeof address === "string" && address.startsWith("/runs/")) location.assign(address);
}

// The same numbers as a table, for those who read rather than see; filled when it is opened.
function fillTwin(holder, figure) {
  const twin = holder.querySelector("details.twin");
  if (!twin) return;
  const fill = () => twin.open && twin.querySelector(".scroll").replaceChildren(table(figure, holder.dataset.title));
  twin.ontoggle = fill;
  fill();
}

const MOST_ROWS = 2000;

function table(figure, title) {
  const element = document.createElement("table");
  element.createCaption().textContent = title;
  const heading = element.createTHead().insertRow();
  const { xaxis, yaxis } = figure.layout;
  for (const text of ["series", xaxis?.title?.text ?? "x", yaxis?.title?.text ?? "y"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    heading.append(cell);
  }
  const body = element.createTBody();
  for (const trace of figure.data) {
    const ys = trace.y ?? trace.values ?? [];
    const xs = trace.base ? trace.base.map((b, i) => `${b} – ${b + trace.x[i]}`) : trace.x ?? trace.labels ?? ys.map((_, i) => i);
    for (let i = 0; i < ys.length && body.rows.length < MOST_ROWS; i++) {
      const row = body.insertRow();
      const name = trace.base ? `${trace.name}: ${trace.text[i]}` : trace.name ?? "";
      for (const value of [name, xs[i], ys[i]]) row.insertCell().textContent = shown(value);
    }
  }
  return element;
}

function shown(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : value ?? "";
}

export function drawPlots(part) {
  return Promise.all([...part.querySelectorAll("figure[data-figure]")].map(load));
}

export function redrawPlots() {
  for (const [place, { figure }] of drawn) if (place.isConnected) draw(place, figure);
}
