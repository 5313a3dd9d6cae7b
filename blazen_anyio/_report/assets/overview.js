// The strip above the timeline: the whole run, and the part of it that is shown.

// Where the work was: how many attempts touch each stretch of time, and where some failed.
function paintOverview() {
  const pen = overview.getContext("2d");
  const [width, height] = [overview.clientWidth, overview.clientHeight];
  pen.clearRect(0, 0, width, height);
  const [left, room] = [gutter(), plotWidth()];
  const columns = Math.max(Math.floor(room / 2), 1);
  const { busy, failed } = countColumns(columns);
  const most = Math.max(...busy, 1);
  for (let i = 0; i < columns; i += 1) {
    const [x, next] = [i, i + 1].map((n) => Math.round(left + (n * room) / columns));
    const high = (busy[i] / most) * (height - 14);
    pen.fillStyle = view.colours.running;
    pen.globalAlpha = 0.65;
    pen.fillRect(x, height - high, next - x, high);
    pen.globalAlpha = 1;
    if (failed[i]) {
      pen.fillStyle = view.colours.failed;
      pen.fillRect(x, 4, Math.max(next - x, 2), 5);
    }
  }
  write(pen, "activity", 12, height / 2, view.colours.soft, 11);
  const [from, to] = [left + (view.from / SPAN) * room, left + (view.to / SPAN) * room];
  pen.fillStyle = view.colours.accent;
  pen.globalAlpha = 0.14;
  if (to - from < room - 1) pen.fillRect(from, 0, Math.max(to - from, 2), height);
  pen.globalAlpha = 1;
}

function countColumns(columns) {
  if (view.counted?.shown === model.shown && view.counted.columns === columns) return view.counted;
  const [steps, failed] = [new Array(columns + 1).fill(0), new Array(columns).fill(0)];
  const columnAt = (time) => Math.min(columns - 1, Math.max(0, Math.floor((time / SPAN) * columns)));
  for (const each of model.shown) {
    for (const attempt of each.attempts) {
      steps[columnAt(attempt.begin ?? 0)] += 1;
      steps[columnAt(attempt.end ?? END) + 1] -= 1;
      if (attempt.error !== "") failed[columnAt(attempt.end ?? END)] += 1;
    }
  }
  let now = 0;
  const busy = steps.slice(0, columns).map((change) => (now += change));
  view.counted = { shown: model.shown, columns, busy, failed };
  return view.counted;
}

function listenToOverview() {
  let begun = null;
  const timeOf = (event) => ((event.offsetX - gutter()) / plotWidth()) * SPAN;
  overview.addEventListener("pointerdown", (event) => {
    begun = timeOf(event);
    overview.setPointerCapture(event.pointerId);
  });
  overview.addEventListener("pointermove", (event) => {
    if (begun === null) return;
    const now = timeOf(event);
    if (Math.abs(now - begun) > SPAN / 200) look(Math.min(begun, now), Math.max(begun, now));
  });
  overview.addEventListener("pointerup", () => (begun = null));
  overview.addEventListener("pointercancel", () => (begun = null));
  overview.addEventListener("dblclick", () => look(0, SPAN));
}
