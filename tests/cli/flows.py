"""Workflows that the tests of the command line name on it."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Any

import anyio
import attrs

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    StartEvent,
    StopEvent,
    Workflow,
    secret,
    step,
)
from blazen_anyio.stores import Seal, SQLiteStore


class Order(StartEvent):
    items: list[str]
    discount: Decimal = Decimal(0)
    card: str = secret(default="")


class Item(Event):
    name: str


class Priced(Event):
    name: str
    price: int


class Progress(Event):
    note: str
    token: str = secret(default="hush-hush")


class Invoice(StopEvent):
    total: int
    discount: Decimal
    card: str = secret()


@step
async def split(order: Order, ctx: Context) -> list[Item]:
    print("a word of the user's")
    ctx.state["order"] = {"discount": order.discount, "card": Card(order.card)}
    return [Item(name) for name in order.items]


@attrs.frozen
class Card:
    number: str = attrs.field(metadata={"secret": True})


@step(max_concurrency=4, retry=Retry(max_attempts=2, initial=0.01, on=ValueError))
async def price(item: Item, ctx: Context) -> Priced:
    """What an item costs depends on what it is called."""
    match item.name:
        case "slow":
            await anyio.sleep(60)
        case "gate":
            while not await anyio.Path("gate").exists():  # noqa: ASYNC110  # another process
                await anyio.sleep(0.01)
        case "bad":
            raise ValueError("nobody knows\x1b[2J the price")
        case "exit":
            sys.exit(7)
        case "ask" | "asks":
            answer = await ctx.request_input(f"What does {item.name} cost?")
            return Priced(item.name, int(answer))
        case _:
            pass
    ctx.write_event_to_stream(Progress(f"{item.name} is priced"))
    return Priced(item.name, len(item.name))


@step
async def add_up(prices: list[Priced], ctx: Context) -> Invoice:
    order = ctx.state["order"]
    total = sum(priced.price for priced in prices)
    return Invoice(total=total, discount=order["discount"], card=order["card"].number)


shop = Workflow("shop", [split, price, add_up], stop=Invoice, types=[Card])


@step(name="value")
async def value(item: Item, ctx: Context) -> Priced:
    return Priced(item.name, 100)


renamed = Workflow("shop", [split, value, add_up], stop=Invoice, types=[Card])


# ---- from outside, and from people ---------------------------------------------------------------


class Ping(Event):
    number: int


@step
async def begin(ev: StartEvent) -> None:
    return None


@step
async def pong(ev: Ping) -> StopEvent:
    return StopEvent(result=ev.number)


idle = Workflow("idle", [begin, pong], external=[Ping])


@step
async def ask(ev: StartEvent) -> InputRequestEvent:
    return InputRequestEvent("Tea or coffee?", {"choices": ["tea", "coffee"], "until": "noon"})


@step
async def serve(ev: InputResponseEvent) -> StopEvent:
    return StopEvent(result=ev.response)


drinks = Workflow("drinks", [ask, serve])
automatic = Workflow("drinks", [ask, serve], input_handler=lambda request: answer_by_itself())


async def answer_by_itself() -> str:
    return "water"


@step
async def hang_on(ev: StartEvent) -> StopEvent:
    """Does not let itself be cancelled."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep(60)
    return StopEvent()


stubborn = Workflow("stubborn", [hang_on])


@step
def call_another_program(ev: StartEvent) -> StopEvent:
    subprocess.run([sys.executable, "-c", "print('a word of the child\\'s')"], check=True)
    return StopEvent(result="done")


child_process = Workflow("child_process", [call_another_program])


class Other(StartEvent):
    n: int = 0


@step
async def either(ev: Other | Order) -> StopEvent:
    return StopEvent(result=type(ev).__name__)


several = Workflow("several", [either])


# ---- what is no workflow, or makes one -----------------------------------------------------------


def make_shop() -> Workflow[Invoice]:
    return shop


def make_trouble() -> Workflow[Any]:
    raise LookupError("no workflow today")


def make_nonsense() -> Workflow[Any]:
    return Workflow("", [])


def make_nothing() -> None:
    return None


def sealed_store() -> SQLiteStore:
    return SQLiteStore("sealed.db", seal=Seal(key=b"k" * 32), keep_log=True)
