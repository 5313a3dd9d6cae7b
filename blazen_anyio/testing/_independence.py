"""Independence: which turns can change places without making a difference.

A simulation can't see what a step's body touches, so nothing is taken to be independent but what
the user has declared: a *pure* step touches nothing but its event, its own objects and what it
returns. A turn of a pure step is *harmless* if it does nothing that another turn could notice: it
does not use its context, and if it ends the attempt, then with one event that only a gather of all
takes, or with none, and without freeing a slot that somebody might wait for. Harmless turns that
follow each other commute: the run ends the same whichever comes first, but for the order of facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from .._events import Event

if TYPE_CHECKING:
    from ._performing import Attempt

__all__ = ["Footprint", "is_redundant", "leaves_no_trace", "settles_quietly"]


@attrs.define
class Footprint:
    """One turn, as far as its order may matter.

    Attributes:
        actor: whose turn it was; empty where time passed.
        choice: the number of the last choice point before it; at which it was chosen, if it was.
        harmless: see above.
    """

    actor: str
    choice: int
    harmless: bool


def leaves_no_trace(attempt: Attempt) -> bool:
    """Whether an attempt of a pure step has not used its context so far."""
    context = attempt.context
    delivery = attempt.delivery
    if delivery.effects is not None or delivery.children is not None or delivery.memos is not None:
        return False
    return context is None or context.is_untouched


def settles_quietly(attempt: Attempt, returned: object) -> bool:
    """Whether nobody but a gather could notice that the attempt of a pure step succeeds."""
    plan, step = attempt.runner.machine.plan, attempt.delivery.step
    if plan.max_concurrency is not None or step.max_concurrency is not None:
        return False
    if returned is None:
        return attempt.delivery.scope.parent is not None
    if not isinstance(returned, Event):
        return False
    return plan.route(returned).gathered is not None


def is_redundant(turns: Sequence[Footprint], choice: int, actor: str) -> bool:
    """Whether to take ``actor`` at a choice point already would end as the run has ended.

    Args:
        turns: those of the run.
        choice: the number of the choice point.
        actor: who was passed over there.
    """
    for turn in turns:
        if turn.choice < choice:
            continue
        if not turn.harmless:
            return False
        if turn.actor == actor:
            return True
    return False
