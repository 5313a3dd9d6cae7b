"""The commands that execute a run: start one, go on with one, begin one as another was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from .._run import Run
from .._snapshot import Snapshot
from .._store import Store
from .._workflow import Workflow
from .arguments import read_json
from .errors import CommandError
from .fields import event_named, make_event
from .loading import events_of, load_store, load_workflow, start_of
from .options import Executing
from .running import Execution, Origin
from .terminal import Terminal, printable

__all__ = ["Fork", "Resume", "Start"]


@attrs.frozen(kw_only=True)
class _Executes:
    """A command that executes a run.

    Attributes:
        workflow, store: as they were typed.
        options: see there.
        snapshot: the file for a run in no store, if it was named.
    """

    workflow: str
    store: str | None
    options: Executing
    snapshot: str | None = None

    def execution(self, workflow: Workflow[Any], terminal: Terminal) -> Execution:
        """Make what executes it."""
        origin = Origin(
            workflow=self.workflow,
            store=self.store,
            snapshot=self.snapshot,
            backend=self.options.backend,
        )
        return Execution(workflow, terminal, origin, self.options)

    def opened(self, *, create: bool = False) -> Store:
        """The store, of which there has to be one."""
        if self.store is None:
            raise CommandError("which store is the run in?", "say --store runs.db")
        return load_store(self.store, keep_log=self.options.log, create=create)


@attrs.frozen(kw_only=True)
class Start(_Executes):
    """Start a run, or go on with it if the store has it."""

    input: str
    start: str | None
    run_id: str | None

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        workflow = load_workflow(self.workflow)
        event = make_event(self._kind(workflow), read_json("--input", self.input))
        execution = self.execution(workflow, terminal)
        handler = execution.input_handler
        if self.store is None:
            run = workflow.start(event, run_id=self.run_id, input_handler=handler)
            return await execution.execute(run)
        async with self.opened(create=True) as store:
            run = workflow.start(event, run_id=self.run_id, store=store, input_handler=handler)
            return await execution.execute(run)

    def _kind(self, workflow: Workflow[Any]) -> Any:
        if self.start is not None:
            return event_named(self.start, events_of(workflow))
        try:
            return start_of(workflow)
        except TypeError as error:
            raise CommandError(str(error), "name it with --start") from error


@attrs.frozen(kw_only=True)
class Resume(_Executes):
    """Go on with a run from a store or a file."""

    run_id: str | None
    renames: Mapping[str, str]
    answers: Mapping[str, str]

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        if (self.run_id is None) == (self.snapshot is None):
            raise CommandError("name a run and its --store, or a file with --snapshot")
        workflow = load_workflow(self.workflow)
        execution = self.execution(workflow, terminal)
        if self.run_id is None:
            return await execution.execute(self._from_file(workflow, execution))
        async with self.opened() as store:
            run = workflow.resume_from(
                store,
                self.run_id,
                responses=self.answers,
                renames=self.renames,
                input_handler=execution.input_handler,
            )
            return await execution.execute(run)

    def _from_file(self, workflow: Workflow[Any], execution: Execution) -> Run[Any]:
        path = self.snapshot or ""
        try:
            snapshot = Snapshot.from_bytes(Path(path).read_bytes())
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        return workflow.resume(
            snapshot,
            responses=self.answers,
            renames=self.renames,
            input_handler=execution.input_handler,
        )


@attrs.frozen(kw_only=True)
class Fork(_Executes):
    """Begin a new run with what another was, and run it."""

    run_id: str
    at: int
    new_run_id: str | None
    renames: Mapping[str, str]

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        workflow = load_workflow(self.workflow)
        execution = self.execution(workflow, terminal)
        async with self.opened() as store:
            run = workflow.fork(
                store,
                self.run_id,
                at=self.at,
                new_run_id=self.new_run_id,
                renames=self.renames,
                input_handler=execution.input_handler,
            )
            terminal.say(f"run {printable(run.run_id)} begins as {printable(self.run_id)} was")
            return await execution.execute(run)
