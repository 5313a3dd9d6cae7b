"""``@step``: what a signature means, and what is refused with what advice."""

import functools
import inspect
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Never, NoReturn, Optional, TypeVar, Union

import pytest

from blazen_anyio._annotations import describe, members, names_around
from blazen_anyio._context import Context
from blazen_anyio._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._exceptions import DefinitionError
from blazen_anyio._machine.plan import Mode
from blazen_anyio._options import StepOptions
from blazen_anyio._retry import Retry
from blazen_anyio._steps import Batch, Gather, Resource, Step, StepFunction, step

T = TypeVar("T")
Bound = TypeVar("Bound", bound=Event)


class A(Event):
    x: int = 0


class B(Event):
    x: int = 0


class ChildOfA(A):
    pass


class Box(Event, typing.Generic[T]):
    x: T


CONTEXT = typing.cast(Context, object())


def resolved(fn: Callable[..., Any], **options: Any) -> Step:
    return step(fn, **options).resolve()


def refused(fn: Callable[..., Any], **options: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        step(fn, **options)
    return caught.value


def opener() -> str:
    return "open"


# ---- what it returns -----------------------------------------------------------------------------


def test_a_step_can_still_be_called_as_the_function_it_is() -> None:
    @step
    def double(ev: A) -> B:
        """Doubles."""
        return B(x=2 * ev.x)

    assert double(A(x=2)) == B(x=4)
    assert (double.__name__, double.__doc__) == ("double", "Doubles.")
    assert list(inspect.signature(double).parameters) == ["ev"]
    assert repr(double) == "<step 'double'>"


def test_both_spellings_of_the_decorator_make_a_step() -> None:
    async def fetch(ev: A) -> None: ...

    plain, named, direct = step(fetch), step(name="get")(fetch), step(fetch, name="take")

    assert [each.name for each in (plain, named, direct)] == ["fetch", "get", "take"]
    assert [each.resolve().name for each in (plain, named, direct)] == ["fetch", "get", "take"]


def test_one_function_can_be_two_steps() -> None:
    async def fetch(ev: A) -> None: ...

    first, second = step(fetch, name="first"), step(fetch, name="second")

    assert first != second
    assert first.resolve().name == "first"
    assert first != "first"


def test_a_step_is_resolved_once() -> None:
    @step
    async def fetch(ev: A) -> None: ...

    assert fetch.resolve() is fetch.resolve()


def test_all_options_are_kept() -> None:
    async def handle(ev: StepFailed) -> None: ...

    retry = Retry()
    options = resolved(
        handle,
        emits=[A],
        waits=[B],
        for_steps=["fetch"],
        max_concurrency=1,
        max_pending=2,
        max_recoveries=3,
        timeout=0.5,
        retry=retry,
        own_task=True,
    ).options

    assert options == StepOptions(
        emits=[A],
        waits=[B],
        for_steps=["fetch"],
        max_concurrency=1,
        max_pending=2,
        max_recoveries=3,
        timeout=0.5,
        retry=retry,
        own_task=True,
    )


# ---- kinds ---------------------------------------------------------------------------------------


def test_the_kind_follows_the_way_the_function_is_written() -> None:
    async def coroutine(ev: A) -> None: ...

    def function(ev: A) -> None: ...

    async def generator(ev: A) -> AsyncIterator[B]:
        yield B()

    kinds = [resolved(fn).kind for fn in (coroutine, function, generator)]

    assert kinds == ["async", "sync", "generator"]


def test_a_plain_generator_is_refused() -> None:
    def pages(ev: A) -> None:
        yield  # type: ignore[misc]

    assert "is a `def` with `yield`" in str(refused(pages))


def test_partials_and_bound_methods_can_be_steps() -> None:
    class Service:
        async def fetch(self, ev: A, size: int) -> B:
            return B(x=size)

    made = step(functools.partial(Service().fetch, size=3))

    assert made.name == "fetch"
    assert made.resolve().kind == "async"
    assert made.resolve().accepts == (A,)


def test_a_wrapped_function_is_read_through_its_wrapper() -> None:
    async def fetch(ev: "A") -> "B": ...  # type: ignore[empty-body]

    @functools.wraps(fetch)
    async def logged(*args: Any) -> Any:
        return await fetch(*args)

    assert resolved(logged).accepts == (A,)


class WithCall:
    def __call__(self, ev: A) -> None: ...


@pytest.mark.parametrize(
    ("thing", "advice"),
    [
        ("name", "options go by keyword"),
        (3, "takes a function, not 3"),
        (A, "takes a function, not <class"),
        (WithCall(), "step(it.__call__, name=...)"),
        (functools.partial(type), "can't read the signature"),
    ],
)
def test_what_is_no_function_is_refused(thing: Any, advice: str) -> None:
    assert advice in str(refused(thing))


def test_a_step_is_not_decorated_again() -> None:
    @step
    async def fetch(ev: A) -> None: ...

    assert "is a step already" in str(refused(fetch))


# ---- event parameters ----------------------------------------------------------------------------


def test_unions_in_every_spelling_say_what_is_accepted() -> None:
    async def pipe(ev: A | B) -> None: ...
    async def union(ev: Union[A, B]) -> None: ...  # noqa: UP007  # a spelling that users have
    async def annotated(ev: Annotated[A | Annotated[B, "x"], "y"]) -> None: ...
    async def text(ev: "A | B") -> None: ...

    for fn in (pipe, union, annotated, text):
        assert resolved(fn).accepts == (A, B), fn


def test_a_generic_event_stands_for_itself() -> None:
    async def open_box(ev: Box[int]) -> None: ...

    assert resolved(open_box).accepts == (Box,)


def test_a_type_alias_is_looked_through() -> None:
    # What `type Both = A | B` makes from Python 3.12 on.
    kind = type("TypeAliasType", (), {"__value__": A | B})

    assert list(members(kind())) == [A, B]


def test_a_list_is_a_gather() -> None:
    async def reduce(parts: list[A | B]) -> None: ...

    made = resolved(reduce)

    assert (made.mode, made.accepts, made.gather) == (Mode.GATHER, (A, B), Gather())


def test_a_gather_can_say_how_many_and_of_what() -> None:
    async def reduce(parts: Annotated[list[A], Gather(count=3, of="split")]) -> None: ...

    assert resolved(reduce).gather == Gather(count=3, of="split")


def test_a_batch_has_a_size() -> None:
    async def save(parts: Annotated[list[A], Batch(5)]) -> None: ...

    made = resolved(save)

    assert (made.mode, made.batch, made.gather) == (Mode.BATCH, 5, None)


def test_two_events_are_a_pair() -> None:
    async def join(b: B, a: A) -> None: ...

    made = resolved(join)

    assert (made.mode, made.accepts, made.parameters.events) == (Mode.PAIR, (B, A), ("b", "a"))


def test_context_and_resources_may_stand_anywhere() -> None:
    async def work(
        client: Annotated[str, Resource(opener)],
        ctx: Context,
        ev: A,
        *,
        other: Annotated[int, Resource(opener, "step")],
    ) -> None: ...

    parameters = resolved(work).parameters

    assert (parameters.events, parameters.context) == (("ev",), "ctx")
    assert parameters.resources == {"client": Resource(opener), "other": Resource(opener, "step")}


def test_an_optional_context_is_a_context() -> None:
    async def work(ev: A, ctx: Context | None = None) -> None: ...

    assert resolved(work).parameters.context == "ctx"


def test_parameters_with_a_default_are_left_alone() -> None:
    async def work(ev: A, size: int = 3, *rest: int, label=None, **more: str) -> None: ...  # type: ignore[no-untyped-def]

    made = resolved(work)

    assert made.parameters.events == ("ev",)
    assert made.parameters.positional == ("ev",)


async def _bare(ev) -> None: ...  # type: ignore[no-untyped-def]
async def _int(ev: int) -> None: ...
async def _any(ev: Any) -> None: ...
async def _optional(ev: Optional[A]) -> None: ...  # noqa: UP045  # a spelling that users have
async def _mixed(ev: A | int) -> None: ...
async def _mixed_with_list(ev: A | list[B]) -> None: ...
async def _mixed_with_context(ev: Context | A) -> None: ...
async def _gather_of_int(ev: Annotated[list[int], Gather()]) -> None: ...
async def _batch_of_int(ev: Annotated[list[int], Batch(2)]) -> None: ...
async def _nothing() -> None: ...
async def _only_context(ctx: Context) -> None: ...
async def _stop(ev: StopEvent) -> None: ...
async def _type_variable(ev: Bound) -> None: ...
async def _bare_list(ev: list) -> None: ...  # type: ignore[type-arg]
async def _list_of_int(ev: list[int]) -> None: ...
async def _tuple(ev: tuple[A, ...]) -> None: ...
async def _default(ev: A = A()) -> None: ...  # noqa: B008  # what the test is about
async def _three(a: A, b: B, c: StartEvent) -> None: ...
async def _list_and_event(a: list[A], b: B) -> None: ...
async def _pair_of_unions(a: A | B, b: StartEvent) -> None: ...
async def _list_of_failures(ev: list[A | StepFailed]) -> None: ...
async def _pair_of_failures(a: A, ev: StepFailed) -> None: ...
async def _two_contexts(ev: A, one: Context, two: Context) -> None: ...
async def _gather_of_one(ev: Annotated[A, Gather()]) -> None: ...
async def _batch_of_one(ev: Annotated[A, Batch(2)]) -> None: ...
async def _two_markers(ev: Annotated[list[A], Gather(), Batch(2)]) -> None: ...
async def _by_position(ev: A, size: int = 3, /) -> None: ...
async def _not_valid(ev: "A[") -> None: ...  # type: ignore[syntax]  # noqa: F722
async def _not_valid_return(ev: A) -> "A[": ...  # type: ignore[syntax]  # noqa: F722


@pytest.mark.parametrize(
    ("fn", "advice"),
    [
        (_bare, "has no annotation; write `ev: SomeEvent`"),
        (_int, "is annotated with int, which is neither an event, nor `Context`, nor a resource"),
        (_any, "is annotated with Any, which is neither an event"),
        (_optional, "is never None; drop the `| None`"),
        (_mixed, "takes int, which is no event type"),
        (_mixed_with_list, "takes list[B], which is no event type"),
        (_mixed_with_context, "takes Context, which is no event type"),
        (_gather_of_int, "takes int, which is no event type"),
        (_batch_of_int, "takes int, which is no event type"),
        (_nothing, "takes no event; give it a parameter such as `ev: StartEvent`"),
        (_only_context, "takes no event; give it a parameter such as `ev: StartEvent`"),
        (_stop, "a StopEvent ends the run: nothing can receive it"),
        (_type_variable, "is annotated with Bound, which is neither an event"),
        (_bare_list, "write `ev: SomeEvent`, `ev: list[SomeEvent]` for a gather"),
        (_list_of_int, "is annotated with list[int], which is neither an event"),
        (_tuple, "is annotated with tuple[A, ...], which is neither an event"),
        (_default, "event parameter 'ev' has a default, which is never used"),
        (_three, "takes 3 events ('a', 'b', 'c')"),
        (_list_and_event, "takes a list and another event ('a', 'b')"),
        (_pair_of_unions, "each of a pair takes exactly one event type"),
        (_list_of_failures, "joins StepFailed with other events"),
        (_pair_of_failures, "joins StepFailed with other events"),
        (_two_contexts, "has 2 context parameters; keep one"),
        (_gather_of_one, "is marked with Gather; write `list[...]`"),
        (_batch_of_one, "is marked with Batch; write `list[...]`"),
        (_two_markers, "has several of Gather and Batch; keep one"),
        (_by_position, "has a default and can only be passed by position; drop the `/`"),
        (_not_valid, "the annotation of 'ev' can't be read (SyntaxError"),
        (_not_valid_return, "the return annotation can't be read (SyntaxError"),
    ],
)
def test_parameters_that_mean_nothing_are_refused_with_advice(
    fn: Callable[..., Any], advice: str
) -> None:
    error = refused(fn)

    assert error.subject == f"step {fn.__name__!r}"
    assert len(error.problems) == 1
    assert advice in error.problems[0]


# ---- return annotations --------------------------------------------------------------------------


def _returning(annotation: Any) -> Callable[..., Any]:
    async def work(ev: A) -> None: ...

    work.__annotations__["return"] = annotation
    return work


@pytest.mark.parametrize(
    ("annotation", "emits", "fans_out", "none"),
    [
        (A, (A,), None, False),
        (None, (), None, True),
        (A | B | None, (A, B), None, True),
        (Annotated[A, "x"], (A,), None, False),
        (list[A], (), (A,), False),
        (list[A | B], (), (A, B), False),
        (list[A] | list[B] | None, (), (A, B), True),
        (list[A] | B | None, (B,), (A,), True),
        (tuple[A, B], (A, B), None, False),
        (tuple[A | B, ...], (A, B), None, False),
        (NoReturn, (), None, False),
        (Never, (), None, False),
        (InputRequestEvent, (InputRequestEvent,), None, False),
        ("A | None", (A,), None, True),
        (Box[int] | A | A, (Box, A), None, False),
    ],
)
def test_a_return_annotation_says_what_is_emitted(
    annotation: Any, emits: Any, fans_out: Any, none: bool
) -> None:
    made = resolved(_returning(annotation))

    assert (made.emits, made.fans_out, made.returns_none) == (emits, fans_out, none)


@pytest.mark.parametrize(
    "annotation", [AsyncIterator[A], AsyncIterable[A], AsyncGenerator[A, None]]
)
def test_a_generator_fans_out_what_it_yields(annotation: Any) -> None:
    async def pages(ev: A) -> AsyncIterator[A]:
        yield A()

    pages.__annotations__["return"] = annotation

    assert resolved(pages).fans_out == (A,)


@pytest.mark.parametrize(
    ("annotation", "advice"),
    [
        (Any, "returns Any, which is no event type; write the event types"),
        (object, "returns object, which is no event type"),
        (str, "returns str, which is no event type"),
        (A | str, "returns str, which is no event type"),
        (list, "returns a list of unknown events; write `-> list[...]`"),
        (tuple, "returns a tuple of unknown events"),
        (list[list[A]], "returns list[A], which is no event type"),
        (list[A | None], "returns None among several events"),
        (tuple[A, None], "returns None among several events"),
        (Sequence[A], "returns Sequence[A]; write `-> list[...]` for a fan-out"),
        (set[A], "returns set[A]; write `-> list[...]` for a fan-out"),
        (AsyncIterator[A], "returns AsyncIterator[A] but never yields"),
        (Bound, "returns the type variable ~Bound"),
        (StepFailed, "returns StepFailed, which only the engine makes"),
        (dict[str, A | None], "returns dict[str, A | None], which is no event type"),
    ],
)
def test_returns_that_can_not_be_routed_are_refused_with_advice(
    annotation: Any, advice: str
) -> None:
    error = refused(_returning(annotation))

    assert len(error.problems) == 1
    assert advice in error.problems[0]


def test_a_missing_return_annotation_is_refused() -> None:
    async def work(ev: A): ...  # type: ignore[no-untyped-def]

    assert "has no return annotation; write the event types it returns" in str(refused(work))


@pytest.mark.parametrize("annotation", [A, list[A], AsyncIterator])
def test_a_generator_has_to_say_what_it_yields(annotation: Any) -> None:
    async def pages(ev: A) -> AsyncIterator[A]:
        yield A()

    pages.__annotations__["return"] = annotation

    assert "is a generator but returns" in str(refused(pages))


# ---- options -------------------------------------------------------------------------------------


async def _plain(ev: A) -> None: ...
async def _dynamic(ev: DynamicEvent) -> None: ...
async def _dynamic_or_a(ev: DynamicEvent | A) -> None: ...
async def _pair(a: A, b: B) -> None: ...
async def _handler(ev: StepFailed) -> None: ...
def _function(ev: A) -> None: ...


@pytest.mark.parametrize(
    ("fn", "options", "advice"),
    [
        (_plain, {"max_concurrency": 0}, "max_concurrency= takes a whole number from 1"),
        (_plain, {"max_concurrency": True}, "max_concurrency= takes a whole number from 1"),
        (_plain, {"max_pending": 1.5}, "max_pending= takes a whole number from 1"),
        (_handler, {"max_recoveries": -1}, "max_recoveries= takes a whole number from 1"),
        (_plain, {"timeout": 0}, "timeout= takes a number of seconds above 0"),
        (_plain, {"timeout": -1}, "timeout= takes a number of seconds above 0"),
        (_plain, {"timeout": float("nan")}, "timeout= takes a number of seconds above 0"),
        (_plain, {"timeout": float("inf")}, "None for no limit, not inf"),
        (_plain, {"timeout": True}, "timeout= takes a number of seconds above 0"),
        (_plain, {"timeout": "1"}, "timeout= takes a number of seconds above 0"),
        (_plain, {"retry": 3}, "retry= takes a policy such as Retry(max_attempts=3)"),
        (_plain, {"own_task": 1}, "own_task= is True or False"),
        (_plain, {"cooperative": True}, "cooperative= is for `def` steps"),
        (_function, {"timeout": 1}, "timeout= on a `def` step: a thread can't be stopped"),
        (_function, {"cooperative": "yes"}, "cooperative= is True or False"),
        (_plain, {"waits": ["x"]}, "waits= takes event classes, not 'x'"),
        (_plain, {"waits": None}, "waits= takes a list of event classes, not None"),
        (_plain, {"emits": B}, "emits= takes a list of event classes and names of dynamic types"),
        (_plain, {"emits": "x"}, "emits= takes a list of event classes and names"),
        (_plain, {"emits": [int]}, "emits= takes event classes and names of dynamic types, not"),
        (_plain, {"emits": [""]}, "emits= takes event classes and names of dynamic types, not ''"),
        (_plain, {"emits": [StepFailed]}, "emits= names StepFailed, which only the engine makes"),
        (_plain, {"for_steps": ["x"]}, "are for steps that accept StepFailed"),
        (_plain, {"max_recoveries": 1}, "are for steps that accept StepFailed"),
        (_handler, {"for_steps": "x"}, "for_steps= takes a list of steps or of their names"),
        (_handler, {"for_steps": []}, "for_steps= takes a list of steps or of their names"),
        (_handler, {"for_steps": [3]}, "for_steps= takes steps or their names, not 3"),
        (_plain, {"name": ""}, "the name '' is empty"),
        (_plain, {"name": " x"}, "has spaces around it"),
        (_plain, {"name": "a\nb"}, "can't be printed"),
        (_plain, {"name": "x" * 201}, "its name has 201 characters"),
        (_plain, {"name": 3}, "its name is a string, not 3"),
        (_plain, {"accepts": "x"}, "accepts= takes a list"),
        (_plain, {"accepts": 3}, "accepts= takes a list"),
        (_plain, {"accepts": [3]}, "accepts= takes event classes and names of dynamic types"),
        (_plain, {"accepts": []}, "accepts= is empty"),
        (_plain, {"accepts": [B]}, "accepts= names B, but the parameter is annotated with A"),
        (_plain, {"accepts": ["x"]}, "accepts= names DynamicEvent, but the parameter"),
        (_dynamic_or_a, {"accepts": ["x"]}, "accepts= leaves out A"),
        (_bare, {"accepts": [StopEvent]}, "accepts= names StopEvent, but a StopEvent ends the run"),
        (_pair, {"accepts": [A, B]}, "accepts= does not go with a pair"),
    ],
)
def test_options_that_can_not_work_are_refused(
    fn: Callable[..., Any], options: dict[str, Any], advice: str
) -> None:
    assert any(advice in problem for problem in refused(fn, **options).problems)


def test_all_problems_of_a_step_are_told_at_once() -> None:
    def work(ev: int, other): ...  # type: ignore[no-untyped-def]

    error = refused(work, timeout=-1, max_concurrency=0)

    assert len(error.problems) == 6
    assert "6 problems" in str(error)


def test_a_cooperative_function_may_have_a_timeout() -> None:
    assert resolved(_function, timeout=2, cooperative=True).options.timeout == 2


def test_accepts_names_dynamic_types() -> None:
    made = resolved(_dynamic_or_a, accepts=["app.Thing", ChildOfA])

    assert (made.accepts, made.dynamic) == ((ChildOfA,), frozenset({"app.Thing"}))


def test_accepts_makes_an_annotation_dispensable() -> None:
    made = resolved(_bare, accepts=[A, "app.Thing"])

    assert (made.accepts, made.dynamic) == ((A,), frozenset({"app.Thing"}))
    assert made.parameters.events == ("ev",)


def test_accepts_may_make_an_error_step() -> None:
    made = resolved(_bare, accepts=[StepFailed], for_steps=["fetch"])

    assert made.is_handler


def test_an_empty_accepts_is_one_problem() -> None:
    assert len(refused(_plain, accepts=[]).problems) == 1


def test_a_name_may_have_200_characters() -> None:
    assert resolved(_plain, name="x" * 200).name == "x" * 200


def test_emits_adds_to_what_is_returned() -> None:
    made = resolved(_returning(A), emits=[B, A, "app.Thing"])

    assert (made.emits, made.emits_dynamic) == ((A, B), ("app.Thing",))


def test_only_a_context_without_emits_may_send_anything() -> None:
    async def work(ev: A, ctx: Context) -> None: ...

    assert resolved(work).sends_anything
    assert not resolved(work, emits=[]).sends_anything
    assert not resolved(_plain).sends_anything


def test_a_handler_accepts_failures() -> None:
    assert resolved(_handler).is_handler
    assert not resolved(_plain).is_handler


# ---- calls ---------------------------------------------------------------------------------------


def test_a_call_passes_event_and_context_where_they_stand() -> None:
    def event(ev: A) -> None:
        return ("event", ev)  # type: ignore[return-value]

    def event_context(ev: A, ctx: Context) -> None:
        return ("event_context", ev, ctx)  # type: ignore[return-value]

    def context_event(ctx: Context, ev: A) -> None:
        return ("context_event", ctx, ev)  # type: ignore[return-value]

    a = A(x=1)
    assert resolved(event).call([a], None, {}) == ("event", a)
    assert resolved(event_context).call([a], CONTEXT, {}) == ("event_context", a, CONTEXT)
    assert resolved(context_event).call([a], CONTEXT, {}) == ("context_event", CONTEXT, a)


def test_a_call_passes_by_keyword_what_can_not_go_by_position() -> None:
    def after_default(ev: A, size: int = 3, *, ctx: Context) -> None:
        return ("after_default", ev, size, ctx)  # type: ignore[return-value]

    def context(ev: A, *, ctx: Context) -> None:
        return ("context", ev, ctx)  # type: ignore[return-value]

    def event(*, ev: A) -> None:
        return ("event", ev)  # type: ignore[return-value]

    a = A(x=1)
    assert resolved(after_default).call([a], CONTEXT, {}) == ("after_default", a, 3, CONTEXT)
    assert resolved(context).call([a], CONTEXT, {}) == ("context", a, CONTEXT)
    assert resolved(event).call([a], None, {}) == ("event", a)


def test_a_call_passes_resources() -> None:
    def in_order(a: A, /, client: Annotated[str, Resource(opener)]) -> None:
        return ("in_order", a, client)  # type: ignore[return-value]

    def all_by_keyword(*, ev: A, client: Annotated[str, Resource(opener)]) -> None:
        return ("all", ev, client)  # type: ignore[return-value]

    def by_keyword(ev: A, *, client: Annotated[str, Resource(opener)]) -> None:
        return ("client", ev, client)  # type: ignore[return-value]

    a, resources = A(x=1), {"client": "c"}
    assert resolved(in_order).call([a], None, resources) == ("in_order", a, "c")
    assert resolved(all_by_keyword).call([a], None, resources) == ("all", a, "c")
    assert resolved(by_keyword).call([a], None, resources) == ("client", a, "c")


def test_a_call_passes_joined_events() -> None:
    def gather(parts: list[A], ctx: Context) -> None:
        return ("gather", parts, ctx)  # type: ignore[return-value]

    def batch(parts: Annotated[list[A], Batch(2)]) -> None:
        return ("batch", parts)  # type: ignore[return-value]

    def pair(b: B, a: A) -> None:
        return ("pair", b, a)  # type: ignore[return-value]

    a, b = A(x=1), B(x=2)
    assert resolved(gather).call((a, a), CONTEXT, {}) == ("gather", [a, a], CONTEXT)
    assert resolved(batch).call((a, a), None, {}) == ("batch", [a, a])
    assert resolved(pair).call((b, a), None, {}) == ("pair", b, a)


def test_a_gather_gets_a_list_of_its_own() -> None:
    def reduce(parts: list[A]) -> None:
        parts.clear()

    events = [A()]
    resolved(reduce).call(events, None, {})

    assert events == [A()]


# ---- methods -------------------------------------------------------------------------------------


class Service:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @step
    def scale(self, ev: A) -> B:
        return B(x=self.factor * ev.x)

    @step
    @staticmethod
    def step_of_static(ev: A) -> B:
        return B(x=ev.x)

    @staticmethod
    @step
    def static_of_step(ev: A) -> B:
        return B(x=ev.x)

    @step  # type: ignore[arg-type]
    @classmethod
    def step_of_class(cls, ev: A) -> None:
        return (cls, ev)  # type: ignore[return-value]

    @classmethod
    @step
    def class_of_step(cls, ev: A) -> None:
        return (cls, ev)  # type: ignore[return-value]


class SubService(Service):
    @step
    def scale(self, ev: A) -> B:
        return super().scale(ev)


def test_a_method_is_a_step_of_its_instance() -> None:
    double, triple = Service(2), Service(3)

    assert double.scale(A(x=5)) == B(x=10)
    assert triple.scale.resolve().call([A(x=5)], None, {}) == B(x=15)
    assert double.scale.resolve().name == "scale"
    assert not double.scale.is_unbound


def test_a_method_of_a_class_is_not_bound() -> None:
    assert Service.scale.is_unbound
    assert Service.scale(Service(2), A(x=1)) == B(x=2)


def test_a_bound_method_is_equal_to_itself_only() -> None:
    one, other = Service(1), Service(1)

    assert one.scale == one.scale
    assert hash(one.scale) == hash(one.scale)
    assert one.scale != other.scale


def test_a_method_of_the_class_means_that_of_any_instance() -> None:
    one, other = Service(1), Service(1)

    assert Service.scale.means(one.scale)
    assert one.scale.means(one.scale)
    assert not one.scale.means(other.scale)
    assert not one.scale.means(Service.scale)


def test_a_method_can_call_that_of_its_base() -> None:
    assert SubService(2).scale(A(x=1)) == B(x=2)
    assert SubService(2).scale != Service(2).scale


@pytest.mark.parametrize("owner", [Service, Service(1)])
@pytest.mark.parametrize("name", ["step_of_static", "static_of_step"])
def test_static_methods_are_steps(owner: Any, name: str) -> None:
    made = getattr(owner, name)

    assert made(A(x=1)) == B(x=1)
    assert made.resolve().call([A(x=1)], None, {}) == B(x=1)


@pytest.mark.parametrize("owner", [Service, Service(1)])
@pytest.mark.parametrize("name", ["step_of_class", "class_of_step"])
def test_class_methods_are_steps(owner: Any, name: str) -> None:
    made = getattr(owner, name)
    bound = made if isinstance(made, StepFunction) else made.__func__.bind(made.__self__)

    assert bound(A(x=1)) == (Service, A(x=1))
    assert bound.resolve().call([A(x=1)], None, {}) == (Service, A(x=1))


def test_a_function_with_self_is_a_method_wherever_it_is_written() -> None:
    def later(self, ev: A) -> None: ...  # type: ignore[no-untyped-def]

    assert step(later).is_unbound


def test_an_annotated_self_is_the_instance_too() -> None:
    class Typed:
        @step
        def scale(self: "Typed", ev: A) -> None: ...

    assert Typed().scale.resolve().accepts == (A,)


def test_a_first_parameter_that_is_not_passed_by_position_is_no_instance() -> None:
    class Holder:
        @step(accepts=[A])
        @staticmethod
        def by_keyword(*, ev) -> None: ...  # type: ignore[no-untyped-def]

        @step
        @staticmethod
        def with_default(size=3, *, ev: A) -> None: ...  # type: ignore[no-untyped-def]

        @step(accepts=[A])
        def untouched(*, ev) -> None: ...  # type: ignore[no-untyped-def,misc]

        @step
        def defaulted(size=3, *, ev: A) -> None: ...  # type: ignore[no-untyped-def,misc]  # noqa: N805

    for name in ("by_keyword", "with_default", "untouched", "defaulted"):
        assert not getattr(Holder, name).is_unbound, name


def test_a_local_function_is_no_method() -> None:
    @step(accepts=[A])
    def work(ev) -> None: ...  # type: ignore[no-untyped-def]

    assert not work.is_unbound


def test_an_event_may_be_called_self_outside_of_a_class() -> None:
    @step
    def work(self: A) -> None: ...

    assert work.resolve().parameters.events == ("self",)


def test_a_function_step_kept_in_a_class_is_not_bound() -> None:
    @step
    def work(ev: A) -> None: ...

    class Holder:
        it = work

    assert Holder().it is work


# ---- names that are not there yet ----------------------------------------------------------------


def test_names_of_the_function_around_are_found() -> None:
    class Local(Event):
        pass

    @step
    def work(ev: "Local") -> "Local | None": ...

    assert work.resolve().accepts == (Local,)


def test_names_of_whoever_imports_the_module_are_not_found() -> None:
    class Hidden(Event):
        pass

    module = {"step": step, "Hidden_": Hidden}
    exec("@step\ndef work(ev: 'Hidden') -> None: ...", module)

    with pytest.raises(DefinitionError, match="name 'Hidden' is not defined"):
        typing.cast(Any, module["work"]).resolve()


def test_without_a_frame_there_are_no_names_around() -> None:
    assert names_around(None) == {}


def test_names_of_the_class_around_are_found() -> None:
    class Outer(Event):
        pass

    class Holder:
        class Inner(Event):
            pass

        @step
        def work(self, ev: "Inner | Outer") -> None: ...  # type: ignore[name-defined]

    assert Holder().work.resolve().accepts == (Holder.Inner, Outer)


def test_a_name_that_comes_later_is_looked_up_when_the_workflow_is_built() -> None:
    @step
    def work(ev: "Later") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    globals()["Later"] = A
    try:
        assert work.resolve().accepts == (A,)
    finally:
        del globals()["Later"]


def test_a_name_that_comes_later_in_the_class_is_found() -> None:
    class Holder:
        @step
        def work(self, ev: "Inner") -> None: ...  # type: ignore[name-defined]

        class Inner(Event):
            pass

    assert Holder().work.resolve().accepts == (Holder.Inner,)


def test_a_name_that_comes_later_is_found_if_the_body_uses_it() -> None:
    @step
    def work(ev: "Local") -> "Local":
        return Local()

    class Local(Event):
        pass

    assert work.resolve().accepts == (Local,)


def test_a_closed_over_name_that_is_not_assigned_is_no_obstacle() -> None:
    @step
    def work(ev: A) -> None:
        unassigned.append(ev)

    assert work.resolve().accepts == (A,)
    unassigned: list[A] = []
    assert work(A()) is None
    assert unassigned


def test_a_name_that_never_comes_is_refused_with_advice() -> None:
    @step
    def work(ev: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError, match="name 'Nowhere' is not defined") as caught:
        work.resolve()
    assert "import the name where the step is defined" in caught.value.problems[0]
    assert isinstance(caught.value.__cause__, Exception)


def test_an_attribute_that_is_not_there_yet_is_tried_again() -> None:
    @step
    def work(ev: "types.Nowhere") -> None: ...  # type: ignore[name-defined]

    with pytest.raises(DefinitionError, match="Nowhere"):
        work.resolve()


def test_an_alias_whose_value_is_not_there_yet_is_tried_again() -> None:
    class TypeAliasType:
        __module__ = "typing"

        def __call__(self) -> None: ...

        @property
        def __value__(self) -> Any:
            raise NameError("name 'Nowhere' is not defined")

    def work(ev: A) -> None: ...

    work.__annotations__["ev"] = TypeAliasType()

    with pytest.raises(DefinitionError, match="Nowhere"):
        step(work).resolve()


def test_wrong_options_are_refused_before_the_names_are_there() -> None:
    def work(ev: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert refused(work, max_pending=0).problems[0].startswith("max_pending=")


def test_what_was_around_a_step_is_let_go_once_it_is_read() -> None:
    @step
    def work(ev: "A") -> None: ...

    assert work._around == {}


# ---- markers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "3"])
def test_a_gather_takes_a_count_from_1(count: Any) -> None:
    with pytest.raises(ValueError, match="Gather\\(count=...\\) takes a whole number from 1"):
        Gather(count=count)


@pytest.mark.parametrize("size", [0, None, True, 1.5])
def test_a_batch_takes_a_size_from_1(size: Any) -> None:
    with pytest.raises(ValueError, match="Batch\\(size=...\\) takes a whole number from 1"):
        Batch(size)


@pytest.mark.parametrize("of", [3, [3], [None]])
def test_a_gather_is_of_steps(of: Any) -> None:
    with pytest.raises(TypeError, match="takes a step or a list of steps"):
        Gather(of=of)


def test_one_is_enough() -> None:
    assert (Gather(count=1).count, Batch(1).size) == (1, 1)


def test_a_gather_of_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match="names no step"):
        Gather(of=[])


def test_a_gather_names_one_step_or_several() -> None:
    assert Gather().fan_outs == ()
    assert Gather(of="a").fan_outs == ("a",)
    assert Gather(of=opener).fan_outs == (opener,)
    assert Gather(of=["a", opener]).fan_outs == ("a", opener)


def test_a_resource_has_an_opener_and_a_known_scope() -> None:
    with pytest.raises(TypeError, match="takes a function that opens the resource"):
        Resource("client")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'run', 'workflow' or 'step', not 'world'"):
        Resource(opener, "world")  # type: ignore[arg-type]


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (None, "None"),
        (int, "int"),
        (Any, "Any"),
        (Optional[A], "A | None"),  # noqa: UP045  # a spelling that users have
        (list["A"], "list[A]"),
        (dict[str, list[A]], "dict[str, list[A]]"),
        (tuple[A, ...], "tuple[A, ...]"),
        (3, "3"),
    ],
)
def test_annotations_are_told_the_way_they_are_written(annotation: Any, text: str) -> None:
    assert describe(annotation) == text


def test_a_local_class_is_told_by_its_name_alone() -> None:
    class Local:
        pass

    assert describe(Local) == "Local"
