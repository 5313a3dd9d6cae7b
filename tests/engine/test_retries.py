"""Retries: a pure policy, delays kept by the machine, clean attempts, the last error as it was."""

from __future__ import annotations

import itertools

import anyio
import pytest

from blazen_anyio import (
    Context,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work, settle

pytestmark = pytest.mark.anyio


def flaky(failures: int, retry: Retry | None, error: type[Exception] = Boom) -> Workflow:
    """A step that fails ``failures`` times and then returns the times at which it was tried."""
    times: list[float] = []

    @step(retry=retry)
    async def fails(ev: StartEvent, ctx: Context) -> StopEvent:
        times.append(anyio.current_time())
        assert ctx.attempt == len(times)
        if ctx.attempt <= failures:
            raise error(str(ctx.attempt))
        return StopEvent(result=[each - times[0] for each in times])

    return Workflow("flaky", [fails])


async def test_waits_grow_exponentially_up_to_the_longest() -> None:
    retry = Retry(max_attempts=6, initial=1, factor=3, max_delay=10, jitter=False)
    assert await flaky(5, retry).run() == pytest.approx([0, 1, 4, 13, 23, 33])


async def test_with_jitter_no_wait_is_longer_than_without() -> None:
    retry = Retry(max_attempts=6, initial=1, factor=3, max_delay=10)
    times = await flaky(5, retry).run()
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(wait <= most for wait, most in zip(waits, [1, 3, 9, 10, 10], strict=True))


async def test_when_all_attempts_are_used_up_the_last_error_is_raised() -> None:
    with pytest.raises(StepFailedError) as caught:
        await flaky(9, Retry(max_attempts=3, initial=0)).run()
    assert caught.value.attempts == 3
    assert str(caught.value.error) == "3"


async def test_only_what_is_worth_it_is_retried() -> None:
    with pytest.raises(StepFailedError) as caught:
        await flaky(9, Retry(on=OSError)).run()
    assert caught.value.attempts == 1
    assert await flaky(1, Retry(on=(ValueError, Boom), initial=0)).run() == [0, 0]
    assert await flaky(1, Retry(on=lambda error: str(error) == "1", initial=0)).run() == [0, 0]


async def test_no_attempt_is_made_past_max_elapsed() -> None:
    retry = Retry(max_attempts=100, initial=4, factor=1, jitter=False, max_elapsed=10)
    with pytest.raises(StepFailedError) as caught:
        await flaky(99, retry).run()
    assert caught.value.attempts == 3


async def test_a_predicate_that_raises_is_the_failure_and_shows_what_it_judged() -> None:
    mistake = KeyError("in the predicate")

    def judge(error: BaseException) -> bool:
        raise mistake

    with pytest.raises(StepFailedError) as caught:
        await flaky(1, Retry(on=judge)).run()
    assert caught.value.error is mistake
    assert isinstance(mistake.__context__, Boom)


async def test_the_workflow_has_a_default_for_steps_that_have_none() -> None:
    attempts = {"own": 0, "default": 0}

    @step(retry=Retry(max_attempts=2, initial=0))
    async def own(ev: StartEvent) -> Work:
        attempts["own"] += 1
        raise Boom

    @step
    async def default(ev: StartEvent) -> Work:
        attempts["default"] += 1
        raise Boom

    @step
    async def end(ev: Work) -> StopEvent:
        return StopEvent()

    for which in (own, default):
        workflow = Workflow("w", [which, end], retry=Retry(max_attempts=4, initial=0))
        with pytest.raises(StepFailedError):
            await workflow.run()
    assert attempts == {"own": 2, "default": 4}


async def test_a_delayed_attempt_holds_no_slot() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work, Done]:
        return Work(0), Work(1), Done()

    @step(max_concurrency=1, retry=Retry(initial=100, jitter=False))
    async def work(ev: Work, ctx: Context) -> StopEvent | None:
        log(f"{ev.n} attempt {ctx.attempt}")
        if ev.n == 0 and ctx.attempt == 1:
            raise Boom
        return StopEvent() if ev.n == 0 else None

    @step
    async def done(ev: Done) -> None:
        return None

    await Workflow("w", [begin, work, done]).run()
    assert log.lines == ["0 attempt 1", "1 attempt 1", "0 attempt 2"]


async def test_a_retried_event_queues_behind_what_is_there() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(3))

    @step(max_concurrency=1, retry=Retry(initial=0))
    async def work(ev: Work, ctx: Context) -> StopEvent | None:
        log(str(ev.n))
        if ev.n == 0 and ctx.attempt == 1:
            raise Boom
        return StopEvent() if ev.n == 0 else None

    await Workflow("w", [begin, work]).run()
    assert log.lines == ["0", "1", "2", "0"]


async def test_delays_survive_a_suspension() -> None:
    tries: list[int] = []

    @step(retry=Retry(initial=60, max_delay=60, jitter=False))
    async def fails(ev: StartEvent, ctx: Context) -> StopEvent:
        tries.append(ctx.attempt)
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result="ok")

    workflow = Workflow("w", [fails])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    started = anyio.current_time()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "ok"
    # Real time passes on the wall clock, virtual time in the run.
    assert anyio.current_time() - started == pytest.approx(60, abs=5)
    assert tries == [1, 2]


async def test_statistics_say_how_often() -> None:
    async with flaky(2, Retry(initial=0)).start() as run:
        await run.result()
        counts = run.statistics().steps["fails"]
    assert (counts.retried, counts.failed, counts.done) == (2, 0, 1)


async def test_the_idempotency_key_is_the_same_on_every_attempt() -> None:
    keys: list[str] = []

    @step(retry=Retry(initial=0))
    async def fails(ev: StartEvent | Work, ctx: Context) -> Work | StopEvent:
        keys.append(ctx.idempotency_key)
        if ctx.attempt < 3:
            raise Boom
        return StopEvent() if isinstance(ev, Work) else Work()

    await Workflow("w", [fails]).run()
    assert keys[0] == keys[1] == keys[2]
    assert keys[3] == keys[4] == keys[5]
    assert keys[0] != keys[3]
