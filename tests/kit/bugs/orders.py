"""Bugs over the order in which things happen, where somebody took one for granted."""

from __future__ import annotations

from typing import Annotated

import anyio

from blazen_anyio import (
    Batch,
    Context,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.testing import ClockJump, explore

from . import bug


class Report(StartEvent):
    chapters: list[str]


class Chapter(Event):
    number: int
    title: str


class Written(Event):
    number: int
    text: str


@step
async def split(ev: Report) -> list[Chapter]:
    return [Chapter(number, title) for number, title in enumerate(ev.chapters)]


@step
async def write(ev: Chapter) -> Written:
    await anyio.sleep(1)
    return Written(ev.number, ev.title.upper())


REPORT = Report(["one", "two", "three"])


@bug("result: ['TWO', 'ONE', 'THREE']", departures=1)
def join_in_order_of_arrival(mended: bool) -> None:
    """Collects by hand, in order of arrival, what a gather would give in order of the fan-out."""

    @step(max_concurrency=1)
    async def bind(ev: Written, ctx: Context) -> StopEvent | None:
        parts = ctx.collect_events(Written, 3)
        if parts is None:
            return None
        if mended:
            parts = sorted(parts, key=lambda part: part.number)
        return StopEvent(result=[part.text for part in parts])

    book = Workflow("book", [split, write, bind])
    explore(book, REPORT, lambda transcript: transcript.result == ["ONE", "TWO", "THREE"])


@bug("result: ['TWO', 'ONE', 'THREE']", departures=1)
def gather_beside_the_gather(mended: bool) -> None:
    """Workers append to a list of their own, and the gather takes that instead of its argument."""

    def make() -> Workflow:
        texts: list[str] = []

        @step(name="write")
        async def write_aside(ev: Chapter) -> Written:
            await anyio.sleep(1)
            texts.append(ev.title.upper())
            return Written(ev.number, texts[-1])

        @step
        async def bind(parts: list[Written]) -> StopEvent:
            return StopEvent(result=[part.text for part in parts] if mended else texts)

        return Workflow("book", [split, write_aside, bind])

    explore(make, REPORT, lambda transcript: transcript.result == ["ONE", "TWO", "THREE"])


@bug("result: 'TWO'", departures=1)
def first_of_a_batch(mended: bool) -> None:
    """Takes the first of a batch for the one that was fanned out first."""

    @step
    async def cover(parts: Annotated[list[Written], Batch(3)]) -> StopEvent:
        first = min(parts, key=lambda part: part.number) if mended else parts[0]
        return StopEvent(result=first.text)

    book = Workflow("book", [split, write, cover])
    explore(book, REPORT, lambda transcript: transcript.result == "ONE")


class Price(Event):
    order: int


class Address(Event):
    order: int


class Ask(Event):
    order: int


@bug("result: ['1 to 2', '2 to 1']", departures=1)
def pairs_that_cross(mended: bool) -> None:
    """Pairs halves of different orders, first in, first out, with no fan-out to keep them apart."""

    @step
    async def begin(ev: StartEvent) -> list[Ask] if mended else tuple[Ask, ...]:
        asks = [Ask(1), Ask(2)]
        return asks if mended else tuple(asks)

    @step
    async def look_up(ev: Ask) -> tuple[Price, Chapter]:
        return Price(ev.order), Chapter(ev.order, "address")

    @step
    async def locate(ev: Chapter) -> Address:
        await anyio.sleep(1)
        return Address(ev.number)

    @step
    async def send(price: Price, address: Address, ctx: Context) -> Written:
        return Written(price.order, f"{price.order} to {address.order}")

    @step
    async def finish_all(parts: list[Written]) -> StopEvent:
        return StopEvent(result=[part.text for part in parts])

    @step(max_concurrency=1)
    async def finish(ev: Written, ctx: Context) -> StopEvent | None:
        parts = ctx.collect_events(Written, 2)
        return None if parts is None else StopEvent(result=[part.text for part in parts])

    ends = finish_all if mended else finish
    parcels = Workflow("parcels", [begin, look_up, locate, send, ends])
    explore(parcels, None, lambda transcript: sorted(transcript.result) == ["1 to 1", "2 to 2"])


class Approve(Event):
    order: int


@bug("result: ['1 by 2', '2 by 1']", departures=1)
def wait_for_any(mended: bool) -> None:
    """Each order waits for an approval, and takes the first that comes: it may be another's."""

    @step
    async def begin(ev: StartEvent) -> list[Ask]:
        return [Ask(1), Ask(2)]

    @step(waits=[Approve], emits=[Chapter, Written])
    async def approve(ev: Ask, ctx: Context) -> Written:
        ctx.send_event(Chapter(ev.order, "please approve"))
        where = (lambda each: each.order == ev.order) if mended else None
        approval = await ctx.wait_for_event(Approve, where=where)
        return Written(ev.order, f"{ev.order} by {approval.order}")

    @step(emits=[Approve])
    async def boss(ev: Chapter, ctx: Context) -> None:
        await anyio.sleep(1)
        ctx.send_event(Approve(ev.number), immediate=True)

    @step
    async def finish(parts: list[Written]) -> StopEvent:
        return StopEvent(result=[part.text for part in parts])

    orders = Workflow("orders", [begin, approve, boss, finish])
    explore(orders, None, lambda transcript: transcript.result == ["1 by 1", "2 by 2"])


@bug("result: ['red', 'large']", departures=1)
def handler_of_one_answer(mended: bool) -> None:
    """Asks two questions, and takes the first answer for that to the first question."""

    @step
    async def ask(ev: StartEvent, ctx: Context) -> None:
        ctx.send_event(InputRequestEvent("size?"))
        ctx.send_event(InputRequestEvent("colour?"))

    @step(max_concurrency=1)
    async def take(ev: InputResponseEvent, ctx: Context) -> StopEvent | None:
        answers = ctx.collect_events(InputResponseEvent, 2)
        if answers is None:
            return None
        if mended:
            answers = sorted(answers, key=lambda each: each.request_id)
        return StopEvent(result=[each.response for each in answers])

    async def human(request: InputRequestEvent) -> str:
        await anyio.sleep(1)
        return {"size?": "large", "colour?": "red"}[request.prompt]

    form = Workflow("form", [ask, take])
    explore(form, None, lambda transcript: transcript.result == ["large", "red"], human=human)


@bug("result: 'for free'", departures=2)
def shipped_before_paid(mended: bool) -> None:
    """Packs and charges side by side, and ships when it is packed."""

    @step
    async def begin(ev: StartEvent) -> tuple[Price, Chapter] if not mended else Price:
        return Price(1) if mended else (Price(1), Chapter(1, "pack"))

    @step
    async def charge(ev: Price, ctx: Context) -> Chapter | None:
        await anyio.sleep(1)
        ctx.state["paid"] = True
        return Chapter(1, "pack") if mended else None

    @step
    async def pack(ev: Chapter) -> Written:
        await anyio.sleep(2)
        return Written(1, "packed")

    @step
    async def ship(ev: Written, ctx: Context) -> StopEvent:
        return StopEvent(result="paid" if ctx.state.get("paid") else "for free")

    shop = Workflow("shop", [begin, charge, pack, ship])
    explore(shop, None, lambda transcript: transcript.result == "paid", lateness=2)


@bug("result: []", departures=1)
def stopped_too_early(mended: bool) -> None:
    """The answer ends the run, while the audit that was begun beside it is not written yet."""

    def make() -> Workflow:
        audited: list[str] = []

        @step
        async def begin(ev: StartEvent) -> tuple[Price, Chapter]:
            return Price(1), Chapter(1, "audit")

        @step
        async def audit(ev: Chapter, ctx: Context) -> Written:
            await anyio.sleep(1)
            audited.append(ev.title)
            return Written(1, "audited")

        @step
        async def answer(ev: Price) -> Address if mended else StopEvent:
            await anyio.sleep(2)
            return Address(1) if mended else StopEvent(result=audited)

        @step
        async def noted(ev: Written) -> None:
            """The audit has been written."""

        @step(name="noted")
        async def both(address: Address, note: Written) -> StopEvent:
            return StopEvent(result=audited)

        return Workflow("answers", [begin, audit, answer, both if mended else noted])

    explore(make, None, lambda transcript: transcript.result == ["audit"], lateness=2)


class Expired(Event):
    order: int


class Paid(Event):
    order: int


@bug("result: ['Paid', 'Expired']", departures=1)
def paid_as_it_expires(mended: bool) -> None:
    """An order expires after a time unless it is paid; paid at that moment, it is both."""

    @step(emits=[Expired, Price])
    async def begin(ev: StartEvent, ctx: Context) -> None:
        ctx.send_event(Expired(1), delay=10)
        ctx.send_event(Price(1))

    @step
    async def bank(ev: Price) -> Paid:
        await anyio.sleep(9.5)
        return Paid(1)

    @step(max_concurrency=1)
    async def settle(ev: Paid | Expired, ctx: Context) -> Written | None:
        if mended and "is" in ctx.state:
            return None
        ctx.state["is"] = [*ctx.state.get("is", []), type(ev).__name__]
        return Written(1, "settled")

    @step
    async def close(ev: Written, ctx: Context) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent(result=ctx.state["is"])

    orders = Workflow("orders", [begin, bank, settle, close])
    explore(orders, None, lambda transcript: len(transcript.result) == 1)


@bug("result: False", departures=0)
def token_out_of_date(mended: bool) -> None:
    """Fetches a token that is good for a minute, and uses it after a night's sleep of the host."""

    @step
    async def login(ev: StartEvent) -> Chapter:
        return Chapter(60, "token")

    @step
    async def use(ev: Chapter, ctx: Context) -> StopEvent:
        await anyio.sleep(30)
        good_until = ev.number
        if mended and anyio.current_time() > good_until:
            good_until = anyio.current_time() + 60
        return StopEvent(result=anyio.current_time() <= good_until)

    api = Workflow("api", [login, use])
    explore(api, None, lambda transcript: transcript.result, faults=[ClockJump(8 * 3600, at=10)])
