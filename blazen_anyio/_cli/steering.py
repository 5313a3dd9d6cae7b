"""The commands that change stored runs, or say which would not go on, without executing any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from .._durable import StoredMisfit
from .._store import Store
from .arguments import read_json
from .errors import DONE, FAILED, CommandError
from .fields import event_named, make_event
from .loading import events_of, load_store, load_workflow
from .stored import read_details
from .terminal import Terminal, command_line, printable

__all__ = ["Cancel", "Check", "Remove", "Respond", "Send"]


@attrs.frozen(kw_only=True)
class Send:
    """Give a stored run an event."""

    workflow: str
    run_id: str
    event: str
    data: str
    store: str

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        workflow = load_workflow(self.workflow)
        kind = event_named(self.event, events_of(workflow))
        event = make_event(kind, read_json("--data", self.data))
        async with load_store(self.store, keep_log=True) as store, workflow:
            await workflow.send_to(store, self.run_id, event)
        return _stored(terminal, self.workflow, self.run_id, self.store)


@attrs.frozen(kw_only=True)
class Respond:
    """Answer a request of a stored run."""

    workflow: str
    run_id: str
    answer: str
    request: str | None
    json: bool
    store: str

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        workflow = load_workflow(self.workflow)
        answer = read_json("ANSWER", self.answer) if self.json else self.answer
        async with load_store(self.store, keep_log=True) as store, workflow:
            request = self.request or await self._only_request(store)
            await workflow.respond_to(store, self.run_id, request, answer)
        return _stored(terminal, self.workflow, self.run_id, self.store)

    async def _only_request(self, store: Store) -> str:
        details = await read_details(store, self.run_id)
        if len(details.requests) == 1:
            return details.requests[0].request_id
        if not details.requests:
            raise CommandError(f"run {self.run_id!r} asks nothing", "show tells what it does")
        asked = "; ".join(f"{each.request_id} ({each.prompt})" for each in details.requests)
        raise CommandError(f"run {self.run_id!r} asks several things: {asked}", "say --request ID")


def _stored(terminal: Terminal, workflow: str, run_id: str, store: str) -> int:
    command = command_line("resume", workflow, run_id, "--store", store)
    terminal.say(f"stored; the run takes it up with: {command}")
    return DONE


@attrs.frozen(kw_only=True)
class Cancel:
    """Mark a stored run as cancelled."""

    run_id: str
    store: str

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        async with load_store(self.store, keep_log=True) as store:
            await store.cancel(self.run_id)
        return DONE


@attrs.frozen(kw_only=True)
class Remove:
    """Remove stored runs."""

    run_ids: Sequence[str]
    older_than: float | None
    store: str

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        if not self.run_ids and self.older_than is None:
            raise CommandError("name the runs to remove, or say --older-than")
        async with load_store(self.store) as store:
            missing = [run_id for run_id in self.run_ids if not await store.delete(run_id)]
            if self.older_than is not None:
                count = await store.prune(older_than=self.older_than)
                terminal.say(f"removed {count}")
        if missing:
            raise CommandError(f"no such run: {', '.join(missing)}", code=FAILED)
        return DONE


@attrs.frozen(kw_only=True)
class Check:
    """Find what is wrong with a workflow, and which of its stored runs would not resume."""

    workflow: str
    store: str | None
    renames: Mapping[str, str]

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        workflow = load_workflow(self.workflow)
        misfits: list[StoredMisfit] = []
        if self.store is not None:
            async with load_store(self.store) as store:
                misfits = await workflow.check(store, renames=self.renames)
        for misfit in misfits:
            terminal.result(f"{printable(misfit.run.run_id)}: {printable(str(misfit.error))}")
        terminal.say(
            f"{len(misfits)} stored runs would not resume" if misfits else f"{workflow.name}: fine"
        )
        return FAILED if misfits else DONE
