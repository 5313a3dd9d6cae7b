"""Asking: the open requests of a run, one after another, at the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, cast

import anyio

from .._events import InputRequestEvent
from .._run import Run
from .terminal import Terminal, printable
from .view import View

__all__ = ["Lines", "Prompter"]

_CHUNK = 2**16
_LOOK_AGAIN = 0.5


class Lines:
    """Lines that a person types, read without a thread, so that waiting can be cancelled.

    Args:
        descriptor: of the terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self._ended = False

    async def next(self) -> str | None:
        """Wait for a line; ``None`` if the person has ended the input."""
        while b"\n" not in self._unread and not self._ended:
            chunk = await self._read()
            self._unread += chunk
            self._ended = not chunk
        line, found, self._unread = self._unread.partition(b"\n")
        if not found:
            self._ended = False  # on a terminal there may be more, after all
            return None
        return line.decode(errors="replace").rstrip("\r")

    async def _read(self) -> bytes:
        if sys.platform == "win32":  # pragma: no cover  # there only sockets can be waited for
            return await anyio.to_thread.run_sync(
                os.read, self._descriptor, _CHUNK, abandon_on_cancel=True
            )
        await anyio.wait_readable(self._descriptor)
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal is gone
            return b""


class Prompter:
    """An input handler that asks a person.

    Args:
        terminal: where.
        view: gives way while it asks.
        lines: where the answers come from.

    Attributes:
        run: the run; set before it begins.
        gone: set when the person has ended the input and answers no more.
    """

    def __init__(self, terminal: Terminal, view: View, lines: Lines) -> None:
        self._terminal = terminal
        self._view = view
        self._lines = lines
        self._turn = anyio.Lock()
        self.run: Run[Any] | None = None
        self.gone = anyio.Event()

    async def answer(self, request: InputRequestEvent) -> str:
        """Ask, and wait for the answer; for ever if there is nobody to give it."""
        async with self._turn:
            answer = None
            if self._is_open(request) and not self.gone.is_set():
                with self._view.paused():
                    answer = await self._ask(request)
        if answer is None and self._is_open(request):
            self.gone.set()
            await anyio.sleep_forever()
        return answer or ""  # of a request that nobody waits for any more

    def _is_open(self, request: InputRequestEvent) -> bool:
        assert self.run is not None, "a run is there before it asks"
        return any(each.request_id == request.request_id for each in self.run.requests)

    async def _ask(self, request: InputRequestEvent) -> str | None:
        choices = _choices(request)
        self._terminal.say(f"? {printable(request.prompt)}")
        for name, value in request.metadata.items():
            if name != "choices" or not choices:
                self._terminal.say(f"  {printable(f'{name}: {value}')}")
        while True:
            self._show_prompt(choices)
            line = await self._line(request)
            if line is None or not choices or line in choices:
                return line

    def _show_prompt(self, choices: Sequence[str]) -> None:
        text = f"  [{' / '.join(map(printable, choices))}] " if choices else "  > "
        self._terminal.err.write(text)
        self._terminal.err.flush()

    async def _line(self, request: InputRequestEvent) -> str | None:
        """Wait for a line as long as the request is open."""
        line: str | None = None
        try:
            while line is None and self._is_open(request):
                with anyio.move_on_after(_LOOK_AGAIN):
                    line = await self._lines.next()
                    break
        finally:
            if line is None:
                self._terminal.say("")  # what comes next does not belong behind the prompt
        return line


def _choices(request: InputRequestEvent) -> Sequence[str]:
    """What may be answered, if the request says so."""
    choices = request.metadata.get("choices")
    if not isinstance(choices, (list, tuple)):
        return ()
    found = cast("Sequence[object]", choices)
    return [each for each in found if isinstance(each, str)]
