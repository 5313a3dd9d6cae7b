"""Execution: one run from its first to its last step, shown, asked about, put down or finished.

The rule: the run belongs to an ``async with`` block that is left at once, so that what only the
outside could move on is suspended and not waited for. How it ended is data, told after everything
of it has finished.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from .._exceptions import RunBusyError, RunCancelledError, RunSuspendedError, WorkflowError
from .._run import InputHandler, Run
from .._snapshot import Snapshot
from .._workflow import Workflow
from .errors import DONE, FAILED, INTERRUPTED, WAITING, show_error
from .interrupts import Interrupts, suspend
from .options import Executing
from .plain import to_json
from .prompting import Lines, Prompter
from .terminal import Terminal, command_line, printable
from .view import BoardView, LinesView, View
from .workflows import answers_requests, codec_of

__all__ = ["Execution", "Origin"]


@attrs.frozen(kw_only=True)
class Origin:
    """Where a run comes from, to say how it goes on.

    Attributes:
        workflow: as the command line named it.
        store: likewise; ``None`` if the run is in none.
        snapshot: where to put the run down if it is in no store; ``None`` for the default.
        options: as they were typed.
    """

    workflow: str
    store: str | None
    snapshot: str | None
    options: Executing

    def resume_command(self, run_id: str, snapshot: str | None = None) -> str:
        """The command that goes on with the run."""
        options = {"--snapshot": snapshot, "--store": self.store}
        if self.options.backend != "asyncio":
            options["--backend"] = self.options.backend
        if not self.options.log:
            options["--no-log"] = ""
        what = [self.workflow] if self.store is None else [self.workflow, run_id]
        return command_line("resume", *what, options=options)

    def respond_command(self, run_id: str) -> str:
        """The command that answers what the run asks."""
        what = self.workflow, run_id, "ANSWER"
        return command_line("respond", *what, options={"--store": self.store})

    def watch_command(self, run_id: str) -> str:
        """The command that follows the run where it is executed."""
        return command_line("watch", run_id, options={"--store": self.store})


@attrs.frozen
class _Ended:
    """How a run has ended: with a result or an error."""

    result: Any = None
    error: BaseException | None = None


class Execution:
    """Executes one run of a workflow at the terminal.

    Args:
        workflow: it.
        terminal: where it is shown.
        origin: see :class:`Origin`.
    """

    def __init__(self, workflow: Workflow[Any], terminal: Terminal, origin: Origin) -> None:
        options = origin.options
        self._workflow = workflow
        self._terminal = terminal
        self._origin = origin
        self._interrupts = Interrupts(options.grace)
        self._full = options.traceback
        self._begun = False
        self._codec = codec_of(workflow)
        self._view: View = (
            BoardView(terminal, workflow.name)
            if terminal.live and not options.events
            else LinesView(terminal, self._codec, facts=options.events)
        )
        self._prompter: Prompter | None = None
        if terminal.asks and not answers_requests(workflow):
            lines = Lines(sys.stdin.fileno())
            self._prompter = Prompter(terminal, self._view, lines)

    @property
    def input_handler(self) -> InputHandler | None:
        """What answers the run's requests: the person, unless the workflow has its own way."""
        return None if self._prompter is None else self._prompter.answer

    async def execute(self, run: Run[Any]) -> int:
        """Run to the end, and tell how that was.

        Returns:
            The exit code.
        """
        ended = await self._run_to_end(run)
        if isinstance(ended.error, (SystemExit, KeyboardInterrupt)):
            raise ended.error
        if ended.error is None:
            self._terminal.result(to_json(ended.result, self._codec))
            return DONE
        if isinstance(ended.error, RunSuspendedError):
            return self._put_down(run, ended.error)
        return self._failed(run, ended.error)

    async def _run_to_end(self, run: Run[Any]) -> _Ended:
        ended = _Ended()
        async with anyio.create_task_group() as tasks:
            ended = await self._outcome(run, tasks)
            self._interrupts.scope.cancel()
            if self._prompter is not None:
                self._prompter.gone.set()
        return ended

    async def _outcome(self, run: Run[Any], tasks: TaskGroup) -> _Ended:
        try:
            async with self._workflow, run:
                await self._accompany(run, tasks)
            return _Ended(result=await run.result())
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            return _Ended(error=error)

    async def _accompany(self, run: Run[Any], tasks: TaskGroup) -> None:
        """Begin to show the run, to ask what it asks, and to follow signals."""
        self._begun = True
        stream = self._view.subscribe(run)
        if self._prompter is not None:
            self._prompter.run = run
            tasks.start_soon(self._leave_when_gone, run, self._prompter.gone)
        await tasks.start(self._interrupts.follow, run, self._view)
        tasks.start_soon(self._view.follow, run, stream)

    async def _leave_when_gone(self, run: Run[Any], gone: anyio.Event) -> None:
        await gone.wait()
        await suspend(run, self._interrupts.grace)

    # ---- the end -------------------------------------------------------------------------------

    def _put_down(self, run: Run[Any], error: RunSuspendedError) -> int:
        say, requests = self._terminal.say, error.snapshot.requests
        say(f"blazen-anyio: run {printable(run.run_id)} {_why(len(requests))}")
        for request in requests:
            say(f"  ? {printable(request.prompt)}  ({printable(request.request_id)})")
        if self._origin.store is not None:
            if requests:
                say(f"  answer with: {self._origin.respond_command(run.run_id)}")
            say(f"  go on with: {self._origin.resume_command(run.run_id)}")
            return WAITING
        path = self._origin.snapshot or _file_name(run.run_id)
        try:
            _write_private(Path(path), error.snapshot)
        except (OSError, WorkflowError) as problem:
            show_error(problem, self._terminal.err, full=self._full, hint="the run is lost")
            return FAILED
        say(f"  go on with: {self._origin.resume_command(run.run_id, path)}")
        return WAITING

    def _failed(self, run: Run[Any], error: BaseException) -> int:
        cancelled = isinstance(error, RunCancelledError) and self._interrupts.count > 0
        hint = ""
        if isinstance(error, RunBusyError):
            hint = f"follow it with: {self._origin.watch_command(run.run_id)}"
        elif self._begun and self._origin.store is not None:
            hint = f"go on with: {self._origin.resume_command(run.run_id)}"
        code = show_error(error, self._terminal.err, full=self._full, hint=hint)
        return INTERRUPTED if cancelled else code


def _why(count: int) -> str:
    if not count:
        return "is suspended"
    return f"waits for {'an answer' if count == 1 else f'{count} answers'}"


def _file_name(run_id: str) -> str:
    plain = "".join(each if each.isalnum() or each in "-_." else "_" for each in run_id)
    return f"run-{plain[:80]}.json"


def _write_private(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot as a whole, for nobody else to read: it holds all that the run knows."""
    data = snapshot.to_bytes()
    draft = path.with_name(path.name + ".new")
    with open(draft, "wb", opener=_open_private) as file:
        file.write(data)
    draft.replace(path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
