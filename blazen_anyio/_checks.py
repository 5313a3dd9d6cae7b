"""Checks: what can be known to go wrong in a workflow before it runs.

Each check looks at one rule and yields its problems, with the way through the graph that shows
them. A check never guesses: what a step with a context may send without saying so in ``emits=``
counts as possible, so that nothing that works is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from ._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StopEvent,
)
from ._fan_in import Bindings
from ._flow import Flow, Hop, accepted_by, label, may_be, spread, trail
from ._machine.plan import Mode
from ._openers import Opener
from ._options import EventKind

__all__ = ["Draft", "find_problems", "reach", "start_kinds"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Draft:
    """A workflow whose steps are sound and that is yet to be checked as a whole.

    Attributes:
        flow: the steps.
        starts: the event types that may start a run.
        external: those that may come from outside.
        ignore_unhandled: whether an event that nobody accepts is dropped.
        reached: the steps that a run may come to, as far as declared, and how.
        bindings: which gathers are bound to which fan-outs.
        openers: what opens the resources of the steps.
    """

    flow: Flow
    starts: tuple[EventKind, ...]
    external: tuple[type[Event], ...]
    ignore_unhandled: bool
    reached: Mapping[int, Hop]
    bindings: Bindings
    openers: Mapping[Callable[..., object], Opener]

    @property
    def is_open(self) -> bool:
        """Whether a step that a run may come to may send anything."""
        return any(self.flow.steps[index].sends_anything for index in self.reached)

    def fed(self) -> set[EventKind]:
        """All event types that may exist in a run, as far as declared."""
        kinds = {kind for index in self.reached for kind in self.flow.emitted(index)}
        if any(_is_request(kind) for kind in kinds):
            kinds.add(InputResponseEvent)
        return kinds | {*self.starts, *self.external}


def start_kinds(flow: Flow) -> tuple[EventKind, ...]:
    """Find the types that may start a run.

    These are the accepted subclasses of `StartEvent`; in a workflow without one, what is accepted
    and not emitted; in one that is all loops, whatever is accepted.
    """
    steps = [step for step in flow.steps if step.mode is not Mode.GATHER]
    accepted: dict[EventKind, None] = {}
    for step in steps:
        accepted.update(dict.fromkeys((*step.accepts, *sorted(step.dynamic))))
    candidates = [kind for kind in accepted if _may_start(kind)]
    emitted = {kind for index in range(len(flow.steps)) for kind in flow.emitted(index)}
    named = [kind for kind in candidates if _is_start(kind)]
    free = [kind for kind in candidates if kind is not Event and not _is_emitted(kind, emitted)]
    return tuple(named or free or candidates)


def _is_start(kind: EventKind) -> bool:
    return not isinstance(kind, str) and issubclass(kind, StartEvent)


def _may_start(kind: EventKind) -> bool:
    return isinstance(kind, str) or may_be(kind, Event)


def _is_emitted(kind: EventKind, emitted: Iterable[EventKind]) -> bool:
    if isinstance(kind, str):
        return kind in emitted or DynamicEvent in emitted
    return any(may_be(each, kind) for each in emitted if not isinstance(each, str))


def _is_request(kind: EventKind) -> bool:
    return not isinstance(kind, str) and issubclass(kind, InputRequestEvent)


def reach(flow: Flow, kinds: Iterable[EventKind]) -> dict[int, Hop]:
    """Find the steps that events of ``kinds`` may come to."""
    return spread(flow.hops(kinds), flow.after)


def find_problems(draft: Draft) -> list[str]:
    """Find all problems of a workflow as a whole."""
    return [
        *_problems_of_start(draft),
        *_problems_of_reach(draft),
        *_problems_of_stop(draft),
        *_problems_of_emitted(draft),
        *draft.bindings.problems,
        *_problems_of_pairs(draft),
        *_problems_of_waits(draft),
        *_problems_of_external(draft),
        *_problems_of_loops(draft),
    ]


def _problems_of_start(draft: Draft) -> Iterator[str]:
    if not draft.starts:
        yield "no step takes the first event of a run; write one with a parameter `ev: StartEvent`"


def _problems_of_reach(draft: Draft) -> Iterator[str]:
    """Report the steps that nothing leads to, each with those that only it leads to."""
    if draft.is_open or not draft.starts:
        return
    flow, explained = draft.flow, set(draft.reached)
    # What follows a gather that is bound to nothing is that gather's problem.
    explained |= reach_from(flow, draft.bindings.unbound - draft.reached.keys())
    missing = [index for index in range(len(flow.steps)) if index not in explained]
    led_to = {hop.target for index in missing for hop in flow.after(index) if hop.target != index}
    for index in sorted(missing, key=lambda index: index in led_to):
        if index in explained:
            continue
        followers = reach_from(flow, [index]) - explained
        explained |= followers
        yield _problem_of_reach(flow, index, sorted(followers - {index}))


def reach_from(flow: Flow, indexes: Iterable[int]) -> set[int]:
    """Find the steps ``indexes`` and all that may follow them."""
    roots = set(indexes)
    return roots | spread((hop for index in roots for hop in flow.after(index)), flow.after).keys()


def _problem_of_reach(flow: Flow, index: int, followers: Sequence[int]) -> str:
    step = flow.steps[index]
    if step.is_handler:
        return f"nothing leads to step {step.name!r}: no step that may fail into it is reached"
    if step.accepts and all(issubclass(kind, InputResponseEvent) for kind in step.accepts):
        return f"nothing leads to step {step.name!r}: no step that a run comes to asks for input"
    names = ", ".join(repr(flow.steps[follower].name) for follower in followers)
    return (
        f"nothing leads to step {step.name!r}"
        + (f", nor so to {names}" if names else "")
        + f": no step that a run comes to emits {accepted_by(step)}; return it, name it in emits= "
        "of the step that sends it, or declare it in external=[...]"
    )


def _stops(draft: Draft, index: int) -> bool:
    flow = draft.flow
    return flow.steps[index].sends_anything or any(map(flow.may_stop, flow.emitted(index)))


def _problems_of_stop(draft: Draft) -> Iterator[str]:
    flow = draft.flow
    stop = label(flow.stop)
    for step in flow.steps:
        for kind in (*step.emits, *(step.fans_out or ())):
            if issubclass(kind, StopEvent) and not issubclass(kind, flow.stop):
                yield (
                    f"step {step.name!r} emits {label(kind)}, but the workflow stops with {stop}; "
                    f"return a {stop}"
                )
    stoppable = any(map(flow.may_stop, draft.external))
    if draft.starts and not stoppable and not any(_stops(draft, i) for i in draft.reached):
        ways = [trail(flow, draft.reached, hop) for hop in draft.reached.values()]
        way = f"; a run gets as far as {ways[-1]}" if ways else ""
        yield f"no way leads to a {stop}{way}; let the last step return a {stop}"


def _problems_of_emitted(draft: Draft) -> Iterator[str]:
    """Report the events that nobody accepts, and the questions whose answer nobody takes."""
    waited = [kind for step in draft.flow.steps for kind in step.options.waits]
    for index, step in enumerate(draft.flow.steps):
        for kind in dict.fromkeys(draft.flow.emitted(index)):
            if _is_request(kind):
                if not _is_accepted(draft.flow, InputResponseEvent, waited):
                    yield (
                        f"step {step.name!r} asks with {label(kind)}, but no step accepts "
                        "InputResponseEvent; add one that takes the answer"
                    )
            elif not draft.ignore_unhandled and not _is_accepted(draft.flow, kind, waited):
                yield (
                    f"step {step.name!r} emits {label(kind)}, which no step accepts; add a step "
                    "for it, or say on_unhandled='ignore'"
                )


def _is_accepted(flow: Flow, kind: EventKind, waited: Sequence[type[Event]]) -> bool:
    if flow.may_stop(kind) or flow.takers(kind):
        return True
    return not isinstance(kind, str) and any(may_be(kind, each) for each in waited)


def _problems_of_pairs(draft: Draft) -> Iterator[str]:
    if draft.is_open:
        return
    fed = [kind for kind in draft.fed() if not isinstance(kind, str)]
    for index in draft.reached:
        step = draft.flow.steps[index]
        if step.mode is not Mode.PAIR:
            continue
        missing = [side for side in step.accepts if not any(may_be(kind, side) for kind in fed)]
        for side in missing:
            yield (
                f"step {step.name!r} can never fire: it pairs two events, and no step that a run "
                f"comes to emits {label(side)} "
                f"({trail(draft.flow, draft.reached, draft.reached[index])})"
            )


def _problems_of_waits(draft: Draft) -> Iterator[str]:
    if draft.is_open:
        return
    fed = [kind for kind in draft.fed() if not isinstance(kind, str)]
    for step in draft.flow.steps:
        for waited in step.options.waits:
            if not any(may_be(kind, waited) for kind in fed):
                yield (
                    f"step {step.name!r} waits for {label(waited)}, which no step emits; if it "
                    "comes from outside, declare it in external=[...]"
                )


def _problems_of_external(draft: Draft) -> Iterator[str]:
    waited = [kind for step in draft.flow.steps for kind in step.options.waits]
    for kind in draft.external:
        if not _is_accepted(draft.flow, kind, waited):
            yield f"external= names {label(kind)}, which no step accepts or waits for; add a step"


def _problems_of_loops(draft: Draft) -> Iterator[str]:
    """Report the loops that nothing leaves, once each."""
    flow = draft.flow
    after = {i: [hop.target for hop in flow.hops(flow.emitted(i))] for i in draft.reached}
    trapped = draft.reached.keys() - _leaving(draft, after)
    shown: set[int] = set()
    for index in draft.reached:
        if index in trapped:
            walked, loop = _walk_round(after, index)
            if shown.isdisjoint(walked):
                way = " -> ".join(flow.steps[each].name for each in loop)
                yield (
                    f"a run never leaves the loop {way}; let one of its steps return a "
                    f"{label(flow.stop)}, or None, or an event that leads out"
                )
            shown.update(walked)


def _leaving(draft: Draft, after: Mapping[int, Sequence[int]]) -> set[int]:
    """Find the steps from which a way may end."""
    before: dict[int, list[int]] = {index: [] for index in after}
    for index, targets in after.items():
        for target in targets:
            before[target].append(index)
    leaving = {index for index in after if _may_end(draft, index)}
    waiting = list(leaving)
    while waiting:
        new = set(before[waiting.pop()]) - leaving
        leaving |= new
        waiting.extend(new)
    return leaving


def _may_end(draft: Draft, index: int) -> bool:
    step, kinds = draft.flow.steps[index], draft.flow.emitted(index)
    empty_list = step.fans_out is not None and index not in draft.bindings.gathers
    return (
        not kinds
        or step.returns_none
        or empty_list
        or _stops(draft, index)
        or any(_is_request(kind) or not draft.flow.takers(kind) for kind in kinds)
    )


def _walk_round(after: Mapping[int, Sequence[int]], index: int) -> tuple[list[int], list[int]]:
    """Walk on from a trapped step until a step comes again; return the walk and its loop."""
    walked: list[int] = []
    while index not in walked:
        walked.append(index)
        index = after[index][0]
    return walked, [*walked[walked.index(index) :], index]
