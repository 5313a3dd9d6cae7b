"""Child runs: part of the step that runs them, in every respect.

They are cancelled with it, raise in it, show on the streams and the handle of the outermost run,
and are in its snapshot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest
from anyio import from_thread
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    LifecycleEvent,
    NoHandlerError,
    NonDeterministicStepError,
    Retry,
    Run,
    RunCancelledError,
    RunEndedError,
    RunSuspendedError,
    Snapshot,
    SnapshotError,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    UnknownRequestError,
    Workflow,
    WorkflowStalledError,
    WorkflowTimeoutError,
    step,
)
from blazen_anyio._run import Runner, _children

from .kit import Boom, Done, Log, Note, Other, Work, cleanup, settle

pytestmark = pytest.mark.anyio


class Confirm(InputRequestEvent):
    """A question with a field of its own."""

    amount: int = 0


def doubling(log: Log | None = None, seconds: float = 0) -> Workflow[Any]:
    """Doubles a number, in two steps."""

    @step
    async def begin(ev: Work) -> Done:
        if log is not None:
            log(f"begin {ev.n}")
        await anyio.sleep(seconds)
        return Done(ev.n)

    @step
    async def end(ev: Done) -> StopEvent:
        if log is not None:
            log(f"end {ev.n}")
        await anyio.sleep(seconds)
        return StopEvent(result=2 * ev.n)

    return Workflow("doubling", [begin, end])


def asking(log: Log | None = None) -> Workflow[Any]:
    """Asks a human a question and returns the answer."""

    @step
    async def ask(ev: Work) -> Confirm:
        if log is not None:
            log(f"ask {ev.n}")
        return Confirm(f"question {ev.n}?", amount=ev.n)

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    return Workflow("asking", [ask, answered], types=[Confirm])


def parent_of(child: Workflow[Any], event: Event | None = None) -> Workflow[Any]:
    """One step that runs ``child`` and returns its result."""

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, event))

    return Workflow(f"parent of {child.name}", [run_child])


def failing(error: BaseException) -> Workflow[Any]:
    @step
    async def fail(ev: StartEvent) -> StopEvent:
        raise error

    return Workflow("failing", [fail])


def hanging(log: Log) -> Workflow[Any]:
    """Hangs, and takes its time to clean up when it is cancelled."""

    @step
    async def hang(ev: StartEvent) -> StopEvent:
        async with cleanup(log):
            log("hangs")
            await anyio.sleep_forever()
        raise AssertionError

    return Workflow("hanging", [hang])


def through_json(snapshot: Snapshot) -> Snapshot:
    return Snapshot.from_json(snapshot.to_json())


# ---- results -----------------------------------------------------------------------------------


async def test_a_step_gets_the_result_of_its_child() -> None:
    assert await parent_of(doubling(), Work(4)).run() == 8


async def test_a_typed_stop_event_is_itself_the_result() -> None:
    class Answer(StopEvent):
        n: int

    @step
    async def answer(ev: StartEvent) -> Answer:
        return Answer(n=ev.data.get("n", 7))

    child = Workflow("child", [answer], stop=Answer)
    assert await parent_of(child).run() == Answer(n=7)
    assert await parent_of(child, StartEvent(data={"n": 1})).run() == Answer(n=1)


async def test_children_run_one_after_another_and_at_the_same_time_in_one_step() -> None:
    child = doubling(seconds=1)
    times: list[float] = []

    @step
    async def run_children(ev: StartEvent, ctx: Context) -> StopEvent:
        results = [await ctx.run_workflow(child, Work(1)), await ctx.run_workflow(child, Work(2))]
        times.append(anyio.current_time())

        async def run_one(n: int) -> None:
            results.append(await ctx.run_workflow(child, Work(n)))

        async with anyio.create_task_group() as group:
            for n in (3, 4, 5):
                group.start_soon(run_one, n)
        times.append(anyio.current_time())
        return StopEvent(result=sorted(results))

    started = anyio.current_time()
    assert await Workflow("w", [run_children]).run() == [2, 4, 6, 8, 10]
    assert [round(time - started) for time in times] == [4, 6]


async def test_a_fan_out_runs_children_at_the_same_time_within_the_limit_of_its_step() -> None:
    log, child = Log(), doubling(seconds=1)
    at_once: list[int] = []

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(6)]

    @step(max_concurrency=3)
    async def work(ev: Work, ctx: Context) -> Done:
        log("begin")
        at_once.append(2 * log.lines.count("begin") - len(log.lines))
        result = await ctx.run_workflow(child, ev)
        log("end")
        return Done(result)

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    started = anyio.current_time()
    assert await Workflow("w", [split, work, join]).run() == [0, 2, 4, 6, 8, 10]
    assert max(at_once) == 3
    assert round(anyio.current_time() - started) == 4


async def test_children_of_children_work() -> None:
    assert await parent_of(parent_of(parent_of(doubling(), Work(21)))).run() == 42


async def test_a_child_can_be_run_from_a_worker_thread() -> None:
    child = doubling()

    @step
    def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=from_thread.run(ctx.run_workflow, child, Work(2)))

    assert await Workflow("w", [run_child]).run() == 4


async def test_a_childs_run_id_names_the_run_around_it() -> None:
    @step
    async def tell(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=(ctx.run_id, ctx.idempotency_key))

    outer = parent_of(parent_of(Workflow("inner", [tell])))
    inner, key = await outer.run(run_id="outer")
    assert inner.startswith("outer/")
    assert inner.count("/") == 2
    assert key.startswith(f"{inner}:")


async def test_state_is_not_shared_with_a_child() -> None:
    @step
    async def write(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        return StopEvent(result=ctx.state["n"])

    child = Workflow("child", [write])

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.state["n"] = 10
        return StopEvent(result=[await ctx.run_workflow(child), ctx.state["n"]])

    assert await Workflow("w", [run_child]).run() == [1, 10]


async def test_what_was_sent_leaves_before_the_child_runs() -> None:
    log = Log()

    @step
    async def wait(ev: StartEvent) -> StopEvent:
        await settle()
        log("child")
        return StopEvent()

    child = Workflow("child", [wait])

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Note())
        await ctx.run_workflow(child)
        return StopEvent()

    @step
    async def take(ev: Note) -> None:
        log("note")

    await Workflow("w", [run_child, take]).run()
    assert log.lines == ["note", "child"]


# ---- failures ----------------------------------------------------------------------------------


async def test_a_failed_child_fails_its_step_and_the_chain_leads_to_the_users_exception() -> None:
    error = Boom()
    with pytest.raises(StepFailedError) as caught:
        await parent_of(failing(error)).run()
    inner = caught.value.error
    assert caught.value.step == "run_child"
    assert isinstance(inner, StepFailedError)
    assert caught.value.__cause__ is inner
    assert (inner.step, inner.error, inner.__cause__) == ("fail", error, error)


async def test_a_step_can_catch_the_failure_of_its_child() -> None:
    error, child = Boom(), failing(Boom())

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.run_workflow(failing(error))
        except StepFailedError as failure:
            caught = failure.error
        try:
            await ctx.run_workflow(child)
        except StepFailedError:
            pass
        return StopEvent(result=caught)

    assert await Workflow("w", [run_child]).run() is error


async def test_the_failure_of_a_child_goes_to_an_error_step() -> None:
    child = failing(Boom())

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.run_workflow(child)
        raise AssertionError

    @step
    async def on_error(ev: StepFailed) -> StopEvent:
        return StopEvent(result=(ev.step, type(ev.error)))

    result = await Workflow("w", [run_child, on_error]).run()
    assert result == ("run_child", StepFailedError)


async def test_a_stalled_child_says_so_in_its_step() -> None:
    @step
    async def nothing(ev: StartEvent) -> StopEvent | None:
        return None

    with pytest.raises(StepFailedError) as caught:
        await parent_of(Workflow("nothing", [nothing])).run()
    assert isinstance(caught.value.error, WorkflowStalledError)
    assert caught.value.error.workflow == "nothing"


async def test_a_child_has_a_time_limit_of_its_own() -> None:
    @step
    async def hang(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        raise AssertionError

    child = Workflow("child", [hang], timeout=5)

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        with pytest.raises(WorkflowTimeoutError) as caught:
            await ctx.run_workflow(child)
        return StopEvent(result=caught.value.running)

    assert await Workflow("w", [run_child], timeout=10).run() == ("hang",)


async def test_an_event_that_the_child_does_not_take_is_refused_at_the_call() -> None:
    log = Log()
    child = doubling(log)

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        with pytest.raises(NoHandlerError):
            await ctx.run_workflow(child, Other())
        with pytest.raises(TypeError, match="starts with an event, not str"):
            await ctx.run_workflow(child, "text")  # type: ignore[arg-type]
        return StopEvent(result=await ctx.run_workflow(child))

    assert await Workflow("w", [run_child]).run() == 0
    assert log.lines == ["begin 0", "end 0"]


async def test_a_child_that_would_run_inside_itself_is_refused() -> None:
    workflows: list[Workflow[Any]] = []

    @step
    async def recurse(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(workflows[ev.data["next"]]))

    workflows.append(Workflow("direct", [recurse]))
    with pytest.raises(StepFailedError) as caught:
        await workflows[0].run(next=0)
    assert isinstance(caught.value.error, DefinitionError)
    assert "workflow 'direct' would run inside itself" in str(caught.value.error)

    @step
    async def go(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(workflows[1]))

    workflows.append(Workflow("outer", [go]))
    with pytest.raises(StepFailedError) as caught:
        await parent_of(workflows[1]).run()
    inner = caught.value.error
    assert isinstance(inner, StepFailedError)
    assert isinstance(inner.error, DefinitionError)


async def test_a_later_attempt_runs_its_children_anew() -> None:
    log = Log()
    child = doubling(log)

    @step(retry=Retry(max_attempts=2, jitter=False))
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        result = await ctx.run_workflow(child, Work(ctx.attempt))
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result=result)

    assert await Workflow("w", [run_child]).run() == 4
    assert log.lines == ["begin 1", "end 1", "begin 2", "end 2"]


# ---- cancelling --------------------------------------------------------------------------------


async def test_a_child_is_cancelled_with_its_run_and_has_cleaned_up_before() -> None:
    log = Log()
    async with parent_of(parent_of(hanging(log))).start() as run:
        await settle()
        run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        log("run has ended")
    assert log.lines == ["hangs", "cleanup", "run has ended"]


async def test_a_child_is_cancelled_with_the_scope_around_its_run() -> None:
    log = Log()
    with anyio.move_on_after(1) as scope:
        await parent_of(hanging(log)).run()
    assert scope.cancelled_caught
    assert log.lines == ["hangs", "cleanup"]


async def test_a_step_can_cancel_its_child_and_go_on() -> None:
    log = Log()
    child = hanging(log)

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        with anyio.move_on_after(1) as scope:
            await ctx.run_workflow(child)
        log("goes on")
        return StopEvent(result=scope.cancelled_caught)

    assert await Workflow("w", [run_child]).run()
    assert log.lines == ["hangs", "cleanup", "goes on"]


async def test_the_timeout_of_a_step_cancels_its_child() -> None:
    log = Log()
    child = hanging(log)

    @step(timeout=1)
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.run_workflow(child)
        raise AssertionError

    with pytest.raises(TimeoutError):
        try:
            await Workflow("w", [run_child]).run()
        except StepFailedError as failure:
            raise failure.error from None
    assert log.lines == ["hangs", "cleanup"]


async def test_a_child_is_cancelled_when_another_step_ends_the_run() -> None:
    log = Log()
    child = hanging(log)

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def run_child(ev: Work, ctx: Context) -> None:
        await ctx.run_workflow(child)

    @step
    async def end(ev: Done) -> StopEvent:
        await settle()
        return StopEvent(result="ended")

    assert await Workflow("w", [begin, run_child, end]).run() == "ended"
    assert log.lines == ["hangs", "cleanup"]


async def test_a_failure_in_the_cleanup_of_a_child_is_reported(logged: Any) -> None:
    error = Boom()

    @step
    async def hang(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    child = Workflow("child", [hang])
    async with parent_of(child).start() as run:
        await settle()
        run.cancel()
    assert error in logged()


# ---- streams -----------------------------------------------------------------------------------


def noting(*children: Workflow[Any]) -> Workflow[Any]:
    """Writes a note to the stream, before and after its children."""

    @step
    async def note(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note("begin"))
        for child in children:
            await ctx.run_workflow(child)
        ctx.write_event_to_stream(Note("end"))
        return StopEvent()

    return Workflow(f"noting {len(children)}", [note])


async def test_what_a_child_writes_to_the_stream_shows_with_its_path() -> None:
    outer = noting(noting(noting()))
    seen: list[tuple[Event, int]] = []
    paths: set[tuple[str, ...]] = set()
    async with outer.start(run_id="outer") as run:
        stream = run.stream_events()
        async for event in stream:
            seen.append((event, len(stream.path)))
            paths.add(stream.path)
    begin, end = Note("begin"), Note("end")
    assert seen == [(begin, 0), (begin, 1), (begin, 2), (end, 2), (end, 1), (end, 0)]
    # Each is the id of a run, the outermost first, so that one leads to the next.
    none, child, grandchild = sorted(paths, key=len)
    assert none == ()
    assert child[0].startswith("outer/")
    assert grandchild[0] == child[0]
    assert grandchild[1].startswith(f"{child[0]}/")


async def test_the_lifecycle_of_a_child_shows_with_its_path_when_asked_for() -> None:
    kinds: dict[int, list[str]] = {0: [], 1: []}
    async with parent_of(doubling(), Work(1)).start() as run:
        await checkpoint()
        plain = run.stream_events()
        stream = run.stream_events(lifecycle=True)
        async for event in stream:
            assert isinstance(event, LifecycleEvent)
            kinds[len(stream.path)].append(event.kind)
        assert [event async for event in plain] == []
    assert kinds[1][0] == "run_started"
    assert kinds[1].count("step_completed") == 2
    assert kinds[1][-1] == "run_completed"
    assert kinds[0][-1] == "run_completed"
    assert "run_completed" not in kinds[0][:-1]


async def test_who_begins_to_watch_late_sees_the_lifecycle_of_children_that_run_already() -> None:
    child = doubling(seconds=1)
    async with parent_of(child, Work(1)).start() as run:
        await anyio.sleep(0.5)
        stream = run.stream_events(lifecycle=True)
        seen = [(event.kind, event.step) async for event in stream if stream.path]  # type: ignore[attr-defined]
    assert seen[0] == ("step_completed", "begin")
    assert seen[-1] == ("run_completed", None)


async def test_a_childs_facts_are_no_part_of_the_parents_history() -> None:
    async with parent_of(doubling(), Work(1)).start() as run:
        await run.result()
        assert {fact.step for fact in run.history} == {None, "run_child"}


async def test_a_subscriber_that_blocks_holds_children_up() -> None:
    written: list[int] = []

    @step
    async def count(ev: Work, ctx: Context) -> Work | StopEvent:
        written.append(ev.n)
        ctx.write_event_to_stream(ev)
        return Work(ev.n + 1) if ev.n < 20 else StopEvent()

    child = Workflow("child", [count])
    async with parent_of(child, Work(0)).start() as run:
        async with run.stream_events(buffer=3, overflow="block") as stream:
            await settle()
            assert len(written) < 10
            seen = [event.n async for event in stream]  # type: ignore[attr-defined]
        await run.result()
    assert seen == list(range(21))


# ---- requests ----------------------------------------------------------------------------------


async def test_a_request_of_a_child_is_answered_on_the_handle_of_the_outermost_run() -> None:
    async with parent_of(parent_of(asking(), Work(1))).start() as run:
        stream = run.stream_events()
        shown = await anext(stream)
        assert len(stream.path) == 2
        (request,) = run.requests
        assert request is shown
        assert isinstance(request, Confirm)
        assert (request.prompt, request.amount) == ("question 1?", 1)
        run.respond_to_input(request.request_id, "yes")
        assert run.requests == ()
        assert await run.result() == "yes"


def many_asking(count: int) -> Workflow[Any]:
    """A fan-out of children that ask."""
    child = asking()

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(count)]

    @step
    async def work(ev: Work, ctx: Context) -> Note:
        return Note(await ctx.run_workflow(child, ev))

    @step
    async def join(notes: list[Note]) -> StopEvent:
        return StopEvent(result=[each.text for each in notes])

    return Workflow("many", [split, work, join])


async def test_several_children_ask_at_once_and_are_answered_in_any_order() -> None:
    async with many_asking(3).start() as run:
        await settle()
        assert len({request.request_id for request in run.requests}) == 3
        for request in reversed(run.requests):
            run.respond_to_input(request.request_id, f"answer to {request.prompt}")
        assert await run.result() == [f"answer to question {n}?" for n in range(3)]


async def test_an_answer_to_a_request_that_is_closed_says_why() -> None:
    log = Log()
    asks, hangs = asking(), hanging(log)

    @step
    async def run_children(ev: StartEvent, ctx: Context) -> StopEvent:
        await ctx.run_workflow(asks, Work(1))
        with anyio.move_on_after(1):
            await ctx.run_workflow(asks, Work(2))
        await ctx.run_workflow(hangs)
        raise AssertionError

    def reason(request: InputRequestEvent) -> str:
        with pytest.raises(UnknownRequestError) as caught:
            run.respond_to_input(request.request_id, "again")
        return caught.value.reason

    async with parent_of(Workflow("middle", [run_children])).start() as run:
        await settle()
        (first,) = run.requests
        run.respond_to_input(first.request_id, "yes")
        assert reason(first) == "answered"
        await settle()
        (second,) = run.requests
        assert reason(first) == "answered"
        await anyio.sleep(2)
        assert run.requests == ()
        assert reason(second) == "withdrawn"
        assert reason(first) == "answered"
        assert reason(InputRequestEvent("never made", request_id="x")) == "unknown"
        run.cancel()


async def test_only_the_newest_closed_requests_of_children_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_children, "_CLOSED_REQUESTS_KEPT", 1)
    asks = asking()

    @step
    async def run_children(ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(3):
            await ctx.run_workflow(asks, Work(n))
        raise AssertionError

    reasons: list[str] = []
    async with Workflow("w", [run_children]).start() as run:
        requests: list[InputRequestEvent] = []
        for _ in range(2):
            await settle()
            requests += run.requests
            run.respond_to_input(requests[-1].request_id, "yes")
        await settle()
        for request in requests:
            with pytest.raises(UnknownRequestError) as caught:
                run.respond_to_input(request.request_id, "again")
            reasons.append(caught.value.reason)
        run.cancel()
    assert reasons == ["unknown", "answered"]


async def test_the_handler_of_the_outermost_run_answers_for_children() -> None:
    async def handler(request: InputRequestEvent) -> str:
        return f"answer to {request.prompt}"

    assert await many_asking(2).run(input_handler=handler) == [
        "answer to question 0?",
        "answer to question 1?",
    ]
    nested = parent_of(parent_of(asking(), Work(1)))
    assert await nested.run(input_handler=handler) == "answer to question 1?"


async def test_a_childs_own_handler_comes_first() -> None:
    async def own(request: InputRequestEvent) -> str:
        return "own"

    async def outer(request: InputRequestEvent) -> str:
        raise AssertionError

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    child = Workflow("child", [ask], input_handler=own)
    assert await parent_of(child).run(input_handler=outer) == "own"


async def test_a_handler_that_fails_fails_the_child_and_with_it_the_step() -> None:
    error = Boom()

    async def handler(request: InputRequestEvent) -> str:
        raise error

    with pytest.raises(StepFailedError) as caught:
        await parent_of(asking(), Work(1)).run(input_handler=handler)
    inner = caught.value.error
    assert isinstance(inner, StepFailedError)
    assert (inner.step, inner.error) == ("input_handler", error)


async def test_without_a_handle_the_run_is_suspended_with_the_request_of_its_child() -> None:
    workflow = parent_of(parent_of(asking(), Work(3)))
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    (request,) = caught.value.requests
    assert isinstance(request, Confirm)
    assert request.amount == 3
    assert caught.value.snapshot.requests == (request,)
    snapshot = through_json(caught.value.snapshot)
    assert [each.prompt for each in snapshot.requests] == ["question 3?"]
    responses = {request.request_id: "yes"}
    async with workflow.resume(snapshot, responses=responses) as run:
        assert await run.result() == "yes"


def waiting_inside() -> Workflow[Any]:
    """Waits for a human inside its step."""

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    return Workflow("waiting inside", [ask])


@pytest.mark.parametrize("turn", range(5))
async def test_cancelling_a_run_from_outside_withdraws_no_request(turn: int) -> None:
    """In whatever order its tasks are told; on trio that is left to chance."""
    for workflow in (waiting_inside(), parent_of(waiting_inside())):
        with anyio.CancelScope() as scope:
            async with workflow.start() as run:
                await settle()
                before = run.requests
                scope.cancel()
                await checkpoint()
        assert run.status == "cancelled"
        assert run.snapshot().requests == before != ()
        with pytest.raises(InputRequiredError) as caught:
            await workflow.run()
        assert len(caught.value.requests) == 1


async def test_leaving_the_handle_suspends_a_run_of_which_all_children_wait() -> None:
    workflow = many_asking(3)
    with pytest.raises(InputRequiredError) as caught:
        async with workflow.start() as run:
            await settle()
            run.respond_to_input(run.requests[1].request_id, "second")
    requests = caught.value.requests
    assert [each.prompt for each in requests] == ["question 0?", "question 2?"]
    responses = {each.request_id: each.prompt for each in requests}
    async with workflow.resume(through_json(caught.value.snapshot), responses=responses) as run:
        assert await run.result() == ["question 0?", "second", "question 2?"]


async def test_a_run_is_not_suspended_while_one_of_its_children_can_still_do_something() -> None:
    """Neither beside the others in one step, nor in a step of its own."""
    log = Log()
    asks, works = asking(), doubling(log, seconds=5)

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Other]:
        return Work(1), Other(2)

    @step
    async def both(ev: Work, ctx: Context) -> StopEvent:
        async with anyio.create_task_group() as group:
            group.start_soon(ctx.run_workflow, asks, Work(1))
            group.start_soon(ctx.run_workflow, works, Work(2))
        return StopEvent()

    @step
    async def one(ev: Other, ctx: Context) -> None:
        await ctx.run_workflow(works, Work(3))

    with pytest.raises(InputRequiredError):
        await Workflow("w", [begin, both, one]).run()
    assert sorted(log.lines) == ["begin 2", "begin 3", "end 2", "end 3"]


async def test_a_step_that_waits_beside_its_child_is_suspended_with_it() -> None:
    asks = asking()

    @step(waits=[Note])
    async def both(ev: StartEvent, ctx: Context) -> StopEvent:
        results: list[Any] = []

        async def run_child() -> None:
            results.append(await ctx.run_workflow(asks, Work(1)))

        async with anyio.create_task_group() as group:
            group.start_soon(run_child)
            await settle()
            results.append(await ctx.wait_for_event(Note))
            await settle()
        return StopEvent(result=results)

    workflow = Workflow("w", [both], external=[Note])
    async with workflow.start() as run:
        await settle()
        run.send_event(Note("came"))
        await settle()
        run.respond_to_input(run.requests[0].request_id, "yes")
        assert await run.result() == [Note("came"), "yes"]
    with pytest.raises(InputRequiredError) as caught:
        async with workflow.start() as run:
            await settle()
    snapshot = through_json(caught.value.snapshot)
    async with workflow.resume(snapshot) as run:
        run.respond_to_input(run.requests[0].request_id, "yes")
        await settle()
        run.send_event(Note("came"))
        assert await run.result() == ["yes", Note("came")]


async def test_time_in_which_a_child_waits_for_a_human_does_not_count_for_its_run() -> None:
    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        answer = await ctx.run_workflow(child, Work(1))
        await anyio.sleep(5)
        return StopEvent(result=answer)

    child = asking()
    workflow = Workflow("w", [run_child], timeout=10)
    async with workflow.start() as run:
        await anyio.sleep(1000)
        run.respond_to_input(run.requests[0].request_id, "late")
        assert await run.result() == "late"
        assert run.statistics().active_time < 6


# ---- snapshots ---------------------------------------------------------------------------------


def everything(log: Log) -> Workflow[Any]:
    """Children after one another and at the same time, with questions, retries and children."""
    double = doubling(log)

    @step(retry=Retry(max_attempts=2, jitter=False))
    async def flaky(ev: Work, ctx: Context) -> StopEvent:
        doubled = await ctx.run_workflow(double, ev)
        if ctx.attempt == 1:
            raise Boom
        answer = await ctx.request_input(f"add to {doubled}?")
        return StopEvent(result=doubled + answer)

    inner = Workflow("inner", [flaky])

    @step
    async def split(ev: StartEvent, ctx: Context) -> list[Work]:
        first = await ctx.run_workflow(double, Work(1))
        second = await ctx.run_workflow(double, Work(first))
        return [Work(second), Work(10)]

    @step
    async def work(ev: Work, ctx: Context) -> Done:
        return Done(await ctx.run_workflow(inner, ev))

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    return Workflow("everything", [split, work, join])


async def answering(request: InputRequestEvent) -> int:
    await anyio.sleep(1)
    return 100


async def test_a_snapshot_after_every_machine_input_resumes_to_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    workflow = everything(log)
    texts: dict[str, None] = {}
    original = Runner.after_input

    def recording(runner: Runner) -> None:
        original(runner)
        outermost = list(runner.line())[-1]
        if outermost.machine.outcome is None:
            texts[outermost.snapshot().to_json()] = None

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "after_input", recording)
        assert await workflow.run(input_handler=answering) == [108, 120]
    assert len(texts) > 20
    assert any('"saved"' in text for text in texts)
    for text in texts:
        async with workflow.resume(Snapshot.from_json(text), input_handler=answering) as run:
            assert await run.result() == [108, 120]


async def test_a_later_delivery_goes_on_with_its_nth_child_and_runs_none_again() -> None:
    log = Log()
    child = doubling(log, seconds=2)

    @step
    async def run_children(ev: StartEvent, ctx: Context) -> StopEvent:
        log("step")
        results = [await ctx.run_workflow(child, Work(n)) for n in range(1, 4)]
        return StopEvent(result=results)

    workflow = Workflow("w", [run_children])
    async with workflow.start() as run:
        await anyio.sleep(7)  # the second child is in its second step
        snapshot = await run.suspend()
    assert log.lines == ["step", "begin 1", "end 1", "begin 2", "end 2"]
    log.lines.clear()
    async with workflow.resume(through_json(snapshot)) as run:
        assert await run.result() == [2, 4, 6]
    assert log.lines == ["step", "end 2", "begin 3", "end 3"]


async def test_a_child_keeps_its_state_and_run_id_over_a_resume() -> None:
    @step
    async def first(ev: StartEvent, ctx: Context) -> Work:
        ctx.state["id"] = ctx.run_id
        return Work()

    @step
    async def second(ev: Work, ctx: Context) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result=ctx.state["id"] == ctx.run_id)

    workflow = parent_of(Workflow("child", [first, second]))
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(through_json(snapshot)) as run:
        assert await run.result() is True


async def test_children_side_by_side_may_be_asked_for_in_another_order_after_a_resume() -> None:
    """Each goes on where it was, told by its workflow and its first event."""
    log = Log()
    child = doubling(log, seconds=1)
    orders = [[1, 2, 2, 3], [3, 2, 1, 2]]

    @step
    async def run_children(ev: StartEvent, ctx: Context) -> StopEvent:
        results: list[int] = []

        async def run_one(n: int) -> None:
            results.append(await ctx.run_workflow(child, Work(n)))

        async with anyio.create_task_group() as group:
            for n in orders.pop(0):
                group.start_soon(run_one, n)
        return StopEvent(result=sorted(results))

    workflow = Workflow("w", [run_children])
    async with workflow.start() as run:
        await anyio.sleep(1.5)
        snapshot = await run.suspend()
    assert sorted(log.lines[:4]) == ["begin 1", "begin 2", "begin 2", "begin 3"]
    log.lines.clear()
    async with workflow.resume(through_json(snapshot)) as run:
        assert await run.result() == [2, 4, 4, 6]
    assert sorted(log.lines) == ["end 1", "end 2", "end 2", "end 3"]


async def test_a_child_of_another_workflow_than_before_fails_the_run() -> None:
    first, second = asking(), doubling()
    children = [first]

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(children[-1], Work(1)))

    workflow = Workflow("w", [run_child])
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    children.append(second)
    with pytest.raises(NonDeterministicStepError, match="'asking'"):
        async with workflow.resume(through_json(caught.value.snapshot)):
            pass


async def test_renames_reach_into_children() -> None:
    class OldNote(Event, event_type="old.note"):
        text: str

    class NewNote(Event, event_type="new.note"):
        text: str

    def build(kind: type[Any], name: str, child_name: str) -> Workflow[Any]:
        @step
        async def begin(ev: StartEvent) -> kind:  # type: ignore[valid-type]
            return kind("kept")

        @step(name=name)
        async def end(ev: kind) -> StopEvent:  # type: ignore[valid-type]
            await anyio.sleep(5)
            return StopEvent(result=ev.text)  # type: ignore[attr-defined]

        child = Workflow(child_name, [begin, end])

        @step
        async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
            return StopEvent(result=await ctx.run_workflow(child))

        return Workflow("w", [run_child])

    old, new = build(OldNote, "old end", "old"), build(NewNote, "new end", "new")
    async with old.start() as run:
        await settle()
        snapshot = through_json(await run.suspend())
    renames = {"old.note": "new.note", "old end": "new end", "old": "new"}
    async with new.resume(snapshot, renames=renames) as run:
        assert await run.result() == "kept"


async def test_a_child_that_does_not_fit_its_snapshot_fails_the_run_and_loses_nothing() -> None:
    """Another attempt would begin the child anew."""

    def build(name: str) -> Workflow[Any]:
        @step(name=name)
        async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
            return StopEvent(result=await ctx.request_input("?"))

        child = Workflow("child", [wait])

        @step(retry=Retry(max_attempts=5, jitter=False))
        async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
            return StopEvent(result=await ctx.run_workflow(child))

        return Workflow("w", [run_child])

    with pytest.raises(InputRequiredError) as caught:
        await build("before").run()
    snapshot = through_json(caught.value.snapshot)
    run = build("after").resume(snapshot)
    with pytest.raises(SnapshotError, match="unknown step 'before'"):
        async with run:
            await run.result()
    responses = {request.request_id: "yes" for request in run.snapshot().requests}
    async with build("before").resume(run.snapshot(), responses=responses) as again:
        assert await again.result() == "yes"


async def test_a_run_whose_child_failed_keeps_the_child_in_its_snapshot() -> None:
    """It goes on with what the child had not done."""
    log = Log()
    broken = [True]

    @step
    async def first(ev: StartEvent) -> Work:
        log("first")
        return Work()

    @step
    async def second(ev: Work) -> StopEvent:
        if broken[0]:
            raise Boom
        return StopEvent(result="mended")

    child = Workflow("child", [first, second])

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            return StopEvent(result=await ctx.run_workflow(child))
        except StepFailedError:
            await anyio.sleep_forever()
            raise

    workflow = Workflow("w", [run_child])
    async with workflow.start() as run:
        await settle()
        snapshot = through_json(await run.suspend())
    broken[0] = False
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "mended"
    assert log.lines == ["first"]


# ---- answers to children that have not begun again ---------------------------------------------


def asking_late() -> Workflow[Any]:
    """After a resume, its child begins again only some time later."""
    child = parent_of(asking(), Work(1))
    deliveries: list[None] = []

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        deliveries.append(None)
        await anyio.sleep(5 if len(deliveries) > 1 else 0)
        return StopEvent(result=await ctx.run_workflow(child))

    return Workflow("w", [run_child])


async def _suspended(workflow: Workflow[Any]) -> Snapshot:
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    return through_json(caught.value.snapshot)


async def test_a_request_is_open_though_its_child_has_not_begun_again() -> None:
    workflow = asking_late()
    snapshot = await _suspended(workflow)
    async with workflow.resume(snapshot) as run:
        await settle()
        (request,) = run.requests
        assert request == snapshot.requests[0]
        assert run.snapshot().requests == (request,)
        run.respond_to_input(request.request_id, "early")
        assert run.requests == ()
        with pytest.raises(UnknownRequestError) as caught:
            run.respond_to_input(request.request_id, "twice")
        assert caught.value.reason == "answered"
        assert await run.result() == "early"


@pytest.mark.parametrize("in_resume", [True, False])
async def test_an_answer_that_the_child_could_not_take_yet_is_in_the_snapshot(
    in_resume: bool,
) -> None:
    workflow = asking_late()
    snapshot = await _suspended(workflow)
    responses = {snapshot.requests[0].request_id: ("early", 1)}
    async with workflow.resume(snapshot, responses=responses if in_resume else {}) as run:
        await settle()
        if not in_resume:
            run.respond_to_input(*responses.popitem())
        snapshot = through_json(await run.suspend())
    assert snapshot.requests == ()
    async with workflow.resume(snapshot) as run:
        assert run.requests == ()
        await settle()
        again = through_json(run.snapshot())
        assert await run.result() == ("early", 1)
    async with workflow.resume(again) as run:
        assert await run.result() == ("early", 1)


async def test_the_requests_of_a_child_go_with_the_attempt_that_ran_it() -> None:
    """A later attempt begins its children anew, so nobody could take the answers."""
    child = asking()
    deliveries: list[None] = []

    @step(retry=Retry(max_attempts=2, initial=10, jitter=False))
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        deliveries.append(None)
        if len(deliveries) == 2:
            raise Boom
        return StopEvent(result=await ctx.run_workflow(child, Work(ctx.attempt)))

    workflow = Workflow("w", [run_child])
    snapshot = await _suspended(workflow)
    async with workflow.resume(snapshot) as run:
        (request,) = run.requests
        await settle()
        assert run.requests == ()
        with pytest.raises(UnknownRequestError):
            run.respond_to_input(request.request_id, "too late")
        await anyio.sleep(11)
        (request,) = run.requests
        assert request.prompt == "question 2?"
        run.respond_to_input(request.request_id, "yes")
        assert await run.result() == "yes"


async def test_a_response_to_an_unknown_request_is_refused_before_anything_runs() -> None:
    workflow = asking_late()
    snapshot = await _suspended(workflow)
    with pytest.raises(UnknownRequestError):
        async with workflow.resume(snapshot, responses={"nonsense": 1}):
            raise AssertionError("not reached")


async def test_after_a_resume_the_handler_answers_for_children() -> None:
    workflow = many_asking(2)
    snapshot = await _suspended(workflow)

    async def handler(request: InputRequestEvent) -> str:
        return request.prompt

    async with workflow.resume(snapshot, input_handler=handler) as run:
        run.pause()
        await settle()
        run.resume()
        assert await run.result() == ["question 0?", "question 1?"]


# ---- pause and suspend -------------------------------------------------------------------------


async def test_a_pause_stops_children_and_a_resume_lets_them_go_on() -> None:
    log = Log()
    async with parent_of(parent_of(doubling(log, seconds=1), Work(1))).start() as run:
        await settle()
        run.pause()
        await anyio.sleep(10)
        assert log.lines == ["begin 1"]
        run.resume()
        assert await run.result() == 2


async def test_a_child_that_begins_during_a_pause_waits() -> None:
    log = Log()
    child = doubling(log)

    @step
    async def run_child(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result=await ctx.run_workflow(child, Work(1)))

    async with Workflow("w", [run_child]).start() as run:
        await settle()
        run.pause()
        await anyio.sleep(5)
        assert log.lines == []
        run.resume()
        assert await run.result() == 2


async def test_leaving_a_paused_run_suspends_it_when_its_children_are_still() -> None:
    log = Log()
    workflow = parent_of(doubling(log, seconds=1), Work(1))
    with pytest.raises(RunSuspendedError) as caught:
        async with workflow.start() as run:
            await settle()
            run.pause()
    assert log.lines == ["begin 1"]
    async with workflow.resume(through_json(caught.value.snapshot)) as run:
        assert await run.result() == 2
    assert log.lines == ["begin 1", "end 1"]


async def test_the_grace_of_a_suspension_is_for_the_steps_of_children_too() -> None:
    """They may finish, and when they have nobody waits for the rest of the time."""
    log = Log()
    workflow = parent_of(doubling(log, seconds=3), Work(1))
    async with workflow.start() as run:
        await settle()
        started = anyio.current_time()
        snapshot = await run.suspend(grace=1000)
        assert anyio.current_time() - started == pytest.approx(3, abs=1)
    log.lines.clear()
    async with workflow.resume(through_json(snapshot)) as run:
        assert await run.result() == 2
    assert log.lines == ["end 1"]


async def test_a_suspension_cancels_children_and_loses_nothing() -> None:
    log = Log()
    workflow = parent_of(doubling(log, seconds=3), Work(1))
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
        with pytest.raises(RunEndedError):
            run.respond_to_input("any", 1)
    async with workflow.resume(through_json(snapshot)) as run:
        assert await run.result() == 2
    assert log.lines == ["begin 1", "begin 1", "end 1"]


async def test_a_suspension_warns_of_the_threads_that_it_waits_for_in_children(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = anyio.Event()
    begun = anyio.Event()

    @step
    def block(ev: StartEvent) -> StopEvent:
        from_thread.run_sync(begun.set)
        from_thread.run(release.wait)
        return StopEvent()

    async def suspend(run: Run[Any]) -> None:
        await run.suspend()

    async with parent_of(Workflow("child", [block])).start() as run:
        await begun.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(suspend, run)
            await checkpoint()
            release.set()
    assert "worker threads of: block" in caplog.text


# ---- as_step -----------------------------------------------------------------------------------


async def test_a_workflow_as_a_step_takes_an_event_and_gives_one() -> None:
    double = doubling().as_step(accepts=Work, emits=Note, result=lambda n: Note(str(n)))

    @step
    async def begin(ev: StartEvent) -> Work:
        return Work(21)

    @step
    async def end(ev: Note) -> StopEvent:
        return StopEvent(result=ev.text)

    workflow = Workflow("w", [begin, double, end])
    assert await workflow.run() == "42"
    assert [node.label for node in workflow.graph.nodes if node.kind == "step"] == [
        "begin",
        "doubling",
        "end",
    ]


async def test_a_workflow_as_a_step_starts_as_told_and_has_the_options_of_a_step() -> None:
    log = Log()
    double = doubling(log, seconds=1).as_step(
        accepts=Note,
        emits=Done,
        start=lambda note: Work(int(note.text)),
        result=Done,
        name="double",
        max_concurrency=1,
        timeout=3,
        retry=Retry(max_attempts=2),
    )

    @step
    async def split(ev: StartEvent) -> list[Note]:
        return [Note("1"), Note("2")]

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    started = anyio.current_time()
    assert await Workflow("w", [split, double, join]).run() == [2, 4]
    assert round(anyio.current_time() - started) == 4
    assert log.lines == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_the_same_workflow_can_be_two_steps() -> None:
    child = doubling()
    first = child.as_step(accepts=Work, emits=Note, result=lambda n: Note(str(n)), name="first")
    second = child.as_step(
        accepts=Note,
        emits=StopEvent,
        start=lambda note: Work(int(note.text)),
        result=lambda n: StopEvent(result=n),
        name="second",
    )
    assert await Workflow("w", [first, second]).run(Work(3)) == 12


# ---- at every scheduler step -------------------------------------------------------------------


def _ways() -> Sequence[Callable[..., Awaitable[bool]]]:
    from sweeps import test_cancelling as cancelling

    return (cancelling._cancel_scope, cancelling._cancel_run, cancelling._cancel_plain_run)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_with_children_cancelled_at_any_step_leaves_nothing_and_can_go_on(
    backend: str, lanes: bool
) -> None:
    from sweeps.harness import Case, sweep
    from sweeps.kit import Kit
    from sweeps.scheduling import Steps, run_with_steps
    from sweeps.shape import Shape

    def build(kit: Kit) -> Workflow[Any]:
        @kit.step
        async def begin(ev: Work) -> Done:
            async with kit.attempt():
                await anyio.sleep(ev.n)
                return Done(ev.n)

        @kit.step
        async def end(ev: Done) -> StopEvent:
            async with kit.attempt():
                return StopEvent(result=2 * ev.n)

        child = kit.workflow("child", [begin, end])

        @kit.step
        async def split(ev: StartEvent) -> list[Work]:
            return [Work(n) for n in range(3)]

        @kit.step
        async def work(ev: Work, ctx: Context) -> Done:
            async with kit.attempt():
                first = await ctx.run_workflow(child, ev)
                return Done(await ctx.run_workflow(child, Work(first)))

        @kit.step
        async def join(done: list[Done]) -> StopEvent:
            with kit.attempt():
                return StopEvent(result=[each.n for each in done])

        return kit.workflow("parent", [split, work, join])

    async def main(steps: Steps) -> None:
        case = Case.of(Shape("children", build, [0, 4, 8]), lanes=lanes)
        for way in _ways():
            await sweep(case, steps, 12, lambda at, way=way: way(case, steps, at))

    run_with_steps(backend, main)


class Counted(StopEvent):
    """The child's own, which the run around it has never heard of."""

    number: int


def counting_then_asking() -> tuple[Workflow[Any], Workflow[Any]]:
    @step
    async def count(ev: StartEvent) -> Counted:
        return Counted(number=7)

    child = Workflow("counting", [count], stop=Counted)

    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        counted = await ctx.run_workflow(child)
        answer = await ctx.request_input("and?")
        return StopEvent(result=(counted, answer))

    return child, Workflow("asking", [begin])


async def test_a_result_of_the_childs_own_class_survives_a_snapshot() -> None:
    _, workflow = counting_then_asking()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    snapshot = Snapshot.from_json(caught.value.snapshot.to_json())
    responses = {snapshot.requests[0].request_id: "yes"}
    async with workflow.resume(snapshot, responses=responses) as run:
        assert await run.result() == (Counted(number=7), "yes")


async def test_a_childs_result_that_is_no_stop_event_fails_the_run() -> None:
    child, _ = counting_then_asking()
    with pytest.raises(SnapshotError, match="expected a StopEvent, not StartEvent"):
        child.read_result({"type": "blazen::StartEvent", "fields": {}}, {})
