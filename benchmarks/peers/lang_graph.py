"""The workloads on langgraph, durable ones with its SQLite checkpointer."""

from __future__ import annotations

import asyncio
import operator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

MOST = {"stream": 100_000}

UNABLE = {"stream_to_four": "a stream has one reader"}


class ChainState(TypedDict):
    number: int
    hops: int


class FanOutState(TypedDict):
    items: int
    done: Annotated[list[int], operator.add]


class ShortState(TypedDict):
    count: int


class StreamState(TypedDict):
    events: int


async def _hop(state: ChainState) -> dict[str, int]:
    return {"number": state["number"] + 1}


async def _suspending_hop(state: ChainState) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"number": state["number"] + 1}


def _after(state: ChainState) -> str:
    return END if state["number"] == state["hops"] else "hop"


def _chain(hop: object) -> StateGraph:
    graph = StateGraph(ChainState)
    graph.add_node("hop", hop)
    graph.add_edge(START, "hop")
    graph.add_conditional_edges("hop", _after, ["hop", END])
    return graph


def _fan_out(seconds: float | None) -> object:
    async def split(state: FanOutState) -> dict[str, int]:
        return {}

    def spread(state: FanOutState) -> list[Send]:
        return [Send("work", number) for number in range(state["items"])]

    async def work(number: int) -> dict[str, list[int]]:
        if seconds is not None:
            await asyncio.sleep(seconds)
        return {"done": [number]}

    async def gather(state: FanOutState) -> dict[str, list[int]]:
        return {"done": [sum(state["done"])]}

    graph = StateGraph(FanOutState)
    graph.add_node("split", split)
    graph.add_node("work", work)
    graph.add_node("gather", gather)
    graph.add_edge(START, "split")
    graph.add_conditional_edges("split", spread, ["work"])
    graph.add_edge("work", "gather")
    graph.add_edge("gather", END)
    return graph.compile()


async def _count(state: ShortState) -> dict[str, int]:
    return {"count": state["count"] + 1}


def _short() -> object:
    graph = StateGraph(ShortState)
    for name in ("first", "second", "third"):
        graph.add_node(name, _count)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", "third")
    graph.add_edge("third", END)
    return graph.compile()


async def _tell(state: StreamState) -> dict[str, int]:
    write = get_stream_writer()
    for number in range(state["events"]):
        write(number)
    return {"events": state["events"]}


def _stream() -> object:
    graph = StateGraph(StreamState)
    graph.add_node("tell", _tell)
    graph.add_edge(START, "tell")
    graph.add_edge("tell", END)
    return graph.compile()


CHAIN = _chain(_hop).compile()
SUSPENDING_CHAIN = _chain(_suspending_hop).compile()
FAN_OUT, SUSPENDING_FAN_OUT, WAITS = map(_fan_out, (None, 0, 0.01))
SHORT = _short()
STREAM = _stream()


async def _run_chain(graph: object, hops: int, **configurable: str) -> int:
    config = {"recursion_limit": hops + 10, "configurable": configurable}
    return (await graph.ainvoke({"number": 0, "hops": hops}, config))["number"]


async def chain(hops: int) -> int:
    return await _run_chain(CHAIN, hops)


async def suspending_chain(hops: int) -> int:
    return await _run_chain(SUSPENDING_CHAIN, hops)


async def _run_fan_out(graph: object, items: int, **config: int) -> int:
    return (await graph.ainvoke({"items": items, "done": []}, config))["done"][-1]


async def fan_out(items: int) -> int:
    return await _run_fan_out(FAN_OUT, items)


async def suspending_fan_out(items: int) -> int:
    return await _run_fan_out(SUSPENDING_FAN_OUT, items)


async def waits(items: int) -> int:
    return await _run_fan_out(WAITS, items, max_concurrency=100)


async def short_runs(runs: int) -> int:
    return sum([(await SHORT.ainvoke({"count": 0}))["count"] for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    async def run_once() -> int:
        return (await SHORT.ainvoke({"count": 0}))["count"]

    return sum(await asyncio.gather(*[run_once() for _ in range(runs)]))


async def stream(events: int) -> int:
    return sum([1 async for _ in STREAM.astream({"events": events}, stream_mode="custom")])


async def durable_chain(steps: int) -> int:
    return await _durable(1, steps)


async def durable_runs(steps: int) -> int:
    return await _durable(10, steps)


async def _durable(runs: int, steps: int) -> int:
    with TemporaryDirectory() as directory:
        async with AsyncSqliteSaver.from_conn_string(str(Path(directory) / "saved.db")) as saver:
            graph = _chain(_hop).compile(checkpointer=saver)
            shares = [len(range(run, steps, runs)) for run in range(runs)]
            chains = [
                _run_chain(graph, share, thread_id=str(run))
                for run, share in enumerate(shares)
                if share
            ]
            return sum(await asyncio.gather(*chains))
