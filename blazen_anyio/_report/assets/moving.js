// Going about in the timeline: zooming, moving, finding, by keyboard and by pointer.

function look(from, to) {
  const width = Math.min(Math.max(to - from, NARROWEST), SPAN);
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(middle - width / 2, 0), SPAN - width);
  view.to = view.from + width;
  paint();
}

function zoom(factor, around = (view.from + view.to) / 2) {
  const width = Math.min(Math.max((view.to - view.from) * factor, NARROWEST), SPAN);
  const share = (around - view.from) / (view.to - view.from);
  look(around - share * width, around + (1 - share) * width);
}

const pan = (share) => {
  const by = (view.to - view.from) * share;
  look(view.from + by, view.to + by);
};

function bringIntoView(each) {
  const y = placeOf(each);
  if (y === undefined) return;
  const [top, height] = [viewport.scrollTop, viewport.clientHeight];
  if (y - HEAD < top + AXIS) viewport.scrollTop = y - HEAD - AXIS;
  else if (y + 30 > top + height) viewport.scrollTop = y + 30 - height;
  if (each.end < view.from || each.begin > view.to) {
    const half = (view.to - view.from) / 2;
    look(each.begin - half, each.begin + half);
  }
}

// ---- finding -----------------------------------------------------------------------------------

function findAt(x, y) {
  if (x < gutter() || y < AXIS) return null;
  const place = y + viewport.scrollTop;
  const group = view.groups.find((one) => place >= one.top + HEAD && place < one.top + one.height);
  const items = group?.lanes[Math.floor((place - group.top - HEAD) / group.laneHeight)];
  if (!items) return null;
  const reach = (4 / plotWidth()) * (view.to - view.from);
  const time = timeAt(x);
  let best = null;
  let nearest = reach;
  for (let i = Math.max(firstSeen(items) - 1, 0); i < items.length; i += 1) {
    const each = items[i];
    if (startOf(each) - reach > time) break;
    const away = Math.max(startOf(each) - time, time - each.end, 0);
    if (away <= nearest) [best, nearest] = [each, away];
  }
  return best;
}

// The next invocation of the same step, or the nearest in the next lane.
function neighbour(each, key) {
  const group = view.groups.find((one) => one.step === each.step);
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const row = group.lanes.flat().sort((a, b) => a.begin - b.begin || a.index - b.index);
    return row[row.indexOf(each) + (key === "ArrowRight" ? 1 : -1)];
  }
  const rows = view.groups.flatMap((one) => one.lanes);
  const row = rows[rows.indexOf(group.lanes[each.lane]) + (key === "ArrowDown" ? 1 : -1)];
  return row?.reduce((best, one) =>
    Math.abs(one.begin - each.begin) < Math.abs(best.begin - each.begin) ? one : best);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const chosen = model.shown.find((each) => each.index === model.chosen);
  const [first, last] = [view.groups[0]?.lanes[0][0], view.groups.at(-1)?.lanes.at(-1).at(-1)];
  const go = {
    Home: () => first,
    End: () => last,
    c: () => invocations[chosen?.cause],
    e: () => invocations[chosen?.effects[0]],
  };
  for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
    go[key] = () => (chosen ? neighbour(chosen, key) : first);
  }
  const act = {
    "+": () => zoom(0.5, middleOf(chosen)),
    "=": () => zoom(0.5, middleOf(chosen)),
    "-": () => zoom(2, middleOf(chosen)),
    0: () => look(0, SPAN),
    PageUp: () => pan(-0.8),
    PageDown: () => pan(0.8),
    Escape: () => model.choose(null),
    Enter: () => byId("details").querySelector("button")?.focus(),
  };
  const action = act[event.key] ?? (go[event.key] && (() => chooseInView(go[event.key]())));
  if (!action) return;
  event.preventDefault();
  action();
  if (event.key in act && event.key !== "Enter") {
    announce(`${duration(view.from)} to ${duration(view.to)} shown`);
  }
}

const middleOf = (each) =>
  each && each.begin <= view.to && each.end >= view.from
    ? (Math.max(each.begin, view.from) + Math.min(each.end, view.to)) / 2
    : undefined;

function chooseInView(each) {
  if (each === undefined) return;
  model.choose(each.index);
  if (model.shown.includes(each)) bringIntoView(each);
}

// ---- the pointer -------------------------------------------------------------------------------

function listenToPointer() {
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    held = { x: event.offsetX, from: view.from, to: view.to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held === null) return hover(event);
    const way = event.offsetX - held.x;
    if (!held.moved && Math.abs(way) < 4) return undefined;
    held.moved = true;
    canvas.classList.add("drags");
    const by = (-way / plotWidth()) * (held.to - held.from);
    look(held.from + by, held.to + by);
    return hide();
  });
  const drop = (event) => {
    if (held !== null && !held.moved && event.type === "pointerup") {
      model.choose(findAt(event.offsetX, event.offsetY)?.index ?? null);
    }
    held = null;
    canvas.classList.remove("drags");
  };
  canvas.addEventListener("pointerup", drop);
  canvas.addEventListener("pointercancel", drop);
  canvas.addEventListener("pointerleave", hide);
  viewport.addEventListener("wheel", onWheel, { passive: false });
}

function onWheel(event) {
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 240))), timeAt(event.offsetX));
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    pan((event.deltaX || event.deltaY) / plotWidth());
  }
}

function hover(event) {
  const each = findAt(event.offsetX, event.offsetY);
  if (each === null) return hide();
  const tip = byId("tip");
  const failure = each.attempts.findLast((attempt) => attempt.error !== "");
  tip.replaceChildren(
    make("strong", {}, named(clip(title(each), 60))),
    make("br"),
    `${OUTCOMES[each.outcome]}, ${duration(runTime(each))}`,
    each.attempts.length > 1 ? `, ${each.attempts.length} attempts` : "",
    failure ? make("br") : "",
    failure ? named(clip(failure.error, 80)) : "",
  );
  tip.hidden = false;
  const top = viewport.offsetTop + event.offsetY;
  tip.style.left = `${Math.min(event.offsetX + 14, byId("timeline").clientWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${top > 90 ? top - tip.offsetHeight - 10 : top + 18}px`;
  return undefined;
}

function hide() {
  byId("tip").hidden = true;
}
