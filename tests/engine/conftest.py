"""The public API as the contract has it: on both backends, with lanes and with a task per attempt.

Every async test of the directory is also checked for orphans: when it ends, no task that it caused
is left. A test that would hang fails instead, since virtual time runs out.
"""

from __future__ import annotations

import functools
import inspect
import logging
from typing import Any

import anyio
import pytest

from blazen_anyio import Workflow

A_LONG_TIME = 10_000_000
"""Virtual seconds after which a test is taken to hang."""


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
        with anyio.fail_after(A_LONG_TIME):
            await test(*args, **kwargs)
        left = [task.name for task in anyio.get_running_tasks() if task.id not in before]
        assert not left, f"still running: {left}"

    request.node.obj = checked


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
