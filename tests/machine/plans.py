"""Randomly drawn plans: a chain of stages of several shapes, with random limits and options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import strategies as st

from blazen_anyio._events import (
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._machine import Mode, Plan, StepPlan

from .driver import Draft, gather, make_plan, step

__all__ = ["Ping", "Scenario", "scenarios"]

STAGES = 3


class Numbered(Event, event_type="test.Numbered"):
    n: int = 0


def _classes(name: str) -> list[type[Numbered]]:
    return [type(f"{name}{i}", (Numbered,), {"__module__": __name__}) for i in range(STAGES + 1)]


IN, ITEM, SUB, SUB_DONE, DONE, LEFT, RIGHT = map(
    _classes, ("In", "Item", "Sub", "SubDone", "Done", "Left", "Right")
)


class Ping(Event, event_type="test.Ping"):
    """What waits inside steps wait for."""

    n: int = 0


class Aside(Event, event_type="test.Aside"):
    """What steps may send besides."""

    n: int = 0


@attrs.define(repr=False)
class Scenario:
    """A plan and what its steps may do.

    Attributes:
        plan: the plan.
        emits: by the name of a step, the classes that it may return and send.
        fans: the classes that it may fan out or yield.
        finishes: the classes that it returns to bring the run to its end.
    """

    plan: Plan
    emits: dict[str, tuple[type[Event], ...]]
    fans: dict[str, tuple[type[Event], ...]]
    finishes: dict[str, tuple[type[Event], ...]]
    start: type[Event] = IN[0]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Tell Hypothesis only what differs from the defaults, so that an example can be read."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        lines = [_line(step) for step in self.plan.steps]
        plan = self.plan
        bounds = f"{plan.max_concurrency=} {plan.max_recoveries=} {plan.external=}"
        return "\n".join(["Scenario:", *lines, bounds])


def _line(step: StepPlan) -> str:
    told = [
        f"{field.name}={getattr(step, field.name)}"
        for field in attrs.fields(StepPlan)
        if field.name not in ("name", "accepts", "index")
        and getattr(step, field.name) != field.default
    ]
    accepts = ", ".join(kind.__name__ for kind in step.accepts)
    return f"  {step.index} {step.name}({accepts}) {' '.join(told)}"


@attrs.define
class _Building:
    """A plan under way; ``option`` draws the options of a step."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    steps: list[Draft] = attrs.field(factory=list)
    emits: dict[str, tuple[type[Event], ...]] = attrs.field(factory=dict)
    fans: dict[str, tuple[type[Event], ...]] = attrs.field(factory=dict)
    finishes: dict[str, tuple[type[Event], ...]] = attrs.field(factory=dict)

    def add(
        self,
        draft: Draft,
        emits: tuple[type[Event], ...] = (),
        *,
        fans: tuple[type[Event], ...] = (),
        finishes: tuple[type[Event], ...] | None = None,
    ) -> None:
        self.steps.append(draft)
        self.emits[draft.name] = (*emits, Aside)
        self.fans[draft.name] = fans
        self.finishes[draft.name] = emits[:1] if finishes is None else finishes

    def options(self, *, joins: bool = False) -> dict[str, Any]:
        """The options of an ordinary step."""
        drawn = {
            "max_concurrency": self.draw(st.sampled_from([None, None, 1, 2])),
            "timeout": self.draw(st.sampled_from([None, None, 4.0])),
        }
        if not joins:
            drawn["waits"] = self.draw(st.sampled_from([(), (Ping,)]))
            drawn["max_pending"] = self.draw(st.sampled_from([None, None, None, 1, 2]))
        return drawn

    def count(self) -> int | None:
        return self.draw(st.sampled_from([None, None, 1, 2]))  # type: ignore[no-any-return]


def _each(build: _Building, i: int, after: type[Event]) -> None:
    build.add(step(f"each{i}", IN[i], **build.options()), (after, IN[i]), finishes=(after,))


def _fan(build: _Building, i: int, after: type[Event]) -> None:
    build.add(
        step(f"split{i}", IN[i], gathers=[f"join{i}"], **build.options()), (), fans=(ITEM[i],)
    )
    build.add(step(f"work{i}", ITEM[i], **build.options()), (DONE[i], ITEM[i], InputRequestEvent))
    build.add(gather(f"join{i}", DONE[i], count=build.count()), (after,))


def _failures(build: _Building, i: int, after: type[Event]) -> None:
    """A fan-out that gathers the failures of its workers, and a second gather beside."""
    build.add(
        step(f"split{i}", IN[i], gathers=[f"join{i}", f"also{i}"], **build.options()),
        (),
        fans=(ITEM[i], DONE[i]),
    )
    build.add(step(f"work{i}", ITEM[i], **build.options()), (DONE[i], LEFT[i]))
    build.add(gather(f"join{i}", DONE[i], StepFailed, for_steps=frozenset({f"work{i}"})), (after,))
    build.add(gather(f"also{i}", LEFT[i], DONE[i], count=build.count()), ())


def _nested(build: _Building, i: int, after: type[Event]) -> None:
    build.add(step(f"outer{i}", IN[i], gathers=[f"sum{i}"], **build.options()), (), fans=(ITEM[i],))
    build.add(
        step(f"inner{i}", ITEM[i], gathers=[f"part{i}"], **build.options()),
        (DONE[i],),
        fans=(SUB[i], SUB[i], DONE[i]),
    )
    build.add(step(f"leaf{i}", SUB[i], **build.options()), (SUB_DONE[i], DONE[i]))
    build.add(gather(f"part{i}", SUB_DONE[i], count=build.count()), (DONE[i],))
    build.add(gather(f"sum{i}", DONE[i], count=build.count()), (after,))


def _pages(build: _Building, i: int, after: type[Event]) -> None:
    build.add(
        step(f"pages{i}", IN[i], generates=True, gathers=[f"join{i}"], **build.options()),
        (),
        fans=(ITEM[i], ITEM[i], DONE[i]),
    )
    build.add(step(f"work{i}", ITEM[i], **build.options()), (DONE[i],))
    build.add(gather(f"join{i}", DONE[i], count=build.count()), (after,))


def _crawl(build: _Building, i: int, after: type[Event]) -> None:
    generates = build.draw(st.booleans())
    build.add(step(f"enter{i}", IN[i], **build.options()), (ITEM[i],))
    build.add(
        step(f"crawl{i}", ITEM[i], gathers=[f"join{i}"], generates=generates, **build.options()),
        (),
        fans=(DONE[i], ITEM[i]),
    )
    build.add(gather(f"join{i}", DONE[i]), (after,))


def _batch(build: _Building, i: int, after: type[Event]) -> None:
    build.add(
        step(f"split{i}", IN[i], gathers=[f"join{i}"], **build.options()),
        (),
        fans=(ITEM[i], SUB[i]),
    )
    size = build.draw(st.sampled_from([1, 2, 3]))
    build.add(
        step(f"batch{i}", ITEM[i], mode=Mode.BATCH, size=size, **build.options(joins=True)),
        (DONE[i], SUB[i]),
    )
    build.add(step(f"small{i}", SUB[i], mode=Mode.BATCH, size=2), (DONE[i],))
    build.add(gather(f"join{i}", DONE[i], count=build.count()), (after,))


def _pair(build: _Building, i: int, after: type[Event]) -> None:
    build.add(
        step(f"split{i}", IN[i], gathers=[f"join{i}"], **build.options()),
        (),
        fans=(ITEM[i], ITEM[i], DONE[i]),
    )
    build.add(
        step(f"fork{i}", ITEM[i], **build.options()),
        (LEFT[i], RIGHT[i]),
        finishes=(LEFT[i], RIGHT[i]),
    )
    build.add(
        step(f"pair{i}", LEFT[i], RIGHT[i], mode=Mode.PAIR, **build.options(joins=True)),
        (DONE[i],),
    )
    build.add(gather(f"join{i}", DONE[i], count=build.count()), (after,))


SHAPES = (_each, _fan, _failures, _nested, _pages, _crawl, _batch, _pair)


@st.composite
def scenarios(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Scenario:
    """Draw a chain of one to three stages that ends with a stop event."""
    build = _Building(draw)
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=STAGES))
    for i, shape in enumerate(shapes):
        shape(build, i, StopEvent if i == len(shapes) - 1 else IN[i + 1])
    build.add(step("answer", InputResponseEvent))
    build.add(step("aside", Aside, **build.options()))
    if draw(st.booleans()):
        build.add(step("watch", Numbered))
    if draw(st.booleans()):
        build.add(
            step("on_error", StepFailed, max_recoveries=draw(st.sampled_from([None, 1]))), (Aside,)
        )
    if draw(st.booleans()):
        build.steps.reverse()
    plan = make_plan(
        *build.steps,
        max_concurrency=draw(st.sampled_from([None, None, None, 1, 3])),
        max_recoveries=draw(st.sampled_from([2, 100])),
        external=draw(st.sampled_from([(), (Ping,)])),
    )
    return Scenario(plan, build.emits, build.fans, build.finishes)
