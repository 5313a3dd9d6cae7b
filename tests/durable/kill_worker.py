"""The process that the kill test kills: a workflow that leaves traces, and a nursery of its lives.

Run as a script, it reads one line of JSON for each life, forks, says the child's process id, lets
the child run the workflow from wherever the store has it, and says how the child has ended. The
child says when it has opened the store. So a life costs a fork and not the start of an interpreter.

A trace is one line, appended to a file at once: what a step does outside the store, which no crash
takes back.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import anyio
import trio  # noqa: F401  # so that no life has to import it

from blazen_anyio import Context, Event, Retry, StartEvent, StopEvent, Workflow, step
from blazen_anyio.stores import SQLiteStore

ITEMS, HOPS = 8, 12

trace_file = -1


def trace(*words: object) -> None:
    """Append a line."""
    write_line(trace_file, *words)


def say(*words: object) -> None:
    """Tell the test."""
    write_line(1, *words)


def write_line(file: int, *words: object) -> None:
    """Write a line at one go, for two processes write to the same file."""
    os.write(file, (" ".join(map(str, words)) + "\n").encode())


class Order(StartEvent, event_type="kill.Order"):
    items: int


class Item(Event, event_type="kill.Item"):
    number: int


class Tick(Event, event_type="kill.Tick"):
    number: int


class Page(Event, event_type="kill.Page"):
    number: int


class Done(Event, event_type="kill.Done"):
    number: int
    token: str


class Hop(Event, event_type="kill.Hop"):
    number: int
    tokens: list[str]


class Report(StopEvent, event_type="kill.Report"):
    tokens: list[str]
    state: dict[str, int]


class Flaky(Exception):
    """What the first attempts at every third item raise."""


def one_more(count: int) -> int:
    return count + 1


@step
async def split(order: Order, ctx: Context) -> list[Item]:
    trace("begin", "split", 0, ctx.attempt)
    return [Item(number) for number in range(order.items)]


@step(max_concurrency=4, retry=Retry(max_attempts=5, initial=0.003, on=Flaky))
async def work(item: Item, ctx: Context) -> Done:
    """Fails twice for every third item; charges once; sends a timer on its way."""
    trace("begin", "work", item.number, ctx.attempt)

    async def charge() -> str:
        token = uuid.uuid4().hex
        trace("charge", ctx.idempotency_key, token)
        await anyio.sleep(0.001)
        return token

    token = await ctx.once("charge", charge)
    trace("charged", ctx.idempotency_key, token)
    if item.number % 3 == 0 and ctx.attempt < 3:
        raise Flaky
    ctx.state.apply("done", one_more, 0)
    ctx.state[f"item-{item.number}"] = item.number
    ctx.send_event(Tick(item.number), delay=0.004)
    await anyio.sleep(0.001)
    return Done(item.number, token)


@step
async def tick(ev: Tick, ctx: Context) -> AsyncIterator[Page]:
    """Yields two events, each let out at once."""
    trace("begin", "tick", ev.number, ctx.attempt)
    ctx.state.apply("ticks", one_more, 0)
    for _ in range(2):
        yield Page(ev.number)
        await anyio.sleep(0.001)


@step
def page(ev: Page, ctx: Context) -> None:
    """Runs in a worker thread."""
    ctx.state.apply("pages", one_more, 0)


@step
async def gather(done: list[Done], ctx: Context) -> Hop:
    trace("begin", "gather", 0, ctx.attempt)
    ctx.state.apply("gathered", one_more, 0)
    return Hop(0, [each.token for each in done])


@step
async def hop(ev: Hop, ctx: Context) -> Hop | Report:
    trace("begin", "hop", ev.number, ctx.attempt)
    ctx.state["hops"] = ctx.state.get("hops", 0) + 1
    await anyio.sleep(0.001)
    if ev.number + 1 < HOPS:
        return Hop(ev.number + 1, ev.tokens)
    state = {key: value for key, value in ctx.state.items() if isinstance(value, int)}
    return Report(tokens=ev.tokens, state=state)


workflow = Workflow(
    "kill", [split, work, tick, page, gather, hop], stop=Report, max_deliveries=None
)


async def live(job: dict[str, Any]) -> None:
    """Run the workflow to its end, from wherever it is, and write its result down."""
    async with SQLiteStore(job["database"], synchronous="NORMAL") as store:
        say("up")
        report = await workflow.run(
            Order(items=ITEMS), run_id=job["run_id"], store=store, durability=job["durability"]
        )
    with open(job["result"], "w", encoding="utf-8") as file:  # noqa: ASYNC230  # it has ended
        json.dump({"tokens": report.tokens, "state": report.state}, file)


def be_born(job: dict[str, Any]) -> None:
    """Live once, in a process of one's own, which ends here."""
    global trace_file
    code = 1
    try:
        trace_file = os.open(job["traces"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        trace("life")
        anyio.run(live, job, backend=job["backend"])
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def main() -> None:
    """Give birth to a process for each line that is read."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            be_born(json.loads(line))
        say("born", child)
        _, status = os.waitpid(child, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
