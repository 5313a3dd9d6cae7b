"""Human input, and waiting inside a step."""

from __future__ import annotations

import random
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    EventStream,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    Run,
    RunEndedError,
    StartEvent,
    StopEvent,
    UnknownRequestError,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, FlakyError, example, tries
from .scripts import answering, beside, leaving, taken_up_again
from .vocabulary import Approved, Done, Note, Work, collect, note, split, total

# ---- human input -------------------------------------------------------------------------------


@step
async def ask(ev: StartEvent) -> InputRequestEvent:
    await checkpoint()
    return InputRequestEvent("may I?", {"of": "the user"})


@step
async def answered(ev: InputResponseEvent) -> StopEvent:
    await anyio.sleep(MINUTE)
    return StopEvent(result=ev.response)


@example(["yes", {"but": 1}], script=answering({"may I?": ["yes", {"but": 1}]}))
def returned_request() -> Workflow[Any]:
    """A step returns an `InputRequestEvent`; `run.respond_to_input` routes the response."""
    return Workflow("polite", [ask, answered])


@example("yes", script=answering({"may I?": "yes"}))
def sent_request() -> Workflow[Any]:
    """A step returns (or sends) an `InputRequestEvent`."""

    @step
    async def send(ev: StartEvent, ctx: Context) -> None:
        ctx.send_event(InputRequestEvent("may I?"))
        await checkpoint()

    return Workflow("sent", [send, answered])


@example([0, 10, 20], script=answering({"0?": 0, "1?": 10, "2?": 20}))
def answers_keep_their_branch() -> Workflow[Any]:
    """... into the request's scope and branch; several may be open at once."""

    @step
    async def each(ev: Work) -> InputRequestEvent:
        await anyio.sleep(HOUR / (1 + ev.n))
        return InputRequestEvent(f"{ev.n}?")

    @step
    async def took(ev: InputResponseEvent) -> Done:
        await checkpoint()
        return Done(ev.response)

    return Workflow("branches", [split(3), each, took, total])


@example(["worked on", "yes"], script=answering({"may I?": "yes"}))
def other_work_goes_on() -> Workflow[Any]:
    """Other work goes on."""

    @step
    async def begin(ev: StartEvent) -> tuple[InputRequestEvent, Work]:
        return InputRequestEvent("may I?"), Work(0)

    @step
    async def work(ev: Work, ctx: Context) -> None:
        await anyio.sleep(MINUTE)
        ctx.state["other"] = "worked on"

    @step
    async def finish(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=[ctx.state["other"], ev.response])

    return Workflow("other", [begin, work, finish])


async def _answer_wrongly(run: Run[Any], stream: EventStream) -> None:
    async for event in stream:
        if not isinstance(event, InputRequestEvent):
            continue
        for request_id, reason in (("nobody's", "unknown"), (event.request_id, "answered")):
            if reason == "answered":
                run.respond_to_input(request_id, "yes")
            try:
                run.respond_to_input(request_id, "no")
            except UnknownRequestError as error:
                assert error.reason == reason


@example("yes", script=beside(_answer_wrongly))
def only_open_requests_are_answered() -> Workflow[Any]:
    """An unknown, answered or withdrawn id is an error."""
    return Workflow("wrong", [ask, answered])


async def _handle(request: InputRequestEvent) -> str:
    await anyio.sleep(HOUR)
    return f"handled: {request.prompt}"


@example("handled: may I?")
def input_handler() -> Workflow[Any]:
    """An `input_handler=` answers in a task of its own."""
    return Workflow("handler", [ask, answered], input_handler=_handle)


async def _fail(request: InputRequestEvent) -> str:
    await anyio.sleep(HOUR)
    raise FlakyError("nobody is at home")


@example(["StepFailedError", "input_handler", 1, "FlakyError", "nobody is at home"])
def failing_input_handler() -> Workflow[Any]:
    """A failing `input_handler` is a `StepFailedError` from the original."""
    return Workflow("handler", [ask, answered], input_handler=_fail)


@example(["InputRequiredError"], script=leaving)
def nobody_to_answer() -> Workflow[Any]:
    """With no way to answer, the run suspends when nothing else is left: `InputRequiredError`."""
    return Workflow("nobody", [ask, answered])


@example("yes", script=taken_up_again(InputRequiredError, {"may I?": "yes"}))
def answered_on_resume() -> Workflow[Any]:
    """`workflow.resume(snapshot, responses={request_id: value})`."""
    return Workflow("later", [ask, answered])


@example(["Ada", 36], script=answering({"your name?": "Ada", "your age?": 36}))
def request_input_inside_a_step() -> Workflow[Any]:
    """`await ctx.request_input(prompt)` waits inside a step."""

    @step(timeout=5 * MINUTE)
    async def interview(ev: StartEvent, ctx: Context) -> StopEvent:
        name = await ctx.request_input("your name?")
        await anyio.sleep(MINUTE)
        age = await ctx.request_input("your age?", {"of": name})
        return StopEvent(result=[name, age])

    return Workflow("interview", [interview])


@example("no answer")
def request_times_out() -> Workflow[Any]:
    """`ctx.request_input` with a time-out: the request is withdrawn."""

    @step
    async def interview(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.request_input("your name?", timeout=HOUR)
        except TimeoutError:
            await anyio.sleep(MINUTE)
            return StopEvent(result="no answer")
        return StopEvent()

    return Workflow("silence", [interview])


# ---- waiting for events ------------------------------------------------------------------------


@example([1, 0])
def wait_for_event_where() -> Workflow[Any]:
    """`await ctx.wait_for_event(Approved, where=..., timeout=...)` waits inside a step."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work, Note]:
        return Work(0), Work(1), Note("go")

    @step(waits=[Approved])
    async def wait(ev: Work, ctx: Context) -> Done:
        approved = await ctx.wait_for_event(Approved, where=lambda approved: approved.n == ev.n)
        return Done(approved.n)

    @step
    async def approve(ev: Note, ctx: Context) -> Approved:
        ctx.send_event(Approved(0), delay=HOUR)
        await anyio.sleep(MINUTE)
        return Approved(1)

    return Workflow("where", [begin, wait, approve, collect(2)])


@example("gave up")
def wait_times_out() -> Workflow[Any]:
    """... `timeout=...`, which does not begin anew in another process."""

    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Note("in between"), delay=1.5 * HOUR)
        ctx.send_event(Done(0), delay=3 * HOUR)
        try:
            await ctx.wait_for_event(Approved, timeout=2 * HOUR)
        except TimeoutError:
            return StopEvent(result="gave up")
        return StopEvent(result="approved")

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent(result="still waiting")

    return Workflow("time-out", [wait, note, end])


@example(["StepFailedError", "wait", 1, "DefinitionError"])
def undeclared_wait() -> Workflow[Any]:
    """... inside a step that declares it (`@step(waits=[Approved])`)."""

    @step
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=(await ctx.wait_for_event(Approved)).n)

    return Workflow("undeclared", [wait])


@example(5)
def sends_leave_before_a_wait() -> Workflow[Any]:
    """What the step has sent so far leaves before it waits."""

    @step(waits=[Approved])
    async def offer(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Work(5))
        approved = await ctx.wait_for_event(Approved)
        return StopEvent(result=approved.n)

    @step
    async def approve(ev: Work) -> Approved:
        await anyio.sleep(MINUTE)
        return Approved(ev.n)

    return Workflow("offer", [offer, approve])


@example(5)
def mailbox() -> Workflow[Any]:
    """Events of these types that nobody claims sit in the run's mailbox."""

    @step
    async def begin(ev: StartEvent) -> tuple[Approved, Work]:
        return Approved(5), Work(0)

    @step(waits=[Approved])
    async def late(ev: Work, ctx: Context) -> StopEvent:
        await anyio.sleep(HOUR)
        return StopEvent(result=(await ctx.wait_for_event(Approved)).n)

    return Workflow("mailbox", [begin, late])


@example([1, 20, 300])
def waiters_first_in_first_out() -> Workflow[Any]:
    """Waiters are served first, first in, first out; one event satisfies one wait."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> list[Work]:
        for n, amount in enumerate((1, 20, 300)):
            ctx.send_event(Approved(amount), delay=(1 + n) * HOUR)
        await checkpoint()
        return [Work(n) for n in range(3)]

    @step(waits=[Approved])
    async def wait(ev: Work, ctx: Context) -> Done:
        return Done((await ctx.wait_for_event(Approved)).n)

    return Workflow("queue", [begin, wait, total])


async def _suspend_while_it_waits(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        await anyio.sleep(MINUTE)
        began = anyio.current_time()
        try:
            snapshot = await run.suspend(grace=100 * HOUR)
        except RunEndedError:
            return await run.result()
        assert anyio.current_time() - began < MINUTE
    async with workflow.resume(snapshot) as again:
        return await again.result()


@example(5, script=_suspend_while_it_waits)
def pause_does_not_wait_for_a_waiter() -> Workflow[Any]:
    """A pause does not wait for a waiter."""

    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Approved(5), delay=HOUR)
        return StopEvent(result=(await ctx.wait_for_event(Approved)).n)

    return Workflow("waiter", [wait])


async def draw() -> int:
    """What must not happen twice: nobody draws the same number again."""
    await checkpoint()
    return random.randrange(10**9)


@example([True, 2])
def waiting_step_starts_again_from_its_top() -> Workflow[Any]:
    """After a resume the step starts again from its top, its early effects not repeated.

    `ctx.once` keeps what else must not happen twice.
    """

    @step(waits=[Approved], retry=tries(2))
    async def buy(ev: StartEvent, ctx: Context) -> StopEvent:
        price = await ctx.once("price", draw)
        ctx.send_event(Approved(price), delay=HOUR)
        approved = await ctx.wait_for_event(Approved)
        if ctx.attempt == 1:
            raise FlakyError("the shop is closed")
        return StopEvent(result=[approved.n == price, ctx.attempt])

    return Workflow("buy", [buy])
