"""Bodies: how each kind of step is called, and what it may return."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, cast

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._context import Context
from .._events import Event
from .._machine import Mode
from .._retry import Retry
from .._steps import Step
from ._failures import cancelled_from_outside

__all__ = ["Body", "check_returned", "run_generator", "run_in_thread"]

_YIELDS_PER_CHECKPOINT = 32


@attrs.frozen(eq=False, repr=False)
class Body:
    """What the runner needs of a step for every attempt, looked up once.

    Attributes:
        step: the step.
        name: its name.
        call: passes events, context and resources to the function.
        kind: ``"async"``, ``"sync"`` or ``"generator"``.
        plain: a coroutine function that takes one event and no resources; the common case.
        direct: the function itself, if it is plain and takes the event by position and no context.
        wants_context: whether the function takes a context.
        own_task: whether each attempt gets a task of its own.
        retry: the policy in force; ``None`` for no second attempt.
    """

    step: Step
    name: str
    call: Callable[[Sequence[Event], Context | None, Mapping[str, object]], Any]
    kind: str
    plain: bool
    direct: Callable[[Event], Any] | None
    wants_context: bool
    own_task: bool
    retry: Retry | None

    @classmethod
    def of(cls, step: Step, *, lanes: bool) -> Body:
        """Look up what is needed of ``step``."""
        parameters = step.parameters
        wants_context = parameters.context is not None
        plain = step.kind == "async" and step.mode is Mode.EACH and not parameters.resources
        return cls(
            step=step,
            name=step.name,
            call=step.call,
            kind=step.kind,
            plain=plain,
            direct=None if wants_context or not plain or not parameters.positional else step.fn,
            wants_context=wants_context,
            own_task=step.options.own_task or not lanes,
            retry=step.options.retry,
        )


async def run_in_thread(call: Callable[[], Any], limiter: anyio.CapacityLimiter | None) -> Any:
    """Run a ``def`` step in a worker thread.

    Never abandoned: a thread can't be stopped, and one that writes after its run has ended would
    break the promise that nothing of a run outlives it. So a cancellation waits for the thread.
    """
    from anyio import to_thread  # only `def` steps pay for its imports

    return await to_thread.run_sync(call, abandon_on_cancel=False, limiter=limiter)


async def run_generator(
    generator: AsyncGenerator[object, None],
    give: Callable[[Event], bool],
    wait_for_room: Callable[[], Awaitable[None]],
    name: str,
) -> None:
    """Run a generator step to its end, giving each event as it is yielded.

    It runs and is closed in this one task, since the scopes and task groups that it opens must be
    closed in the task that opened them. A cancellation that arrives while it is suspended at a
    ``yield`` is thrown in there, where its ``finally`` clauses expect it.
    """
    async with aclosing(generator):
        given = 0
        async for event in generator:
            if not isinstance(event, Event):
                raise TypeError(
                    f"step {name!r} yielded a {type(event).__qualname__}, which is no event"
                )
            room = give(event)
            given += 1
            if room and given % _YIELDS_PER_CHECKPOINT:
                continue
            try:
                await (checkpoint() if room else wait_for_room())
            except anyio.get_cancelled_exc_class() as cancelled:
                await _throw_in(generator, cancelled, name)
                raise


async def _throw_in(
    generator: AsyncGenerator[object, None], cancelled: BaseException, name: str
) -> None:
    with suppress(StopAsyncIteration):
        await generator.athrow(cancelled)
    if not cancelled_from_outside():
        raise RuntimeError(
            f"step {name!r} yields inside a cancel scope or task group of its own, which was then "
            "cancelled; yield outside of it (PEP 789)"
        )


def check_returned(step: str, returned: object) -> Sequence[Event]:
    """Return what a step returned, if it is a list or tuple of events.

    Raises:
        TypeError: it is something else; an event or ``None`` does not come here.
    """
    if isinstance(returned, (list, tuple)):
        items = cast("Sequence[object]", returned)
        kinds: dict[type[object], None] = dict.fromkeys(map(type, items))
        wrong = [kind for kind in kinds if not issubclass(kind, Event)]
        if wrong:
            raise TypeError(
                f"step {step!r} returned a {type(items).__name__} with a {wrong[0].__qualname__} "
                "in it, which is no event"
            )
        return cast("Sequence[Event]", items)
    hint = "; call the coroutine with await" if hasattr(returned, "__await__") else ""
    raise TypeError(
        f"step {step!r} returned a {type(returned).__qualname__}; a step returns an event, a list "
        f"(fan-out) or a tuple of events, or None{hint}"
    )
