// Small things that everything else uses. Text goes on the page as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const textOf = (number) => (number === null ? "" : data.strings[number]);
const OUTCOMES = {
  completed: "completed",
  failed: "failed",
  timed_out: "timed out",
  cancelled: "cancelled",
  lost: "lost",
  running: "running",
};

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// A name of somebody's choosing, which must not change how the text around it runs.
const named = (text) => make("bdi", {}, text);

const count = (number) => number.toLocaleString("en");
const plural = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

function duration(seconds) {
  if (seconds === null) return "–";
  const size = Math.abs(seconds);
  if (size === 0) return "0";
  if (size < 0.001) return `${trim(seconds * 1e6)} µs`;
  if (size < 1) return `${trim(seconds * 1e3)} ms`;
  if (size < 120) return `${trim(seconds)} s`;
  if (size < 7200) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

function trim(number) {
  const size = Math.abs(number);
  return String(Number(number.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0)));
}

function clip(text, length) {
  const letters = Array.from(text.length > 4 * length ? text.slice(0, 4 * length) : text);
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join("")}…`;
}

// The last part of a dotted name; what is left out is told where there is room.
const short = (name) => name.slice(name.lastIndexOf(".") + 1).split("::").pop() || name;

// Calls a function once before the next picture, however often it was asked for.
function soon(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}

const announce = (text) => {
  byId("said").textContent = text;
};
