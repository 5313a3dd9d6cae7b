"""Events and workflows that many of the tests of durability use. Their names last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from engine.kit import Boom, Log, settle

from blazen_anyio import Event, StartEvent, StopEvent, Workflow, step

__all__ = [
    "Boom",
    "Done",
    "End",
    "Go",
    "Live",
    "Log",
    "Note",
    "Work",
    "hops",
    "settle",
    "until",
]


async def until(condition: Callable[[], bool], nap: float = 0) -> None:
    """Give the others turns until something is the case, but not for ever."""
    for _ in range(1000):
        if condition():
            return
        await (anyio.sleep(nap) if nap else checkpoint())
    raise AssertionError("it does not come to that")


class Go(StartEvent, event_type="durable.Go"):
    n: int = 0


class Work(Event, event_type="durable.Work"):
    n: int = 0


class Done(Event, event_type="durable.Done"):
    n: int = 0


class Note(Event, event_type="durable.Note"):
    text: str = ""


class Live(Event, event_type="durable.Live"):
    """One that may hold what can't be stored."""

    thing: Any = None


class End(StopEvent, event_type="durable.End"):
    n: int = 0


@step
async def _begin(ev: Go) -> Work:
    return Work(ev.n)


@step
async def _hop(ev: Work) -> Work | StopEvent:
    return Work(ev.n - 1) if ev.n else StopEvent(result="there")


hops = Workflow("hops", [_begin, _hop])
