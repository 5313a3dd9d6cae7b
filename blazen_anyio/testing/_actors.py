"""Actors: the coroutines whose turns a simulation gives out one at a time.

An actor is an attempt of a step, a task that user code started, or a run's timer. It runs in
*turns*: from one suspension to the next. Before each turn it is parked until the director picks
it, however its suspension ended, so that only one actor runs at a time and the order depends on
nothing but the director's choices. A parked actor is shielded: a cancellation meets it at its next
suspension, as it meets a task that the event loop was late to schedule.
"""

from __future__ import annotations

import asyncio
import types
import warnings
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any, Protocol

import anyio
import attrs
from anyio.lowlevel import checkpoint_if_cancelled

from ._scopes import ParkingScope

__all__ = ["Abandoned", "Actor", "Park", "Place", "Stagehand", "perform", "the_park"]

Place = tuple[int, str, int, tuple[int, ...]]
"""A rank, a name, a number, and the numbers of the tasks that lead to it."""

Park = Callable[["Actor"], Generator[Any, Any, None]]


@attrs.define(eq=False)
class Actor:
    """One coroutine that runs in turns.

    Attributes:
        place: where it stands in the order of the choices; it follows from what the actor is, not
            from when it came, which the event loop has a say in.
        label: names it in schedules, the same in every run of the same schedule.
        lane: the column in diagrams: the name of the step, or what it is.
        release: ends its parking; ``None`` while it is not parked.
        interrupt: ends whatever it is suspended in, even shielded; to abandon it.
        thrown: what its last suspension ended with instead of a value.
        turns: how many it has had.
        children: how many tasks it has started.
        tasks: on asyncio, those that it waits for at the end of a task group.
        coroutine: what it runs, once that is known.
        is_task: it is a task of its own, which has to begin in order to end.
        outer: the cancel scope around an attempt, for it and its tasks.
        interrupted: a cancellation from outside of the attempt has met it where it was not
            shielded.
        atomic: it is parked before its first turn only.
        harmless: tells whether its turns have gone unnoticed; ``None`` if they may not have.
        chances: how often it may still go on once it has been abandoned.
        awaited: what its code was waiting for after its last turn; see :mod:`._suspension`.
        continues: its last turn was inside a library call, which goes on without a choice.
    """

    place: Place
    label: str
    lane: str
    release: Callable[[], object] | None = None
    interrupt: Callable[[], object] | None = None
    thrown: BaseException | None = None
    turns: int = 0
    children: int = 0
    tasks: Sequence[asyncio.Task[Any]] = ()
    coroutine: Coroutine[Any, Any, Any] | None = None
    atomic: bool = False
    is_task: bool = False
    outer: object = None
    interrupted: bool = False
    harmless: Callable[[], bool] | None = None
    chances: int = 100
    awaited: object = None
    continues: bool = False


class Abandoned(BaseException):
    """Is raised in actors whose simulation can't be brought to an end otherwise, or has died."""


class Stagehand(Protocol):
    """Who gives out the turns."""

    @property
    def broken(self) -> bool:
        """Whether all actors are to be abandoned."""
        ...

    def park(self, actor: Actor) -> Generator[Any, Any, None]:
        """Suspend until the actor is picked."""
        ...

    def is_late(self, actor: Actor) -> bool:
        """Whether a cancellation has overtaken what the actor was woken by."""
        ...

    def sleeps_on(self, actor: Actor) -> bool:
        """Whether a cancellation does not wake the actor where it is suspended."""
        ...

    def enter(self, actor: Actor) -> None:
        """The actor's turn begins."""
        ...

    def leave(self, actor: Actor, ended: BaseException | None, over: bool) -> None:
        """The actor's turn is over; perhaps it is over itself, and with an exception."""
        ...


@types.coroutine
def perform(
    hand: Stagehand, actor: Actor, body: Coroutine[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """Run ``body`` in turns, and return what it returns."""
    actor.coroutine = body
    try:
        return (yield from _turns(hand, actor, body))
    except GeneratorExit:
        body.close()
        raise


def _turns(
    hand: Stagehand, actor: Actor, body: Coroutine[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            yield from _until_picked(hand, actor, error)
        except GeneratorExit:
            raise
        except BaseException as cancelled:
            error = cancelled
        if hand.broken:
            error = _last_chance(hand, actor, body) or error
        over, value = _take_turn(hand, actor, body, value, error)
        error = None
        if over:
            return value
        value, error = yield from _suspended(hand, actor, value)


def _suspended(
    hand: Stagehand, actor: Actor, awaited: Any
) -> Generator[Any, Any, tuple[Any, BaseException | None]]:
    """Suspend; return what the actor wakes with: a value or an exception."""
    try:
        if hand.sleeps_on(actor):
            with anyio.CancelScope(shield=True):
                return (yield awaited), None
        return (yield awaited), None
    except GeneratorExit:
        raise
    except BaseException as thrown:
        return None, thrown


def _until_picked(
    hand: Stagehand, actor: Actor, error: BaseException | None
) -> Generator[Any, Any, None]:
    """Park; raise the cancellation that has overtaken what the actor was woken by, if one has."""
    if actor.atomic and actor.turns:
        return
    yield from hand.park(actor)
    if error is None and hand.is_late(actor):
        yield from checkpoint_if_cancelled().__await__()


def _take_turn(
    hand: Stagehand,
    actor: Actor,
    body: Coroutine[Any, Any, Any],
    value: Any,
    error: BaseException | None,
) -> tuple[bool, Any]:
    """Run up to the next suspension; return whether it is over, and what it returns or awaits."""
    actor.thrown = error if error is not None else getattr(value, "error", None)
    hand.enter(actor)
    raised: BaseException | None = None
    over = True
    try:
        awaited = body.send(value) if error is None else body.throw(error)
        over = False
        return over, awaited
    except StopIteration as stop:
        return over, stop.value
    except BaseException as failure:
        raised = failure
        raise
    finally:
        hand.leave(actor, raised, over)
        raised = error = actor.thrown = None


def _last_chance(hand: Stagehand, actor: Actor, body: Coroutine[Any, Any, Any]) -> Abandoned | None:
    """What an actor that has been abandoned meets: nothing, if it is unwinding already.

    Raises:
        Abandoned: it has had its chances.
    """
    actor.chances -= 1
    if actor.chances < 0:
        hand.leave(actor, None, True)
        _abandon(body)
        raise Abandoned
    return None if actor.turns or actor.is_task else Abandoned()


def _abandon(body: Coroutine[Any, Any, Any]) -> None:
    # What it does about that is of no interest any more, nor what it has never begun.
    with suppress(BaseException), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        body.close()


# ---- parking ---------------------------------------------------------------------------------


def the_park(on_asyncio: bool) -> Park:
    """How actors are parked on the backend."""
    return _park_on_asyncio if on_asyncio else _trio_park()


def _park_on_asyncio(actor: Actor) -> Generator[Any, Any, None]:
    return _shielded(actor).__await__()


async def _shielded(actor: Actor) -> None:
    task = asyncio.current_task()
    assert task is not None, "an actor runs in a task"
    future = asyncio.get_running_loop().create_future()
    actor.release = lambda: None if future.done() else future.set_result(None)
    actor.interrupt = task.cancel
    with ParkingScope(shield=True):
        await future


def _interrupt_on_trio(task: Any) -> None:
    """End what a task waits for, as a cancellation would that no shield holds off.

    Trio has no public way to do that, and rightly so; here the task is about to be thrown away.
    """
    if task._abort_func is not None:
        task._attempt_abort(_raise_abandoned)


def _raise_abandoned() -> None:
    raise Abandoned


def _trio_park() -> Park:
    import trio

    def abort(raise_cancel: object) -> trio.lowlevel.Abort:
        return trio.lowlevel.Abort.FAILED

    async def shielded(actor: Actor) -> None:
        task = trio.lowlevel.current_task()
        actor.release = lambda: trio.lowlevel.reschedule(task)
        actor.interrupt = lambda: _interrupt_on_trio(task)
        await trio.lowlevel.wait_task_rescheduled(abort)

    return lambda actor: shielded(actor).__await__()
