"""What readers of the code found, each as the claim that it broke."""

from __future__ import annotations

from typing import Annotated

import anyio
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    Resource,
    StartEvent,
    StopEvent,
    StoreError,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

pytestmark = pytest.mark.anyio


class Ask(InputRequestEvent, event_type="review.Ask"):
    pass


class Next(Event, event_type="review.Next"):
    pass


async def test_recovery_leaves_alone_what_was_cancelled_while_it_ran() -> None:
    begun: list[str] = []

    @step
    async def begin(ev: StartEvent) -> Next:
        return Next()

    @step
    async def go_on(ev: Next, ctx: Context) -> StopEvent:
        begun.append(ctx.run_id)
        if ready:
            await store.cancel("second")
            return StopEvent(result="done")
        await anyio.sleep_forever()
        raise AssertionError

    ready: list[bool] = []
    workflow = Workflow("review", [begin, go_on])
    store = MemoryStore()
    async with store:
        for run_id in ("first", "second"):
            with anyio.move_on_after(1):
                await workflow.run(run_id=run_id, store=store)
        begun.clear()
        ready.append(True)
        recovered = await workflow.recover(store, max_runs=1)
        assert [(each.run_id, each.result) for each in recovered] == [("first", "done")]
        assert begun == ["first"]
        found = await store.load("second")
        assert found is not None and found.status == "cancelled"


async def test_an_answer_from_outside_opens_no_resource() -> None:
    """Not even one that belongs to the whole workflow, which nobody has entered."""

    def open_nothing() -> int:
        raise AssertionError("a step is to run")

    @step
    async def ask(ev: StartEvent) -> Ask:
        return Ask("May I?")

    @step
    async def answer(
        ev: InputResponseEvent,
        number: Annotated[int, Resource(open_nothing, scope="workflow")],
    ) -> StopEvent:
        return StopEvent(result=(ev.response, number))

    workflow = Workflow("review", [ask, answer])
    fakes = {open_nothing: 7}
    async with MemoryStore() as store:
        with pytest.raises(InputRequiredError) as caught:
            await workflow.run(run_id="r", store=store, resources=fakes)
        await workflow.respond_to(store, "r", caught.value.requests[0].request_id, "yes")
        async with workflow.resume_from(store, "r", resources=fakes) as run:
            assert await run.result() == ("yes", 7)
        async with workflow.resume_from(store, "r") as run:  # its result needs none either
            assert await run.result() == ("yes", 7)


class Forgetful(MemoryStore):
    """Fails some renewals."""

    failures = 0
    renewals = 0

    async def renew(self, run_id: str, epoch: int) -> None:
        self.renewals += 1
        if self.renewals <= self.failures:
            raise OSError("busy")
        await super().renew(run_id, epoch)


@pytest.mark.parametrize(("failures", "fails"), [(2, False), (3, True)])
async def test_a_run_outlives_renewals_that_fail_until_its_lease_is_over(
    failures: int, fails: bool
) -> None:
    @step
    async def wait(ev: StartEvent) -> StopEvent:
        await anyio.sleep(65)
        return StopEvent(result="slept")

    workflow = Workflow("review", [wait])
    store = Forgetful(lease=30.0)
    store.failures = failures
    async with store:
        if fails:
            with pytest.raises(StoreError):
                await workflow.run(store=store)
        else:
            assert await workflow.run(store=store) == "slept"
