"""Bugs over what two steps share while both are under way."""

from __future__ import annotations

from typing import Annotated

import anyio
import attrs

from blazen_anyio import Context, Event, Resource, Retry, StartEvent, StopEvent, Workflow, step
from blazen_anyio.testing import explore

from . import bug


class Pay(StartEvent):
    amounts: list[int]


class Credit(Event):
    amount: int


class Credited(Event):
    amount: int


@attrs.define
class Account:
    balance: int = 0
    lock: anyio.Lock = attrs.field(factory=anyio.Lock)


def open_account() -> Account:
    return Account()


AccountOf = Annotated[Account, Resource(open_account)]


@step
async def split(ev: Pay) -> list[Credit]:
    return [Credit(amount) for amount in ev.amounts]


@step
async def total(parts: list[Credited]) -> StopEvent:
    return StopEvent(result=sum(part.amount for part in parts))


@bug("credit#7", departures=1)
def lost_update(mended: bool) -> None:
    """Reads a balance, awaits, and writes it back: of two credits at once, one is lost."""

    @step
    async def credit(ev: Credit, account: AccountOf) -> Credited:
        balance = account.balance
        await anyio.lowlevel.checkpoint()
        account.balance = balance + ev.amount
        return Credited(ev.amount)

    @step(name="credit")
    async def credit_locked(ev: Credit, account: AccountOf) -> Credited:
        async with account.lock:
            balance = account.balance
            await anyio.lowlevel.checkpoint()
            account.balance = balance + ev.amount
        return Credited(ev.amount)

    bank = Workflow("bank", [split, credit_locked if mended else credit, total])

    def check(transcript):
        assert transcript.resources[open_account].balance == transcript.result

    explore(bank, Pay([10, 20]), check, resources=lambda: {open_account: Account()})


@bug("StateConflictError", departures=1)
def conflict_without_retry(mended: bool) -> None:
    """Reads a key of the state, awaits and writes it. The engine refuses the second; and then?"""

    @step(retry=Retry(max_attempts=10) if mended else None)
    async def credit(ev: Credit, ctx: Context) -> Credited:
        balance = ctx.state.get("balance", 0)
        await anyio.lowlevel.checkpoint()
        ctx.state["balance"] = balance + ev.amount
        return Credited(ev.amount)

    bank = Workflow("bank", [split, credit, total])
    explore(bank, Pay([10, 20]), lambda transcript: transcript.outcome())


@attrs.define
class Stock:
    left: int = 1
    sold: int = 0


def open_stock() -> Stock:
    return Stock()


@bug("sell#7", departures=1)
def check_then_act(mended: bool) -> None:
    """Looks whether there is one left, asks somebody, and takes it: the last one is sold twice."""

    @step(max_concurrency=1 if mended else None)
    async def sell(ev: Credit, stock: Annotated[Stock, Resource(open_stock)]) -> Credited:
        if stock.left:
            await anyio.lowlevel.checkpoint()
            stock.left -= 1
            stock.sold += 1
        return Credited(ev.amount)

    shop = Workflow("shop", [split, sell, total])

    def check(transcript):
        assert transcript.resources[open_stock].left >= 0

    explore(shop, Pay([1, 1]), check, resources=lambda: {open_stock: Stock()})


@bug("everything waits", departures=2)
def deadlock_of_two_limits(mended: bool) -> None:
    """Takes two limits in one order here and in the other there."""

    def make() -> Workflow:
        left, right = anyio.Semaphore(1), anyio.Semaphore(1)

        @step
        async def begin(ev: StartEvent) -> tuple[Credit, Credited]:
            return Credit(1), Credited(1)

        @step
        async def there(ev: Credit, ctx: Context) -> StopEvent | None:
            async with left, right:
                await anyio.lowlevel.checkpoint()
            ctx.state["there"] = True
            return StopEvent() if ctx.state.get("back") else None

        @step(retry=Retry())
        async def back(ev: Credited, ctx: Context) -> StopEvent | None:
            first, second = (left, right) if mended else (right, left)
            async with first:
                await anyio.lowlevel.checkpoint()
                async with second:
                    await anyio.lowlevel.checkpoint()
            ctx.state["back"] = True
            return StopEvent() if ctx.state.get("there") else None

        return Workflow("both", [begin, there, back], retry=Retry())

    explore(make, None, lambda transcript: transcript.outcome())


@bug("everything waits", departures=1)
def lost_wake_up(mended: bool) -> None:
    """Looks at a flag, awaits, and then waits for the bell that has rung meanwhile."""

    def make() -> Workflow:
        bell = anyio.Event()
        rung: list[bool] = []

        @step
        async def begin(ev: StartEvent) -> tuple[Credit, Credited]:
            return Credit(1), Credited(1)

        @step
        async def listen(ev: Credit) -> StopEvent:
            nonlocal bell
            if not rung:
                await anyio.lowlevel.checkpoint()
                if not mended:
                    bell = anyio.Event()
                await bell.wait()
            return StopEvent()

        @step
        async def ring(ev: Credited) -> None:
            rung.append(True)
            bell.set()

        return Workflow("bells", [begin, listen, ring])

    explore(make, None, lambda transcript: transcript.outcome())


class Shared(Event):
    items: list[str]


class Seen(Event):
    items: tuple[str, ...]


@bug("result: [2, 2]", departures=1)
def changed_event(mended: bool) -> None:
    """Changes the list inside an event, which is frozen but not deep, and which another step has
    too."""

    @step
    async def begin(ev: StartEvent) -> list[Shared]:
        return [Shared(["tea"])]

    @step
    async def wrap(ev: Shared) -> Seen:
        items = [*ev.items] if mended else ev.items
        items.append("paper")
        return Seen(tuple(items))

    @step
    async def label(ev: Shared) -> Seen:
        return Seen(tuple(ev.items))

    @step
    async def finish(seen: list[Seen]) -> StopEvent:
        return StopEvent(result=sorted(len(each.items) for each in seen))

    def check(transcript):
        assert transcript.result == [1, 2]

    explore(Workflow("parcel", [begin, label, wrap, finish]), None, check)
