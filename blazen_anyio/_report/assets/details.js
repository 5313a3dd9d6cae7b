// One invocation in words: where it came from, its attempts, what came of it.

const MOST_EFFECTS = 30;

function showDetails() {
  const each = invocations[model.chosen];
  const place = byId("details");
  place.replaceChildren();
  if (each === undefined) {
    place.append(make("p", { class: "empty" },
      invocations.length ? "Choose an invocation to see its details." : "There are no invocations."));
    return;
  }
  place.append(
    make("h3", {}, title(each)),
    chip(each.outcome),
    about(each),
    attemptsOf(each),
    ...effectsOf(each),
  );
}

const chip = (outcome) => make("span", { class: `chip is-${outcome}` }, OUTCOMES[outcome]);

function rows(pairs) {
  return make("dl", {}, ...pairs
    .filter(([, value]) => value !== "" && value !== null)
    .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function about(each) {
  return rows([
    ["Event", named(each.type)],
    ["Caused by", causeOf(each)],
    ["Child run", each.run === "" ? null : named(each.run)],
    ["Began", each.attempts[0].begin === null ? "not known" : `at ${duration(each.begin)}`],
    ["Queued", each.ready === null || each.attempts[0].begin === null
      ? null : duration(Math.max(each.begin - each.ready, 0))],
    ["Took", each.outcome === "running" ? `${duration(runTime(each))} so far` : duration(runTime(each))],
    ["Facts", make("button", { type: "button", class: "link", onclick: () => findFacts(each) },
      "show in the table")],
  ]);
}

function causeOf(each) {
  if (each.cause === -1) return "an event from outside";
  return each.cause >= 0 ? linkTo(each.cause) : "not known";
}

function linkTo(index) {
  const other = invocations[index];
  return make("button", { type: "button", class: "link", onclick: () => {
    chooseInView(other);
    canvas.focus({ preventScroll: true });
  } }, named(clip(title(other), 80)));
}

function attemptsOf(each) {
  const body = each.attempts.flatMap((attempt) => [
    make("tr", {},
      make("td", {}, attempt.number === null ? "?" : String(attempt.number)),
      make("td", {}, attempt.begin === null ? "not known" : duration(attempt.begin)),
      make("td", {}, attempt.begin === null || attempt.end === null
        ? "–" : duration(attempt.end - attempt.begin)),
      make("td", {}, chip(attempt.outcome))),
    ...remarks(attempt).map((remark) =>
      make("tr", {}, make("td", {}), make("td", { colspan: 3, class: "wide" }, remark))),
  ]);
  const heads = ["Attempt", "Begin", "Time", "Outcome"];
  return make("table", { "aria-label": "Attempts" },
    make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...body));
}

function remarks(attempt) {
  const found = attempt.error === "" ? [] : [named(attempt.error)];
  for (const [begin, end] of attempt.waits) {
    if (begin === null) found.push(`waited until ${duration(end)}`);
    else if (end === null) found.push(`waits since ${duration(begin)}`);
    else found.push(`waited ${duration(end - begin)} from ${duration(begin)}`);
  }
  return found;
}

function effectsOf(each) {
  if (!each.effects.length) return [];
  const rest = each.effects.length - MOST_EFFECTS;
  return [
    make("h3", {}, `Caused ${plural(each.effects.length, "invocation")}`),
    make("ul", {},
      ...each.effects.slice(0, MOST_EFFECTS).map((index) => make("li", {}, linkTo(index))),
      rest > 0 ? make("li", {}, `${count(rest)} more`) : null),
  ];
}
