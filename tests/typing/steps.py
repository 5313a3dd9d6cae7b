"""What type checkers see of ``@step``: the function as it was written, methods bound."""

from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any, assert_type

from blazen_anyio import Context, Event, StartEvent, StopEvent
from blazen_anyio._graph import Graph, build
from blazen_anyio._retry import Retry
from blazen_anyio._steps import Batch, Gather, Resource, Step, StepFunction, step


class Work(Event):
    size: int


class Done(Event):
    total: int


class Client:
    pass


async def open_client() -> Client:
    return Client()


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(size=1)]


@step(max_concurrency=3, timeout=1.5, retry=Retry(), emits=[Done, "app.Other"])
async def work(ev: Work, ctx: Context) -> Done | None:
    return Done(total=ev.size)


@step(name="count")
def count(ev: Work) -> Done:
    return Done(total=ev.size)


@step
async def pages(ev: StartEvent) -> AsyncIterator[Work]:
    yield Work(size=1)


@step
async def reduce(parts: Annotated[list[Done], Gather(of=split, count=2)]) -> StopEvent:
    return StopEvent(result=len(parts))


@step(for_steps=[split, "work"])
async def save(
    parts: Annotated[list[Done], Batch(5)], client: Annotated[Client, Resource(open_client)]
) -> None: ...


class Service:
    @step
    async def fetch(self, ev: Work, size: int = 3) -> Done:
        return Done(total=size)

    @step(max_pending=2)
    async def store(self, ev: Done) -> None: ...


async def calls(ctx: Context) -> None:
    assert_type(await split(StartEvent()), list[Work])
    assert_type(await work(Work(size=1), ctx), Done | None)
    assert_type(count(Work(size=1)), Done)
    assert_type(pages(StartEvent()), AsyncIterator[Work])
    assert_type(await reduce([Done(total=1)]), StopEvent)

    service = Service()
    assert_type(await service.fetch(Work(size=1)), Done)
    assert_type(await service.fetch(Work(size=1), size=4), Done)
    assert_type(await Service.fetch(service, Work(size=1)), Done)
    assert_type(await service.store(Done(total=1)), None)

    await work(Done(total=1), ctx)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await work(Work(size=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await service.fetch()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def decorated() -> None:
    async def plain(ev: Work) -> Done:
        return Done(total=1)

    assert_type(await step(plain)(Work(size=1)), Done)
    assert_type(await step(plain, name="other")(ev=Work(size=1)), Done)
    assert_type(await step(name="other")(plain)(Work(size=1)), Done)
    kept: StepFunction[[Work], Coroutine[Any, Any, Done]] = step(plain)
    assert_type(kept.name, str)
    assert_type(step(plain).resolve(), Step)

    step(plain, timeout="3")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType,reportCallIssue]
    step(delivery="once")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType,reportCallIssue]


def built(service: Service) -> None:
    assert_type(build("w", [split, work, reduce, service.fetch, service.store]), Graph)

    async def plain(ev: Work) -> Done:
        return Done(total=1)

    build("w", [split, plain])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
