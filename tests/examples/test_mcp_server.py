"""The MCP server, with a client of the SDK in the same process, on both backends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp", reason="mcp is not installed; see the extra 'examples'")

from mcp import Client

from blazen_anyio import Context, Workflow, step
from blazen_anyio.examples import mcp_server

pytestmark = pytest.mark.anyio


async def test_the_tool_runs_the_workflow_and_reports_its_progress() -> None:
    progress: list[tuple[float, float | None, str | None]] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        progress.append((done, total, message))

    async with Client(mcp_server.make_server()) as client:
        texts = ["one", "one two", "one two three"]
        result = await client.call_tool("count_words", {"texts": texts}, progress_callback=note)
    assert not result.is_error
    assert result.structured_content == {"result": [1, 2, 3]}
    assert [(done, total) for done, total, _ in progress] == [(1, 3), (2, 3), (3, 3)]
    assert sorted(message or "" for _, _, message in progress) == [
        "1 words",
        "2 words",
        "3 words",
    ]


async def test_no_texts_are_an_empty_result() -> None:
    async with Client(mcp_server.make_server()) as client:
        result = await client.call_tool("count_words", {"texts": []})
    assert result.structured_content == {"result": []}


async def test_a_run_waits_for_a_client_that_is_slow_to_take_its_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More progress than any buffer holds, and each report takes longer than what it reports."""
    texts = ["one"] * 1_200
    reports = 0

    @step(name="count")
    async def at_once(text: mcp_server.Text, ctx: Context) -> mcp_server.Count:
        ctx.write_event_to_stream(mcp_server.Count(1))
        return mcp_server.Count(1)

    async def slow(*report: Any) -> None:
        nonlocal reports
        reports += 1
        if reports == 1:
            await anyio.wait_all_tasks_blocked()

    steps = [mcp_server.split, at_once, mcp_server.gather]
    quick = Workflow("reading", steps, stop=mcp_server.Reading)
    monkeypatch.setattr(mcp_server, "reading", quick)
    monkeypatch.setattr(mcp_server.ToolContext, "report_progress", slow)
    async with Client(mcp_server.make_server()) as client:
        result = await client.call_tool("count_words", {"texts": texts})
    assert result.structured_content == {"result": [1] * 1_200}
    assert reports == 1_200


async def test_a_call_that_is_cancelled_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run has been cancelled and has cleaned up when the server has ended."""
    runs: list[Any] = []
    begun = anyio.Event()
    start = mcp_server.reading.start

    def note(*arguments: Any) -> Any:
        runs.append(start(*arguments))
        begun.set()
        return runs[-1]

    monkeypatch.setattr(mcp_server.reading, "start", note)
    with blocked_steps(monkeypatch):
        async with Client(mcp_server.make_server()) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "count_words", {"texts": ["one"]})
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
            RELEASE.set()
    assert [run.status for run in runs] == ["cancelled"]


RELEASE = threading.Event()


@contextmanager
def blocked_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let reading a text take until it is released."""
    RELEASE.clear()

    class Slow(str):
        def split(self, *arguments: Any) -> list[str]:  # type: ignore[override]
            RELEASE.wait(10)
            return super().split()

    read = mcp_server.Read
    monkeypatch.setattr(mcp_server, "Read", lambda texts: read(tuple(map(Slow, texts))))
    yield
    RELEASE.set()


def test_the_command_serves_over_standard_input_and_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[str] = []
    server = mcp_server.make_server()
    monkeypatch.setattr(type(server), "run", lambda self, transport: served.append(transport))
    assert mcp_server.main() == 0
    assert served == ["stdio"]
