"""Asking a person: one request after another, and no longer than somebody wants the answer."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio import InputRequestEvent
from blazen_anyio._cli.prompting import Lines, Prompter
from blazen_anyio._cli.terminal import Terminal

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    try:
        os.close(writing)
    except OSError:
        pass


async def test_lines_come_one_by_one_however_they_were_typed(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[0])
    os.write(pipe[1], b"one\r\ntw")
    assert await lines.next() == "one"
    os.write(pipe[1], b"o\n\n\xff\nrest")
    assert [await lines.next() for _ in range(3)] == ["two", "", "\ufffd"]
    os.close(pipe[1])
    assert await lines.next() is None


async def test_a_wait_for_a_line_can_be_cancelled_and_loses_nothing(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[0])
    os.write(pipe[1], b"on")
    with anyio.move_on_after(0.01):
        await lines.next()
    os.write(pipe[1], b"e\n")
    assert await lines.next() == "one"


async def test_a_terminal_that_is_gone_has_ended(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"one\n")
    lines = Lines(pipe[0])

    def gone(descriptor: int, size: int) -> bytes:
        raise OSError(5, "gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blazen_anyio._cli.prompting.os.read", gone)
        assert await lines.next() is None


# ---- the prompter --------------------------------------------------------------------------------


@attrs.define
class Asking:
    """A run, a view and a person at once, as far as the prompter knows them."""

    requests: list[InputRequestEvent]
    typed: list[str | None]
    err: io.StringIO = attrs.field(factory=io.StringIO)
    pauses: int = 0

    @contextmanager
    def paused(self) -> Generator[None]:
        self.pauses += 1
        yield

    async def next(self) -> str | None:
        while not self.typed:  # noqa: ASYNC110  # people type when they like
            await anyio.sleep(0.1)
        return self.typed.pop(0)

    def prompter(self) -> Prompter:
        anybody: Any = self
        prompter = Prompter(Terminal(self.err, self.err, True, True), anybody, anybody)
        prompter.run = anybody
        return prompter


def request(number: int, **metadata: object) -> InputRequestEvent:
    return InputRequestEvent(f"Number {number}?", metadata, request_id=f"r-{number}")


async def test_requests_are_asked_one_after_another() -> None:
    first, second = request(1, who="Ada\x1b"), request(2)
    asking = Asking([first, second], [])
    prompter, answers = asking.prompter(), {}

    async def ask(each: InputRequestEvent) -> None:
        answers[each.prompt] = await prompter.answer(each)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, second)
        await anyio.sleep(0.2)
        assert "Number 2?" not in asking.err.getvalue()
        asking.typed += ["1", "2"]
    assert answers == {"Number 1?": "1", "Number 2?": "2"}
    shown = "? Number 1?\n  who: Ada\\x1b\n  > ? Number 2?\n  > "
    assert (asking.err.getvalue(), asking.pauses) == (shown, 2)


async def test_a_choice_is_asked_for_until_it_is_one() -> None:
    asked = request(1, choices=["tea", "coffee", 5], until="noon")
    asking = Asking([asked], ["water", "tea"])
    assert await asking.prompter().answer(asked) == "tea"
    assert asking.err.getvalue() == (
        "? Number 1?\n  until: noon\n  [tea / coffee]   [tea / coffee] "
    )


async def test_choices_of_another_kind_are_only_shown() -> None:
    asked = request(1, choices="any")
    asking = Asking([asked], ["water"])
    assert await asking.prompter().answer(asked) == "water"
    assert "  choices: any\n  > " in asking.err.getvalue()


async def test_when_the_person_is_gone_nobody_is_asked_any_more() -> None:
    first, second = request(1), request(2)
    asking = Asking([first, second], [None, "2"])
    prompter = asking.prompter()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(prompter.answer, first)
        tasks.start_soon(prompter.answer, second)
        await prompter.gone.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert asking.err.getvalue().count("?") == 2
    assert asking.typed == ["2"]


async def test_a_request_that_is_withdrawn_is_asked_no_longer() -> None:
    asked = request(1)
    asking = Asking([asked], [])
    prompter = asking.prompter()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(prompter.answer, asked)
        await anyio.sleep(1)
        asking.requests.clear()
    assert not prompter.gone.is_set()
    assert await prompter.answer(asked) == ""
    assert asking.pauses == 1
