"""Views, signals and the end of a run, without a terminal and on virtual time."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio import Context, Event, Run, StartEvent, StopEvent, StoreError, Workflow, step
from blazen_anyio._cli.errors import show_error
from blazen_anyio._cli.execution import Execution, Origin
from blazen_anyio._cli.interrupts import Interrupts
from blazen_anyio._cli.options import Executing
from blazen_anyio._cli.terminal import Terminal
from blazen_anyio._cli.view import BoardView, LinesView
from blazen_anyio._cli.watching import follow
from blazen_anyio._codec import Codec
from blazen_anyio.stores import MemoryStore

pytestmark = pytest.mark.anyio


class Tick(Event, event_type="cli.Tick"):
    number: int


@step
async def tick(ev: StartEvent, ctx: Context) -> StopEvent:
    for number in range(3):
        ctx.write_event_to_stream(Tick(number))
        await anyio.sleep(1)
    return StopEvent(result="ticked")


ticking = Workflow("ticking", [tick])


def terminal(*, live: bool = False) -> tuple[Terminal, io.StringIO]:
    err = io.StringIO()
    return Terminal(io.StringIO(), err, live, False), err


async def show(view: BoardView, run: Run[Any]) -> None:
    await view.follow(run, view.subscribe(run))


async def test_a_board_gives_the_terminal_away_and_takes_it_back() -> None:
    """What comes in the meantime is shown afterwards."""
    place, err = terminal()
    view = BoardView(place, "ticking")
    async with ticking.start() as run, anyio.create_task_group() as tasks:
        tasks.start_soon(show, view, run)
        await anyio.sleep(0.5)
        with view.paused():
            before = err.getvalue()
            await anyio.sleep(1)
            assert err.getvalue() == before
        assert err.getvalue().startswith(before)
        assert "Tick(number=1)" in err.getvalue()
    assert err.getvalue().endswith(
        "step  waiting  running  done  failed  retried\n"
        "tick        0        0     1       0        0"
    )


async def test_a_board_that_was_taken_down_is_not_put_up_again() -> None:
    """A person is asked, and everything is cancelled from outside."""
    place, err = terminal()
    view = BoardView(place, "ticking")
    async with ticking.start() as run:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show, view, run)
            await anyio.sleep(0.5)
            with view.paused():
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.1)
                before = err.getvalue()
        assert err.getvalue() == before
        run.cancel()


async def test_who_asks_before_the_board_is_up_has_the_terminal_first() -> None:
    place, err = terminal()
    view = BoardView(place, "ticking")
    async with ticking.start() as run, anyio.create_task_group() as tasks:
        with view.paused():
            tasks.start_soon(show, view, run)
            await anyio.sleep(0.5)
            assert err.getvalue() == ""
        assert err.getvalue().startswith("Tick(number=0)")


async def test_a_board_is_not_drawn_for_each_of_many_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drawing takes milliseconds: they would hold the run up."""

    @step
    async def flood(ev: StartEvent, ctx: Context) -> StopEvent:
        for number in range(500):
            ctx.write_event_to_stream(Tick(number))
        return StopEvent()

    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    place, err = terminal(live=True)
    view = BoardView(place, "flood")
    async with Workflow("flood", [flood]).start() as run:
        await show(view, run)
    shown = err.getvalue()
    assert [f"Tick(number={number})" in shown for number in range(500)] == [True] * 500
    assert shown.count("waiting") < 6


async def test_lines_need_no_pause() -> None:
    place, err = terminal()
    view = LinesView(place, Codec(()), facts=False)
    with view.paused():
        view.say("a line")
    assert err.getvalue() == "a line\n"


# ---- signals -------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@attrs.define
class Steered:
    """What was done to a run."""

    said: list[str] = attrs.field(factory=list)
    done: list[str] = attrs.field(factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    async def suspend(self, *, grace: float) -> None:
        self.done.append(f"suspend {grace}")
        await anyio.sleep_forever()

    def cancel(self) -> None:
        self.done.append("cancel")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C ends the process there")
@pytest.mark.usefixtures("interruptible")
async def test_the_first_signal_suspends_and_the_second_cancels() -> None:
    """And the third is left to the system."""
    steered: Any = Steered()
    interrupts = Interrupts(grace=2)
    async with anyio.create_task_group() as tasks:
        await tasks.start(interrupts.follow, steered, steered)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: steered.done == ["suspend 2"])
        os.kill(os.getpid(), signal.SIGINT)
    assert steered.done == ["suspend 2", "cancel"]
    assert interrupts.count == 2
    assert steered.said == [
        "suspending; steps have 2.0 s to finish (Ctrl-C again cancels)",
        "cancelling (Ctrl-C again ends the process as it is)",
    ]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C ends the process there")
@pytest.mark.usefixtures("interruptible")
async def test_signals_are_followed_no_longer_than_the_run_lasts() -> None:
    before = signal.getsignal(signal.SIGINT)
    steered: Any = Steered()
    interrupts = Interrupts(grace=2)
    async with anyio.create_task_group() as tasks:
        await tasks.start(interrupts.follow, steered, steered)
        interrupts.scope.cancel()
    assert signal.getsignal(signal.SIGINT) in (before, signal.default_int_handler)


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110  # nothing tells when
        await anyio.sleep(0.001)


# ---- ends ----------------------------------------------------------------------------------------


def execution(place: Terminal) -> Execution:
    origin = Origin(workflow="x:y", store=None, snapshot=None, options=Executing())
    return Execution(ticking, place, origin)


async def test_a_cancellation_from_outside_ends_the_run_and_says_nothing() -> None:
    place, err = terminal()
    run = ticking.start()
    with anyio.move_on_after(1.5) as scope:
        await execution(place).execute(run)
    assert scope.cancelled_caught
    assert run.status == "cancelled"
    assert [line.partition('"event": ')[2][:11] for line in err.getvalue().splitlines()] == [
        '"cli.Tick",'
    ] * 2


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_process_is_not_held_back(kind: type[BaseException]) -> None:
    class Ended:
        async def __aenter__(self) -> None:
            raise kind

        async def __aexit__(self, *exc_info: object) -> None: ...

    ended: Any = Ended()
    with pytest.raises(kind):
        await execution(terminal()[0]).execute(ended)


async def test_a_watched_run_may_be_left_by_its_process_and_removed() -> None:
    place, err = terminal(live=True)
    async with MemoryStore(keep_log=True) as store:
        await left_behind(store)
        with anyio.move_on_after(3):
            await follow(store, "r", place, 0.5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(remove_later, store)
            with pytest.raises(StoreError, match="run 'r' has been removed"):
                await follow(store, "r", terminal()[0], 0.5)
    assert "nobody executes it" in err.getvalue()
    assert "ticking  run r  running" in err.getvalue()


async def left_behind(store: MemoryStore) -> None:
    with anyio.move_on_after(0.5):
        await ticking.run(run_id="r", store=store)


async def remove_later(store: MemoryStore) -> None:
    await anyio.sleep(2)
    await store.delete("r")


def test_hints_of_a_store_speak_of_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    error = StoreError("the disk is full")
    error.__cause__ = OSError()
    show_error(error, sys.stderr, full=False)
    assert "  hint: what was acknowledged is intact" in capsys.readouterr().err
