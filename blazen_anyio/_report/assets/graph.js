// The graph: each step with what came of it, each way with how often it was taken.

const BOX = { width: data.graph.box[0], height: data.graph.box[1] };
const LONGEST_LABEL = 18;
const SMALLEST = 0.72;

function showGraph() {
  const graph = data.graph;
  const facts = new Map(data.steps.map((step) => [step.name, step]));
  const loops = graph.edges.some(([source, target]) => source === target);
  const top = loops ? 34 : 10;
  const [width, height] = [graph.width + 20, graph.height + top + 10];
  const picture = draw("svg", {
    viewBox: `-10 ${-top} ${width} ${height}`,
    role: "group",
    "aria-label": `Graph of ${data.run.workflow}`,
  });
  // As large as drawn if there is room; in a narrow window smaller, but never too small to read.
  picture.style.width = "100%";
  picture.style.maxWidth = `${width}px`;
  picture.style.minWidth = `${Math.round(width * SMALLEST)}px`;
  picture.append(arrowHeads());
  for (const edge of graph.edges) picture.append(drawEdge(edge, graph.nodes));
  for (const edge of graph.edges) picture.append(drawLabel(edge, graph.nodes));
  for (const node of graph.nodes) picture.append(drawNode(node, facts.get(node[1])));
  byId("graph").append(graph.nodes.length ? picture : make("p", { class: "note" }, "No steps."));
  byId("graph-note").textContent = graph.declared
    ? "As the workflow declares it. Choose a step to see its invocations only."
    : "As far as the facts show it. Choose a step to see its invocations only.";
  model.on("shown", markSteps);
}

function arrowHeads() {
  const head = (id, extra) =>
    draw(
      "marker",
      { id, viewBox: "0 0 8 8", refX: 7.4, refY: 4, markerWidth: 9, markerHeight: 9,
        markerUnits: "userSpaceOnUse", orient: "auto" },
      draw("path", { d: "M0,0 L8,4 L0,8 z", class: `arrow ${extra}` }),
    );
  return draw("defs", {}, head("arrow", ""), head("arrow-failing", "failing"));
}

function wayOf([source, target, , , points], nodes) {
  if (source === target) {
    const [, , x, y] = nodes[source];
    const [from, to] = [x + BOX.width * 0.68, x + BOX.width * 0.32];
    return `M${from},${y} C${from + 18},${y - 36} ${to - 18},${y - 36} ${to},${y}`;
  }
  let way = `M${points[0]}`;
  for (let i = 1; i < points.length; i += 1) {
    const [fromX, fromY] = points[i - 1];
    const [toX, toY] = points[i];
    const middle = (fromX + toX) / 2;
    way += ` C${middle},${fromY} ${middle},${toY} ${toX},${toY}`;
  }
  return way;
}

function drawEdge(edge, nodes) {
  const kind = edge[3];
  const head = kind === "failure" ? "arrow-failing" : "arrow";
  return draw("path", {
    d: wayOf(edge, nodes),
    class: `edge ${kind}`,
    "marker-end": `url(#${head})`,
  });
}

function drawLabel([source, target, names, , points, taken], nodes) {
  let [x, y] = [nodes[source][2] + BOX.width / 2, nodes[source][3] - 24];
  if (source !== target) {
    const [[fromX, fromY], [toX, toY]] = points;
    [x, y] = [(fromX + toX) / 2, (fromY + toY) / 2 - 4];
  }
  const all = names.map(short).join(", ");
  const times = taken === null || taken === 0 ? "" : ` ×${count(taken)}`;
  return draw(
    "text",
    { x, y, class: "label" },
    `${clip(all, LONGEST_LABEL - times.length)}${times}`,
    draw("title", {}, `${names.join(", ")}${times}`),
  );
}

function drawNode([kind, name, x, y], step) {
  const isStep = kind === "step" || kind === "gather";
  if (!isStep) return drawEnd(kind, name, x, y);
  const done = step.counted?.done ?? step.completed;
  const failed = step.counted?.failed ?? step.failed;
  const running = step.counted?.running ?? step.running;
  const retried = step.counted?.retried ?? step.retries;
  const waiting = step.counted?.waiting ?? 0;
  const said = [[done, "done"], [failed, "failed"], [running, "running"], [waiting, "waiting"],
    [retried, "retried"]].filter(([number]) => number > 0).map(([n, what]) => `${count(n)} ${what}`);
  const times = step.median === null ? "" : `median ${duration(step.median)}, max ${duration(step.longest)}`;
  const choose = () => model.show({ step: model.filter.step === name ? "" : name });
  const node = draw(
    "g",
    { class: "node", tabindex: 0, role: "button", transform: `translate(${x},${y})`,
      "aria-label": [name, ...said, times].filter(Boolean).join(", "), "aria-pressed": "false",
      onclick: choose,
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      } },
    draw("title", {}, [name, said.join(", "), times].filter(Boolean).join("\n")),
    draw("rect", { class: "box", width: BOX.width, height: BOX.height, rx: 9 }),
    draw("text", { x: 12, y: 20, class: "name" }, clip(name, kind === "gather" ? 22 : 25)),
    draw("text", { x: 12, y: 36, class: "small" }, clip(said.join(" · ") || "not run", 34)),
    draw("text", { x: 12, y: 50, class: "small" }, clip(times, 34)),
  );
  if (kind === "gather") node.append(joinMark());
  node.append(...shares([[done, "completed"], [failed, "failed"], [running, "running"],
    [step.cancelled + step.lost, "cancelled"]]));
  node.dataset.step = name;
  return node;
}

function joinMark() {
  const [left, tip] = [BOX.width - 28, BOX.width - 20];
  const way = `M${left},12 l8,4 l-8,4 M${tip},16 h8`;
  return draw("path", { d: way, fill: "none", stroke: "var(--soft)", "stroke-width": 1.5 });
}

// A bar along the lower edge: how the invocations of a step ended.
function shares(parts) {
  const total = parts.reduce((sum, [number]) => sum + number, 0);
  const [room, bars] = [BOX.width - 24, []];
  let left = 12;
  for (const [number, outcome] of parts) {
    if (number === 0) continue;
    const width = (room * number) / total;
    bars.push(draw("rect", { x: left, y: BOX.height - 5, width, height: 3, rx: 1,
      fill: `var(--${outcome})` }));
    left += width;
  }
  return bars;
}

function drawEnd(kind, name, x, y) {
  const words = { start: "begins with", external: "from outside", stop: "ends with" };
  return draw(
    "g",
    { transform: `translate(${x},${y})` },
    draw("title", {}, `${words[kind]} ${name}`),
    draw("rect", { class: "box end", width: BOX.width, height: 44, y: 8, rx: 22 }),
    draw("text", { x: BOX.width / 2, y: 26, class: "small", "text-anchor": "middle" }, words[kind]),
    draw("text", { x: BOX.width / 2, y: 42, "text-anchor": "middle" }, clip(short(name), 25)),
  );
}

function markSteps() {
  for (const node of byId("graph").querySelectorAll(".node")) {
    const chosen = model.filter.step === node.dataset.step;
    node.classList.toggle("chosen", chosen);
    node.setAttribute("aria-pressed", String(chosen));
  }
}
