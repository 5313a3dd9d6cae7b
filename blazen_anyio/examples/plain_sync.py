"""Plain synchronous code that runs a workflow: no event loop in sight.

Run it with ``python -m blazen_anyio.examples.plain_sync``. The second part calls the workflow from
a pool of threads, as a synchronous web framework would.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import anyio

from blazen_anyio import Event, StartEvent, StopEvent, Workflow, step

__all__ = ["Greet", "greet_all", "main"]


class Greet(StartEvent, event_type="plain.Greet"):
    """Whom to greet."""

    name: str


class Greeting(Event, event_type="plain.Greeting"):
    """What to say."""

    text: str


class Said(StopEvent, event_type="plain.Said"):
    """What was said."""

    text: str


@step
async def think(ev: Greet) -> Greeting:
    """Think about it for a moment."""
    await anyio.sleep(0.01)
    return Greeting(f"Hello, {ev.name}")


@step
def say(ev: Greeting) -> Said:
    """Say it, in a worker thread."""
    return Said(text=f"{ev.text}!")


greeting = Workflow("greeting", [think, say], stop=Said)


def greet_all(names: Sequence[str]) -> list[str]:
    """Greet everybody, four at a time, each from a thread of the pool."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(greet, names))


def greet(name: str) -> str:
    """Greet one, and wait for it."""
    return greeting.run_sync(Greet(name)).text


def main() -> int:
    """Greet a few."""
    print(greeting.run_sync(name="Ada").text)
    print(*greet_all(["Grace", "Edsger", "Barbara"]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
