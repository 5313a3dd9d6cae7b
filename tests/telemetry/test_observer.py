"""What observers are told, and that they can do no harm."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    Gather,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    NoHandlerError,
    NonDeterministicStepError,
    Observer,
    Retry,
    RunCancelledError,
    RunSuspendedError,
    Snapshot,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio._run._lanes import Lane
from blazen_anyio.stores import MemoryStore
from blazen_anyio.telemetry import (
    AttemptEnd,
    InvocationEnd,
    ObservedAttempt,
    ObservedInvocation,
    ObservedRun,
    RunEnd,
)

pytestmark = pytest.mark.anyio

VARIABLE = contextvars.ContextVar[str]("VARIABLE", default="unset")


class Item(Event, event_type="observed.Item"):
    n: int


class Done(Event, event_type="observed.Done"):
    n: int


class Boom(Exception):
    """What steps raise here."""


@attrs.define(eq=True)  # so that it can't be hashed, as a user's need not be
class Teller(Observer):
    """Writes down what it is told."""

    lines: list[str] = attrs.field(factory=list)
    ends: list[Any] = attrs.field(factory=list)
    runs: list[ObservedRun] = attrs.field(factory=list)
    attempts: list[ObservedAttempt] = attrs.field(factory=list)

    def run_started(self, run: ObservedRun) -> None:
        self.runs.append(run)
        self.lines.append(f"run {run.workflow} {'goes on' if run.resumed else 'starts'}")

    def run_ended(self, run: ObservedRun, end: RunEnd) -> None:
        self._end(f"run {run.workflow}", end)

    def invocation_started(self, invocation: ObservedInvocation) -> None:
        self.lines.append(f"{invocation.step} starts")

    def invocation_ended(self, invocation: ObservedInvocation, end: InvocationEnd) -> None:
        self._end(invocation.step, end)

    def attempt_started(self, attempt: ObservedAttempt) -> None:
        self.attempts.append(attempt)
        self.lines.append(f"{attempt.invocation.step} #{attempt.number} starts")

    def attempt_ended(self, attempt: ObservedAttempt, end: AttemptEnd) -> None:
        self._end(f"{attempt.invocation.step} #{attempt.number}", end)

    def input_requested(self, run: ObservedRun, request: InputRequestEvent) -> None:
        self.lines.append(f"asks {request.prompt}")

    def input_received(self, run: ObservedRun, request_id: str) -> None:
        self.lines.append("gets an answer")

    def _end(self, what: str, end: RunEnd | InvocationEnd | AttemptEnd) -> None:
        self.ends.append(end)
        self.lines.append(f"{what} {end.kind}")

    def of(self, step: str) -> list[str]:
        return [line.removeprefix(step).strip() for line in self.lines if line.startswith(step)]


class Around(Observer):
    """Sets a context variable around each attempt, and puts it back."""

    def attempt_started(self, attempt: ObservedAttempt) -> AbstractContextManager[object]:
        return self._set(f"{attempt.invocation.step} #{attempt.number}")

    @contextmanager
    def _set(self, value: str) -> Iterator[None]:
        token = VARIABLE.set(value)
        yield
        VARIABLE.reset(token)


# ---- what is told --------------------------------------------------------------------------------


async def test_a_run_is_told_from_its_start_to_its_end() -> None:
    @step
    async def begin(ev: StartEvent) -> Item:
        return Item(1)

    @step
    def end(ev: Item) -> StopEvent:
        return StopEvent(result=ev.n)

    teller = Teller()
    assert await Workflow("short", [begin, end], observers=[teller]).run() == 1
    assert teller.lines == [
        "run short starts",
        "begin starts",
        "begin #1 starts",
        "begin #1 succeeded",
        "begin succeeded",
        "end starts",
        "end #1 starts",
        "end #1 succeeded",
        "end succeeded",
        "run short completed",
    ]
    first, second = teller.attempts
    assert (first.kind, second.kind) == ("async", "sync")
    assert first.invocation.causes == ()
    assert second.invocation.causes == (first.invocation.number,)
    assert second.invocation.event_type == "observed.Item"
    assert first.invocation.run is second.invocation.run is teller.runs[0]


async def test_numbers_are_those_of_the_facts() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Item]:
        return [Item(n) for n in range(3)]

    @step
    async def work(ev: Item) -> Done:
        await anyio.lowlevel.checkpoint()
        return Done(ev.n)

    @step
    async def end(done: list[Done]) -> StopEvent:
        return StopEvent()

    teller = Teller()
    async with Workflow("facts", [begin, work, end], observers=[teller]).start() as run:
        await run.result()
    started = [fact.invocation for fact in run.history if fact.kind == "step_started"]
    assert [attempt.invocation.number for attempt in teller.attempts] == started
    assert teller.attempts[-1].invocation.causes == tuple(started[1:-1])


async def test_a_retry_is_told_with_its_delay_and_the_error() -> None:
    @step(retry=Retry(max_attempts=3, initial=2, jitter=False))
    async def flaky(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt < 3:
            raise Boom(ctx.attempt)
        await anyio.sleep(1)
        return StopEvent()

    teller = Teller()
    await Workflow("flaky", [flaky], observers=[teller]).run()
    attempts = [end for end in teller.ends if isinstance(end, AttemptEnd)]
    assert [end.kind for end in attempts] == ["failed", "failed", "succeeded"]
    assert [end.retry_in for end in attempts] == [2, 4, None]
    assert [type(end.error) for end in attempts] == [Boom, Boom, type(None)]
    assert [end.duration for end in attempts] == pytest.approx([0, 0, 1])
    (invocation,) = (end for end in teller.ends if isinstance(end, InvocationEnd))
    assert invocation.kind == "succeeded"
    assert invocation.duration == pytest.approx(7)
    assert teller.ends[-1] == RunEnd(kind="completed", duration=invocation.duration)
    assert teller.of("flaky").count("starts") == 1


@pytest.mark.parametrize("handled", [True, False])
async def test_a_failure_for_good_ends_the_invocation(handled: bool) -> None:
    @step(timeout=1)
    async def fail(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    @step
    async def give_up(ev: StepFailed) -> StopEvent:
        return StopEvent(result="gave up")

    teller = Teller()
    steps = [fail, give_up] if handled else [fail]
    workflow = Workflow("failing", steps, observers=[teller])
    if handled:
        assert await workflow.run() == "gave up"
    else:
        with pytest.raises(StepFailedError):
            await workflow.run()
    assert teller.of("fail ") == ["starts", "#1 starts", "#1 timed_out", "failed"]
    assert teller.lines[-1] == f"run failing {'completed' if handled else 'failed'}"
    assert (teller.ends[-1].error is None) is handled


async def test_what_is_dropped_is_told_as_cancelled() -> None:
    """In flight, waiting for another attempt, and finished too late."""
    release = anyio.Event()

    @step
    async def begin(ev: StartEvent) -> list[Item]:
        return [Item(n) for n in range(4)]

    @step(name="work", retry=Retry(max_attempts=2, initial=99, jitter=False))
    async def work(ev: Item) -> Done:
        if ev.n == 0:
            await anyio.sleep(1)
        elif ev.n == 1:
            await anyio.sleep_forever()
        elif ev.n == 2:
            raise Boom
        elif ev.n == 3:
            with anyio.CancelScope(shield=True):
                await release.wait()
        return Done(ev.n)

    @step
    async def first(done: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=done[0].n)

    teller = Teller()
    workflow = Workflow("first", [begin, work, first], observers=[teller])
    async with workflow.start() as run:
        await anyio.sleep(2)
        release.set()
        assert await run.result() == 0
    assert sorted(teller.of("work ")) == sorted(
        ["starts", "#1 starts"] * 4
        + ["#1 succeeded", "succeeded"]
        + ["#1 cancelled", "cancelled"]  # in flight
        + ["#1 failed", "cancelled"]  # waiting for another attempt
        + ["#1 cancelled", "cancelled"]  # too late
    )
    # All of it before the gather begins: what is dropped is over.
    work = [number for number, line in enumerate(teller.lines) if line.startswith("work ")]
    assert max(work) < teller.lines.index("first starts")


async def test_what_is_dropped_before_it_was_tried_is_not_told() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Item]:
        return [Item(n) for n in range(4)]

    @step(max_concurrency=1)
    async def work(ev: Item) -> Done:
        await anyio.lowlevel.checkpoint()
        return Done(ev.n)

    @step
    async def first(done: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=len(done))

    teller = Teller()
    assert await Workflow("first", [begin, work, first], observers=[teller]).run() == 1
    assert teller.of("work ") == ["starts", "#1 starts", "#1 succeeded", "succeeded"]


async def test_a_retry_that_waits_when_the_run_ends_is_told_as_cancelled() -> None:
    @step(retry=Retry(max_attempts=2, initial=99, jitter=False))
    async def fail(ev: StartEvent) -> StopEvent:
        raise Boom

    teller = Teller()
    async with Workflow("waiting", [fail], observers=[teller]).start() as run:
        await anyio.sleep(1)
        run.cancel()
    assert teller.lines[-2:] == ["fail cancelled", "run waiting cancelled"]


async def test_an_event_that_nobody_accepts_is_the_failure_of_who_sent_it() -> None:
    @step(emits=[Item, StopEvent])
    async def lost(ev: StartEvent) -> Event:
        return Done(1)

    teller = Teller()
    with pytest.raises((NoHandlerError, StepFailedError)):
        await Workflow("lost", [lost, take_item], observers=[teller]).run()
    assert teller.of("lost") == ["starts", "#1 starts", "#1 failed", "failed"]


@step
async def take_item(ev: Item) -> StopEvent:
    return StopEvent()


async def test_an_attempt_that_does_not_repeat_itself_has_failed() -> None:
    @step(retry=Retry(max_attempts=2, initial=1, jitter=False))
    async def vary(ev: StartEvent, ctx: Context) -> None:
        if ctx.attempt == 1:
            ctx.send_event(Item(1), immediate=True)
            raise Boom

    @step
    async def rest(ev: Item) -> StopEvent | None:
        await anyio.sleep(99)
        return StopEvent()

    teller = Teller()
    with pytest.raises(NonDeterministicStepError):
        await Workflow("varying", [vary, rest], observers=[teller]).run()
    assert teller.of("vary ")[-2:] == ["#2 failed", "failed"]


async def test_a_suspended_run_tells_what_will_be_done_again_as_cancelled() -> None:
    @step
    async def wait(ev: StartEvent) -> StopEvent:
        if waits:
            await anyio.sleep_forever()
        return StopEvent(result="done")

    waits, teller = True, Teller()
    workflow = Workflow("waiting", [wait], observers=[teller])
    async with workflow.start() as run:
        await anyio.sleep(1)
        snapshot = await run.suspend()
    assert teller.lines[-3:] == ["wait #1 cancelled", "wait cancelled", "run waiting suspended"]
    waits = False
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"
    assert teller.lines[6:8] == ["run waiting goes on", "wait starts"]
    before, after = teller.attempts
    assert before.invocation.number == after.invocation.number


@pytest.mark.parametrize("asks", [False, True])
async def test_child_runs_of_a_suspended_run_are_suspended_and_not_cancelled(asks: bool) -> None:
    """Whether they are put down at work, or at rest because they wait for a human."""

    @step
    async def inner(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await (ctx.request_input("?") if asks else anyio.sleep_forever()))

    child = Workflow("child", [inner])

    @step
    async def between(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, StartEvent()))

    middle = Workflow("middle", [between])

    @step
    async def outer(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(middle, StartEvent()))

    teller = Teller()
    flow = Workflow("outer", [outer], observers=[teller])
    if asks:
        with pytest.raises(InputRequiredError):
            await flow.run()
    else:
        async with flow.start() as run:
            await anyio.sleep(1)
            await run.suspend()
    ends = [line for line in teller.lines if line.startswith("run ") and "starts" not in line]
    assert ends == ["run child suspended", "run middle suspended", "run outer suspended"]


async def test_a_child_run_that_lost_a_race_is_cancelled() -> None:
    @step
    async def inner(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        return StopEvent()

    child = Workflow("child", [inner])

    @step
    async def race(ev: StartEvent) -> list[Item]:
        return [Item(0), Item(1)]

    @step
    async def runner(ev: Item, ctx: Context) -> Done:
        if ev.n:
            await ctx.run_workflow(child, StartEvent())
        await anyio.sleep(1)
        return Done(ev.n)

    @step
    async def first(done: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=done[0].n)

    teller = Teller()
    assert await Workflow("race", [race, runner, first], observers=[teller]).run() == 0
    assert "run child cancelled" in teller.lines


async def test_a_cleanup_that_fails_while_the_run_is_put_down_counts_as_not_made() -> None:
    @step
    async def wait(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom

    teller = Teller()
    async with Workflow("failing", [wait], observers=[teller]).start() as run:
        await anyio.sleep(1)
        await run.suspend()
    assert teller.of("wait ") == ["starts", "#1 starts", "#1 failed", "cancelled"]


async def test_questions_and_answers_are_told() -> None:
    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("May I?")

    @step
    async def answer(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=(ev.response, await ctx.request_input("Really?")))

    teller = Teller()
    workflow = Workflow("polite", [ask, answer], observers=[teller])
    assert await workflow.run(input_handler=lambda request: "yes") == ("yes", "yes")
    asked = [line for line in teller.lines if "asks" in line or "answer" in line.split()[-1:]]
    assert asked == ["asks May I?", "gets an answer", "asks Really?", "gets an answer"]


async def test_an_answer_that_comes_with_the_resume_is_not_told() -> None:
    """It comes before the run goes on; the question is told again."""

    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("May I?")

    @step
    async def answer(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    teller = Teller()
    workflow = Workflow("polite", [ask, answer], observers=[teller])
    with pytest.raises(InputRequiredError) as waiting:
        await workflow.run()
    (request,) = waiting.value.requests
    resumed = workflow.resume(waiting.value.snapshot, responses={request.request_id: "yes"})
    async with resumed as run:
        assert await run.result() == "yes"
    assert teller.lines.count("gets an answer") == 0


async def test_a_child_run_is_watched_once_by_all_who_watch() -> None:
    both, own = Teller(), Teller()

    @step
    async def inner(ev: Item) -> StopEvent:
        return StopEvent(result=ev.n)

    child = Workflow("child", [inner], observers=[both, own])

    @step
    async def outer(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Item(7)))

    assert await Workflow("parent", [outer], observers=[both]).run() == 7
    assert [run.workflow for run in both.runs] == ["parent", "child"]
    assert both.runs[1].attempt is both.attempts[0]
    assert both.lines[3:-3] == own.lines
    assert own.runs[0].attempt is both.attempts[0]


async def test_a_child_whose_parent_is_not_watched_has_none_around_it() -> None:
    own = Teller()

    @step
    async def inner(ev: Item) -> StopEvent:
        return StopEvent(result=ev.n)

    child = Workflow("child", [inner], observers=[own])

    @step
    async def outer(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Item(7)))

    await Workflow("parent", [outer]).run()
    assert own.runs[0].attempt is None


async def test_an_outer_cancellation_ends_all_that_has_begun() -> None:
    @step(own_task=True)
    async def wait(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    teller = Teller()
    with anyio.move_on_after(1):
        await Workflow("waiting", [wait], observers=[teller]).run()
    assert teller.lines[-3:] == ["wait #1 cancelled", "wait cancelled", "run waiting cancelled"]


async def test_a_run_that_is_cancelled_before_it_begins_is_not_told() -> None:
    teller = Teller()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await Workflow("never", [begin_never], observers=[teller]).run()
    assert teller.lines == []


@step
async def begin_never(ev: StartEvent) -> StopEvent:
    raise AssertionError("never")


async def test_a_program_error_that_ends_everything_is_told() -> None:
    @step
    async def leave(ev: StartEvent) -> StopEvent:
        raise SystemExit(3)

    teller = Teller()
    with pytest.raises(SystemExit):
        await Workflow("leaving", [leave], observers=[teller]).run()
    assert teller.of("leave ") == ["starts", "#1 starts", "#1 failed", "failed"]
    assert teller.lines[-1] == "run leaving failed"


async def test_the_result_of_a_stored_run_is_no_run() -> None:
    teller, store = Teller(), MemoryStore()
    workflow = Workflow("stored", [take_item], observers=[teller])
    async with store:
        for _ in range(2):
            await workflow.run(Item(1), store=store, run_id="r")
    assert [line for line in teller.lines if line.startswith("run")] == [
        "run stored starts",
        "run stored completed",
    ]


async def test_waiting_counts_what_has_not_been_begun() -> None:
    counts: list[dict[str, int]] = []

    @step
    async def begin(ev: StartEvent) -> list[Item]:
        return [Item(n) for n in range(5)]

    @step(max_concurrency=1)
    async def work(ev: Item) -> Done:
        counts.append(dict(teller.runs[0].waiting()))
        return Done(ev.n)

    @step
    async def end(done: list[Done]) -> StopEvent:
        return StopEvent()

    teller = Teller()
    await Workflow("waiting", [begin, work, end], observers=[teller]).run()
    assert [count["work"] for count in counts] == [4, 3, 2, 1, 0]
    assert counts[0] == {"begin": 0, "work": 4, "end": 0}


async def test_observers_are_told_in_their_order_and_at_an_end_the_other_way_round() -> None:
    told: list[str] = []
    first, second = Named("first", told), Named("second", told)
    await Workflow("two", [take_item], observers=[first, second]).run(Item(1))
    assert told == ["first starts", "second starts", "second ends", "first ends"]


@attrs.define(eq=False)
class Named(Observer):
    """Writes down when it is told of a run, among others."""

    name: str
    told: list[str]

    def run_started(self, run: ObservedRun) -> None:
        self.told.append(f"{self.name} starts")

    def run_ended(self, run: ObservedRun, end: RunEnd) -> None:
        self.told.append(f"{self.name} ends")


# ---- contexts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lanes", [True, False])
async def test_what_is_put_around_an_attempt_is_seen_inside_and_only_there(lanes: bool) -> None:
    seen: list[tuple[str, str]] = []

    def look(where: str) -> None:
        seen.append((where, VARIABLE.get()))

    @step
    async def begin(ev: StartEvent) -> Item:
        look("begin")
        return Item(1)

    @step
    def threaded(ev: Item) -> list[Done]:
        look("threaded")
        return [Done(1), Done(2)]

    @step
    async def pause(ev: Done) -> Item | None:
        await anyio.lowlevel.checkpoint()
        look("pause")
        async with anyio.create_task_group() as group:
            group.start_soon(pause_inside)
        return None

    async def pause_inside() -> None:
        look("pause")

    child = Workflow("child", [look_around(look)])

    @step
    async def stop(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        await ctx.run_workflow(child, Done(1))
        look("stop")
        return StopEvent()

    workflow = Workflow("seen", [begin, threaded, pause, stop], observers=[Around()], lanes=lanes)
    await workflow.run()
    assert {value for where, value in seen if where != "inner"} == {
        f"{where} #1" for where in ("begin", "threaded", "pause", "stop")
    }
    assert all(value.split()[0] == where for where, value in seen)
    assert len(seen) == 8
    assert VARIABLE.get() == "unset"


def look_around(look: Any) -> Any:
    @step(name="inner")
    async def inner(ev: Done) -> StopEvent:
        look("inner")
        return StopEvent()

    return inner


async def test_a_lane_goes_on_after_an_observer_has_put_its_variable_back() -> None:
    """So a run that is watched does not need a task for each step."""
    tasks: list[int] = []

    @step
    async def hop(ev: Item) -> Item | StopEvent:
        tasks.append(anyio.get_current_task().id)
        return Item(ev.n - 1) if ev.n else StopEvent()

    await Workflow("hops", [hop], observers=[Around()]).run(Item(20))
    assert len(tasks) == 21
    assert len(set(tasks)) == 1


async def test_what_is_set_when_a_run_starts_is_seen_in_all_of_it_and_nowhere_else() -> None:
    class Set(Observer):
        def run_started(self, run: ObservedRun) -> None:
            VARIABLE.set(run.run_id)

    seen: list[str] = []

    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        seen.append(VARIABLE.get())
        return InputRequestEvent("May I?")

    @step
    async def answer(ev: InputResponseEvent) -> StopEvent:
        seen.append(VARIABLE.get())
        return StopEvent()

    def handle(request: InputRequestEvent) -> str:
        seen.append(VARIABLE.get())
        return "yes"

    workflow = Workflow("asking", [ask, answer], observers=[Set()])
    await workflow.run(run_id="r", input_handler=handle)
    assert seen == ["r"] * 3
    assert VARIABLE.get() == "unset"


# ---- harm ----------------------------------------------------------------------------------------

HOOKS = [name for name in vars(Observer) if not name.startswith("_")]


def raiser(hook: str) -> Observer:
    def fail(self: Observer, *about: object) -> None:
        raise Boom(hook)

    raising: Observer = type("Raising", (Observer,), {hook: fail})()
    return raising


@pytest.mark.parametrize("hook", HOOKS)
async def test_an_observer_that_raises_breaks_nothing(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first error is logged, and the other observers are told all."""

    @step(retry=Retry(max_attempts=2, initial=1))
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise Boom("the step's own")
        return StopEvent(result=await ctx.request_input("May I?"))

    teller = Teller()
    workflow = Workflow("asking", [ask], observers=[raiser(hook), teller, raiser(hook)])
    assert await workflow.run(input_handler=lambda request: "yes") == "yes"
    assert len(teller.lines) == 10
    assert [record.name for record in caplog.records] == ["blazen_anyio"] * 2
    assert "observer Raising failed" in caplog.text
    assert f"Boom: {hook}" in caplog.text


@pytest.mark.parametrize("where", ["enter", "exit"])
async def test_a_context_manager_that_raises_breaks_nothing(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad(Observer):
        @contextmanager
        def attempt_started(self, attempt: ObservedAttempt) -> Iterator[None]:
            if where == "enter":
                raise Boom
            yield
            raise Boom

    @step
    async def hop(ev: Item) -> Item | StopEvent:
        return Item(ev.n - 1) if ev.n else StopEvent(result="done")

    teller = Teller()
    workflow = Workflow("hops", [hop], observers=[teller, Bad()])
    assert await workflow.run(Item(3)) == "done"
    assert len(caplog.records) == 1
    assert teller.lines.count("hop #1 succeeded") == 4


async def test_a_context_manager_can_not_swallow_a_failure() -> None:
    class Swallowing(Observer):
        @contextmanager
        def attempt_started(self, attempt: ObservedAttempt) -> Iterator[None]:
            try:
                yield
            except BaseException:
                raise AssertionError("it was told the failure of the step") from None

    @step
    async def fail(ev: StartEvent) -> StopEvent:
        raise Boom

    with pytest.raises(StepFailedError):
        await Workflow("failing", [fail], observers=[Swallowing()]).run()


def test_what_is_no_observer_is_refused() -> None:
    with pytest.raises(DefinitionError, match="takes instances of Observer"):
        Workflow("w", [take_item], observers=[Teller])  # type: ignore[list-item]


# ---- what stays with a run -----------------------------------------------------------------------


@attrs.define(eq=False)
class Keeper(Observer):
    """Keeps a number with the run that counts how often it was started."""

    found: list[str | None] = attrs.field(factory=list)
    value: Any = None

    def run_started(self, run: ObservedRun) -> None:
        before = run.carrier.get("count")
        self.found.append(before)
        run.carrier["count"] = self.value or str(int(before or 0) + 1)


@step
async def wait_outside(ev: StartEvent, ctx: Context) -> StopEvent:
    return StopEvent(result=await ctx.request_input("May I?"))


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_what_an_observer_leaves_with_a_run_survives_in_a_store(durability: Any) -> None:
    keeper = Keeper()
    workflow = Workflow("kept", [wait_outside], observers=[keeper])
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError):
            await workflow.run(store=store, run_id="r", durability=durability)
        for _ in range(2):
            with pytest.raises(InputRequiredError):
                async with workflow.resume_from(store, "r") as run:
                    pass
        async with workflow.resume_from(store, "r") as run:
            await anyio.sleep(1)
            run.respond_to_input(run.requests[0].request_id, "yes")
            assert await run.result() == "yes"
    assert keeper.found == [None, "1", "2", "3"]


async def test_it_is_in_the_store_before_the_first_step_has_ended() -> None:
    """A run whose first step the process dies of has it, too."""
    keeper = Keeper()

    @step
    async def die(ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent()

    workflow = Workflow("dying", [die], observers=[keeper])
    store = MemoryStore()
    async with store:
        with anyio.move_on_after(1):
            await workflow.run(store=store, run_id="r")
        async with workflow.resume_from(store, "r") as run:
            await run.result()
    assert keeper.found == [None, "1"]


async def test_what_an_observer_leaves_with_child_runs_survives_in_a_snapshot() -> None:
    keeper = Keeper()
    child = Workflow("child", [wait_outside])

    @step
    async def outer(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, StartEvent()))

    workflow = Workflow("parent", [outer], observers=[keeper])
    with pytest.raises(InputRequiredError) as waiting:
        await workflow.run()
    text = waiting.value.snapshot.to_json()
    snapshot = Snapshot.from_json(text)
    responses = {snapshot.requests[0].request_id: "yes"}
    async with workflow.resume(snapshot, responses=responses) as run:
        assert await run.result() == "yes"
    assert keeper.found == [None, None, "1", "1"]


@pytest.mark.parametrize("value", [7, "x" * 9000])
async def test_only_short_texts_are_kept(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper(value=value)
    workflow = Workflow("kept", [wait_outside], observers=[keeper])
    with pytest.raises(InputRequiredError) as waiting:
        await workflow.run()
    assert "takes short texts only" in caplog.text
    with pytest.raises(RunSuspendedError):
        async with workflow.resume(waiting.value.snapshot):
            pass
    assert keeper.found == [None, None]


@pytest.mark.parametrize("text", ["{", "[" * 5000, "[]", '{"count": 1}', '"x"'])
async def test_what_no_observer_has_written_is_nothing(text: str) -> None:
    """A snapshot without a key may have been written by anybody."""
    keeper = Keeper()
    workflow = Workflow("kept", [wait_outside], observers=[keeper])
    with pytest.raises(InputRequiredError) as waiting:
        await workflow.run()
    data = waiting.value.snapshot.to_data()
    data["run"][0]["carrier"] = text
    with pytest.raises(InputRequiredError):
        async with workflow.resume(Snapshot.from_data(data)):
            pass
    assert keeper.found == [None, None]


async def test_nothing_is_written_down_for_a_run_that_is_not_watched() -> None:
    with pytest.raises(InputRequiredError) as waiting:
        await Workflow("plain", [wait_outside]).run()
    assert "carrier" not in waiting.value.snapshot.to_json()


async def test_a_cancelled_run_raises_as_it_does_unwatched() -> None:
    async with Workflow("plain", [wait_outside], observers=[Teller()]).start() as run:
        await anyio.sleep(1)
        run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()


@pytest.mark.parametrize("observers", [[], [Teller()]])
async def test_a_run_that_is_not_watched_has_plain_lanes(observers: list[Observer]) -> None:
    """So what observers cost is paid by those who have some."""
    async with Workflow("plain", [take_item], observers=observers).start(Item(1)) as run:
        await run.result()
    runner = run._runner
    assert (runner.watch is None, runner._lane_type is Lane) == (not observers, not observers)
