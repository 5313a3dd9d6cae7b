"""Steps: ``@step`` reads a signature once and makes a frozen :class:`Step` of it.

What ``@step`` returns is still the function: it can be called, and it binds when it is a method.
The :class:`Step` behind it is what the engine uses. A signature that can't be used is refused at
the decoration, with all its problems in one error; only an annotation that names what does not
exist yet is tried again when the workflow is built.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from ._annotations import (
    UnresolvedAnnotationError,
    names_around,
    namespaces,
)
from ._events import Event
from ._exceptions import DefinitionError
from ._functions import Binds, Kind, binds, kind_of, name_of, problem_of_function, unwrapped
from ._machine.plan import Mode
from ._markers import Batch, Gather, Resource, ResourceScope, StepReference
from ._options import (
    Delivery,
    EventKind,
    StepOptions,
    kinds_of,
    problems_of_fit,
    problems_of_options,
)
from ._retry import Retry
from ._returns import Returns, read_returns
from ._signatures import Arguments, read_arguments
from ._step import Step

__all__ = [
    "Batch",
    "Gather",
    "Resource",
    "ResourceScope",
    "Step",
    "StepFunction",
    "StepReference",
    "step",
]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class StepFunction(Generic[P, R_co]):
    """A function that is a step of workflows, and can still be called.

    It is what ``@step`` returns. In a class it is a method: ``service.fetch`` is the step of that
    instance.
    """

    def __init__(
        self,
        fn: Callable[P, R_co],
        options: StepOptions,
        *,
        around: Mapping[str, object] | None = None,
        root: StepFunction[..., object] | None = None,
        instance: object = None,
    ) -> None:
        functools.update_wrapper(self, fn)
        self.__wrapped__ = fn
        self._options = options
        self._around: Mapping[str, object] = around or {}
        self._root: StepFunction[..., object] = root or self
        self._instance = instance
        self._binds: Binds = "nothing" if root is not None else binds(fn)
        self._step: Step | None = None

    @property
    def name(self) -> str:
        """The name of the step, by default the function's."""
        given = self._options.name
        return name_of(self.__wrapped__) if given is None else given

    @property
    def is_unbound(self) -> bool:
        """Whether it is a method without its instance."""
        return self._binds != "nothing"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function itself, as in a unit test."""
        return self.__wrapped__(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type, /) -> StepFunction[P, R_co]: ...
    @overload
    def __get__(
        self: StepFunction[Concatenate[S, Q], R_co], instance: S, owner: type | None = None, /
    ) -> StepFunction[Q, R_co]: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> StepFunction[..., R_co]:
        if self._binds == "class":
            return self.bind(owner)
        if self._binds == "nothing" or instance is None:
            return self
        return self.bind(instance)

    def bind(self, instance: object) -> StepFunction[..., R_co]:
        """Make the step of a method of ``instance``."""
        fn = types.MethodType(unwrapped(self.__wrapped__), instance)
        return StepFunction(
            cast("Callable[..., R_co]", fn), self._options, root=self._root, instance=instance
        )

    def means(self, other: StepFunction[..., object]) -> bool:
        """Say whether this names ``other``: itself, or a method that ``other`` has bound."""
        same = self._root is other._root
        return same and (self._instance is None or self._instance is other._instance)

    def resolve(self) -> Step:
        """Return the step behind the function.

        Raises:
            DefinitionError: it can't be used; every problem is listed.
        """
        try:
            return self._resolve()
        except UnresolvedAnnotationError as error:
            raise DefinitionError(
                f"step {self.name!r}",
                [
                    f"an annotation can't be resolved ({error}); import the name where the step "
                    "is defined, not only for type checkers, or define it before the workflow"
                ],
            ) from error

    def _resolve(self) -> Step:
        if self._step is None:
            if self._root is self:
                self._step = _read(self, self._options, self._around)
                self._around = {}
            else:
                self._step = self._root.resolve().bind(self._instance)
        return self._step

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepFunction):
            return NotImplemented
        return self._root is other._root and self._instance is other._instance

    def __hash__(self) -> int:
        return hash((id(self._root), id(self._instance)))

    def __repr__(self) -> str:
        return f"<step {self.name!r}>"


def _read(
    source: StepFunction[..., object], options: StepOptions, around: Mapping[str, object]
) -> Step:
    fn = unwrapped(source.__wrapped__)
    scope = namespaces(fn, around)
    problems = problems_of_options(source.name, options)
    kind = kind_of(fn, problems)
    arguments = read_arguments(
        fn, scope, is_method=source.is_unbound, accepts_given=options.accepts is not None
    )
    problems += arguments.problems
    returns = read_returns(fn, scope, generator=kind == "generator", problems=problems)
    problems += problems_of_fit(kind, arguments, options)
    if problems:
        raise DefinitionError(f"step {source.name!r}", problems)
    return _made(source.name, fn, options, kind, arguments, returns)


def _made(
    name: str,
    fn: Callable[..., object],
    options: StepOptions,
    kind: Kind,
    arguments: Arguments,
    returns: Returns,
) -> Step:
    classes, names = kinds_of(options.accepts or ())
    sent, sent_names = kinds_of(options.emits or ())
    first = arguments.events[0]
    return Step(
        name=name,
        fn=fn,
        kind=kind,
        mode=arguments.mode,
        parameters=arguments.parameters,
        accepts=arguments.accepts if options.accepts is None else classes,
        dynamic=frozenset(names),
        emits=tuple(dict.fromkeys(returns.emits + sent)),
        emits_dynamic=sent_names,
        fans_out=returns.fans_out,
        returns_none=returns.none,
        gather=(first.gather or Gather()) if arguments.mode is Mode.GATHER else None,
        batch=first.batch.size if first.batch else 0,
        options=options,
    )


class StepDecorator(Protocol):
    """What ``step(...)`` with options returns."""

    def __call__(self, fn: Callable[P, R], /) -> StepFunction[P, R]:
        """Make a step of ``fn``."""
        ...


@overload
def step(
    fn: Callable[P, R],
    /,
    *,
    name: str | None = None,
    accepts: Sequence[EventKind] | None = None,
    emits: Sequence[EventKind] | None = None,
    waits: Sequence[type[Event]] = (),
    for_steps: Sequence[StepReference] | None = None,
    max_concurrency: int | None = None,
    max_pending: int | None = None,
    max_recoveries: int | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    delivery: Delivery = "at_least_once",
    cooperative: bool = False,
    own_task: bool = False,
) -> StepFunction[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    accepts: Sequence[EventKind] | None = None,
    emits: Sequence[EventKind] | None = None,
    waits: Sequence[type[Event]] = (),
    for_steps: Sequence[StepReference] | None = None,
    max_concurrency: int | None = None,
    max_pending: int | None = None,
    max_recoveries: int | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    delivery: Delivery = "at_least_once",
    cooperative: bool = False,
    own_task: bool = False,
) -> StepDecorator: ...
def step(
    fn: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    accepts: Sequence[EventKind] | None = None,
    emits: Sequence[EventKind] | None = None,
    waits: Sequence[type[Event]] = (),
    for_steps: Sequence[StepReference] | None = None,
    max_concurrency: int | None = None,
    max_pending: int | None = None,
    max_recoveries: int | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    delivery: Delivery = "at_least_once",
    cooperative: bool = False,
    own_task: bool = False,
) -> Any:
    """Make a step of a function: ``@step``, ``@step(...)`` or ``step(fn, ...)``.

    The signature says what the step takes (one event type or a union; ``list[...]`` for a gather;
    two events for a pair; the context and resources at will) and what it emits. ``async def`` runs
    on the event loop, ``def`` in a worker thread, ``async def`` with ``yield`` emits as it goes.

    Args:
        fn: the function or method.
        name: the name in the workflow; by default the function's.
        accepts: event classes, and names of dynamic types for a ``DynamicEvent`` parameter. It
            replaces the annotation, which has to agree with it.
        emits: what the step sends with ``ctx.send_event``, in the same form. It bounds nothing; it
            makes the checks of the workflow exact.
        waits: the event classes that the step waits for with ``ctx.wait_for_event``.
        for_steps: for a step that accepts ``StepFailed``: whose failures; by default everybody's.
        max_concurrency: how many may run at once in one run; by default any number.
        max_pending: how many deliveries may wait for the step; by default any number.
        max_recoveries: for a step that accepts ``StepFailed``: how often the failures of one line
            of causes may come to it; by default as often as the workflow allows.
        timeout: seconds that one attempt may take; by default no limit.
        retry: when a failed attempt is made again; by default as the workflow says.
        delivery: ``"at_most_once"`` for a step that must never repeat: it is not retried, and an
            attempt in which the process died, or that a suspension cut short, comes back as a
            ``StepFailed`` whose ``error`` is an :class:`AttemptLostError`.
        cooperative: for a ``def`` step with a timeout: it calls
            ``anyio.from_thread.check_cancelled`` regularly.
        own_task: run each attempt in a task of its own.

    Raises:
        DefinitionError: the signature or an option can't be used; every problem is listed.

    Example::

        @step
        async def greet(ev: Greet) -> StopEvent:
            return StopEvent(result=f"Hello, {ev.name}!")
    """
    options = StepOptions(
        name=name,
        accepts=accepts,
        emits=emits,
        waits=waits,
        for_steps=for_steps,
        max_concurrency=max_concurrency,
        max_pending=max_pending,
        max_recoveries=max_recoveries,
        timeout=timeout,
        retry=retry,
        delivery=delivery,
        cooperative=cooperative,
        own_task=own_task,
    )
    if fn is None:
        return functools.partial(_decorate, options=options)
    return _decorate(fn, options)


def _decorate(fn: Callable[..., object], options: StepOptions) -> StepFunction[..., object]:
    already = isinstance(fn, StepFunction)
    problem = f"{fn!r} is a step already" if already else problem_of_function(fn)
    if problem is not None:
        raise DefinitionError("@step", [problem])
    made = StepFunction(fn, options, around=names_around(_caller_frame()))
    try:
        made._resolve()
    except UnresolvedAnnotationError:
        # Tried again when the workflow is built; what the options say can be judged now.
        problems = problems_of_options(made.name, options)
        if problems:
            raise DefinitionError(f"step {made.name!r}", problems) from None
    return made


def _caller_frame() -> types.FrameType | None:
    """Find the innermost frame that is not of this module."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back
    return frame
