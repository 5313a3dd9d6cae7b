"""Fan-in: which gather steps are bound to which fan-outs.

A fan-out that is bound opens a scope, and what its events cause belongs to it. So the search
follows events *within one scope*: it starts with what a step fans out, goes through all steps that
run in that scope, leaves out what belongs to a scope further in, and ends at gathers. A gather that
closes a scope further in is part of the way: its events are back in the scope that is searched.

A gather is bound to the fan-outs that ``Gather(of=...)`` names, or else to those in whose scope its
type arrives. As each binding can open more ways, the search is repeated until nothing is new. A
fan-out to which nothing is bound then is no scope: its list is just several events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from ._flow import Flow, Hop, accepted_by, spread, trail
from ._machine.plan import Mode

__all__ = ["Bindings", "bind_gathers"]


@attrs.frozen(eq=False, repr=False)
class Bindings:
    """What is bound to what, and what could not be bound.

    Attributes:
        gathers: for each bound fan-out step, the gather steps, in order.
        problems: why a gather step can't be bound, each with the way that shows it.
        unbound: the gather steps that are bound to nothing.
    """

    gathers: Mapping[int, tuple[int, ...]]
    problems: tuple[str, ...]
    unbound: frozenset[int]


@attrs.frozen(eq=False, repr=False)
class _Scope:
    """What may happen within the scope of one fan-out.

    Attributes:
        runs: the steps that may run in it, and how they are come to.
        arrivals: the gather steps whose type arrives in it, and how.
    """

    runs: Mapping[int, Hop]
    arrivals: Mapping[int, Hop]


def bind_gathers(
    flow: Flow, named: Mapping[int, Sequence[int]], reached: Mapping[int, Hop]
) -> Bindings:
    """Bind the gather steps of a workflow.

    Args:
        flow: the steps.
        named: the fan-outs that ``Gather(of=...)`` names, for the gather steps that have it.
        reached: the steps that a run may come to, and how, to explain what is wrong.
    """
    binder = _Binder(flow, named)
    binder.bind()
    unbound = [gather for gather in binder.gathers if not binder.fan_outs_of(gather)]
    problems = [
        _problem_of_unbound(flow, gather, reached) for gather in unbound if gather not in named
    ]
    for gather, fan_outs in named.items():
        problems += _problems_of_named(flow, gather, fan_outs)
    problems += _problems_of_nesting(flow, binder)
    bound = {
        fan_out: tuple(sorted(gathers)) for fan_out, gathers in binder.bound.items() if gathers
    }
    return Bindings(bound, tuple(problems), frozenset(unbound))


class _Binder:
    """The search: ``bound`` grows until nothing is new."""

    def __init__(self, flow: Flow, named: Mapping[int, Sequence[int]]) -> None:
        self.flow = flow
        self.named = named
        self.gathers = [i for i, step in enumerate(flow.steps) if step.mode is Mode.GATHER]
        self.bound: dict[int, set[int]] = {
            i: set() for i, step in enumerate(flow.steps) if step.fans_out is not None
        }
        # While the search goes on, each fan-out may turn out to be a scope.
        self._scopes = set(self.bound)

    def bind(self) -> None:
        """Find all bindings."""
        for gather, fan_outs in self.named.items():
            for fan_out in fan_outs:
                self.bound[fan_out].add(gather)
        self._bind_by_annotations()
        if self._bind_by_contexts():
            self._bind_by_annotations()
        self._scopes = {fan_out for fan_out, gathers in self.bound.items() if gathers}

    def fan_outs_of(self, gather: int) -> list[int]:
        """Find the fan-outs that a gather is bound to."""
        return [fan_out for fan_out, gathers in self.bound.items() if gather in gathers]

    def scope(self, fan_out: int) -> _Scope:
        """Follow what a step fans out within the scope that it opens."""
        arrivals: dict[int, Hop] = {}

        def inside(hops: Iterable[Hop]) -> Iterator[Hop]:
            for hop in hops:
                if self.flow.steps[hop.target].mode is Mode.GATHER:
                    arrivals.setdefault(hop.target, hop)
                else:
                    yield hop

        def after(index: int) -> Iterator[Hop]:
            yield from inside(self.flow.after_singles(index))
            if index not in self._scopes:
                yield from inside(self.flow.after_fan_out(index))
            elif index != fan_out:  # which adds to its own scope, all of it followed already
                yield from self._after_gathers(index)

        return _Scope(spread(inside(self.flow.after_fan_out(fan_out)), after), arrivals)

    def _after_gathers(self, fan_out: int) -> Iterator[Hop]:
        """Yield the gathers that close an inner scope: they run in the scope around it."""
        for gather in self.bound[fan_out]:
            yield Hop(fan_out, f"list[{accepted_by(self.flow.steps[gather])}]", gather)

    def _bind_by_annotations(self) -> None:
        order, changed = list(self.bound), True
        while changed:
            changed = False
            # Inner fan-outs first is quick, and most lists are in one order or the other.
            order.reverse()
            for fan_out in order:
                gathers = self.bound[fan_out]
                new = self.scope(fan_out).arrivals.keys() - gathers - self.named.keys()
                gathers |= new
                changed |= bool(new)

    def _bind_by_contexts(self) -> bool:
        """Bind gathers of a type that nobody declares to where a context may send it."""
        declared = {
            target
            for index in range(len(self.flow.steps))
            for kind in self.flow.emitted(index)
            for target in self.flow.takers(kind)
        }
        rest = {gather for gather in self.gathers if gather not in declared | self.named.keys()}
        found = {
            fan_out: rest
            for fan_out in (self.bound if rest else ())
            if any(self.flow.steps[index].sends_anything for index in self.scope(fan_out).runs)
        }
        for fan_out, gathers in found.items():
            self.bound[fan_out] |= gathers
        return bool(found)


def _problem_of_unbound(flow: Flow, gather: int, reached: Mapping[int, Hop]) -> str:
    step = flow.steps[gather]
    way = f" ({trail(flow, reached, reached[gather])})" if gather in reached else ""
    return (
        f"gather step {step.name!r} has no fan-out above it: nothing that a step returns in a "
        f"list, or yields, leads to {accepted_by(step)}{way}; return `list[...]` where the work is "
        "split, or write Annotated[list[...], Batch(n)] to take them in groups"
    )


def _problems_of_named(flow: Flow, gather: int, fan_outs: Sequence[int]) -> Iterator[str]:
    for fan_out in fan_outs:
        reached = spread(flow.after_fan_out(fan_out), flow.after)
        if gather in reached or any(flow.steps[index].sends_anything for index in reached):
            continue
        name = flow.steps[fan_out].name
        yield (
            f"gather step {flow.steps[gather].name!r} can never fill: nothing that {name!r} fans "
            f"out leads to {accepted_by(flow.steps[gather])}"
        )


def _problems_of_nesting(flow: Flow, binder: _Binder) -> Iterator[str]:
    shared = {gather: binder.fan_outs_of(gather) for gather in binder.gathers}
    if all(len(fan_outs) < 2 for fan_outs in shared.values()):
        return
    children = {
        fan_out: [i for i in binder.scope(fan_out).runs if binder.bound.get(i)]
        for fan_out, gathers in binder.bound.items()
        if gathers
    }
    for gather, fan_outs in shared.items():
        pair = _nested_pair(fan_outs, children)
        if pair is not None:
            yield _problem_of_nesting(flow, gather, *pair)


def _nested_pair(
    fan_outs: Sequence[int], children: Mapping[int, Sequence[int]]
) -> tuple[int, int] | None:
    for outer in fan_outs:
        waiting, inside = list(children[outer]), set[int]()
        while waiting:
            fan_out = waiting.pop()
            if fan_out not in inside:
                inside.add(fan_out)
                waiting.extend(children[fan_out])
        for inner in fan_outs:
            if inner in inside and inner != outer:
                return outer, inner
    return None


def _problem_of_nesting(flow: Flow, gather: int, outer: int, inner: int) -> str:
    reached = spread(flow.after_fan_out(outer), flow.after)
    way = f" ({trail(flow, reached, reached[inner], root=outer)})" if inner in reached else ""
    name, inside = flow.steps[outer].name, flow.steps[inner].name
    return (
        f"gather step {flow.steps[gather].name!r} is bound to the fan-outs of {name!r} and of "
        f"{inside!r}, which can be nested{way}; say which one it gathers with "
        f"Gather(of={name}) or Gather(of={inside})"
    )
