"""Views: how a run that is executed here is shown while it goes on.

On a terminal a board that is drawn again and again, with the events of the stream as lines above
it. Elsewhere one line of JSON for each event. Both write to standard error. There is no thread: a
task redraws the board.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import anyio
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from .._codec import Codec
from .._events import Event, InputRequestEvent
from .._run import EventStream, Run
from .board import Board, draw
from .plain import event_line
from .terminal import Terminal, printable

__all__ = ["BoardView", "LinesView", "View", "console_for"]

_REDRAW = 0.1
_ASKING = ("running", "paused", "suspended")


class View(Protocol):
    """Shows a run."""

    def subscribe(self, run: Run[Any]) -> EventStream:
        """Begin to collect what is to be shown, before the run does anything."""
        ...

    async def follow(self, run: Run[Any], stream: EventStream) -> None:
        """Show the run until it has ended."""
        ...

    def say(self, text: str) -> None:
        """Show a line besides."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """A context manager: the terminal is somebody else's inside."""
        ...


def console_for(terminal: Terminal) -> Console:
    """Make a console on standard error."""
    return Console(file=terminal.err, highlight=False, markup=False, emoji=False)


class LinesView:
    """One line of JSON for each event.

    Args:
        terminal: where to.
        codec: knows the classes of the workflow.
        facts: show what the engine does, too.
    """

    def __init__(self, terminal: Terminal, codec: Codec, *, facts: bool) -> None:
        self._terminal = terminal
        self._codec = codec
        self._facts = facts

    def subscribe(self, run: Run[Any]) -> EventStream:
        """See :class:`View`; nothing is left out: the run waits for who reads the lines."""
        return run.stream_events(overflow="block", lifecycle=self._facts)

    async def follow(self, run: Run[Any], stream: EventStream) -> None:
        """See :class:`View`."""
        async with stream:
            async for event in stream:
                self._terminal.say(event_line(event, stream.path, self._codec))

    def say(self, text: str) -> None:
        """See :class:`View`."""
        self._terminal.say(text)

    @contextmanager
    def paused(self) -> Generator[None]:
        """See :class:`View`; there is nothing to pause."""
        yield


class BoardView:
    """A board on a terminal.

    Args:
        terminal: where to.
        workflow: the name of the workflow.
    """

    def __init__(self, terminal: Terminal, workflow: str) -> None:
        self._console = console_for(terminal)
        self._workflow = workflow
        self._live: Live | None = None
        self._held: list[str] = []
        self._run: Run[Any] | None = None
        self._begun = 0.0
        self._follows = False
        self._given_away = False

    def subscribe(self, run: Run[Any]) -> EventStream:
        """See :class:`View`; who can't read so fast sees the newest."""
        return run.stream_events(overflow="drop_oldest")

    async def follow(self, run: Run[Any], stream: EventStream) -> None:
        """See :class:`View`."""
        self._run, self._begun, self._follows = run, anyio.current_time(), True
        self._put_up_or_take_down()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._redraw_often)
                async for event in stream:
                    self._show(event)
                tasks.cancel_scope.cancel()
        finally:
            self._follows = False
            self._put_up_or_take_down()

    def say(self, text: str) -> None:
        """See :class:`View`."""
        self._console.print(Text(text, "yellow"))
        self._console.show_cursor(True)  # the next signal may end the process as it is

    @contextmanager
    def paused(self) -> Generator[None]:
        """See :class:`View`; it may come before the board, and end after it."""
        self._given_away = True
        self._put_up_or_take_down()
        try:
            yield
        finally:
            self._given_away = False
            self._put_up_or_take_down()

    async def _redraw_often(self) -> None:
        while True:
            if self._live is not None:
                self._show_held()
                self._live.update(self._board(), refresh=True)
            await anyio.sleep(_REDRAW)

    def _show(self, event: Event) -> None:
        """Keep a line for the next time: many at once cost no more than one."""
        if not isinstance(event, InputRequestEvent):
            self._held.append(printable(repr(event)))

    def _show_held(self) -> None:
        """Show what has come, also while the terminal was somebody else's."""
        held, self._held = self._held, []
        if held:
            self._console.print(Text("\n".join(held), "dim"))

    def _board(self) -> RenderableType:
        run = self._run
        assert run is not None, "there is a run while the board is shown"
        return draw(
            Board(
                workflow=self._workflow,
                run_id=run.run_id,
                status=run.status,
                elapsed=anyio.current_time() - self._begun,
                steps=run.statistics().steps,
                requests=[request.prompt for request in run.requests if run.status in _ASKING],
            )
        )

    def _put_up_or_take_down(self) -> None:
        wanted = self._follows and not self._given_away
        if wanted and self._live is None:
            self._live = Live(self._board(), console=self._console, auto_refresh=False)
            self._live.start(refresh=True)
            self._show_held()
        elif not wanted and self._live is not None:
            self._show_held()
            live, self._live = self._live, None
            live.update(self._board())
            live.transient = self._follows  # the last one stays on the terminal
            live.stop()
