"""The frozen step: what the engine knows of a function, and how it calls it.

A call passes what the parameters ask for and nothing else. It is prepared once, because it is on
the path of every event.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence

import attrs

from ._context import Context
from ._events import Event, StepFailed
from ._functions import Kind
from ._machine.plan import Mode
from ._markers import Gather
from ._options import StepOptions
from ._signatures import Parameters

__all__ = ["Step"]

Call = Callable[[Sequence[Event], Context | None, Mapping[str, object]], object]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Step:
    """A step as the engine uses it: what its signature and its options say, all of it checked.

    Attributes:
        name: unique in a workflow.
        fn: the function; for a method, bound.
        kind: ``"async"``, ``"sync"`` (runs in a worker thread) or ``"generator"``.
        mode: how it takes its events.
        parameters: the names of what the engine passes.
        accepts: event classes; for a list those of its elements, for a pair one each.
        dynamic: names of dynamic types that it accepts besides.
        emits: event classes that it returns singly or in a tuple, or sends as ``emits=`` says.
        emits_dynamic: names of dynamic types that it emits.
        fans_out: the event classes of its list or its yields; ``None`` if it has neither.
        returns_none: whether it may return ``None``.
        gather: the marker of a gather step; ``None`` for other steps.
        batch: the size of its batches; 0 for other steps.
        options: what ``@step(...)`` was given.
        call: passes events, context and resources to ``fn`` the way it takes them, and returns what
            it returns: a coroutine, an asynchronous generator or a value.
    """

    name: str
    fn: Callable[..., object]
    kind: Kind
    mode: Mode
    parameters: Parameters
    accepts: tuple[type[Event], ...]
    dynamic: frozenset[str]
    emits: tuple[type[Event], ...]
    emits_dynamic: tuple[str, ...]
    fans_out: tuple[type[Event], ...] | None
    returns_none: bool
    gather: Gather | None
    batch: int
    options: StepOptions
    call: Call = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "call", _caller(self.fn, self.parameters, self.mode))

    @property
    def is_handler(self) -> bool:
        """Whether it is an error step, which accepts ``StepFailed``."""
        return any(issubclass(kind, StepFailed) for kind in self.accepts)

    @property
    def sends_anything(self) -> bool:
        """Whether it may send what it does not declare: it has a context and no ``emits=``."""
        return self.parameters.context is not None and self.options.emits is None

    def bind(self, instance: object) -> Step:
        """Make the step of a method of ``instance``."""
        return attrs.evolve(self, fn=types.MethodType(self.fn, instance))


def _caller(fn: Callable[..., object], parameters: Parameters, mode: Mode) -> Call:
    """Prepare the call of a step; the common shapes cost one extra call and no lookup."""
    if mode is Mode.EACH and not parameters.resources:
        event, context = parameters.events[0], parameters.context
        if parameters.positional == (event,) and context is None:
            return lambda events, context, resources: fn(events[0])
        if parameters.positional == (event, context):
            return lambda events, context, resources: fn(events[0], context)
        if parameters.positional == (context, event):
            return lambda events, context, resources: fn(context, events[0])
    return _general_caller(fn, parameters, mode)


def _general_caller(fn: Callable[..., object], parameters: Parameters, mode: Mode) -> Call:
    positional, filled = parameters.positional, [*parameters.events, *parameters.resources]
    if parameters.context is not None:
        filled.append(parameters.context)
    keywords = [name for name in filled if name not in positional]
    joins = mode is Mode.GATHER or mode is Mode.BATCH

    def call(
        events: Sequence[Event], context: Context | None, resources: Mapping[str, object]
    ) -> object:
        values = dict(resources)
        values.update(zip(parameters.events, [list(events)] if joins else events, strict=True))
        if parameters.context is not None:
            values[parameters.context] = context
        return fn(
            *[values[name] for name in positional], **{name: values[name] for name in keywords}
        )

    return call
