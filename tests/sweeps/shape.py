"""What a shape is, and what all shapes are made of.

A shape is a workflow with the one result that each run of it has to have, come what may.

A result is the same in whatever order the steps of a shape happen to run, and whatever is
cancelled, repeated or resumed on the way. It counts what must happen exactly once (``handled``), so
that what is lost and what is done twice both show. Sleeps are virtual. What waits for ever is
cancelled by the shape itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from blazen_anyio import Context, Event, Run, StartEvent, StopEvent, Workflow

from .kit import Kit

__all__ = [
    "Approved",
    "Done",
    "FlakyError",
    "Group",
    "GroupDone",
    "Hop",
    "Left",
    "Note",
    "Rest",
    "Right",
    "Shape",
    "Wait",
    "Work",
    "count",
    "joiner",
    "shape",
    "splitter",
]


class Hop(Event):
    n: int


class Rest(Event):
    n: int


class Work(Event):
    n: int


class Group(Event):
    n: int


class Done(Event):
    n: int


class GroupDone(Event):
    n: int


class Left(Event):
    n: int


class Right(Event):
    n: int


class Wait(Event):
    n: int


class Approved(Event):
    n: int


class Note(Event):
    n: int


class FlakyError(Exception):
    """What a shape raises itself."""


@attrs.frozen
class Shape:
    """One shape.

    Attributes:
        name: its name.
        build: makes its workflow.
        result: what every run of it has to return in the end.
        help: what is done with the handle of a run meanwhile; it returns when the run has ended.
        cancels: attempts of it are cancelled even if they have time to finish: by the shape itself,
            or because they wait in the engine or for a worker thread.
        varies: how many attempts it takes depends on what happens first.
        nests: its steps run children, whose steps are in no history.
    """

    name: str
    build: Callable[[Kit], Workflow[Any]]
    result: Any
    help: Callable[[Run[Any]], Awaitable[None]] | None = None
    cancels: bool = False
    varies: bool = False
    nests: bool = False


def shape(
    *,
    result: Any,
    help: Callable[[Run[Any]], Awaitable[None]] | None = None,
    cancels: bool = False,
    varies: bool = False,
    nests: bool = False,
) -> Callable[[Callable[[Kit], Workflow[Any]]], Shape]:
    """Make a shape of the function that builds its workflow."""

    def made(build: Callable[[Kit], Workflow[Any]]) -> Shape:
        return Shape(build.__name__, build, result, help, cancels, varies, nests)

    return made


def count(ctx: Context) -> None:
    ctx.state.apply("handled", lambda handled: handled + 1, 0)


def splitter(kit: Kit, size: int) -> Any:
    @kit.step
    async def split(ev: StartEvent) -> list[Work]:
        with kit.attempt():
            return [Work(n) for n in range(size)]

    return split


def joiner(kit: Kit) -> Any:
    @kit.step
    async def join(parts: list[Done], ctx: Context) -> StopEvent:
        async with kit.attempt():
            return StopEvent(result=[*(part.n for part in parts), ctx.state["handled"]])

    return join
