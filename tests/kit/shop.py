"""A small workflow that most tests of the kit simulate, and what else they share."""

from __future__ import annotations

import anyio

from blazen_anyio import Event, Retry, StartEvent, StopEvent, Workflow, step

__all__ = [
    "BACKENDS",
    "ORDER",
    "Done",
    "Invoice",
    "Item",
    "Order",
    "Priced",
    "Work",
    "add_up",
    "one_step",
    "price",
    "shop",
    "split",
]

BACKENDS = ["asyncio", "trio"]


class Order(StartEvent, event_type="kit.Order"):
    items: list[str]


class Item(Event, event_type="kit.Item"):
    name: str


class Priced(Event, event_type="kit.Priced"):
    name: str
    price: int


class Invoice(StopEvent, event_type="kit.Invoice"):
    total: int


@step
async def split(order: Order) -> list[Item]:
    return [Item(name) for name in order.items]


@step(max_concurrency=4, timeout=60, retry=Retry(max_attempts=3))
async def price(item: Item) -> Priced:
    await anyio.sleep(0.01)
    return Priced(item.name, price=len(item.name))


@step
async def add_up(prices: list[Priced]) -> Invoice:
    return Invoice(total=sum(priced.price for priced in prices))


shop = Workflow("shop", [split, price, add_up], stop=Invoice)

ORDER = Order(["tea", "bread", "honey"])


class Work(Event):
    n: int


class Done(Event):
    n: int


def one_step(body, **options) -> Workflow:
    """A workflow of one step."""
    return Workflow("one", [step(body, name="body", **options)])
