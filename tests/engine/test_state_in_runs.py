"""State in a run: own writes over committed state, conflicts found, values refused at the write."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    ContextClosedError,
    Retry,
    StartEvent,
    StateConflictError,
    StateKey,
    StateValueError,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work

pytestmark = pytest.mark.anyio

COUNT = StateKey("count", int, default=0)
ITEMS: StateKey[list[int]] = StateKey("items", list)


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(n) for n in range(5)]


@step
async def total(done: list[Done], ctx: Context) -> StopEvent:
    return StopEvent(result=ctx.state.get("count"))


async def test_two_attempts_that_read_and_write_one_key_conflict() -> None:
    @step
    async def work(ev: Work, ctx: Context) -> Done:
        count = ctx.state.get("count", 0)
        await anyio.sleep(1)
        ctx.state["count"] = count + 1
        return Done()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [split, work, total]).run()
    error = caught.value.error
    assert isinstance(error, StateConflictError)
    assert (error.step, error.key) == ("work", "count")
    assert caught.value.attempts == 1  # without a Retry it is final


async def test_a_conflict_can_be_retried() -> None:
    @step(retry=Retry(max_attempts=10, initial=0, on=StateConflictError))
    async def work(ev: Work, ctx: Context) -> Done:
        count = ctx.state.get("count", 0)
        await anyio.sleep(1)
        ctx.state["count"] = count + 1
        return Done()

    assert await Workflow("w", [split, work, total]).run() == 5


async def test_a_step_that_does_not_await_in_between_can_not_conflict() -> None:
    @step
    async def work(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(1)
        ctx.state["count"] = ctx.state.get("count", 0) + 1
        return Done()

    assert await Workflow("w", [split, work, total]).run() == 5


async def test_writing_without_reading_never_conflicts() -> None:
    @step
    async def work(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(1)
        ctx.state["count"] = ev.n
        await anyio.sleep(ev.n)
        return Done()

    assert await Workflow("w", [split, work, total]).run() == 4


async def test_reading_without_writing_never_conflicts() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def read(ev: Work, ctx: Context) -> StopEvent:
        before = ctx.state.get("count")
        await anyio.sleep(10)
        return StopEvent(result=(before, ctx.state.get("count")))

    @step
    async def write(ev: Done, ctx: Context) -> None:
        ctx.state["count"] = 1

    assert await Workflow("w", [begin, read, write]).run() == (None, 1)


async def test_apply_never_conflicts() -> None:
    @step
    async def work(ev: Work, ctx: Context) -> Done:
        ctx.state.apply("count", lambda value: value + ev.n, 100)
        await anyio.sleep(ev.n)
        return Done()

    assert await Workflow("w", [split, work, total]).run() == 110


async def test_a_typed_key_gives_its_default_to_reads_and_to_apply() -> None:
    @step
    async def work(ev: Work, ctx: Context) -> Done:
        ctx.state.apply(COUNT, lambda value: value + 1)
        await anyio.sleep(1)
        return Done()

    @step
    async def begin(ev: StartEvent, ctx: Context) -> list[Work]:
        assert ctx.state[COUNT] == 0
        return [Work(n) for n in range(5)]

    @step
    async def end(done: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=(ctx.state[COUNT], ctx.state["count"]))

    assert await Workflow("w", [begin, work, end]).run() == (5, 5)


async def test_a_missing_key_is_a_key_error_of_the_step() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state[ITEMS])

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert isinstance(caught.value.error, KeyError)


async def test_a_container_read_from_state_is_private_and_changing_it_is_a_write() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent, ctx: Context) -> tuple[Work, Done]:
        ctx.state["items"] = [1]
        return Work(), Done()

    @step
    async def change(ev: Work, ctx: Context) -> None:
        ctx.state["items"].append(2)
        await anyio.sleep(2)

    @step
    async def watch(ev: Done, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        log(str(ctx.state["items"]))
        await anyio.sleep(2)
        return StopEvent(result=None)

    @step
    async def after(ev: Work, ctx: Context) -> None:
        await anyio.sleep(2.5)
        log(str(ctx.state["items"]))

    await Workflow("w", [begin, change, watch, after]).run()
    assert log.lines == ["[1]", "[1, 2]"]


async def test_a_value_is_copied_when_it_is_set() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Work:
        items = [1]
        ctx.state["items"] = items
        items.append(2)
        return Work()

    @step
    async def end(ev: Work, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["items"])

    assert await Workflow("w", [begin, end]).run() == [1]


async def test_a_container_that_was_only_read_is_no_write() -> None:
    """So two readers of one list do not conflict."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> list[Work]:
        ctx.state["items"] = [1, 2]
        return [Work(n) for n in range(3)]

    @step
    async def read(ev: Work, ctx: Context) -> Done:
        items = ctx.state["items"]
        await anyio.sleep(1)
        return Done(sum(items))

    @step
    async def end(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [begin, read, end]).run() == [3, 3, 3]


class Live:
    """A live object."""


@pytest.mark.parametrize("value", [Live(), [Live()], lambda: None, iter([]), {"a": {1: Live()}}])
async def test_a_value_that_can_not_be_restored_is_refused_at_the_write(value: Any) -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        with pytest.raises(StateValueError, match="the key") as caught:
            ctx.state["the key"] = value
        assert isinstance(caught.value, TypeError)
        assert "the key" not in ctx.state
        return StopEvent(result=len(ctx.state))

    assert await Workflow("w", [begin]).run() == 0


async def test_an_unstorable_change_of_a_container_fails_the_commit() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.state.setdefault("items", []).append(Live())
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert isinstance(caught.value.error, StateValueError)


async def test_a_function_given_to_apply_that_raises_fails_the_attempt() -> None:
    boom = Boom()

    def fail(value: Any) -> Any:
        raise boom

    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.state.apply("key", fail)
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert caught.value.error is boom


async def test_keys_can_be_removed() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Work:
        ctx.state.update(a=1, b=2, c=3)
        return Work()

    @step
    async def remove(ev: Work, ctx: Context) -> Done:
        del ctx.state["a"]
        assert ctx.state.pop("b") == 2
        return Done()

    @step
    async def end(ev: Done, ctx: Context) -> StopEvent:
        return StopEvent(result=dict(ctx.state))

    assert await Workflow("w", [begin, remove, end]).run() == {"c": 3}


async def test_state_can_be_updated_in_place_but_not_replaced() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Work:
        ctx.state |= {"a": 1}
        with pytest.raises(AttributeError, match="keys"):
            ctx.state = {"b": 2}  # type: ignore[assignment]
        return Work()

    @step
    async def end(ev: Work, ctx: Context) -> StopEvent:
        return StopEvent(result=dict(ctx.state))

    assert await Workflow("w", [begin, end]).run() == {"a": 1}


async def test_state_used_after_the_attempt_is_an_error() -> None:
    kept = []

    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        kept.append(ctx.state)
        ctx.state["a"] = 1
        return StopEvent()

    await Workflow("w", [begin]).run()
    with pytest.raises(ContextClosedError):
        kept[0]["a"] = 2
    with pytest.raises(ContextClosedError):
        _ = kept[0]["a"]


async def test_runs_do_not_share_state() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        before = ctx.state.get("a")
        ctx.state["a"] = 1
        return StopEvent(result=before)

    workflow = Workflow("w", [begin])
    assert [await workflow.run(), await workflow.run()] == [None, None]
