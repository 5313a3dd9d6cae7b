// The invocations as objects, what is shown of them, and which one is chosen.

const END = data.run.duration;

const invocations = data.invocations.map((row, index) => {
  const [run, number, step, type, cause, ready, rows] = row;
  const attempts = rows.map(([number, begin, end, outcome, error, waits]) => ({
    number,
    begin,
    end,
    outcome,
    error: textOf(error),
    waits,
  }));
  const last = attempts[attempts.length - 1];
  return {
    index,
    run: textOf(run),
    number,
    step: textOf(step),
    type: textOf(type),
    cause,
    ready,
    attempts,
    outcome: last.outcome,
    // What is forgotten reaches to the edge of what is known.
    begin: attempts[0].begin ?? 0,
    end: last.end ?? END,
    effects: [],
    failed: attempts.some((each) => each.outcome === "failed" || each.outcome === "timed_out"),
    waited: attempts.some((each) => each.waits.length > 0),
  };
});
for (const each of invocations) {
  if (each.cause >= 0) invocations[each.cause].effects.push(each.index);
}

const title = (each) => `${each.step} #${each.number}`;
const runTime = (each) => each.end - each.begin;

const TESTS = {
  all: ["All outcomes", () => true],
  completed: ["Completed", (each) => each.outcome === "completed"],
  failing: ["With a failed attempt", (each) => each.failed],
  failed: ["Failed for good", (each) => each.outcome === "failed" || each.outcome === "timed_out"],
  retried: ["Tried again", (each) => each.attempts.length > 1],
  waited: ["Waited in the engine", (each) => each.waited],
  running: ["Running", (each) => each.outcome === "running"],
  cancelled: ["Cancelled", (each) => each.outcome === "cancelled"],
  lost: ["Lost", (each) => each.outcome === "lost"],
};

const model = {
  filter: { text: "", step: "", outcome: "all" },
  shown: invocations,
  chosen: null,
  listeners: { shown: [], chosen: [] },

  on(what, listener) {
    this.listeners[what].push(listener);
  },

  tell(what) {
    for (const listener of this.listeners[what]) listener();
  },

  get filters() {
    const { text, step, outcome } = this.filter;
    return text !== "" || step !== "" || outcome !== "all";
  },

  show(change) {
    Object.assign(this.filter, change);
    const { text, step, outcome } = this.filter;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const test = TESTS[outcome][1];
    this.shown = invocations.filter(
      (each) => (step === "" || each.step === step) && test(each) && matches(each, words),
    );
    this.tell("shown");
  },

  choose(index) {
    this.chosen = index;
    this.tell("chosen");
  },
};

function matches(each, words) {
  if (words.length === 0) return true;
  each.search ??= [
    each.step,
    each.type,
    each.run,
    `#${each.number}`,
    ...each.attempts.map((attempt) => `${attempt.error} ${OUTCOMES[attempt.outcome]}`),
  ]
    .join(" ")
    .toLowerCase();
  return words.every((word) => each.search.includes(word));
}
