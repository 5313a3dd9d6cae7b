"""Bugs that show only when something fails, is slow, is repeated or is cancelled."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Annotated

import anyio
import attrs

from blazen_anyio import (
    Context,
    Event,
    Gather,
    Resource,
    Retry,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.testing import (
    Duplicate,
    Faults,
    Human,
    Raise,
    Slow,
    cancel_sweep,
    explore,
)

from . import bug


class Charge(Event):
    amount: int


class Charged(Event):
    amount: int


@attrs.define
class Bank:
    charged: list[int] = attrs.field(factory=list)
    refunded: list[int] = attrs.field(factory=list)

    async def charge(self, amount: int) -> int:
        await anyio.sleep(1)
        self.charged.append(amount)
        return amount


def open_bank() -> Bank:
    return Bank()


BankOf = Annotated[Bank, Resource(open_bank)]
BANK = {"resources": lambda: {open_bank: Bank()}}


@step
async def order(ev: StartEvent) -> Charge:
    return Charge(10)


@step
async def thank(ev: Charged) -> StopEvent:
    return StopEvent(result=ev.amount)


def _charging(mended: bool) -> Workflow:
    @step(retry=Retry(max_attempts=3))
    async def charge(ev: Charge, ctx: Context, bank: BankOf) -> Charged:
        if mended:
            return Charged(await ctx.once("charge", bank.charge, ev.amount))
        return Charged(await bank.charge(ev.amount))

    return Workflow("shop", [order, charge, thank])


def _charged_once(transcript):
    assert transcript.resources[open_bank].charged == [10]


@bug("charge#4 raises InjectedError after its work", departures=1)
def charge_repeated_by_retry(mended: bool) -> None:
    """The bank has charged, the answer gets lost, and the retry charges again."""
    faults = Faults.any(Raise("charge", after=True))
    explore(_charging(mended), None, _charged_once, faults=faults, **BANK)


@bug("charge#4 is delivered twice", departures=1)
def charge_delivered_twice(mended: bool) -> None:
    """The process dies after the charge and before the commit, and another begins again."""
    explore(_charging(mended), None, _charged_once, faults=Faults.any(Duplicate("charge")), **BANK)


@bug("StepTimeoutError", departures=1)
def timeout_not_retried(mended: bool) -> None:
    """Retries lost connections, and gives up over the first slow answer."""

    @step(timeout=5, retry=Retry(on=(ConnectionError, TimeoutError) if mended else ConnectionError))
    async def charge(ev: Charge) -> Charged:
        return Charged(ev.amount)

    shop = Workflow("shop", [order, charge, thank])
    faults = Faults.any(Slow("charge", 10), Raise("charge", ConnectionError), most=2)
    explore(shop, None, lambda transcript: transcript.outcome(), faults=faults)


@bug("ship#7 raises InjectedError", departures=2)
def refunded_twice(mended: bool) -> None:
    """Refunds the order for each parcel that can't be sent, and two can't."""

    @step
    async def begin(ev: StartEvent, ctx: Context, bank: BankOf) -> list[Charge]:
        bank.charged.append(20)
        return [Charge(10), Charge(10)]

    @step
    async def ship(ev: Charge) -> Charged:
        return Charged(ev.amount)

    @step
    async def refund(ev: StepFailed, bank: BankOf) -> Charged:
        assert isinstance(ev.event, Charge)
        bank.refunded.append(ev.event.amount if mended else 20)
        return Charged(0)

    @step
    async def finish(parts: list[Charged]) -> StopEvent:
        return StopEvent()

    def check(transcript):
        bank = transcript.resources[open_bank]
        assert sum(bank.refunded) <= sum(bank.charged)

    shop = Workflow("shop", [begin, ship, refund, finish])
    explore(shop, None, check, faults=Faults.any(Raise("ship")), **BANK)


@bug("result: 10", departures=1)
def loser_of_a_race_has_charged(mended: bool) -> None:
    """Asks two banks, takes the first answer, and the other may have charged before it is
    cancelled."""

    @step
    async def begin(ev: StartEvent) -> list[Charge]:
        return [Charge(10), Charge(10)]

    @step
    async def charge(ev: Charge, bank: BankOf) -> Charged:
        await anyio.sleep(1)
        bank.charged.append(ev.amount)
        try:
            await anyio.sleep(1)
        except BaseException:
            if mended:
                bank.refunded.append(ev.amount)
            raise
        return Charged(ev.amount)

    @step
    async def finish(parts: Annotated[list[Charged], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=parts[0].amount)

    def check(transcript):
        bank = transcript.resources[open_bank]
        # Paid once, or the two had both been through when the first was taken.
        assert sum(bank.charged) - sum(bank.refunded) == transcript.result

    explore(Workflow("shop", [begin, charge, finish]), None, check, lateness=0, **BANK)


# ---- cancellation ------------------------------------------------------------------------------


@bug("swallowed the cancellation")
def missed_cancellation(mended: bool) -> None:
    """Catches everything, to go on with a default."""

    @step
    async def charge(ev: Charge) -> Charged:
        try:
            await anyio.sleep(1)
        except BaseException:
            if mended:
                raise
            return Charged(0)
        return Charged(ev.amount)

    cancel_sweep(Workflow("shop", [order, charge, thank]))


@attrs.define
class Pool:
    free: int = 2

    async def take(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.free -= 1

    def give_back(self) -> None:
        self.free += 1

    @asynccontextmanager
    async def taken(self):
        await self.take()
        try:
            yield
        finally:
            self.give_back()


def open_pool() -> Pool:
    return Pool()


@bug("#4 is cancelled")
def leaked_connection(mended: bool) -> None:
    """Takes a connection, and gives it back only where nothing goes wrong."""

    @step
    async def charge(ev: Charge, pool: Annotated[Pool, Resource(open_pool)]) -> Charged:
        if mended:
            async with pool.taken():
                await anyio.sleep(1)
        else:
            await pool.take()
            await anyio.sleep(1)
            pool.give_back()
        return Charged(ev.amount)

    def check(transcript):
        assert transcript.resources[open_pool].free == 2

    shop = Workflow("shop", [order, charge, thank])
    cancel_sweep(shop, None, check, resources=lambda: {open_pool: Pool()})


@bug("everything waits")
def cleanup_that_hangs(mended: bool) -> None:
    """Says goodbye to a server in a shielded cleanup without a deadline, and the server hangs."""

    @step
    async def charge(ev: Charge) -> Charged:
        try:
            await anyio.sleep(1)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True) as goodbye:
                if mended:
                    goodbye.deadline = anyio.current_time() + 5
                await anyio.Event().wait()
            raise
        return Charged(ev.amount)

    cancel_sweep(Workflow("shop", [order, charge, thank]))


# ---- humans ------------------------------------------------------------------------------------


def _approval(mended: bool) -> Workflow:
    @step
    async def approve(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            answer = await ctx.request_input("approve?", timeout=3600)
        except TimeoutError:
            if not mended:
                raise
            answer = "no"
        if mended:
            return StopEvent(result="refused" if answer != "yes" else "approved")
        return StopEvent(result="refused" if answer == "no" else "approved")

    return Workflow("approval", [approve])


@bug("TimeoutError", departures=1)
def human_who_is_late(mended: bool) -> None:
    """Nobody has thought of what happens when the answer does not come in time."""
    faults = Faults.any(Human(late=7200), Human(twice=True))
    explore(
        _approval(mended),
        None,
        lambda transcript: transcript.outcome(),
        faults=faults,
        human=lambda request: "yes",
    )


@bug("human#1 answers wrongly", departures=1)
def human_who_says_something_else(mended: bool) -> None:
    """Whatever is not a plain no is taken for a yes."""
    explore(
        _approval(mended),
        None,
        lambda transcript: transcript.result == "refused",
        faults=Faults.any(Human(wrong="No!")),
        human=lambda request: "no",
    )
