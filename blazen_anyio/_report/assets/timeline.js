// The timeline as a whole.

function sayChosen() {
  const each = invocations[model.chosen];
  if (each === undefined) return;
  announce(`${title(each)}, ${OUTCOMES[each.outcome]}, ${duration(runTime(each))}, ` +
    plural(each.attempts.length, "attempt"));
}

function showTimeline() {
  readColours();
  const name = `Timeline of ${plural(invocations.length, "invocation")}`;
  canvas.setAttribute("aria-label", name);
  view.queue = invocations.length <= 300 && invocations.some((each) => each.ready !== null);
  byId("queue").checked = view.queue;
  byId("queue").addEventListener("change", (event) => {
    view.queue = event.target.checked;
    arrange();
  });
  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-fit").addEventListener("click", () => look(0, SPAN));
  viewport.addEventListener("scroll", paint);
  canvas.addEventListener("keydown", onKey);
  listenToPointer();
  listenToOverview();
  new ResizeObserver(soon(resize)).observe(viewport);
  model.on("shown", () => {
    viewport.scrollTop = 0;
    arrange();
  });
  model.on("chosen", () => {
    paint();
    sayChosen();
  });
  showLegend();
  arrange();
}

function showLegend() {
  const used = new Set(invocations.flatMap((each) => each.attempts.map((one) => one.outcome)));
  const items = Object.entries(OUTCOMES).filter(([outcome]) => used.has(outcome));
  if (invocations.some((each) => each.waited || each.attempts.length > 1)) {
    items.push(["waiting", "waiting in the engine, or for the next attempt"]);
  }
  items.push(["queue", "queued"]);
  byId("legend").append(
    ...items.map(([colour, label]) =>
      make("span", {},
        draw("svg", { width: 14, height: 10, "aria-hidden": "true" },
          draw("rect", { width: 14, height: 10, rx: 2, fill: `var(--${colour})` })),
        label)),
  );
}
