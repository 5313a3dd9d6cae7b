// What the timeline shows. Only what can be seen is drawn, so that ten thousand invocations cost no
// more than the few hundred on the screen.

const paint = soon(() => {
  const pen = canvas.getContext("2d");
  const [width, height, top] = [viewport.clientWidth, viewport.clientHeight, viewport.scrollTop];
  pen.clearRect(0, 0, width, height);
  pen.textBaseline = "middle";
  const ticks = findTicks();
  pen.fillStyle = view.colours.line;
  for (const tick of ticks.places) pen.fillRect(Math.round(xOf(tick)), 0, 1, height);
  const seen = view.groups.filter((g) => g.top + g.height > top && g.top < top + height);
  pen.save();
  pen.beginPath();
  pen.rect(gutter(), AXIS, width - gutter(), height - AXIS);
  pen.clip();
  for (const group of seen) paintGroup(pen, group, top, height);
  paintChosen(pen, top);
  pen.restore();
  for (const group of seen) paintName(pen, group, top, height);
  paintAxis(pen, ticks, width);
  if (!model.shown.length) {
    write(pen, "Nothing to show", gutter() + 14, AXIS + 24, view.colours.soft, 13);
  }
  paintOverview();
});

function write(pen, text, x, y, colour, size, weight = 400) {
  pen.font = `${weight} ${size}px system-ui, "Noto Sans", "DejaVu Sans", sans-serif`;
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let length = Math.floor((text.length * width) / pen.measureText(text).width);
  while (length > 1 && pen.measureText(clip(text, length)).width > width) length -= 1;
  return clip(text, Math.max(length, 1));
}

function paintGroup(pen, group, scrolled, height) {
  const first = Math.max(0, Math.floor((scrolled - group.top - HEAD) / group.laneHeight));
  const last = Math.min(
    group.lanes.length - 1,
    Math.floor((scrolled + height - group.top - HEAD) / group.laneHeight),
  );
  for (let lane = first; lane <= last; lane += 1) {
    const y = group.top + HEAD + lane * group.laneHeight - scrolled;
    paintLane(pen, group.lanes[lane], y, group.laneHeight - (group.laneHeight > 8 ? 3 : 1));
  }
}

function paintLane(pen, items, y, height) {
  let painted = -1;
  for (let i = firstSeen(items); i < items.length && startOf(items[i]) <= view.to; i += 1) {
    const each = items[i];
    if (xOf(each.end) < painted && !each.failed) continue; // it would be hidden by the last one
    paintItem(pen, each, y, height);
    painted = xOf(each.end);
  }
}

// The first that ends in the window; within a lane each begins after the one before it has ended.
function firstSeen(items) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].end < view.from) low = middle + 1;
    else high = middle;
  }
  return low;
}

function paintItem(pen, each, y, height) {
  if (view.queue && each.ready !== null) {
    paintLine(pen, each.ready, each.begin, y + height / 2, view.colours.queue, 3);
  }
  let before = null;
  for (const attempt of each.attempts) {
    if (before !== null) {
      paintLine(pen, before, attempt.begin ?? before, y + height / 2, view.colours.waiting, 2);
    }
    paintAttempt(pen, attempt, y, height);
    before = attempt.end ?? END;
  }
  const [left, width] = [xOf(each.attempts[0].begin ?? 0), xOf(each.end) - xOf(each.begin)];
  if (height >= 16 && width > 46 && each.attempts.length === 1 && !each.waited) {
    pen.font = '11px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
    const from = Math.max(left, gutter());
    const label = fitted(pen, short(each.type), left + width - from - 10);
    write(pen, label, from + 5, y + height / 2 + 0.5, view.colours.card, 11);
  }
}

function paintLine(pen, from, to, y, colour, thickness) {
  pen.fillStyle = colour;
  pen.fillRect(xOf(from), y - thickness / 2, Math.max(xOf(to) - xOf(from), 0), thickness);
}

function paintAttempt(pen, attempt, y, height) {
  const left = xOf(attempt.begin ?? 0);
  const right = Math.max(xOf(attempt.end ?? END), left + 2);
  pen.globalAlpha = attempt.begin === null ? 0.45 : 1;
  pen.fillStyle = view.colours[attempt.outcome];
  pen.fillRect(left, y, right - left, height);
  pen.globalAlpha = 1;
  for (const [begin, end] of attempt.waits) {
    const [from, to] = [xOf(begin ?? attempt.begin ?? 0), xOf(end ?? attempt.end ?? END)];
    pen.fillStyle = view.colours.card;
    pen.fillRect(from, y + 1, Math.max(to - from, 2), height - 2);
    pen.fillStyle = view.colours.waiting;
    pen.fillRect(from, y + height * 0.3, Math.max(to - from, 2), height * 0.4);
  }
  if (attempt.outcome === "failed" || attempt.outcome === "timed_out") {
    pen.fillStyle = view.colours.ink;
    pen.fillRect(right - 2, y, 2, height);
  }
}

function paintChosen(pen, scrolled) {
  const each = invocations[model.chosen];
  if (each === undefined) return;
  for (const other of [each.cause, ...each.effects.slice(0, 200)]) {
    if (other >= 0) paintLink(pen, each, invocations[other], scrolled);
  }
  const y = placeOf(each);
  if (y === undefined || !model.shown.includes(each)) return;
  const group = view.groups.find((one) => one.step === each.step);
  const [left, right] = [xOf(each.begin), Math.max(xOf(each.end), xOf(each.begin) + 2)];
  pen.strokeStyle = view.colours.ink;
  pen.lineWidth = 2;
  pen.strokeRect(left - 2, y - scrolled - 2, right - left + 4, group.laneHeight + 1);
}

function paintLink(pen, each, other, scrolled) {
  const [first, second] = other.index === each.cause ? [other, each] : [each, other];
  const ends = [placeOf(first), placeOf(second)];
  if (ends.includes(undefined)) return;
  const [fromY, toY] = ends.map((y) => y - scrolled + 5);
  const [fromX, toX] = [xOf(Math.min(first.end, second.begin)), xOf(second.begin)];
  pen.strokeStyle = view.colours.accent;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.bezierCurveTo(fromX + 24, fromY, toX - 24, toY, toX, toY);
  pen.stroke();
}

function paintName(pen, group, scrolled, height) {
  const [top, width] = [group.top - scrolled, gutter()];
  const bottom = top + group.height;
  pen.fillStyle = view.colours.card;
  pen.fillRect(0, Math.max(top, AXIS), width - 1, bottom - Math.max(top, AXIS));
  pen.fillStyle = view.colours.line;
  pen.fillRect(0, bottom - 1, viewport.clientWidth, 1);
  pen.save();
  pen.beginPath();
  pen.rect(0, AXIS, width - 8, height);
  pen.clip();
  const y = Math.min(Math.max(top + 14, AXIS + 14), bottom - 26);
  pen.font = '600 12.5px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
  write(pen, fitted(pen, group.step, width - 24), 12, y, view.colours.ink, 12.5, 600);
  const said = `${plural(group.count, "invocation")}`;
  write(pen, said, 12, y + 15, view.colours.soft, 11);
  pen.restore();
}

function findTicks() {
  const rough = ((view.to - view.from) * 100) / plotWidth();
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((each) => each >= rough);
  const places = [];
  for (let n = Math.ceil(view.from / step); n * step <= view.to && places.length < 100; n += 1) {
    places.push(n * step);
  }
  return { places, step };
}

function paintAxis(pen, { places, step }, width) {
  pen.fillStyle = view.colours.card;
  pen.fillRect(0, 0, width, AXIS);
  pen.fillStyle = view.colours.line;
  pen.fillRect(0, AXIS - 1, width, 1);
  for (const tick of places) {
    write(pen, tickLabel(tick, step), Math.round(xOf(tick)) + 4, AXIS / 2, view.colours.soft, 11);
  }
  pen.fillStyle = view.colours.card;
  pen.fillRect(0, 0, gutter() - 1, AXIS - 1);
  write(pen, `${duration(view.to - view.from)} shown`, 12, AXIS / 2, view.colours.soft, 11);
}

function tickLabel(tick, step) {
  if (view.to >= 120) {
    const minutes = Math.floor(tick / 60 + 1e-9);
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    const seconds = Math.max(tick - minutes * 60, 0).toFixed(digits);
    return `${minutes}:${seconds.padStart(digits ? digits + 3 : 2, "0")}`;
  }
  const [unit, name] = view.to >= 1 ? [1, "s"] : view.to >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
  const digits = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  return `${(tick / unit).toFixed(digits)} ${name}`;
}
