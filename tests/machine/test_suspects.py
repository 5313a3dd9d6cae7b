"""Suspects: of what has one delivery left, one is under way at a time, and none is forgotten."""

from __future__ import annotations

from blazen_anyio._machine import Delivery
from blazen_anyio._machine.dispatch import Dispatch
from blazen_anyio._machine.live import Scope
from blazen_anyio._machine.records import ROOT
from blazen_anyio._machine.suspects import Suspects

from .driver import Go, make_plan, step


def _taken(count: int) -> tuple[Dispatch, list[Delivery]]:
    """Deliveries that were handed out."""
    plan = make_plan(step("go", Go))
    dispatch, root = Dispatch(plan), Scope(ROOT, None, 0, None, 0)
    for id in range(1, count + 1):
        dispatch.add(Delivery(id, plan.steps[0], (), root, 0, 0))
    taken = [dispatch.take() for _ in range(count)]
    return dispatch, [each for each in taken if each is not None]


def test_one_at_a_time_is_let_through() -> None:
    dispatch, (first, second) = _taken(2)
    suspects = Suspects(dispatch)
    assert suspects.admit(first)
    assert not suspects.admit(second)
    assert dispatch.take() is None
    suspects.release(first)
    assert dispatch.take() is second
    assert suspects.admit(second)


def test_one_that_is_dropped_before_its_turn_does_not_hold_up_the_rest() -> None:
    """It was next, and a gather had all it wanted before anybody took it."""
    dispatch, (first, second, third) = _taken(3)
    suspects = Suspects(dispatch)
    suspects.admit(first)
    suspects.admit(second)
    suspects.admit(third)
    suspects.release(first)
    dispatch.drop(second)
    suspects.release(second)
    assert dispatch.take() is third
