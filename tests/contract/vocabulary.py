"""The events that the examples share, and the steps that many of them begin or end with."""

from __future__ import annotations

from typing import Any

import anyio

from blazen_anyio import Context, Event, StartEvent, StopEvent, Workflow, step

from .example import MINUTE

__all__ = [
    "Approved",
    "Batched",
    "Done",
    "Group",
    "Note",
    "Work",
    "collect",
    "done",
    "note",
    "noted",
    "split",
    "three",
    "total",
]


class Work(Event):
    n: int


class Done(Event):
    n: int


class Group(Event):
    n: int


class Batched(Event):
    numbers: list[int]


class Approved(Event):
    n: int


class Note(Event):
    text: str


def split(size: int) -> Any:
    """A step that fans out so many pieces of work."""

    @step(name="split")
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(size)]

    return split


@step
async def total(parts: list[Done]) -> StopEvent:
    """Gathers what is done, and ends the run with the numbers."""
    return StopEvent(result=[part.n for part in parts])


@step
async def note(ev: Note, ctx: Context) -> None:
    """Writes each note down, in the order in which they come."""
    ctx.state.apply("notes", lambda notes: [*notes, ev.text], [])


@step
async def noted(ev: Done, ctx: Context) -> StopEvent:
    """Ends the run a while later, with all the notes."""
    await anyio.sleep(MINUTE)
    return StopEvent(result=ctx.state.get("notes", []))


@step
async def done(ev: Work) -> Done:
    """Does the work in a few minutes."""
    await anyio.sleep((1 + ev.n) * MINUTE)
    return Done(ev.n)


def three(name: str, **options: Any) -> Workflow[Any]:
    """Three pieces of work, done side by side."""
    return Workflow(name, [split(3), done, total], **options)


def collect(count: int) -> Any:
    """A step that ends the run with so many numbers, in the order in which they came."""

    @step(name="collect", max_concurrency=1)
    async def collect(ev: Done, ctx: Context) -> StopEvent | None:
        parts = ctx.collect_events(Done, count)
        return None if parts is None else StopEvent(result=[part.n for part in parts])

    return collect
