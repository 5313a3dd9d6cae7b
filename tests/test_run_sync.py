"""``workflow.run_sync``: a workflow run from plain synchronous code, wherever that is called."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    NoHandlerError,
    Resource,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")

both = pytest.mark.parametrize("backend", BACKENDS)
around = pytest.mark.parametrize("around", BACKENDS)


class Ask(StartEvent, event_type="sync.Ask"):
    name: str


class Answer(StopEvent, event_type="sync.Answer"):
    text: str


@step
async def greet(ev: Ask) -> Answer:
    await anyio.lowlevel.checkpoint()
    return Answer(text=f"Hello, {ev.name}!")


OPENED: list[str] = []


@asynccontextmanager
async def open_it() -> AsyncIterator[str]:
    OPENED.append("opened")
    yield "it"
    OPENED.append("closed")


def open_on_it(it: Annotated[str, Resource(open_it, scope="workflow")]) -> str:
    return f"on {it}"


greeting = Workflow("greeting", [greet], stop=Answer)


@both
class TestWithoutAnEventLoop:
    def test_it_returns_the_result(self, backend: Backend) -> None:
        assert greeting.run_sync(name="Ada", backend=backend).text == "Hello, Ada!"
        assert greeting.run_sync(Ask("Ada"), backend=backend).text == "Hello, Ada!"

    def test_it_runs_on_the_backend_that_was_asked_for(self, backend: Backend) -> None:
        @step
        async def look(ev: StartEvent) -> StopEvent:
            return StopEvent(result=anyio.get_cancelled_exc_class().__module__.split(".")[0])

        assert Workflow("look", [look]).run_sync(backend=backend) == backend

    def test_it_raises_what_the_run_raises(self, backend: Backend) -> None:
        @step
        async def fail(ev: StartEvent) -> StopEvent:
            raise ValueError("no")

        with pytest.raises(StepFailedError) as failure:
            Workflow("failing", [fail]).run_sync(backend=backend)
        assert isinstance(failure.value.__cause__, ValueError)

    def test_it_takes_the_arguments_of_run(self, backend: Backend) -> None:
        @step
        async def ask(ev: StartEvent) -> InputRequestEvent:
            return InputRequestEvent("May I?")

        @step
        async def answer(ev: InputResponseEvent, ctx: Context) -> StopEvent:
            return StopEvent(result=(ctx.run_id, ev.response))

        workflow = Workflow("polite", [ask, answer])
        result = workflow.run_sync(backend=backend, run_id="r", input_handler=lambda request: "yes")
        assert result == ("r", "yes")

    def test_a_store_is_opened_and_closed(self, backend: Backend) -> None:
        """A second call with the id of a run that is in it gives its result."""
        store, runs = MemoryStore(), []

        @step
        async def count(ev: Ask) -> Answer:
            runs.append(ev.name)
            return Answer(text=ev.name)

        workflow = Workflow("counting", [count], stop=Answer)
        for _ in range(2):
            answer = workflow.run_sync(name="Ada", store=store, run_id="r", backend=backend)
            assert answer == Answer(text="Ada")
        assert runs == ["Ada"]

    def test_resources_of_the_workflow_are_opened_and_closed(self, backend: Backend) -> None:
        OPENED.clear()

        @step
        async def use(ev: StartEvent, on: Annotated[str, Resource(open_on_it)]) -> StopEvent:
            return StopEvent(result=on)

        assert Workflow("sharing", [use]).run_sync(backend=backend) == "on it"
        assert OPENED == ["opened", "closed"]

    def test_context_variables_reach_the_steps(self, backend: Backend) -> None:
        assert seen_by_a_step(backend) == "outside"


def test_a_run_that_takes_a_while_is_waited_for() -> None:
    @step
    async def take_time(ev: StartEvent) -> StopEvent:
        await anyio.sleep(0.15)
        return StopEvent(result="done")

    async def main() -> None:
        assert Workflow("slow", [take_time]).run_sync() == "done"

    asyncio.run(main())


def test_threads_may_run_side_by_side() -> None:
    def one(number: int) -> str:
        backend: Backend = BACKENDS[number % 2]
        return greeting.run_sync(name=str(number), backend=backend).text

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, range(8))) == [f"Hello, {number}!" for number in range(8)]


@both
@around
class TestInsideAnEventLoop:
    def test_it_works_in_a_thread_where_a_loop_runs(self, backend: Backend, around: str) -> None:
        async def main() -> str:
            return greeting.run_sync(name="Ada", backend=backend).text

        assert anyio.run(main, backend=around) == "Hello, Ada!"

    def test_it_works_in_a_worker_thread(self, backend: Backend, around: str) -> None:
        async def main() -> str:
            return await anyio.to_thread.run_sync(
                lambda: greeting.run_sync(name="Ada", backend=backend).text
            )

        assert anyio.run(main, backend=around) == "Hello, Ada!"

    def test_context_variables_reach_the_steps(self, backend: Backend, around: str) -> None:
        async def main() -> str:
            return seen_by_a_step(backend)

        assert anyio.run(main, backend=around) == "outside"

    def test_no_thread_is_left(self, backend: Backend, around: str) -> None:
        before = set(threading.enumerate())

        async def main() -> None:
            greeting.run_sync(name="Ada", backend=backend)
            assert set(threading.enumerate()) <= before

        anyio.run(main, backend=around)

    def test_it_raises_what_the_run_raises(self, backend: Backend, around: str) -> None:
        @step
        async def fail(ev: StartEvent) -> StopEvent:
            raise ValueError("no")

        async def main() -> None:
            with pytest.raises(StepFailedError):
                Workflow("failing", [fail]).run_sync(backend=backend)

        anyio.run(main, backend=around)


VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def seen_by_a_step(backend: Backend) -> str:
    @step
    async def look(ev: StartEvent) -> StopEvent:
        return StopEvent(result=VARIABLE.get())

    def look_inside() -> str:
        VARIABLE.set("outside")
        result: str = Workflow("look", [look]).run_sync(backend=backend)
        return result

    return contextvars.copy_context().run(look_inside)


def test_a_wrong_start_is_refused_before_anything_runs() -> None:
    with pytest.raises(TypeError, match="Ask"):
        greeting.run_sync(nobody="Ada")
    with pytest.raises(NoHandlerError):
        greeting.run_sync(StartEvent())


def test_a_backend_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="curio"):
        greeting.run_sync(name="Ada", backend="curio")  # type: ignore[arg-type]


class Backended(StartEvent, event_type="sync.Backended"):
    backend: str


def test_a_field_named_like_an_option_needs_the_event_itself() -> None:
    @step
    async def take(ev: Backended) -> StopEvent:
        return StopEvent(result=ev.backend)

    workflow = Workflow("taking", [take])
    with pytest.raises(TypeError, match="option of run"):
        workflow.run_sync(backend="asyncio")
    assert workflow.run_sync(Backended("mine")) == "mine"


def test_a_cancelled_task_does_not_wait_for_the_run() -> None:
    """On asyncio a cancellation that another thread asked for ends the run, too."""
    log: list[str] = []
    going = threading.Event()

    @step
    async def wait(ev: StartEvent) -> StopEvent:
        try:
            going.set()
            await anyio.sleep_forever()
        finally:
            log.append("cleaned up")
        raise AssertionError("it was cancelled")

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            going.wait()
            task.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            Workflow("waiting", [wait]).run_sync()
        finally:
            canceller.join()
            log.append("came back")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert log == ["cleaned up", "came back"]


PROGRAM = """
import signal, sys, anyio
from blazen_anyio import StartEvent, StopEvent, Workflow, step

signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner may ignore it

@step
async def wait(ev: StartEvent) -> StopEvent:
    try:
        print("going", flush=True)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        print("cleaned up", flush=True)

def call():
    Workflow("waiting", [wait]).run_sync(backend=sys.argv[1])

async def inside():
    call()

try:
    call() if sys.argv[2] == "none" else anyio.run(inside, backend=sys.argv[2])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("backend", "loop"),
    [("asyncio", "none"), ("trio", "none"), ("asyncio", "asyncio"), ("trio", "trio")],
)
def test_control_c_cancels_the_run_and_is_raised(backend: str, loop: str) -> None:
    """The first one, whatever runs around; the run has cleaned up before."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, backend, loop], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().splitlines() == ["cleaned up", "interrupted"]


def test_an_interrupt_before_the_thread_has_begun_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(threading.Thread, "start", start)
            greeting.run_sync(name="Ada")

    anyio.run(main)


def test_it_works_where_sniffio_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """anyio then supports asyncio alone."""
    monkeypatch.delitem(sys.modules, "sniffio")

    async def main() -> str:
        return greeting.run_sync(name="Ada").text

    monkeypatch.setattr("anyio._core._eventloop.sniffio", None)
    assert asyncio.run(main()) == "Hello, Ada!"


def test_an_interrupt_before_the_loop_has_begun_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even then the run does not go on."""
    began: list[str] = []

    @step
    async def begin(ev: StartEvent) -> StopEvent:
        began.append("began")
        return StopEvent()

    from blazen_anyio._blocking import _Elsewhere

    class Interrupted(_Elsewhere[Any]):
        def _wait(self) -> Any:
            raise KeyboardInterrupt

        def _work(self) -> None:
            cancelled.wait()
            super()._work()

        def _cancel(self) -> None:
            super()._cancel()
            cancelled.set()

    cancelled = threading.Event()
    monkeypatch.setattr("blazen_anyio._blocking._Elsewhere", Interrupted)

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            Workflow("beginning", [begin]).run_sync()

    anyio.run(main)
    assert began == []
