// All facts as a table of which only the rows on the screen exist.

const ROW = 27;
const COLUMNS = ["Fact", "Time", "Kind", "Step", "Event", "Attempt", "Took", "Error", "Child run"];

const table = { rows: [], now: 0, body: null };

function findRows() {
  const all = data.facts.map((_, index) => index);
  if (!model.filters) return all;
  const shown = new Set(model.shown.map((each) => each.index));
  return all.filter((index) => shown.has(data.facts[index][8]));
}

function cells(index) {
  const [kind, time, step, type, attempt, took, error, run] = data.facts[index];
  return [
    [count(index), "count"],
    [duration(time), "count"],
    [textOf(kind).replaceAll("_", " "), ""],
    [textOf(step), ""],
    [textOf(type), ""],
    [attempt === null ? "" : String(attempt), "count"],
    [took === null ? "" : duration(took), "count"],
    [textOf(error), error === null ? "" : "is-failed"],
    [textOf(run), ""],
  ];
}

function makeRow(place) {
  const index = table.rows[place];
  const owner = data.facts[index][8];
  const row = make("div", {
    class: `row${owner === null ? "" : " linked"}${place === table.now ? " now" : ""}`,
    role: "row",
    id: `fact-${place}`,
    "aria-rowindex": place + 2,
    "aria-selected": String(place === table.now),
    onclick: () => goTo(place, true),
  }, ...cells(index).map(([text, kind]) =>
    make("span", { role: "gridcell", class: kind || null, title: text.length > 12 ? text : null }, text)));
  row.style.top = `${place * ROW}px`;
  return row;
}

const showRows = soon(() => {
  const holder = byId("facts");
  const first = Math.max(Math.floor(holder.scrollTop / ROW) - 5, 0);
  const last = Math.min(first + Math.ceil(holder.clientHeight / ROW) + 10, table.rows.length);
  const seen = [];
  for (let place = first; place < last; place += 1) seen.push(makeRow(place));
  table.body.replaceChildren(...seen);
  if (table.now >= first && table.now < last) {
    holder.setAttribute("aria-activedescendant", `fact-${table.now}`);
  } else holder.removeAttribute("aria-activedescendant");
});

function resetRows() {
  table.rows = findRows();
  table.now = 0;
  table.body.style.height = `${table.rows.length * ROW}px`;
  byId("facts").setAttribute("aria-rowcount", table.rows.length + 1);
  byId("facts").scrollTop = 0;
  byId("facts-note").textContent = table.rows.length === data.facts.length
    ? plural(data.facts.length, "fact")
    : `${count(table.rows.length)} of ${plural(data.facts.length, "fact")}: those of what the filter shows`;
  showRows();
}

function goTo(place, choose) {
  if (!table.rows.length) return;
  table.now = Math.min(Math.max(place, 0), table.rows.length - 1);
  const holder = byId("facts");
  const [top, room] = [table.now * ROW, holder.clientHeight - 2 * ROW];
  if (top < holder.scrollTop) holder.scrollTop = top;
  else if (top > holder.scrollTop + room) holder.scrollTop = top - room;
  const owner = data.facts[table.rows[table.now]][8];
  if (choose && owner !== null) chooseInView(invocations[owner]);
  showRows();
}

function findFacts(each) {
  const place = table.rows.findIndex((index) => data.facts[index][8] === each.index);
  if (place < 0) return;
  byId("facts").focus();
  goTo(place, false);
}

function onTableKey(event) {
  const page = Math.floor(byId("facts").clientHeight / ROW) - 2;
  const to = {
    ArrowDown: table.now + 1,
    ArrowUp: table.now - 1,
    PageDown: table.now + page,
    PageUp: table.now - page,
    Home: 0,
    End: table.rows.length - 1,
    Enter: table.now,
  }[event.key];
  if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  goTo(to, event.key === "Enter");
}

function showFacts() {
  table.body = make("div", { class: "body", role: "rowgroup" });
  const heads = COLUMNS.map((name) => make("span", { role: "columnheader" }, name));
  for (const place of [0, 1, 5, 6]) heads[place].className = "count";
  const head = make("div", { class: "row heads", role: "row", "aria-rowindex": 1 }, ...heads);
  byId("facts").append(head, table.body);
  byId("facts").addEventListener("scroll", showRows);
  byId("facts").addEventListener("keydown", onTableKey);
  model.on("shown", resetRows);
  resetRows();
}
