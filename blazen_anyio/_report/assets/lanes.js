// The timeline's view, and which invocation goes where: a group of lanes for each step.

const AXIS = 26;
const HEAD = 7;
const LEAST = 40;
const LOWEST = 180;
const HIGHEST = 460;
const SPAN = Math.max(END, 1e-6);
const NARROWEST = Math.max(SPAN * 1e-6, 1e-6);

const view = { from: 0, to: SPAN, groups: [], height: 0, queue: false, colours: {} };
const [canvas, viewport, overview] = [byId("canvas"), byId("viewport"), byId("overview")];
const gutter = () => Math.min(190, Math.round(viewport.clientWidth * 0.3));
const plotWidth = () => Math.max(viewport.clientWidth - gutter() - 8, 10);
const xOf = (time) => gutter() + ((time - view.from) / (view.to - view.from)) * plotWidth();
const timeAt = (x) => view.from + ((x - gutter()) / plotWidth()) * (view.to - view.from);
const startOf = (each) =>
  view.queue && each.ready !== null ? Math.min(each.ready, each.begin) : each.begin;

// Gives each invocation the lowest lane that is free when it begins.
function pack(items) {
  const [lanes, busy, free] = [[], heap((a, b) => a[0] - b[0]), heap((a, b) => a - b)];
  for (const each of [...items].sort((a, b) => startOf(a) - startOf(b) || a.index - b.index)) {
    while (busy.size() && busy.least()[0] <= startOf(each)) free.add(busy.take()[1]);
    const lane = free.size() ? free.take() : lanes.push([]) - 1;
    lanes[lane].push(each);
    each.lane = lane;
    busy.add([each.end, lane]);
  }
  return lanes;
}

function heap(order) {
  const items = [];
  const swap = (i, j) => ([items[i], items[j]] = [items[j], items[i]]);
  const less = (i, j) => order(items[i], items[j]) < 0;
  return {
    size: () => items.length,
    least: () => items[0],
    add(item) {
      let i = items.push(item) - 1;
      for (; i > 0 && less(i, (i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1);
    },
    take() {
      const least = items[0];
      const last = items.pop();
      if (items.length) {
        items[0] = last;
        for (let i = 0, next; (next = 2 * i + 1) < items.length; i = next) {
          if (next + 1 < items.length && less(next + 1, next)) next += 1;
          if (!less(next, i)) break;
          swap(next, i);
        }
      }
      return least;
    },
  };
}

function arrange() {
  const bySteps = new Map(data.steps.map((step) => [step.name, []]));
  for (const each of model.shown) bySteps.get(each.step).push(each);
  const groups = [...bySteps].filter(([, items]) => items.length);
  const packed = groups.map(([step, items]) => ({ step, count: items.length, lanes: pack(items) }));
  const lanes = packed.reduce((sum, group) => sum + group.lanes.length, 0);
  const laneHeight = lanes <= 40 ? 22 : lanes <= 400 ? 14 : 7;
  let top = AXIS;
  for (const group of packed) {
    const height = Math.max(HEAD + group.lanes.length * laneHeight + HEAD, LEAST);
    Object.assign(group, { top, laneHeight, height });
    top += group.height;
  }
  view.groups = packed;
  view.height = top;
  resize();
}

function resize() {
  viewport.style.height = `${Math.min(Math.max(view.height, LOWEST), HIGHEST)}px`;
  const height = viewport.clientHeight;
  byId("spacer").style.height = `${Math.max(view.height - height, 0)}px`;
  for (const [surface, width, high] of [
    [canvas, viewport.clientWidth, height],
    [overview, overview.clientWidth, overview.clientHeight],
  ]) {
    const scale = window.devicePixelRatio || 1;
    surface.width = Math.round(width * scale);
    surface.height = Math.round(high * scale);
    if (surface === canvas) surface.style.height = `${high}px`;
    surface.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
  }
  paint();
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "card", "ink", "soft", "line", "faint", "accent", "waiting", "queue",
    ...Object.keys(OUTCOMES)]) {
    view.colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

const placeOf = (each) => {
  const group = view.groups.find((one) => one.step === each.step);
  return group && group.top + HEAD + each.lane * group.laneHeight;
};
