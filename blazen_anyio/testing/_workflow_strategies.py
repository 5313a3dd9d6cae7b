"""Hypothesis strategies from workflows: starts, what steps may return, and whole routes.

All follow from what the workflow declares; no step body is called.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from .._events import DynamicEvent, Event, InputResponseEvent, StepFailed
from .._machine import StepPlan
from .._numbers import check_count
from .._run import RunStatus
from .._step import Step
from .._workflow import Workflow
from ._driver import Invocation
from ._driving import DrivenRun, drive
from ._event_strategies import Draw, Strategy, events, plain_values

__all__ = ["Move", "Route", "returns", "routes", "starts"]

_MOST_FANNED = 3


def starts(workflow: Workflow[Any], /, **fields: Strategy) -> st.SearchStrategy[Event]:
    """Draw events that may start a run of a workflow.

    Args:
        workflow: the workflow.
        fields: strategies for fields, where there is one start event type.

    Raises:
        TypeError: ``fields`` are given, and there are several start event types, or no such field.
    """
    kinds = workflow.graph.starts
    if fields and len(kinds) != 1:
        raise TypeError(f"workflow {workflow.name!r} starts with several types; use events()")
    return st.one_of(*(_of_kind(kind, **fields) for kind in kinds))


def _of_kind(kind: type[Event] | str, **fields: Strategy) -> st.SearchStrategy[Event]:
    if isinstance(kind, str):
        data = st.dictionaries(st.text(max_size=5), plain_values(), max_size=3)
        return st.builds(DynamicEvent, st.just(kind), fields.get("data", data))
    return events(kind, **fields)


def returns(workflow: Workflow[Any], step: str) -> Strategy:
    """Draw what a step may return, as far as it is declared: events, fan-outs, ``None``.

    Args:
        workflow: the workflow.
        step: the name of the step.

    Raises:
        KeyError: there is no such step.
    """
    plan = workflow.graph.plan.step(step)
    return _outcomes_of(workflow.graph.steps[plan.index], plan)


def _outcomes_of(step: Step, plan: StepPlan) -> Strategy:
    kinds: list[type[Event] | str] = [*step.emits, *step.emits_dynamic]
    ways: list[Strategy] = [_of_kind(kind) for kind in kinds if _can_be_drawn(kind)]
    fanned = [events(kind) for kind in step.fans_out or () if _can_be_drawn(kind)]
    if fanned and not plan.generates:
        ways.append(st.lists(st.one_of(*fanned), max_size=_MOST_FANNED))
    if step.returns_none or plan.generates or not ways:
        ways.append(st.none())
    return st.one_of(*ways)


def _can_be_drawn(kind: type[Event] | str) -> bool:
    return isinstance(kind, str) or not issubclass(kind, (StepFailed, InputResponseEvent))


@attrs.frozen
class Move:
    """One thing that happens in a route: a step returns, or a human answers.

    Attributes:
        step: the name of the step; ``None`` for an answer to the oldest request.
        invocation: the :attr:`Invocation.id` of the one that returns; ``None`` for an answer.
        returns: what it returns, or the answer.
    """

    step: str | None
    invocation: int | None
    returns: Any


@attrs.frozen
class Route:
    """A way through a workflow.

    Attributes:
        start: the event that starts it.
        moves: what happens, in order.
        status: how it ends; ``"running"`` if it was cut off, or waits for time or for the outside.
    """

    start: Event
    moves: tuple[Move, ...]
    status: RunStatus


@st.composite
def routes(draw: Draw, workflow: Workflow[Any], *, max_moves: int = 30) -> Route:
    """Draw ways that events may take through a workflow, by what its steps declare.

    Each is a run driven by hand: any step that is ready returns something that it may return, and
    where none is, a human answers, until the run ends or nothing more can happen at this time.

    Args:
        workflow: the workflow.
        max_moves: how many moves to make at most.

    Raises:
        TypeError: ``max_moves`` is no whole number.
        ValueError: it is negative.
    """
    check_count("max_moves=", max_moves, least=0)
    start = draw(starts(workflow))
    run = drive(workflow, start)
    moves: list[Move] = []
    while not run.ended and len(moves) < max_moves:
        move = _next_move(draw, workflow, run)
        if move is None:
            break
        moves.append(move)
    return Route(start, tuple(moves), run.status)


def _next_move(draw: Draw, workflow: Workflow[Any], run: DrivenRun) -> Move | None:
    ready = run.ready
    if ready:
        invocation: Invocation = draw(st.sampled_from(ready))
        returned = draw(returns(workflow, invocation.step))
        run.complete(invocation, returned)
        return Move(invocation.step, invocation.id, returned)
    if run.requests:
        answer = draw(plain_values())
        run.answer(answer)
        return Move(None, None, answer)
    return None
