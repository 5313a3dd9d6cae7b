"""Stored runs are begun once, taken up, recovered, and end as their users were told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    RunBusyError,
    RunCancelledError,
    RunLostError,
    RunSuspendedError,
    SnapshotError,
    StepFailedError,
    StopEvent,
    StoreError,
    UnknownRequestError,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

from .kit import Boom, Done, End, Go, Log, Note, Work, hops, settle
from .stores import contents, image_of

pytestmark = pytest.mark.anyio


def counted(log: Log, seconds: float = 5) -> Workflow[Any]:
    """Two steps, of which the second takes its time."""

    @step
    async def begin(ev: Go) -> Work:
        log("begin")
        return Work(ev.n)

    @step
    async def work(ev: Work, ctx: Context) -> StopEvent:
        log("work")
        await anyio.sleep(seconds)
        ctx.state["n"] = ev.n
        return StopEvent(result=ev.n)

    return Workflow("counted", [begin, work])


def asking(log: Log | None = None) -> Workflow[Any]:
    @step
    async def ask(ev: Go) -> InputRequestEvent:
        return InputRequestEvent("how many?")

    @step
    async def take(ev: InputResponseEvent) -> StopEvent:
        if log is not None:
            log(f"took {ev.response}")
        return StopEvent(result=ev.response)

    return Workflow("asking", [ask, take])


async def status_of(store: MemoryStore, run_id: str = "run") -> str:
    run = await store.load(run_id)
    assert run is not None
    return run.status


# ---- beginning -----------------------------------------------------------------------------------


async def test_a_run_that_has_completed_gives_its_result_and_does_not_run_again() -> None:
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store:
        for _ in range(2):
            assert await workflow.run(Go(3), run_id="run", store=store) == 3
        async with workflow.start(Go(9), run_id="run", store=store) as run:
            assert await run.result() == 3
            assert run.status == "completed"
        async with workflow.resume_from(store, "run") as run:
            assert await run.result() == 3
        assert log.lines == ["begin", "work"]


async def test_a_typed_result_comes_back_as_it_was() -> None:
    @step
    async def work(ev: Go) -> End:
        return End(n=ev.n)

    workflow = Workflow("w", [work], stop=End)
    async with MemoryStore() as store:
        for _ in range(2):
            assert await workflow.run(Go(3), run_id="run", store=store) == End(n=3)


async def test_a_run_without_an_id_gets_one_that_finds_it() -> None:
    async with MemoryStore() as store:
        async with hops.start(n=2, store=store) as run:
            pass
        assert (await store.list())[0].run_id == run.run_id


async def test_a_finished_run_leaves_no_rows_but_its_result() -> None:
    async with MemoryStore() as store:
        await counted(Log()).run(Go(3), run_id="run", store=store)
        found = await store.read("run")
        assert found is not None
        assert [row.key for row in found[1]] == ["result"]


async def test_starting_twice_at_the_same_time_runs_once() -> None:
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store, workflow.start(Go(3), run_id="run", store=store) as run:
        for process in (store, store.another()):
            async with anyio.create_task_group():  # entering a handle twice is another's business
                if process is not store:
                    await process.__aenter__()
                with pytest.raises(RunBusyError) as caught:
                    await workflow.run(Go(4), run_id="run", store=process)
                assert caught.value.run_id == "run"
                with pytest.raises(RunBusyError):
                    async with workflow.resume_from(process, "run"):
                        raise AssertionError
        assert await run.result() == 3
        assert log.lines == ["begin", "work"]


async def test_starting_one_that_nobody_executes_goes_on_with_it() -> None:
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            await workflow.run(Go(3), run_id="run", store=store)
        assert await workflow.run(Go(4), run_id="run", store=store) == 3
    assert log.lines == ["begin", "work", "work"]


async def test_a_run_of_another_workflow_is_refused_and_stays_as_it_is() -> None:
    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            await counted(Log()).run(Go(3), run_id="run", store=store)
        await hops.run(n=1, run_id="done", store=store)
        before = contents(store)
        with pytest.raises(SnapshotError, match="of workflow 'counted', not of 'hops'"):
            await hops.run(n=1, run_id="run", store=store)
        with pytest.raises(SnapshotError, match="of workflow 'hops', not of 'counted'"):
            await counted(Log()).run(Go(1), run_id="done", store=store)
        assert contents(store) == before


# ---- ends ----------------------------------------------------------------------------------------


async def test_one_that_failed_goes_on_with_what_it_had_not_handled() -> None:
    log = Log()
    fails = [True]

    @step
    async def begin(ev: Go) -> tuple[Work, Work]:
        log("begin")
        return Work(1), Work(2)

    @step(max_concurrency=1)
    async def work(ev: Work, ctx: Context) -> StopEvent | None:
        log(f"work {ev.n}")
        if ev.n == 1:
            return None
        if fails.pop() if fails else False:
            raise Boom
        return StopEvent(result="done")

    workflow = Workflow("w", [begin, work])
    async with MemoryStore() as store:
        with pytest.raises(StepFailedError) as caught:
            await workflow.run(Go(), run_id="run", store=store)
        assert isinstance(caught.value.__cause__, Boom)
        run = await store.load("run")
        assert run is not None
        assert (run.status, run.owner) == ("failed", None)
        assert run.note.startswith("StepFailedError: step 'work' failed on Work")
        assert await workflow.recover(store) == []
        assert await workflow.run(Go(), run_id="run", store=store) == "done"
    assert log.lines == ["begin", "work 1", "work 2", "work 2"]


async def test_one_that_was_cancelled_is_refused_by_a_start_and_taken_up_by_name() -> None:
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store:
        async with workflow.start(Go(3), run_id="run", store=store) as run:
            await settle()
            run.cancel()
        assert await status_of(store) == "cancelled"
        with pytest.raises(RunCancelledError, match="'run' was cancelled"):
            await workflow.run(Go(3), run_id="run", store=store)
        assert await workflow.recover(store) == []
        async with workflow.resume_from(store, "run") as run:
            assert await run.result() == 3


async def test_a_cancellation_from_outside_leaves_a_run_to_be_recovered() -> None:
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store:
        with anyio.move_on_after(1) as scope:
            await workflow.run(Go(3), run_id="run", store=store)
        assert scope.cancelled_caught
        run = await store.load("run")
        assert run is not None
        assert (run.status, run.owner, run.note) == ("running", None, "")
        [recovered] = await workflow.recover(store)
        assert (recovered.run_id, recovered.result, recovered.error) == ("run", 3, None)


async def test_so_does_one_before_the_run_has_begun() -> None:
    """The run is in the store by then, and must not stay this process's for ever."""
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await workflow.run(Go(3), run_id="run", store=store)
        with anyio.CancelScope() as scope:
            async with workflow.start(Go(4), run_id="other", store=store):
                scope.cancel()
        assert log.lines == []
        found = {each.run_id: each.result for each in await workflow.recover(store)}
        assert found in ({"run": 3, "other": 4}, {"other": 4})


async def test_so_does_an_exception_in_the_block() -> None:
    workflow = counted(Log())
    async with MemoryStore() as store:
        with pytest.raises(Boom):
            async with workflow.start(Go(3), run_id="run", store=store):
                await settle()
                raise Boom
        assert await status_of(store) == "running"
        assert [each.result for each in await workflow.recover(store)] == [3]


async def test_a_suspended_run_is_stored_as_one_and_goes_on() -> None:
    log = Log()
    workflow = counted(log)
    async with MemoryStore() as store:
        async with workflow.start(Go(3), run_id="run", store=store) as run:
            await settle()
            snapshot = await run.suspend()
        assert snapshot.run_id == "run"
        assert await status_of(store) == "suspended"
        [recovered] = await workflow.recover(store)
        assert recovered.result == 3
        assert await status_of(store) == "completed"


async def test_the_error_of_a_suspension_carries_the_snapshot_as_ever() -> None:
    async with MemoryStore() as store:
        run = counted(Log()).start(Go(3), run_id="run", store=store)
        async with run:
            run.pause()
            with anyio.CancelScope():
                await settle()
            await run.suspend()
        with pytest.raises(RunSuspendedError):
            await run.result()


async def test_a_run_that_waits_for_a_human_is_stored_with_its_question() -> None:
    log = Log()
    workflow = asking(log)
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError) as caught:
            await workflow.run(Go(), run_id="run", store=store)
        [request] = caught.value.requests
        run = await store.load("run")
        assert run is not None
        assert (run.status, run.note) == ("suspended", "waits for an answer to: how many?")
        with pytest.raises(InputRequiredError):
            await workflow.run(Go(), run_id="run", store=store)
        async with workflow.resume_from(store, "run", responses={request.request_id: 7}) as resumed:
            assert await resumed.result() == 7
    assert log.lines == ["took 7"]


async def test_the_question_of_a_child_run_shows_too() -> None:
    child = asking()

    @step
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, ev))

    workflow = Workflow("outer", [delegate])
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError) as caught:
            await workflow.run(Go(), run_id="run", store=store)
        run = await store.load("run")
        assert run is not None
        assert run.note == "waits for an answer to: how many?"
        [request] = caught.value.requests
        async with workflow.resume_from(store, "run", responses={request.request_id: 7}) as again:
            assert await again.result() == 7


async def test_an_answer_to_no_request_is_refused_and_the_run_stays_free() -> None:
    workflow = asking()
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError):
            await workflow.run(Go(), run_id="run", store=store)
        with pytest.raises(UnknownRequestError):
            async with workflow.resume_from(store, "run", responses={"another": 7}):
                raise AssertionError
        run = await store.load("run")
        assert run is not None
        assert (run.status, run.owner) == ("suspended", None)


async def test_an_answer_given_while_it_runs_is_stored_when_flushed() -> None:
    workflow = asking()
    async with MemoryStore() as store:
        async with workflow.start(Go(), run_id="run", store=store) as run:
            await settle()
            run.pause()
            run.respond_to_input(run.requests[0].request_id, 7)
            await run.flush()
            image = image_of(store)
            run.resume()
            assert await run.result() == 7
        async with image:
            assert (await workflow.recover(image))[0].result == 7


async def test_a_run_that_idles_for_events_is_suspended_and_takes_one_when_it_goes_on() -> None:
    @step
    async def begin(ev: Go) -> None: ...

    @step
    async def take(ev: Note) -> StopEvent:
        return StopEvent(result=ev.text)

    workflow = Workflow("w", [begin, take], external=[Note])
    async with MemoryStore() as store:
        with pytest.raises(RunSuspendedError):
            await workflow.run(Go(), run_id="run", store=store)
        assert await status_of(store) == "suspended"
        async with workflow.resume_from(store, "run") as run:
            assert await status_of(store) == "suspended"
            run.send_event(Note("hello"))
            await run.flush()
            image = image_of(store)
            assert await run.result() == "hello"
            await run.flush()
        async with image:
            assert await workflow.run(Go(), run_id="run", store=image) == "hello"


async def test_flush_of_a_run_without_a_store_has_nothing_to_wait_for() -> None:
    async with hops.start(n=1) as run:
        await run.flush()


# ---- recovering ----------------------------------------------------------------------------------


async def test_recover_takes_up_all_unfinished_runs_some_at_a_time_and_each_ends_for_itself() -> (
    None
):
    running, most = 0, 0
    crashing = True

    @step
    async def begin(ev: Go) -> Work:
        return Work(ev.n)

    @step
    async def work(ev: Work) -> StopEvent:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await anyio.sleep(100 if crashing or ev.n == 4 else 5)
            if ev.n == 2:
                raise Boom
            return StopEvent(result=ev.n)
        finally:
            running -= 1

    workflow = Workflow("w", [begin, work])
    async with MemoryStore() as store:
        async with anyio.create_task_group() as group:
            for n in range(5):
                group.start_soon(_run_as, workflow, store, n)
                await settle()
            group.cancel_scope.cancel()
        await hops.run(n=1, store=store)
        crashing, most = False, 0
        async with store.another() as other, workflow.resume_from(other, "run 4") as busy:
            recovered = await workflow.recover(store, max_runs=2)
            assert await busy.result() == 4
        assert most == 3, "two of recover's and the one that another process executes"
        assert [each.run_id for each in recovered] == ["run 0", "run 1", "run 2", "run 3"]
        assert [each.result for each in recovered] == [0, 1, None, 3]
        assert isinstance(recovered[2].error, StepFailedError)
        assert await workflow.recover(store) == []


async def _run_as(workflow: Workflow[Any], store: MemoryStore, n: int) -> None:
    await workflow.run(Go(n), run_id=f"run {n}", store=store)


async def test_a_recovery_that_is_cancelled_leaves_the_runs_to_the_next() -> None:
    workflow = counted(Log())
    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            await workflow.run(Go(3), run_id="run", store=store)
        with anyio.move_on_after(1) as scope:
            await workflow.recover(store)
        assert scope.cancelled_caught
        assert [each.result for each in await workflow.recover(store)] == [3]


async def test_recover_lets_out_what_is_no_failure_of_a_run() -> None:
    exits: list[bool] = []

    @step
    async def work(ev: Go) -> StopEvent:
        if exits:
            raise SystemExit(3)
        await anyio.sleep(5)
        return StopEvent()

    workflow = Workflow("w", [work])
    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            await workflow.run(Go(), run_id="run", store=store)
        exits.append(True)
        with pytest.raises(SystemExit):
            await workflow.recover(store)
        assert await status_of(store) == "failed"


async def test_two_that_are_no_failures_come_together() -> None:
    class Late(MemoryStore):
        async def read(self, run_id: str) -> Any:
            await settle()
            raise SystemExit(run_id)

    async with MemoryStore() as store:
        for run_id in ("one", "two"):
            with anyio.move_on_after(1):
                await counted(Log()).run(Go(3), run_id=run_id, store=store)
        late = Late()
        late._data = store._data
        async with late:
            with pytest.raises(SystemExit):
                await counted(Log()).recover(late)


async def test_a_run_that_is_gone_is_named() -> None:
    async with MemoryStore() as store:
        with pytest.raises(StoreError, match="there is no run 'run' in the store"):
            async with hops.resume_from(store, "run"):
                raise AssertionError


async def test_a_run_that_goes_while_it_is_taken_up_is_named() -> None:
    class Slow(MemoryStore):
        async def claim(self, run_id: str) -> Any:
            del self._data.runs[run_id]
            return await super().claim(run_id)

    async with Slow() as store:
        with anyio.move_on_after(1):
            await counted(Log()).run(Go(3), run_id="run", store=store)
        with pytest.raises(StoreError, match="there is no run 'run' in the store"):
            await counted(Log()).run(Go(3), run_id="run", store=store)


async def test_a_run_that_completes_while_it_is_taken_up_gives_its_result() -> None:
    log = Log()

    class Slow(MemoryStore):
        async def claim(self, run_id: str) -> Any:
            async with self.another() as other:
                with anyio.move_on_after(10):
                    await counted(log).run(Go(3), run_id=run_id, store=other)
            return await super().claim(run_id)

    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            await counted(log).run(Go(3), run_id="run", store=store)
        slow = Slow()
        slow._data = store._data
        async with slow:
            assert await counted(log).run(Go(3), run_id="run", store=slow) == 3
    assert log.lines == ["begin", "work", "work"]


# ---- owners --------------------------------------------------------------------------------------


async def test_a_run_that_was_taken_over_is_cancelled_and_commits_nothing_more() -> None:
    log = Log()

    @step
    async def begin(ev: Go) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def slow(ev: Work) -> None:
        with log.around("slow"):
            await anyio.sleep(100)

    @step
    async def work(ev: Done) -> Note:
        await anyio.sleep(5)
        return Note()

    @step
    async def note(ev: Note) -> StopEvent:
        return StopEvent(result="by whom?")

    workflow = Workflow("w", [begin, slow, work, note])
    async with MemoryStore() as store, store.another() as other:
        with pytest.raises(RunLostError) as caught:
            async with workflow.start(Go(), run_id="run", store=store):
                await settle()
                store.abandon()
                assert (await other.claim("run")) is not None
                before = contents(store)
                await anyio.sleep(5)
        assert caught.value.run_id == "run"
        assert log.lines == ["slow begins", "slow ends"]
        assert contents(store) == before
        await other.release("run", 2)
        async with workflow.resume_from(other, "run") as run:
            assert await run.result() == "by whom?"


async def test_a_run_that_was_deleted_is_lost() -> None:
    workflow = counted(Log())
    async with MemoryStore() as store:
        with pytest.raises(RunLostError):
            async with workflow.start(Go(3), run_id="run", store=store):
                await settle()
                del store._data.runs["run"]


# ---- from a snapshot -----------------------------------------------------------------------------


async def test_a_snapshot_becomes_a_stored_run_of_the_same_id() -> None:
    log = Log()
    workflow = counted(log)
    async with workflow.start(Go(3), run_id="run") as run:
        await settle()
        snapshot = await run.suspend()
    async with MemoryStore() as store:
        with anyio.move_on_after(1):
            async with workflow.resume(snapshot, store=store):
                await anyio.sleep(2)
        assert await status_of(store) == "running"
        [recovered] = await workflow.recover(store)
        assert recovered.result == 3
        with pytest.raises(StoreError, match="in the store already; take it up with resume_from"):
            async with workflow.resume(snapshot, store=store):
                raise AssertionError
    assert log.lines == ["begin", "work", "work", "work"]


async def test_answers_that_come_with_a_snapshot_are_stored_with_it() -> None:
    workflow = asking()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run(Go(), run_id="run")
    responses = {caught.value.requests[0].request_id: 7}
    async with MemoryStore() as store:
        resumed = workflow.resume(caught.value.snapshot, responses=responses, store=store)
        async with resumed as run:
            await run.flush()
            assert await run.result() == 7
        assert await status_of(store) == "completed"


# ---- forking -------------------------------------------------------------------------------------


async def test_a_fork_begins_a_run_of_its_own_and_does_not_touch_the_first() -> None:
    log = Log()
    workflow = counted(log, 0)
    async with MemoryStore(keep_log=True) as store:
        assert await workflow.run(Go(3), run_id="run", store=store) == 3
        before = contents(store)["run"]
        async with workflow.fork(store, "run", at=1, new_run_id="fork") as run:
            assert run.run_id == "fork"
            assert await run.result() == 3
        async with workflow.fork(store, "run", at=2) as run:
            assert await run.result() == 3
        assert contents(store)["run"] == before
        assert await status_of(store, "fork") == "completed"
        assert log.lines == ["begin", "work", "begin", "work", "work"]
        with pytest.raises(StoreError, match="in the store already"):
            async with workflow.fork(store, "run", at=1, new_run_id="fork"):
                raise AssertionError
        async with workflow.fork(store, "fork", at=1) as run:
            assert await run.result() == 3


async def test_a_fork_needs_a_log_and_a_commit_from_which_to_go_on() -> None:
    workflow = counted(Log(), 0)
    async with MemoryStore(keep_log=True) as store:
        await workflow.run(Go(3), run_id="run", store=store)
        last = len(await store.history("run"))
        for at, reason in ((last, "had completed by commit"), (last + 1, "no log up to commit")):
            with pytest.raises(StoreError, match=reason):
                async with workflow.fork(store, "run", at=at):
                    raise AssertionError
        with pytest.raises(StoreError, match="no log up to commit 1"):
            async with workflow.fork(store, "another", at=1):
                raise AssertionError
    async with MemoryStore() as store:
        await workflow.run(Go(3), run_id="run", store=store)
        with pytest.raises(StoreError, match="keep_log=True"):
            async with workflow.fork(store, "run", at=1):
                raise AssertionError


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_commit_and_what_it_tells_are_in_one_entry_of_the_log(durability: Any) -> None:
    """So a crash after any commit leaves no finished attempt without its end."""

    @step
    async def begin(ev: Go) -> Work:
        return Work(1)

    @step
    async def work(ev: Work) -> StopEvent:
        return StopEvent(result=ev.n)

    async with MemoryStore(keep_log=True) as store:
        flow = Workflow("flow", [begin, work])
        await flow.run(Go(), run_id="run", store=store, durability=durability)
        first, second, third, *rest = await store.history("run")
    assert [fact.kind for fact in first.facts] == ["run_started", "event_routed"]
    assert [fact.kind for fact in second.facts] == [
        "step_started",
        "step_completed",
        "event_routed",
    ]
    assert "step_completed" in [fact.kind for fact in third.facts]
    told = [fact.kind for entry in (third, *rest) for fact in entry.facts]
    assert told == ["step_started", "step_completed", "run_completed"]


async def test_history_tells_commit_by_commit_what_happened_and_where() -> None:
    @step
    async def inner(ev: Go) -> StopEvent:
        return StopEvent(result=ev.n)

    child = Workflow("child", [inner])

    @step
    async def delegate(ev: Go, ctx: Context) -> Work:
        return Work(await ctx.run_workflow(child, Go(5)))

    @step
    async def work(ev: Work) -> StopEvent:
        return StopEvent(result=ev.n)

    async with MemoryStore(keep_log=True) as store:
        await Workflow("outer", [delegate, work]).run(Go(), run_id="run", store=store)
        history = await store.history("run")
    assert [entry.sequence for entry in history] == list(range(1, len(history) + 1))
    told = [(fact.kind, fact.path) for entry in history for fact in entry.facts]
    assert told[0] == ("run_started", ())
    assert told[-1] == ("run_completed", ())
    [path] = {path for _, path in told if path}
    assert len(path) == 1 and path[0].startswith("run/")
    inside = [kind for kind, where in told if where]
    assert inside[0] == "run_started"
    assert inside[-1] == "run_completed"
    assert [entry.status for entry in history if entry.status] == ["completed"]
