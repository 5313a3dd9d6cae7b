"""The public API as the contract has it: on both backends, with lanes and with a task per attempt.

Every async test of the directory is also checked for orphans: when it ends, no task that it caused
is left. A test that would hang fails instead, since virtual time runs out.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from blazen_anyio import Workflow

TURN, TURNS = 2_000, 3_000
"""Virtual seconds, and how often they pass before a test is taken to hang.

From about 8,000,000 seconds on, asyncio's timers would need a finer resolution than floats have.
While worker threads are about, real time passes before each jump of virtual time. A single deadline
would be the next thing to happen for a test whose threads are slow to start, and would end it.
"""


@pytest.fixture(params=[True, False], ids=["lanes", "tasks"], autouse=True)
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Changes the default of ``Workflow(lanes=...)``: a test has to pass both ways."""
    monkeypatch.setitem(Workflow.__init__.__kwdefaults__, "lanes", request.param)
    return bool(request.param)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> None:
    """Fails an async test that leaves a task running, or that hangs."""
    test = getattr(request.node, "obj", None)
    if not inspect.iscoroutinefunction(test):
        return

    @functools.wraps(test)
    async def checked(*args: Any, **kwargs: Any) -> None:
        before = {task.id for task in anyio.get_running_tasks()}
        await _run_guarded(functools.partial(test, *args, **kwargs))
        left = [task.name for task in anyio.get_running_tasks() if task.id not in before]
        assert not left, f"still running: {left}"

    request.node.obj = checked


async def _run_guarded(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test, but not for ever; what it raises comes out as it is, in no group."""
    error: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(_cancel_in_the_end, scope)
            try:
                await test()
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as raised:
                error = raised
        tasks.cancel_scope.cancel()
    if error is not None:
        raise error
    assert not scope.cancelled_caught, "the test hangs"


async def _cancel_in_the_end(scope: anyio.CancelScope) -> None:
    for _ in range(TURNS):
        await anyio.sleep(TURN)
    scope.cancel()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Any:
    """The exceptions that the engine has logged so far, when called."""

    def exceptions() -> list[BaseException]:
        return [
            record.exc_info[1]
            for record in caplog.records
            if record.name == "blazen_anyio" and record.exc_info and record.exc_info[1]
        ]

    caplog.set_level(logging.WARNING, logger="blazen_anyio")
    return exceptions
