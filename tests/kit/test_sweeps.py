"""``cancel_sweep`` and ``crash_sweep``: at every turn, and nothing is left, lost or repeated."""

from __future__ import annotations

import asyncio
from typing import Annotated

import anyio
import attrs
import pytest

from blazen_anyio import Context, Event, Resource, Retry, StartEvent, StopEvent, Workflow, step
from blazen_anyio.testing import (
    Faults,
    Raise,
    SimulationError,
    SweepError,
    cancel_sweep,
    crash_sweep,
    explore,
    random_workflow,
    simulate,
)

from . import LONG
from .shop import Order, shop

BACKENDS = ["asyncio", "trio"]


class Charge(Event, event_type="kit.Charge"):
    n: int


class Charged(Event, event_type="kit.Charged"):
    n: int


# ---- cancelling ---------------------------------------------------------------------------------


def test_a_sound_workflow_is_cancelled_at_every_turn_in_both_ways_on_both_backends():
    done = cancel_sweep(shop, Order(["a", "bb"]))
    assert done.places == 6
    assert done.runs == 4 * (6 + 1)


@pytest.mark.parametrize("seed", range(40 if LONG else 8))
def test_random_workflows_leave_nothing_wherever_they_are_cancelled(seed):
    random = random_workflow(seed)
    cancel_sweep(
        random.workflow, random.start, human=random.human, seed=seed, backends=[BACKENDS[seed % 2]]
    )


def test_a_check_sees_each_cancelled_run():
    seen = []
    cancel_sweep(shop, Order(["a"]), lambda t: seen.append(t.status), backends=["asyncio"])
    assert set(seen) == {"cancelled"}

    def check(transcript):
        raise LookupError("not this")

    with pytest.raises(SweepError, match="LookupError: not this") as caught:
        cancel_sweep(shop, Order(["a"]), check)
    assert caught.value.at == 1
    assert isinstance(caught.value.__cause__, LookupError)
    with pytest.raises(SweepError, match="returned False"):
        cancel_sweep(shop, Order(["a"]), lambda t: False)


def test_a_task_that_is_left_and_a_failing_cleanup_are_found():
    @step
    async def leaves(ev: StartEvent) -> StopEvent:
        asyncio.get_running_loop().create_task(asyncio.sleep(9))
        await anyio.sleep(1)
        return StopEvent()

    with pytest.raises(SweepError, match="tasks are left"):
        cancel_sweep(Workflow("leaves", [leaves]), backends=["asyncio"])

    @step
    async def fails(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        return StopEvent()

    with pytest.raises(SimulationError, match="everything waits"):
        cancel_sweep(Workflow("hangs", [fails]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancellation_that_is_swallowed_or_does_not_end_the_run_is_found(backend):
    @step
    async def swallows(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep(1)
        except BaseException:
            return StopEvent(result="default")
        return StopEvent()

    with pytest.raises(SweepError, match="swallowed the cancellation: swallows#2"):
        cancel_sweep(Workflow("swallows", [swallows]), backends=[backend])

    async def outside(run):
        await anyio.sleep_forever() if run.status == "cancelled" else await anyio.sleep(0.5)
        await anyio.Event().wait() if run.status == "cancelled" else None

    with pytest.raises(SweepError, match="it stuck: StuckError"):
        cancel_sweep(shop, Order(["a"]), script=outside, ways=["handle"], backends=[backend])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancellation_that_a_steps_own_task_swallows_is_found(backend):
    async def swallows():
        try:
            await anyio.sleep(2)
        except BaseException:
            pass

    async def cleans_up():
        try:
            await anyio.sleep(2)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)

    async def gives_up():
        with anyio.move_on_after(0.5):
            await anyio.sleep(2)

    async def ends_its_own_task():
        async with anyio.create_task_group() as group:
            group.start_soon(cleans_up)
            await anyio.sleep(0.2)
            group.cancel_scope.cancel()

    def step_with(task):
        @step
        async def body(ev: StartEvent) -> StopEvent:
            async with anyio.create_task_group() as group:
                group.start_soon(task)
                await anyio.sleep(1)
            return StopEvent()

        return Workflow("tasks", [body])

    for sound in (cleans_up, gives_up, ends_its_own_task):
        assert cancel_sweep(step_with(sound), backends=[backend]).places > 2
    with pytest.raises(SweepError, match=r"swallowed the cancellation: body#2\.1"):
        cancel_sweep(step_with(swallows), backends=[backend])


def test_tasks_of_asyncio_that_are_cancelled_before_they_have_begun_are_not_left():
    @step
    async def gathers(ev: StartEvent) -> StopEvent:
        await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))
        return StopEvent()

    assert cancel_sweep(Workflow("gathers", [gathers]), backends=["asyncio"]).places > 2


def test_the_last_turn_is_swept_too_where_libraries_take_turns_of_their_own():
    @step
    async def hands_over(ev: StartEvent) -> StopEvent:
        send, receive = anyio.create_memory_object_stream[int]()

        async def hand_over():
            for number in range(3):
                await send.send(number)

        async with send, receive, anyio.create_task_group() as group:
            group.start_soon(hand_over)
            for _ in range(3):
                await receive.receive()
        try:
            await anyio.sleep(1)
        except BaseException:
            return StopEvent(result="default")
        return StopEvent()

    with pytest.raises(SweepError, match="swallowed the cancellation: hands_over#2"):
        cancel_sweep(Workflow("hands over", [hands_over]))


def test_sweeps_and_explorations_are_not_accompanied_by_the_engines_log(caplog):
    @step
    async def fails_at_last(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep(1)
        finally:
            raise LookupError

    @step
    async def ends(ev: StartEvent) -> StopEvent:
        return StopEvent()

    fails = Workflow("fails", [fails_at_last, ends])
    simulate(fails)
    assert caplog.messages == ["run simulation-0: an error while the run was ending"]
    caplog.clear()
    explore(fails, None, lambda t: True)
    cancel_sweep(fails)
    assert not caplog.messages


# ---- crashing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("durability", ["sync", "async"])
def test_a_run_that_crashes_at_any_turn_has_the_same_result(backend, durability):
    done = crash_sweep(
        shop, Order(["a", "bb"]), lambda t: t.outcome(), durability=durability, backend=backend
    )
    assert done.places > 10
    assert done.runs == done.places + 1


@pytest.mark.parametrize("seed", range(60 if LONG else 6))
def test_random_workflows_survive_crashes(seed):
    random = random_workflow(seed)
    crash_sweep(
        random.workflow,
        random.start,
        lambda transcript: transcript.result == random.result,
        human=random.human,
        seed=seed,
        crashes=1 + seed % 3,
        durability="async" if seed % 4 == 3 else "sync",
        backend=BACKENDS[seed % 2],
    )


def test_a_run_that_fails_fails_alike_after_a_crash():
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        await anyio.sleep(1)
        raise KeyError("always")

    assert crash_sweep(Workflow("fails", [fails])).places > 0


@attrs.define
class Bank:
    keys: dict[str, int] = attrs.field(factory=dict)
    calls: int = 0

    async def charge(self, key: str, n: int) -> int:
        await anyio.sleep(1)
        self.calls += 1
        self.keys[key] = n
        return n


def open_bank() -> Bank:
    return Bank()


def bank(keyed: bool) -> Workflow:
    @step
    async def begin(ev: StartEvent) -> Charge:
        return Charge(5)

    @step(retry=Retry())
    async def charge(
        ev: Charge, ctx: Context, bank: Annotated[Bank, Resource(open_bank)]
    ) -> Charged:
        key = ctx.idempotency_key if keyed else f"call {bank.calls}"
        return Charged(await bank.charge(key, ev.n))

    @step
    async def end(ev: Charged) -> StopEvent:
        return StopEvent(result=ev.n)

    return Workflow("bank", [begin, charge, end])


def test_effects_outside_have_to_be_those_of_the_undisturbed_run():
    """The bank forgets what it gets twice under one key, and is charged twice without."""
    fakes = {"resources": lambda: {open_bank: Bank()}}

    def effects(transcript):
        return sorted(transcript.resources[open_bank].keys.values())

    crash_sweep(bank(keyed=True), effects=effects, **fakes)
    with pytest.raises(SweepError, match="its effects are") as caught:
        crash_sweep(bank(keyed=False), effects=effects, **fakes)
    assert "what the last process did" in str(caught.value)


def test_a_result_that_differs_after_a_crash_is_found():
    """A step that depends on what no other process knows."""
    lives = []

    def make():
        lives.clear()

        @step
        async def begin(ev: StartEvent) -> Charge:
            lives.append(1)
            return Charge(len(lives))

        @step
        async def end(ev: Charge) -> StopEvent:
            return StopEvent(result=ev.n)

        return Workflow("lives", [begin, end])

    with pytest.raises(SweepError, match="it ends with 2, and undisturbed with 1"):
        crash_sweep(make)
    with pytest.raises(SweepError, match="returned False"):
        crash_sweep(shop, Order(["a"]), lambda t: False)
    with pytest.raises(SweepError, match="LookupError"):
        crash_sweep(shop, Order(["a"]), lambda t: raise_lookup())


def raise_lookup():
    raise LookupError("x")


def test_what_is_wrong_with_the_undisturbed_run_is_not_blamed_on_a_crash():
    with pytest.raises(SweepError, match="workflow 'shop', undisturbed:") as caught:
        crash_sweep(shop, Order(["a"]), lambda t: False)
    assert caught.value.at == 0
    assert "died" not in str(caught.value)


def test_errors_that_differ_only_in_an_address_are_alike():
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        await anyio.sleep(1)
        raise KeyError(object())

    assert crash_sweep(Workflow("fails", [fails])).places > 0


@pytest.mark.parametrize("sweep", [cancel_sweep, crash_sweep])
def test_sweeps_draw_faults_from_their_seed(sweep):
    seen = set()

    def look(transcript):
        seen.update(fact.kind for fact in transcript.facts)

    faults = Faults.any(Raise("price"), rate=1.0, most=1)
    assert sweep(shop, Order(["a"]), look, faults=faults).places > 0
    assert "step_failed" in seen


def test_tasks_that_are_left_and_runs_that_hang_are_found():
    @step
    async def leaves(ev: StartEvent) -> StopEvent:
        asyncio.get_running_loop().create_task(asyncio.sleep(9))
        return StopEvent()

    with pytest.raises(SweepError, match="tasks are left"):
        crash_sweep(Workflow("leaves", [leaves]))

    @step
    async def hangs(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()
        return StopEvent()

    with pytest.raises(SimulationError, match="everything waits"):
        crash_sweep(Workflow("hangs", [hangs]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_life_that_can_not_be_ended_is_an_error(backend):
    def make():
        lives = []

        @step
        async def body(ev: StartEvent) -> StopEvent:
            lives.append(1)
            await anyio.sleep(1)
            if len(lives) > 1:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep_forever()
            return StopEvent()

        return Workflow("lives", [body])

    with pytest.raises(SimulationError, match="even cancelling"):
        crash_sweep(make, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_dead_clean_up_only_when_nobody_looks_any_more(backend):
    """A process that dies runs no cleanup; and it is gone in the end."""
    cleaned, seen = [], []

    @step
    async def body(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep(1)
        except BaseException:
            cleaned.append(1)
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            raise
        return StopEvent()

    def check(transcript):
        seen.append(len(cleaned))

    crash_sweep(Workflow("cleans", [body]), None, check, backend=backend)
    assert cleaned
    assert sorted(seen) == seen
