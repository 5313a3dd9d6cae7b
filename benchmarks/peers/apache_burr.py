"""The workloads on apache-burr. Its asynchronous actions run on trio, too."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.lowlevel
from burr.core import Application, ApplicationBuilder, State, action, default, when
from burr.core.parallelism import MapStates
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

UNABLE = {
    "stream": "streams the result of one action, not events of a run",
    "durable_runs": "not measured",
    "stream_to_four": "streams the result of one action, not events of a run",
}


@action(reads=["number", "hops"], writes=["number", "done"])
async def hop(state: State) -> State:
    number = state["number"] + 1
    return state.update(number=number, done=number == state["hops"])


@action(reads=["number", "hops"], writes=["number", "done"])
async def suspending_hop(state: State) -> State:
    await anyio.lowlevel.checkpoint()
    number = state["number"] + 1
    return state.update(number=number, done=number == state["hops"])


@action(reads=[], writes=[])
async def end(state: State) -> State:
    return state


@action(reads=["count"], writes=["count"])
async def first(state: State) -> State:
    return state.update(count=state["count"] + 1)


@action(reads=["count"], writes=["count"])
async def second(state: State) -> State:
    return state.update(count=state["count"] + 1)


@action(reads=["count"], writes=["count"])
async def third(state: State) -> State:
    return state.update(count=state["count"] + 1)


class FanOut(MapStates):
    """An action for each of many states; asynchronous ones run under ``asyncio.gather``."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self._seconds = seconds

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        seconds = self._seconds
        limit = anyio.CapacityLimiter(100)

        @action(reads=["item"], writes=["item"])
        async def work(state: State) -> State:
            if seconds:
                async with limit:
                    await anyio.sleep(seconds)
            elif seconds is not None:
                await anyio.lowlevel.checkpoint()
            return state.update(item=state["item"])

        return work

    def states(
        self, state: State, context: Any, inputs: dict[str, Any]
    ) -> Generator[State, None, None]:
        for number in range(state["items"]):
            yield state.update(item=number)

    async def reduce(self, state: State, states: AsyncGenerator[State, None]) -> State:
        return state.update(total=sum([part["item"] async for part in states]))

    def is_async(self) -> bool:
        return True

    @property
    def reads(self) -> list[str]:
        return ["items"]

    @property
    def writes(self) -> list[str]:
        return ["total"]


async def _fan_out(items: int, seconds: float | None) -> int:
    builder = (
        ApplicationBuilder()
        .with_actions(spread=FanOut(seconds), end=end)
        .with_transitions(("spread", "end"))
        .with_state(items=items)
        .with_entrypoint("spread")
    )
    return await _run(builder.build(), "end", "total")


async def fan_out(items: int) -> int:
    return await _fan_out(items, None)


async def suspending_fan_out(items: int) -> int:
    return await _fan_out(items, 0)


async def waits(items: int) -> int:
    """It has no limit of its own: the action takes one."""
    return await _fan_out(items, 0.01)


async def durable_chain(steps: int) -> int:
    """The state is saved after each action."""
    with TemporaryDirectory() as directory:
        path = str(Path(directory) / "state.db")
        persister = await AsyncSQLitePersister.from_values(db_path=path)
        async with persister:
            await persister.initialize()
            builder = _chain(hop, steps).with_identifiers(app_id="chain")
            application = await builder.with_state_persister(persister).abuild()
            return await _run(application, "end", "number")


def _chain(kind: object, hops: int) -> ApplicationBuilder:
    return (
        ApplicationBuilder()
        .with_actions(hop=kind, end=end)
        .with_transitions(("hop", "end", when(done=True)), ("hop", "hop", default))
        .with_state(number=0, hops=hops, done=False)
        .with_entrypoint("hop")
    )


async def _run(application: Application, last: str, key: str) -> int:
    _, _, state = await application.arun(halt_after=[last])
    return state[key]


async def chain(hops: int) -> int:
    return await _run(_chain(hop, hops).build(), "end", "number")


async def suspending_chain(hops: int) -> int:
    return await _run(_chain(suspending_hop, hops).build(), "end", "number")


async def _short() -> int:
    builder = (
        ApplicationBuilder()
        .with_actions(first=first, second=second, third=third)
        .with_transitions(("first", "second"), ("second", "third"))
        .with_state(count=0)
        .with_entrypoint("first")
    )
    return await _run(builder.build(), "third", "count")


async def short_runs(runs: int) -> int:
    return sum([await _short() for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    results: list[int] = []

    async def run_once() -> None:
        results.append(await _short())

    async with anyio.create_task_group() as tasks:
        for _ in range(runs):
            tasks.start_soon(run_once)
    return sum(results)
