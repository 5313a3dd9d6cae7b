"""A stored run that nobody executes is sent events, answered and cancelled, and no step begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from blazen_anyio import (
    AttemptLostError,
    Context,
    InputRequestEvent,
    InputResponseEvent,
    NoHandlerError,
    RunBusyError,
    RunEndedError,
    RunSuspendedError,
    StateValueError,
    StepFailedError,
    StopEvent,
    StoreError,
    UnknownRequestError,
    Workflow,
    WorkflowFullError,
    step,
)
from blazen_anyio._store import Claim, Commit, StoredRun
from blazen_anyio.stores import MemoryStore, Seal

from .kit import Done, Go, Live, Log, Note, Work, settle
from .stores import contents

pytestmark = pytest.mark.anyio


def listening(log: Log) -> Workflow[Any]:
    """Asks once, takes notes from outside, and ends with the answer and the notes."""

    @step
    async def begin(ev: Go) -> InputRequestEvent:
        log("begin")
        return InputRequestEvent("how many?")

    @step(max_pending=2)
    async def note(ev: Note, ctx: Context) -> None:
        log(f"note {ev.text}")
        ctx.state.apply("notes", lambda notes: [*notes, ev.text], default=[])

    @step
    async def live(ev: Live) -> None:
        log("live")

    @step
    async def end(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=(ev.response, ctx.state.get("notes")))

    return Workflow("listening", [begin, note, live, end], external=[Note, Live])


async def begun(workflow: Workflow[Any], store: MemoryStore) -> str:
    """Begin a run that then waits; return the id of its request."""
    with pytest.raises(RunSuspendedError) as caught:
        await workflow.run(Go(), run_id="run", store=store)
    return caught.value.snapshot.requests[0].request_id


async def stored(store: MemoryStore) -> StoredRun:
    run = await store.load("run")
    assert run is not None
    return run


async def test_events_and_answers_are_there_when_the_run_goes_on() -> None:
    log = Log()
    workflow = listening(log)
    async with MemoryStore(keep_log=True) as store:
        request = await begun(workflow, store)
        await workflow.send_to(store, "run", Note("a"))
        await workflow.send_to(store, "run", Note("b"))
        assert (await stored(store)).note == "waits for an answer to: how many?"
        await workflow.respond_to(store, "run", request, 3)
        run = await stored(store)
        assert (run.status, run.owner, run.note) == ("suspended", None, "")
        assert log.lines == ["begin"]
        [recovered] = await workflow.recover(store)
    assert recovered.result == (3, ["a", "b"])
    assert log.lines == ["begin", "note a", "note b"]


async def test_an_answer_may_be_sent_as_an_event() -> None:
    workflow = listening(Log())
    async with MemoryStore() as store:
        request = await begun(workflow, store)
        await workflow.send_to(store, "run", InputResponseEvent(request, 4))
        [recovered] = await workflow.recover(store)
    assert recovered.result == (4, None)


async def test_what_is_refused_changes_nothing() -> None:
    workflow = listening(Log())
    async with MemoryStore(keep_log=True) as store:
        await begun(workflow, store)
        _, rows, log = contents(store)["run"]
        with pytest.raises(NoHandlerError):
            await workflow.send_to(store, "run", Work(1))
        with pytest.raises(UnknownRequestError):
            await workflow.respond_to(store, "run", "other", 1)
        with pytest.raises(StateValueError, match="thing"):
            await workflow.send_to(store, "run", Live(object()))
        with pytest.raises(TypeError, match="send_to takes an event, not int"):
            await workflow.send_to(store, "run", 1)  # type: ignore[arg-type]
        run, *others = contents(store)["run"]
        assert (run.status, run.sequence, run.owner) == ("suspended", len(log), None)
        assert others == [rows, log]


async def test_a_full_step_takes_no_more_from_outside() -> None:
    workflow = listening(Log())
    async with MemoryStore() as store:
        await begun(workflow, store)
        await workflow.send_to(store, "run", Note("a"))
        await workflow.send_to(store, "run", Note("b"))
        with pytest.raises(WorkflowFullError):
            await workflow.send_to(store, "run", Note("c"))


async def test_while_somebody_executes_the_run_only_they_can_tell_it_anything() -> None:
    workflow = listening(Log())
    async with MemoryStore() as store, workflow.start(Go(), run_id="run", store=store) as run:
        await settle()
        async with store.another() as other:
            with pytest.raises(RunBusyError):
                await workflow.send_to(other, "run", Note("a"))
            with pytest.raises(RunBusyError):
                await workflow.respond_to(other, "run", run.requests[0].request_id, 1)
            with pytest.raises(RunBusyError):
                await other.cancel("run")
        run.respond_to_input(run.requests[0].request_id, 1)
        assert await run.result() == (1, None)


async def test_a_run_that_has_ended_takes_nothing() -> None:
    workflow = listening(Log())
    async with MemoryStore() as store:
        request = await begun(workflow, store)
        await store.cancel("run")
        with pytest.raises(RunEndedError, match="cancelled; resume_from goes on"):
            await workflow.send_to(store, "run", Note("a"))
        async with workflow.resume_from(store, "run", responses={request: 1}) as run:
            assert await run.result() == (1, None)
        with pytest.raises(RunEndedError, match="has ended: completed$"):
            await workflow.respond_to(store, "run", request, 1)
        with pytest.raises(RunEndedError, match="has completed already"):
            await store.cancel("run")


async def test_a_run_that_is_not_there_is_told() -> None:
    workflow = listening(Log())
    async with MemoryStore() as store:
        for ask in (
            workflow.send_to(store, "run", Note("a")),
            workflow.respond_to(store, "run", "r", 1),
            store.cancel("run"),
        ):
            with pytest.raises(StoreError, match="there is no run 'run'"):
                await ask


async def test_it_may_complete_while_it_is_looked_at() -> None:
    """Between the look at its status and the claim."""
    workflow = listening(Log())

    class LateStore(MemoryStore):
        late = True

        async def claim(self, run_id: str) -> Claim | None:
            if self.late:
                self.late = False
                async with workflow.resume_from(self, "run", responses={request: 1}) as run:
                    await run.result()
            return await super().claim(run_id)

    async with LateStore() as store:
        request = await begun(workflow, store)
        with pytest.raises(RunEndedError, match="has ended: completed"):
            await workflow.send_to(store, "run", Note("a"))


async def test_what_a_dead_process_had_begun_may_fail_the_run_first() -> None:
    """Then the event is not taken, and the error is that of the run."""

    @step(delivery="at_most_once")
    async def once(ev: Go) -> Done:
        await anyio.sleep_forever()
        return Done()

    @step
    async def end(ev: Done | Note) -> StopEvent:
        return StopEvent()

    workflow = Workflow("once", [once, end], external=[Note])
    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            async with workflow.start(Go(), run_id="run", store=store):
                await settle()
                store.abandon()
                await anyio.sleep_forever()
        with pytest.raises(StepFailedError, match="once") as caught:
            await workflow.send_to(store, "run", Note("a"))
        assert isinstance(caught.value.__cause__, AttemptLostError)
        assert not any(b"durable.Note" in row.body for row in contents(store)["run"][1].values())
        assert (await stored(store)).status == "failed"


class BrokenStore(MemoryStore):
    """Fails to commit when it is told to."""

    broken = False

    async def commit(self, commits: Sequence[Commit]) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        await super().commit(commits)


async def test_a_store_that_fails_is_told_and_leaves_the_run_free() -> None:
    workflow = listening(Log())
    async with BrokenStore() as store:
        await begun(workflow, store)
        store.broken = True
        with pytest.raises(StoreError, match="disk is full"):
            await workflow.send_to(store, "run", Note("a"))
        with pytest.raises(StoreError, match="disk is full"):
            await store.cancel("run")
        store.broken = False
        run = await stored(store)
        assert (run.status, run.owner) == ("suspended", None)
        assert isinstance(await store.claim("run"), Claim)


# ---- cancelling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_log", [True, False])
async def test_a_cancelled_run_is_left_alone_and_all_of_it_stays(keep_log: bool) -> None:
    workflow = listening(Log())
    async with MemoryStore(keep_log=keep_log, seal=Seal(key=b"k")) as store:
        request = await begun(workflow, store)
        await store.cancel("run")
        run = await stored(store)
        assert (run.status, run.owner, run.note) == ("cancelled", None, "")
        history = await store.history("run")
        if keep_log:
            last = history[-1]
            assert (last.sequence, last.status) == (run.sequence, "cancelled")
            assert [fact.kind for fact in last.facts] == ["run_cancelled"]
        else:
            assert history == []
        assert await workflow.recover(store) == []
        async with workflow.resume_from(store, "run", responses={request: 1}) as again:
            assert await again.result() == (1, None)


async def test_a_cancelled_run_can_be_forked_as_it_was() -> None:
    workflow = listening(Log())
    async with MemoryStore(keep_log=True) as store:
        await begun(workflow, store)
        await store.cancel("run")
        at = (await stored(store)).sequence
        async with workflow.fork(store, "run", at=at, new_run_id="other") as run:
            await settle()
            run.respond_to_input(run.requests[0].request_id, 2)
            assert await run.result() == (2, None)
