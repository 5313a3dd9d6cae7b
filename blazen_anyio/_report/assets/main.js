// The page as a whole.

function showHead() {
  const run = data.run;
  byId("workflow").textContent = run.workflow;
  byId("run-id").textContent = run.id;
  byId("status").textContent = run.status;
  byId("status").classList.add(`is-${run.status}`);
  const failures = invocations.reduce((sum, each) =>
    sum + each.attempts.filter((attempt) => attempt.error !== "").length, 0);
  const numbers = [
    ["Began", run.began === null ? null : new Date(run.began * 1000).toLocaleString()],
    ["Took", data.facts.length ? duration(run.duration) : null],
    ["Invocations", count(invocations.length)],
    ["Failed attempts", count(failures)],
    ["Facts", count(data.facts.length)],
  ];
  byId("numbers").append(...numbers
    .filter(([, value]) => value !== null)
    .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function showNotices() {
  const notices = [
    ...(data.run.error === "" ? [] : [make("p", { class: "bad" }, data.run.error)]),
    ...data.requests.map((request) => make("p", {}, `Waits for an answer to: ${request}`)),
    ...data.gaps.map((text) => make("p", {}, text)),
  ];
  byId("notices").append(...notices);
  byId("notices").hidden = notices.length === 0;
}

function showSteps() {
  const heads = ["Step", "Invocations", "Completed", "Failed", "Retries", "Cancelled", "Running",
    "Total", "Median", "95 %", "Longest", "Waited"];
  const body = data.steps.map((step) => make("tr", {},
    make("td", { title: step.name }, named(step.name)),
    ...[step.invocations, step.completed, step.failed, step.retries, step.cancelled + step.lost,
      step.running].map((number, place) => make("td",
      { class: place === 2 && number > 0 ? "is-failed" : null }, number === 0 ? "–" : count(number))),
    ...[step.total || null, step.median, step.p95, step.longest, step.waited || null].map((value) =>
      make("td", {}, duration(value)))));
  byId("steps").append(
    make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...body),
  );
  byId("steps-note").textContent =
    "Of the invocations that are known here; times are those of completed attempts.";
}

function showState() {
  const items = [...(data.run.result === "" ? [] : [["result", data.run.result]]), ...data.state];
  byId("state").append(...items.map(([key, text], place) => make("div", {},
    make("h3", {}, place === 0 && data.run.result !== "" ? "Result" : named(key)),
    make("pre", { tabindex: 0, "aria-label": key }, text))));
  byId("state").hidden = items.length === 0;
  byId("state-note").textContent =
    data.stateNote || (data.state.length ? "Secret fields are not shown." : "No state.");
}

function listenToFilter() {
  const filter = byId("filter");
  const option = (value, label) => make("option", { value }, label);
  byId("filter-step").append(option("", "All steps"),
    ...data.steps.map((step) => option(step.name, clip(step.name, 60))));
  byId("filter-outcome").append(
    ...Object.entries(TESTS).map(([name, [label]]) => option(name, label)));
  const apply = () => model.show({
    text: byId("filter-text").value,
    step: byId("filter-step").value,
    outcome: byId("filter-outcome").value,
  });
  let timer = 0;
  byId("filter-text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 120);
  });
  byId("filter-step").addEventListener("change", apply);
  byId("filter-outcome").addEventListener("change", apply);
  filter.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  model.on("shown", () => {
    byId("filter-step").value = model.filter.step;
    sayShown();
  });
  sayShown();
}

function sayShown() {
  byId("shown").textContent = model.filters
    ? `${count(model.shown.length)} of ${plural(invocations.length, "invocation")} shown.`
    : "";
}

function listenToTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => {
    byId("theme").textContent = isDark() ? "Light" : "Dark";
    byId("theme").setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  const changed = () => {
    label();
    readColours();
    paint();
  };
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    changed();
  });
  system.addEventListener("change", changed);
  label();
}

showHead();
showNotices();
showGraph();
showTimeline();
showDetails();
showSteps();
showFacts();
showState();
listenToFilter();
listenToTheme();
model.on("chosen", showDetails);
document.documentElement.dataset.ready = "true";
