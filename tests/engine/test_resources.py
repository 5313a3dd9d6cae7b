"""Resources: opened once, on first use, in a task of their own; closed in reverse, always."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    DefinitionError,
    Resource,
    Retry,
    RunCancelledError,
    Snapshot,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowError,
    step,
)

from .kit import Boom, Done, Log, Work, current_task, settle

pytestmark = pytest.mark.anyio


class Client:
    """A live object, with what it was made of."""

    def __init__(self, *parts: object) -> None:
        self.parts = parts


class Openers:
    """Openers that note what happens to them, to be put into annotations of local steps."""

    def __init__(self) -> None:
        self.log = Log()
        self.tasks: list[object] = []

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with self.noted("client"):
            yield Client()

    @asynccontextmanager
    async def other(self) -> AsyncIterator[Client]:
        async with self.noted("other"):
            yield Client()

    @asynccontextmanager
    async def noted(self, name: str) -> AsyncIterator[None]:
        await checkpoint()
        self.log(f"open {name}")
        self.tasks.append(current_task())
        try:
            yield
        finally:
            self.tasks.append(current_task())
            await checkpoint()
            self.log(f"close {name}")

    def workflow(self, *, scope: Any = "run", seconds: float = 0) -> Workflow[Any]:
        """One step that uses the client for some time."""

        @step
        async def use(
            ev: StartEvent, client: Annotated[Client, Resource(self.client, scope)]
        ) -> StopEvent:
            self.log("use")
            await anyio.sleep(seconds)
            return StopEvent(result=client)

        return Workflow("w", [use])


@pytest.fixture
def openers() -> Openers:
    return Openers()


# ---- opening -----------------------------------------------------------------------------------


async def test_a_resource_is_opened_on_first_use_and_closed_when_the_run_ends(
    openers: Openers,
) -> None:
    log = openers.log

    @step
    async def begin(ev: StartEvent) -> Work:
        log("begin")
        return Work()

    @step
    async def use(ev: Work, client: Annotated[Client, Resource(openers.client)]) -> Done:
        log("use")
        return Done()

    @step
    async def end(ev: Done, client: Annotated[Client, Resource(openers.client)]) -> StopEvent:
        log("end")
        return StopEvent(result=client.parts)

    assert await Workflow("w", [begin, use, end]).run() == ()
    assert log.lines == ["begin", "open client", "use", "end", "close client"]


async def test_a_resource_that_no_step_gets_to_is_not_opened(openers: Openers) -> None:
    @step
    async def begin(ev: StartEvent) -> Work | StopEvent:
        return StopEvent(result="early")

    @step
    async def use(ev: Work, client: Annotated[Client, Resource(openers.client)]) -> StopEvent:
        return StopEvent()

    assert await Workflow("w", [begin, use]).run() == "early"
    assert openers.log.lines == []


async def test_steps_that_ask_at_the_same_time_share_one_opening(openers: Openers) -> None:
    clients: list[Client] = []

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(5)]

    @step
    async def use(ev: Work, client: Annotated[Client, Resource(openers.client)]) -> Done:
        clients.append(client)
        return Done()

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent()

    await Workflow("w", [split, use, join]).run()
    assert openers.log.lines == ["open client", "close client"]
    assert len(clients) == 5
    assert len(set(map(id, clients))) == 1


async def test_each_run_has_its_own(openers: Openers) -> None:
    workflow = openers.workflow()
    assert await workflow.run() is not await workflow.run()
    assert openers.log.lines.count("open client") == 2


async def test_a_failed_opening_is_raised_as_it_is_and_tried_again(openers: Openers) -> None:
    errors = [Boom("first"), Boom("second")]
    raised = list(errors)

    @asynccontextmanager
    async def open_client() -> AsyncIterator[str]:
        await checkpoint()
        if raised:
            raise raised.pop(0)
        yield "client"

    @step(retry=Retry(max_attempts=2, jitter=False))
    async def use(ev: StartEvent, client: Annotated[str, Resource(open_client)]) -> StopEvent:
        return StopEvent(result=client)

    workflow = Workflow("w", [use])
    with pytest.raises(StepFailedError) as caught:
        await workflow.run()
    assert caught.value.__cause__ is errors[1]
    raised.append(errors[0])
    assert await workflow.run() == "client"


async def test_all_who_wait_for_an_opening_that_fails_get_its_error() -> None:
    error = Boom()

    async def open_client() -> str:
        await anyio.sleep(1)
        raise error

    failed: list[BaseException | None] = []

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(), Work()]

    @step
    async def use(ev: Work, client: Annotated[str, Resource(open_client)]) -> Done:
        raise AssertionError("not reached")

    @step
    async def on_error(ev: StepFailed) -> Done:
        failed.append(ev.error)
        return Done()

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    assert await Workflow("w", [split, use, on_error, join]).run() == 2
    assert failed == [error, error]


async def test_a_cancelled_attempt_does_not_cancel_the_opening_that_others_wait_for() -> None:
    opened: list[str] = []

    async def open_client() -> str:
        await anyio.sleep(2)
        opened.append("client")
        return "client"

    @step
    async def split(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step(timeout=1)
    async def impatient(ev: Work, client: Annotated[str, Resource(open_client)]) -> None:
        raise AssertionError("not reached")

    @step
    async def patient(ev: Done, client: Annotated[str, Resource(open_client)]) -> StopEvent:
        return StopEvent(result=client)

    @step
    async def on_error(ev: StepFailed) -> None:
        assert isinstance(ev.error, TimeoutError)

    assert await Workflow("w", [split, impatient, patient, on_error]).run() == "client"
    assert opened == ["client"]


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt])
async def test_what_an_opener_raises_that_is_no_exception_means_what_it_means_in_a_step(
    error: type[BaseException],
) -> None:
    """A stray cancellation is the failure of a step; an interrupt is for the program."""

    async def open_client() -> str:
        raise error

    @step
    async def use(ev: StartEvent, client: Annotated[str, Resource(open_client)]) -> StopEvent:
        raise AssertionError("not reached")

    expected = StepFailedError if error is asyncio.CancelledError else error
    with pytest.raises(expected):
        await Workflow("w", [use]).run()


# ---- kinds of openers --------------------------------------------------------------------------


def open_plain() -> str:
    return "sync function"


async def open_async() -> str:
    await checkpoint()
    return "async function"


@contextmanager
def open_sync_context() -> Iterator[str]:
    yield "sync context manager"


@asynccontextmanager
async def open_async_context() -> AsyncIterator[str]:
    yield "async context manager"


class AsyncClient:
    """A class that is a context manager itself, as HTTP clients are."""

    entered = False

    async def __aenter__(self) -> str:
        return "class"

    async def __aexit__(self, *exc: object) -> None: ...


async def open_awaited_context() -> Any:
    return AsyncClient()


@pytest.mark.parametrize("scope", ["run", "step"])
@pytest.mark.parametrize(
    ("opener", "value"),
    [
        (open_plain, "sync function"),
        (open_async, "async function"),
        (open_sync_context, "sync context manager"),
        (open_async_context, "async context manager"),
        (AsyncClient, "class"),
        (open_awaited_context, "class"),
        (partial(dict, a=1), {"a": 1}),
    ],
)
async def test_every_kind_of_opener_opens(opener: Any, value: object, scope: Any) -> None:
    @step
    async def use(ev: StartEvent, it: Annotated[Any, Resource(opener, scope)]) -> StopEvent:
        return StopEvent(result=it)

    assert await Workflow("w", [use]).run() == value


async def test_a_sync_context_manager_is_closed(openers: Openers) -> None:
    @contextmanager
    def open_client() -> Iterator[Log]:
        with openers.log.around("client"):
            yield openers.log

    @step
    async def use(ev: StartEvent, log: Annotated[Log, Resource(open_client)]) -> StopEvent:
        log("use")
        return StopEvent()

    await Workflow("w", [use]).run()
    assert openers.log.lines == ["client begins", "use", "client ends"]


async def test_a_def_step_and_a_generator_get_resources_too(openers: Openers) -> None:
    @step
    async def pages(
        ev: StartEvent, client: Annotated[Client, Resource(openers.client)]
    ) -> AsyncIterator[Work]:
        openers.log("generate")
        yield Work()

    @step
    def use(ev: Work, client: Annotated[Client, Resource(openers.client)]) -> StopEvent:
        openers.log("use")
        return StopEvent()

    await Workflow("w", [pages, use]).run()
    assert openers.log.lines == ["open client", "generate", "use", "close client"]


# ---- scopes and dependencies -------------------------------------------------------------------


async def test_scope_step_is_one_for_each_attempt_opened_and_closed_in_its_task(
    openers: Openers,
) -> None:
    clients: list[Client] = []
    tasks: list[object] = []

    @step(retry=Retry(max_attempts=2, jitter=False))
    async def use(
        ev: StartEvent,
        ctx: Context,
        client: Annotated[Client, Resource(openers.client, scope="step")],
        same: Annotated[Client, Resource(openers.client, scope="step")],
    ) -> StopEvent:
        assert client is same
        clients.append(client)
        tasks.append(current_task())
        openers.log(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise Boom
        return StopEvent()

    await Workflow("w", [use]).run()
    assert openers.log.lines == [
        "open client",
        "attempt 1",
        "close client",
        "open client",
        "attempt 2",
        "close client",
    ]
    assert clients[0] is not clients[1]
    assert openers.tasks == [tasks[0], tasks[0], tasks[1], tasks[1]]


async def test_an_error_while_a_step_scoped_resource_closes_fails_the_attempt() -> None:
    error = Boom()

    @asynccontextmanager
    async def open_client() -> AsyncIterator[None]:
        yield
        raise error

    @step
    async def use(
        ev: StartEvent, ctx: Context, client: Annotated[None, Resource(open_client, scope="step")]
    ) -> StopEvent:
        ctx.state["written"] = True
        return StopEvent()

    @step
    async def failed(ev: StepFailed, ctx: Context) -> StopEvent:
        return StopEvent(result=(ev.error, "written" in ctx.state))

    assert await Workflow("w", [use, failed]).run() == (error, False)


async def test_scope_workflow_is_one_for_all_runs_in_the_block(openers: Openers) -> None:
    workflow = openers.workflow(scope="workflow")
    async with workflow:
        first, second = await workflow.run(), await workflow.run()
        assert openers.log.lines == ["open client", "use", "use"]
    assert first is second
    assert openers.log.lines[-1] == "close client"
    async with workflow:
        assert await workflow.run() is not first


async def test_scope_workflow_without_the_block_is_refused_before_anything_runs(
    openers: Openers,
) -> None:
    @step
    async def begin(ev: StartEvent) -> Work:
        openers.log("begin")
        return Work()

    @step
    async def use(ev: Work, session: Annotated[str, Resource(open_session_later)]) -> StopEvent:
        return StopEvent()

    workflow = Workflow("w", [begin, use])
    with pytest.raises(DefinitionError, match=r"open_client_later.*async with workflow"):
        await workflow.run()
    with pytest.raises(DefinitionError, match="open_client_later"):
        async with workflow.start():
            pass
    assert openers.log.lines == []


async def open_client_later() -> str:
    return "client"


async def open_session_later(
    client: Annotated[str, Resource(open_client_later, "workflow")],
) -> str:
    return f"session of {client}"


async def test_a_run_that_outlives_the_block_of_its_workflow_can_open_nothing(
    openers: Openers,
) -> None:
    @step
    async def begin(ev: StartEvent) -> Work:
        await anyio.sleep(1)
        return Work()

    @step
    async def use(
        ev: Work, it: Annotated[str, Resource(open_client_later, "workflow")]
    ) -> StopEvent:
        return StopEvent()

    workflow = Workflow("w", [begin, use])
    errors: list[BaseException] = []

    async def run() -> None:
        with pytest.raises(StepFailedError) as caught:
            await workflow.run()
        errors.append(caught.value.error)

    async with anyio.create_task_group() as group, workflow:
        group.start_soon(run)
        await settle()
    (error,) = errors
    assert isinstance(error, WorkflowError)
    assert "open_client_later can't be opened any more" in str(error)


async def test_a_workflow_can_be_entered_once_at_a_time(openers: Openers) -> None:
    workflow = openers.workflow(scope="workflow")
    async with workflow:
        with pytest.raises(RuntimeError, match="entered already"):
            await workflow.__aenter__()


SESSIONS: list[str] = []


@asynccontextmanager
async def open_pool() -> AsyncIterator[str]:
    SESSIONS.append("open pool")
    yield "pool"
    SESSIONS.append("close pool")


@asynccontextmanager
async def open_session(pool: Annotated[str, Resource(open_pool)]) -> AsyncIterator[str]:
    SESSIONS.append("open session")
    yield f"session of {pool}"
    SESSIONS.append("close session")


@asynccontextmanager
async def open_cursor(
    session: Annotated[str, Resource(open_session)],
    pool: Annotated[str, Resource(open_pool)],
    size: int = 10,
) -> AsyncIterator[str]:
    SESSIONS.append("open cursor")
    yield f"cursor of {session} and {pool}, {size}"
    SESSIONS.append("close cursor")


@pytest.fixture(autouse=True)
def no_sessions() -> Iterator[None]:
    SESSIONS.clear()
    yield
    SESSIONS.clear()


@pytest.mark.parametrize("scope", ["run", "step"])
async def test_an_opener_gets_what_it_needs_itself(scope: Any) -> None:
    @step
    async def use(
        ev: StartEvent, cursor: Annotated[str, Resource(open_cursor, scope)]
    ) -> StopEvent:
        SESSIONS.append("use")
        return StopEvent(result=cursor)

    assert await Workflow("w", [use]).run() == "cursor of session of pool and pool, 10"
    assert SESSIONS == [
        "open pool",
        "open session",
        "open cursor",
        "use",
        "close cursor",
        "close session",
        "close pool",
    ]


async def open_step_session(pool: Annotated[str, Resource(open_pool, scope="step")]) -> str:
    return f"session of {pool}"


async def test_a_step_scoped_opener_gets_step_scoped_ones() -> None:
    @step
    async def use(
        ev: StartEvent, session: Annotated[str, Resource(open_step_session, scope="step")]
    ) -> StopEvent:
        SESSIONS.append("use")
        return StopEvent(result=session)

    assert await Workflow("w", [use]).run() == "session of pool"
    assert SESSIONS == ["open pool", "use", "close pool"]


class Service:
    """A class as an opener, with a dependency of its own."""

    def __init__(self, pool: Annotated[str, Resource(open_pool)]) -> None:
        self.pool = pool


class Factory:
    """A callable object as an opener."""

    def __call__(self, pool: Annotated[str, Resource(open_pool)]) -> str:
        return f"made with {pool}"


async def test_classes_and_callable_objects_get_what_they_need() -> None:
    @step
    async def use(
        ev: StartEvent,
        service: Annotated[Service, Resource(Service)],
        made: Annotated[str, Resource(Factory())],
    ) -> StopEvent:
        return StopEvent(result=(service.pool, made))

    assert await Workflow("w", [use]).run() == ("pool", "made with pool")


# ---- what is refused when the workflow is built ------------------------------------------------


def built(*needs: Resource) -> Workflow[Any]:
    """A workflow whose one step asks for all of ``needs``."""

    async def body(
        ev: StartEvent,
        first: Annotated[Any, needs[0]],
        last: Annotated[Any, needs[-1]],
    ) -> StopEvent:
        return StopEvent()

    return Workflow("w", [step(body)])


async def open_egg(hen: Annotated[int, "later"]) -> int:
    return hen


async def open_hen(egg: Annotated[int, Resource(open_egg)]) -> int:
    return egg


open_egg.__annotations__["hen"] = Annotated[int, Resource(open_hen)]


async def open_fields(name: str, level: int = 1) -> str:
    return name


async def open_positional(pool: Annotated[str, Resource(open_pool)], /) -> str:
    return pool


async def open_mystery(pool: Annotated[str, Resource(open_undefined)]) -> str:  # noqa: F821
    return pool


async def open_flexible(
    *args: int,
    pool: Annotated[str, Resource(open_pool, "run")],
    mystery: Nothing = None,  # noqa: F821
    plain=None,
    **kwargs: int,
) -> str:
    return pool


async def open_shared(client: Annotated[str, Resource(open_pool, "run")]) -> str:
    return client


REFUSED = {
    "circle": (
        Resource(open_hen),
        "resources need each other in a circle: open_hen -> open_egg -> open_hen",
    ),
    "unfilled": (Resource(open_fields), "open_fields has a parameter 'name' that nothing fills"),
    "positional": (Resource(open_positional), "parameter 'pool' that nothing fills"),
    "unreadable": (
        Resource(open_mystery),
        r"parameter 'pool' whose annotation can't be read \(name 'open_undefined' is not defined\)",
    ),
    "shorter": (
        Resource(open_shared, "workflow"),
        "open_shared of scope 'workflow' needs open_pool of scope 'run', which lives shorter",
    ),
    "shorter than run": (
        Resource(open_step_session),
        "open_step_session of scope 'run' needs open_pool of scope 'step'",
    ),
}


@pytest.mark.parametrize(("resource", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_opened_is_refused_with_the_reason(
    resource: Resource, problem: str
) -> None:
    with pytest.raises(DefinitionError, match=problem) as caught:
        built(resource)
    assert len(caught.value.problems) == 1


def test_each_problem_is_told_once_and_all_are_told() -> None:
    with pytest.raises(DefinitionError) as caught:
        built(Resource(open_fields), Resource(open_hen))
    assert len(caught.value.problems) == 2
    with pytest.raises(DefinitionError) as caught:
        built(Resource(open_fields), Resource(open_fields, "step"))
    assert len(caught.value.problems) == 1


async def test_what_has_a_default_needs_not_be_readable() -> None:
    assert await built(Resource(open_flexible)).run() is None


@pytest.mark.parametrize("opener", [3, "open_client", None])
def test_only_what_can_be_called_is_an_opener(opener: Any) -> None:
    with pytest.raises(TypeError, match="takes a function that opens the resource"):
        Resource(opener)


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="'run', 'workflow' or 'step', not 'global'"):
        Resource(open_pool, "global")  # type: ignore[arg-type]


# ---- replacements ------------------------------------------------------------------------------


def cursor_workflow(scope: Any = "run") -> Workflow[Any]:
    @step
    async def use(
        ev: StartEvent, cursor: Annotated[str, Resource(open_cursor, scope)]
    ) -> StopEvent:
        return StopEvent(result=cursor)

    return Workflow("w", [use])


class Fake:
    """A value."""


@pytest.mark.parametrize("scope", ["run", "step"])
async def test_a_replacement_is_another_resource_or_a_value(scope: Any) -> None:
    """Whatever the value is: a function is a value like another."""

    @asynccontextmanager
    async def open_fake() -> AsyncIterator[str]:
        SESSIONS.append("open fake")
        yield "fake"
        SESSIONS.append("close fake")

    workflow = cursor_workflow(scope)
    assert await workflow.run(resources={open_cursor: Resource(open_fake)}) == "fake"
    assert SESSIONS == ["open fake", "close fake"]
    assert await workflow.run(resources={open_cursor: open_fake}) is open_fake
    fake = Fake()
    assert await workflow.run(resources={open_cursor: fake}) is fake
    async with workflow.start(resources={open_cursor: fake}) as run:
        assert await run.result() is fake


async def test_a_replacement_for_what_no_step_needs_is_refused_before_anything_runs() -> None:
    workflow = cursor_workflow()
    with pytest.raises(TypeError, match=r"resources= of workflow 'w' .*open_plain"):
        await workflow.run(resources={open_plain: "fake"})
    assert SESSIONS == []


async def test_a_dependency_can_be_replaced() -> None:
    result = await cursor_workflow().run(resources={open_session: "fake session"})
    assert result == "cursor of fake session and pool, 10"
    assert "open session" not in SESSIONS


async def test_a_value_is_neither_entered_nor_awaited() -> None:
    opened: list[object] = []

    class Entered:
        async def __aenter__(self) -> None:
            opened.append(self)

        async def __aexit__(self, *exc: object) -> None: ...

        def __await__(self) -> Any:
            opened.append(self)
            yield from ()

    fake = Entered()
    assert await cursor_workflow().run(resources={open_cursor: fake}) is fake
    assert opened == []


async def open_site(pool: Annotated[str, Resource(open_pool, "workflow")]) -> str:
    return f"site on {pool}"


async def test_a_run_that_replaces_a_shared_resource_does_not_touch_the_shared_one() -> None:
    """Nor what depends on it: that is opened for this run, with the replacement."""

    @step
    async def use(
        ev: StartEvent, site: Annotated[str, Resource(open_site, "workflow")]
    ) -> StopEvent:
        return StopEvent(result=site)

    workflow = Workflow("w", [use])
    assert await workflow.run(resources={open_pool: "fake"}) == "site on fake"
    async with workflow:
        assert await workflow.run(resources={open_pool: "fake"}) == "site on fake"
        assert SESSIONS == []
        assert await workflow.run() == "site on pool"
        assert await workflow.run(resources={open_site: "nothing"}) == "nothing"
    assert SESSIONS == ["open pool", "close pool"]


async def test_a_replacement_holds_after_a_resume_and_in_child_runs() -> None:
    inner = cursor_workflow()

    @step
    async def ask(ev: StartEvent, ctx: Context) -> Work:
        await ctx.request_input("go on?")
        return Work()

    @step
    async def outer(ev: Work, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(inner))

    workflow = Workflow("outer", [ask, outer])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    (request,) = snapshot.requests
    responses = {request.request_id: True}
    resumed = workflow.resume(snapshot, responses=responses, resources={open_cursor: "fake"})
    async with resumed as run:
        assert await run.result() == "fake"


# ---- closing -----------------------------------------------------------------------------------


async def test_resources_are_closed_in_reverse_in_the_task_that_opened_them(
    openers: Openers,
) -> None:
    steps: list[object] = []

    @step
    async def first(ev: StartEvent, it: Annotated[Client, Resource(openers.client)]) -> Work:
        steps.append(current_task())
        return Work()

    @step
    async def second(ev: Work, it: Annotated[Client, Resource(openers.other)]) -> StopEvent:
        steps.append(current_task())
        return StopEvent()

    await Workflow("w", [first, second]).run()
    assert openers.log.lines == ["open client", "open other", "close other", "close client"]
    client, other = openers.tasks[0], openers.tasks[1]
    assert openers.tasks == [client, other, other, client]
    assert client is not other
    assert not {id(client), id(other)} & set(map(id, steps))


async def _fail(openers: Openers) -> None:
    @step
    async def use(ev: StartEvent, it: Annotated[Client, Resource(openers.client)]) -> StopEvent:
        raise Boom

    with pytest.raises(StepFailedError):
        await Workflow("w", [use]).run()


async def _cancel(openers: Openers) -> None:
    async with openers.workflow(seconds=10).start() as run:
        await settle()
        run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()


async def _suspend(openers: Openers) -> None:
    async with openers.workflow(seconds=10).start() as run:
        await settle()
        await run.suspend()
        openers.log("suspended")
    assert openers.log.lines.pop() == "suspended"


async def _time_out(openers: Openers) -> None:
    @step
    async def use(ev: StartEvent, it: Annotated[Client, Resource(openers.client)]) -> StopEvent:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(TimeoutError):
        await Workflow("w", [use], timeout=1).run()


async def _cancel_from_outside(openers: Openers) -> None:
    with anyio.move_on_after(1) as scope:
        await openers.workflow(seconds=10).run()
    assert scope.cancelled_caught


async def _raise_in_the_block(openers: Openers) -> None:
    with pytest.raises(Boom):
        async with openers.workflow(seconds=10).start():
            await settle()
            raise Boom


@pytest.mark.parametrize(
    "end", [_fail, _cancel, _suspend, _time_out, _cancel_from_outside, _raise_in_the_block]
)
async def test_resources_are_closed_however_the_run_ends(openers: Openers, end: Any) -> None:
    """Closing awaits, and may, though everything around is cancelled."""
    await end(openers)
    assert [line for line in openers.log.lines if line != "use"] == ["open client", "close client"]
    assert openers.tasks[0] is openers.tasks[1]


async def test_resources_are_closed_after_the_steps_that_use_them_have_cleaned_up(
    openers: Openers,
) -> None:
    @step
    async def use(ev: StartEvent, it: Annotated[Client, Resource(openers.client)]) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3)
            openers.log("cleaned up")
        raise AssertionError

    with anyio.move_on_after(1):
        await Workflow("w", [use]).run()
    assert openers.log.lines == ["open client", "cleaned up", "close client"]


async def test_closing_takes_as_long_as_it_needs_if_nothing_is_cancelled() -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        yield
        await anyio.sleep(3600)
        closed.append("slow")

    @step
    async def use(ev: StartEvent, it: Annotated[None, Resource(slow)]) -> StopEvent:
        return StopEvent(result="done")

    assert await Workflow("w", [use]).run() == "done"
    assert closed == ["slow"]


async def test_closing_has_a_bound_if_the_run_is_cancelled_from_outside(logged: Any) -> None:
    """Then it is cut off, and that is reported; the others are still closed, without waiting."""
    closed: list[str] = []

    @asynccontextmanager
    async def first() -> AsyncIterator[None]:
        yield
        closed.append("first")

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        try:
            yield
            await anyio.sleep(3600)
            closed.append("never")
        finally:
            closed.append("slow")

    @step
    async def use(
        ev: StartEvent, a: Annotated[None, Resource(first)], b: Annotated[None, Resource(slow)]
    ) -> StopEvent:
        await anyio.sleep_forever()
        raise AssertionError

    started = anyio.current_time()
    with anyio.move_on_after(1):
        await Workflow("w", [use]).run()
    assert anyio.current_time() - started == pytest.approx(11, abs=1)
    assert closed == ["slow", "first"]
    (error,) = logged()
    assert isinstance(error, TimeoutError)
    assert str(error).endswith("<locals>.slow was not closed in time")


async def test_a_cancellation_that_comes_while_resources_close_gives_them_the_same_time(
    logged: Any,
) -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        yield
        await anyio.sleep(5)
        closed.append("slow")

    @step
    async def use(ev: StartEvent, it: Annotated[None, Resource(slow)]) -> StopEvent:
        return StopEvent()

    with anyio.move_on_after(1) as scope:
        await Workflow("w", [use]).run()
    assert scope.cancelled_caught
    assert closed == ["slow"]
    assert logged() == []


async def test_what_is_still_opening_when_the_run_ends_is_cancelled(openers: Openers) -> None:
    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        with openers.log.around("opening"):
            await anyio.sleep(100)
        yield

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def use(ev: Work, it: Annotated[None, Resource(slow)]) -> None:
        raise AssertionError("not reached")

    @step
    async def end(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result=anyio.current_time())

    ended = await Workflow("w", [begin, use, end]).run()
    assert anyio.current_time() - ended < 1
    assert openers.log.lines == ["opening begins", "opening ends"]


async def test_an_error_while_closing_is_reported_and_the_result_stands(
    openers: Openers, logged: Any
) -> None:
    error = Boom()

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        yield
        raise error

    @step
    async def use(
        ev: StartEvent,
        a: Annotated[Client, Resource(openers.client)],
        b: Annotated[None, Resource(broken)],
    ) -> StopEvent:
        return StopEvent(result="stands")

    assert await Workflow("w", [use]).run() == "stands"
    assert logged() == [error]
    assert openers.log.lines == ["open client", "close client"]


async def test_an_error_while_closing_is_attached_to_the_failure_of_the_run() -> None:
    closing, failing = Boom("closing"), Boom("failing")

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        try:
            yield
        finally:
            raise closing

    @step
    async def use(ev: StartEvent, it: Annotated[None, Resource(broken)]) -> StopEvent:
        raise failing

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [use]).run()
    assert caught.value.error is failing
    assert caught.value.others == (closing,)


async def test_an_error_while_a_shared_resource_closes_is_reported(logged: Any) -> None:
    error = Boom()

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        yield
        raise error

    @step
    async def use(ev: StartEvent, it: Annotated[None, Resource(broken, "workflow")]) -> StopEvent:
        return StopEvent()

    workflow = Workflow("w", [use])
    async with workflow:
        await workflow.run()
    assert logged() == [error]


async def test_the_block_of_a_workflow_raises_its_own_exception(openers: Openers) -> None:
    workflow = openers.workflow(scope="workflow")
    with pytest.raises(Boom):
        async with workflow:
            await workflow.run()
            raise Boom
    assert openers.log.lines == ["open client", "use", "close client"]


# ---- with what surrounds them ------------------------------------------------------------------


async def test_a_resource_with_a_task_group_inside_works_and_is_left_in_its_task(
    openers: Openers,
) -> None:
    """No step's cancellation reaches its tasks."""
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(anyio.current_time())
            await anyio.sleep(1)

    @asynccontextmanager
    async def open_heart() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(beat)
            yield
            group.cancel_scope.cancel()
        openers.log("closed")

    @step(timeout=2.5)
    async def hang(ev: StartEvent, it: Annotated[None, Resource(open_heart)]) -> StopEvent:
        await anyio.sleep_forever()
        raise AssertionError

    @step
    async def go_on(ev: StepFailed) -> StopEvent:
        await anyio.sleep(2)
        return StopEvent(result="done")

    assert await Workflow("w", [hang, go_on]).run() == "done"
    assert len(beats) == 5
    assert openers.log.lines == ["closed"]


async def test_a_resource_that_breaks_while_it_is_open_fails_who_uses_it_next(
    logged: Any,
) -> None:
    error = Boom("broke")

    async def break_down() -> None:
        await anyio.sleep(1)
        raise error

    @asynccontextmanager
    async def open_client() -> AsyncIterator[str]:
        async with anyio.create_task_group() as group:
            group.start_soon(break_down)
            yield "client"

    @step
    async def use(ev: StartEvent, it: Annotated[str, Resource(open_client)]) -> Work:
        await anyio.sleep(2)
        return Work()

    @step
    async def again(ev: Work, it: Annotated[str, Resource(open_client)]) -> StopEvent:
        raise AssertionError("not reached")

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [use, again]).run()
    assert caught.value.step == "again"
    assert caught.value.error is error
    assert caught.value.others == ()
    assert logged() == []


async def test_a_resource_is_opened_in_the_context_of_the_run_not_of_a_step() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="default")

    async def open_for_step() -> str:
        variable.set("the step's")
        return variable.get()

    async def open_for_run() -> str:
        return variable.get()

    @step
    async def use(
        ev: StartEvent,
        first: Annotated[str, Resource(open_for_step, "step")],
        then: Annotated[str, Resource(open_for_run)],
    ) -> StopEvent:
        return StopEvent(result=(first, then))

    variable.set("the program's")
    assert await Workflow("w", [use]).run() == ("the step's", "the program's")


async def test_a_resource_is_opened_afresh_after_a_resume_and_never_in_a_snapshot(
    openers: Openers,
) -> None:
    workflow = openers.workflow(seconds=10)
    async with workflow.start() as run:
        await settle()
        assert "use" in openers.log.lines
        text = run.snapshot().to_json()
        await run.suspend()
    assert "lient" not in text
    async with workflow.resume(Snapshot.from_json(text)) as run:
        assert isinstance(await run.result(), Client)
    assert openers.log.lines == ["open client", "use", "close client"] * 2


async def test_a_child_run_opens_and_closes_its_own(openers: Openers) -> None:
    inner = openers.workflow()

    @step
    async def outer(
        ev: StartEvent, ctx: Context, it: Annotated[Client, Resource(openers.client)]
    ) -> StopEvent:
        mine = await ctx.run_workflow(inner)
        openers.log("child has ended")
        return StopEvent(result=mine is not it)

    assert await Workflow("outer", [outer]).run()
    assert openers.log.lines == [
        "open client",
        "open client",
        "use",
        "close client",
        "child has ended",
        "close client",
    ]


async def test_many_resources_of_one_step_are_all_opened(openers: Openers) -> None:
    assert await built(Resource(open_pool), Resource(openers.client)).run() is None
    assert openers.log.lines == ["open client", "close client"]
    assert SESSIONS == ["open pool", "close pool"]
