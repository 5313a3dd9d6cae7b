"""What a step body sees of its run, for the length of one attempt.

What a step sends and writes is buffered here and handed over when its attempt is committed; a
failed attempt's context is thrown away, and with it all trace of the attempt. Only what is said to
leave early goes to the run at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from ._events import Event, InputRequestEvent
from ._exceptions import ContextClosedError, DefinitionError
from ._machine import Delivery, Outputs
from ._numbers import check_count, check_seconds
from ._state import State

if TYPE_CHECKING:
    from ._workflow import Workflow

__all__ = ["Context", "Runtime"]

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class Runtime(Protocol):
    """What a context asks of the run; the runner implements it."""

    @property
    def run_id(self) -> str: ...

    def new_state(self) -> State: ...

    def show(self, event: Event) -> None: ...

    def send_early(self, delivery: Delivery, event: Event, delay: float) -> None: ...

    def collected(self, delivery: Delivery, kind: str) -> list[Event]: ...

    async def wait_for_event(
        self,
        delivery: Delivery,
        kind: type[Event],
        where: Callable[[Any], bool] | None,
        timeout: float | None,
    ) -> Event: ...

    async def request_input(
        self, delivery: Delivery, request: InputRequestEvent, timeout: float | None
    ) -> Any: ...

    async def run_workflow(
        self, delivery: Delivery, child: Workflow[Any], event: Event | None
    ) -> Any: ...

    async def once(
        self, delivery: Delivery, key: str, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any: ...


class Context:
    """A step's view of its run. Ask for it with a parameter annotated ``Context``.

    It belongs to one attempt: used afterwards it raises :class:`ContextClosedError`. In a ``def``
    step its synchronous methods may be called from the step's thread.
    """

    __slots__ = ("_closed", "_delivery", "_once", "_outputs", "_runtime", "_state", "_threaded")

    def __init__(self, runtime: Runtime, delivery: Delivery, threaded: bool = False) -> None:
        self._runtime = runtime
        self._delivery = delivery
        self._threaded = threaded
        self._closed = False
        self._once: set[str] | None = None
        self._state: State | None = None
        self._outputs: Outputs | None = None

    def __repr__(self) -> str:
        closed = ", closed" if self._closed else ""
        return f"<Context of step {self._delivery.step.name!r}, attempt {self.attempt}{closed}>"

    # ---- what it is part of --------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._runtime.run_id

    @property
    def step_name(self) -> str:
        """The name of the step."""
        return self._delivery.step.name

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1."""
        return self._delivery.attempts + 1

    @property
    def idempotency_key(self) -> str:
        """The same on every attempt and delivery of this invocation, and no other's."""
        return f"{self._runtime.run_id}:{self._delivery.id}"

    @property
    def state(self) -> State:
        """The run's state, as committed, under this attempt's own writes.

        What is written applies when the attempt succeeds; see :class:`~blazen_anyio.State`.
        """
        if self._state is None:
            self._check_open()
            self._state = self._runtime.new_state()
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        # Python writes the result of ``ctx.state |= {...}`` back, which is the same object.
        if state is not self._state:
            raise AttributeError("ctx.state can't be replaced; write its keys instead")

    # ---- what takes effect with the attempt ----------------------------------------------------

    def send_event(self, event: Event, *, immediate: bool = False, delay: float = 0) -> None:
        """Send an event to the steps that accept it.

        Args:
            event: the event.
            immediate: route it now instead of when the attempt succeeds. It can't be taken back; an
                attempt that makes the same call again does not send it again.
            delay: seconds until it is routed, counted from when it leaves: when the attempt
                succeeds; or earlier, with ``immediate`` from this call, and else from the next
                call of ``wait_for_event``, ``request_input`` or ``run_workflow``.

        Raises:
            TypeError: ``event`` is no event, or ``delay`` no number.
            ValueError: ``delay`` is negative or not finite.
            NonDeterministicStepError: ``immediate``, and an earlier attempt sent something else.
        """
        self._check_open()
        _check_event(event, "send_event")
        check_seconds("delay", delay)
        if immediate:
            self._call(self._runtime.send_early, self._delivery, event, delay)
        else:
            self._buffer().sends.append((event, delay))

    def fan_out(self, events: Iterable[Event]) -> None:
        """Fan out: like returning a list, and as often as wanted, a scope for each call.

        Declare it with the return annotation ``list[A] | None``. It takes effect with the attempt.

        Args:
            events: what to fan out, in this order; none at all makes an empty fan-out.

        Raises:
            TypeError: one of ``events`` is no event.
        """
        self._check_open()
        fanned = list(events)
        for event in fanned:
            _check_event(event, "fan_out")
        self._buffer().sends.append((fanned, 0))

    def collect_events(self, kind: type[E], count: int) -> list[E] | None:
        """Collect events by hand: ``None`` until ``count`` have come, then the oldest ``count``.

        The event that this attempt handles is one of them if it is of the type. Only a step with
        ``max_concurrency=1`` may collect; prefer a ``list[...]`` parameter (``Gather``, ``Batch``).

        Args:
            kind: the type to collect; use the same one in every attempt, since events wait under
                its name.
            count: how many to take at once, at least 1.

        Returns:
            The oldest ``count`` events, or ``None`` if there are fewer; they go on waiting then.

        Raises:
            DefinitionError: the step may run more than once at the same time.
            TypeError: ``count`` is no whole number.
            ValueError: ``count`` is less than 1.
        """
        self._check_open()
        step = self._delivery.step
        if step.max_concurrency != 1 or step.joins:
            raise DefinitionError(
                f"step {step.name!r}",
                [
                    "collect_events needs @step(max_concurrency=1), or two attempts could take the "
                    "same events; or take a list[...] parameter with Gather or Batch instead"
                ],
            )
        check_count("count", count)
        return cast("list[E] | None", self._collect(kind, count))

    def _collect(self, kind: type[Event], count: int) -> list[Event] | None:
        name = kind.event_type
        collects = self._buffer().collects
        deposited, taken = collects.get(name, (False, 0))
        waiting = self._call(self._runtime.collected, self._delivery, name)
        own = self._delivery.records[0].event
        if not deposited and isinstance(own, kind):
            deposited = True
        if deposited:
            waiting = [*waiting, own]
        enough = len(waiting) - taken >= count
        collects[name] = (deposited, taken + count if enough else taken)
        return waiting[taken : taken + count] if enough else None

    # ---- what goes out at once -----------------------------------------------------------------

    def write_event_to_stream(self, event: Event) -> None:
        """Show an event to those who watch the run's stream, at once. It is never routed.

        Raises:
            TypeError: ``event`` is no event.
        """
        self._check_open()
        _check_event(event, "write_event_to_stream")
        self._call(self._runtime.show, event)

    async def wait_for_event(
        self,
        kind: type[E],
        *,
        where: Callable[[E], bool] | None = None,
        timeout: float | None = None,
    ) -> E:
        """Wait inside the step for an event; the step gives its slot back meanwhile.

        What the step has sent so far leaves first. Declare it: ``@step(waits=[Approved])``. After a
        resume the step starts again from its top; what it let out before is not let out again, and
        an event that was claimed is given again.

        Args:
            kind: the type to wait for.
            where: which events of the type; one that it refuses is left to others.
            timeout: seconds to wait at most; ``None`` for no limit.

        Returns:
            The first fitting event that nobody else has claimed.

        Raises:
            DefinitionError: the step does not declare this wait, or is waiting already.
            TypeError: ``timeout`` is no number.
            ValueError: ``timeout`` is negative or not finite.
            TimeoutError: none came in time.
            NonDeterministicStepError: an earlier attempt or delivery did something else here: it
                waited for another type, asked, or sent another event.
        """
        self._check_open()
        step = self._delivery.step
        if not any(issubclass(kind, declared) for declared in step.waits):
            raise DefinitionError(
                f"step {step.name!r}",
                [f"waits for {kind.__qualname__}; declare it: @step(waits=[{kind.__qualname__}])"],
            )
        if timeout is not None:
            check_seconds("timeout", timeout)
        self._flush()
        event = await self._runtime.wait_for_event(self._delivery, kind, where, timeout)
        return cast("E", event)

    async def request_input(
        self,
        prompt: str | InputRequestEvent,
        metadata: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Ask a human and wait for the answer inside the step; see :meth:`wait_for_event`.

        Args:
            prompt: the question, or a request event, perhaps with fields of its own.
            metadata: what else to show to who answers; an event brings its own, and this is not
                used.
            timeout: seconds to wait at most; ``None`` for no limit.

        Returns:
            The response, as it was given to ``run.respond_to_input``.

        Raises:
            DefinitionError: the attempt is waiting for something already.
            TypeError: ``timeout`` is no number.
            ValueError: ``timeout`` is negative or not finite.
            TimeoutError: no answer came in time; the request is withdrawn.
            NonDeterministicStepError: an earlier attempt or delivery did something else here: it
                asked another question, waited, or sent another event.
        """
        self._check_open()
        request = (
            prompt
            if isinstance(prompt, InputRequestEvent)
            else InputRequestEvent(prompt, metadata or {})
        )
        if timeout is not None:
            check_seconds("timeout", timeout)
        self._flush()
        return await self._runtime.request_input(self._delivery, request, timeout)

    async def run_workflow(self, child: Workflow[T], event: Event | None = None) -> T:
        """Run another workflow inside this step, cancelled with it.

        What the step has sent so far leaves first. After a resume the step starts again from its
        top; a child that it runs again, of the same workflow with the same event, goes on where it
        was or gives the result that it had. One that it leaves out then fails the run with
        ``NonDeterministicStepError``. A later attempt runs its children anew.

        Args:
            child: the workflow.
            event: what starts it. Without it, a start event without fields: of the one type that
                ``child`` accepts, or else a plain ``StartEvent``.

        Returns:
            Its result.

        Raises:
            TypeError: ``event`` is no event; or it was left out, and the start event has fields
                that must be given or is one of several.
            NoHandlerError: no step of ``child`` accepts the event; nothing of it has run.
            DefinitionError: ``child`` is this workflow or one that this run is inside of.
            NonDeterministicStepError: an earlier attempt or delivery sent something else before.
            WorkflowError: the child failed; see :meth:`~blazen_anyio.Workflow.run`.
        """
        self._check_open()
        self._flush()
        return cast("T", await self._runtime.run_workflow(self._delivery, child, event))

    async def once(self, key: str, fn: Callable[..., Awaitable[T] | T], *args: Any) -> T:
        """Do something once per invocation: a later attempt or delivery gets the same result.

        Args:
            key: unique within the step.
            fn: called with ``args``; its result has to be one that state could hold. If it raises,
                it has not been done, and the key may be used again.

        Raises:
            TypeError: ``key`` is no string.
            DefinitionError: the attempt has used the key already.
            StateValueError: the result can't be kept.
        """
        self._check_open()
        if not isinstance(key, str):
            raise TypeError(f"ctx.once takes a string as its key, not {key!r}")
        used = self._once
        if used is None:
            used = self._once = set()
        if key in used:
            raise DefinitionError(
                f"step {self.step_name!r}",
                [f"ctx.once({key!r}, ...) twice in one attempt; the second needs a key of its own"],
            )
        used.add(key)
        try:
            return cast("T", await self._runtime.once(self._delivery, key, fn, args))
        except BaseException:
            used.discard(key)
            raise

    # ---- for the runner ------------------------------------------------------------------------

    def settle(self) -> Outputs | None:
        """What the attempt leaves, to be committed. Runs the functions given to ``state.apply``.

        Raises:
            StateConflictError: a key that was read and written has changed meanwhile.
            StateValueError: a value can't be stored.
        """
        if self._state is not None:
            changes = self._state.settle(self._delivery.step.name)
            if changes.writes or changes.removes:
                outputs = self._buffer()
                outputs.writes, outputs.removes = changes.writes, changes.removes
        return self._outputs

    @property
    def is_untouched(self) -> bool:
        """Whether the attempt has neither sent nor written anything, nor looked at the state."""
        return self._outputs is None and self._state is None

    @property
    def knows_state(self) -> bool:
        """Whether the attempt has looked at the state, or written to it."""
        return self._state is not None

    def close(self) -> None:
        """The attempt is over."""
        self._closed = True
        if self._state is not None:
            self._state.close()

    def _flush(self) -> None:
        """Let out what was sent so far; fan-outs stay, they belong to the attempt's success."""
        if self._outputs is None:
            return
        sends, self._outputs.sends = self._outputs.sends, []
        for event, delay in sends:
            if isinstance(event, list):
                self._outputs.sends.append((event, delay))
            else:
                self._runtime.send_early(self._delivery, event, delay)

    def _buffer(self) -> Outputs:
        if self._outputs is None:
            self._outputs = Outputs()
        return self._outputs

    def _call(self, fn: Callable[..., T], *args: Any) -> T:
        """Call into the run, which lives in the event loop's thread."""
        if self._threaded:
            from anyio import from_thread  # only `def` steps pay for its imports

            return from_thread.run_sync(fn, *args)
        return fn(*args)

    def _check_open(self) -> None:
        if self._closed:
            raise ContextClosedError(
                f"this context belonged to attempt {self.attempt} of step "
                f"{self._delivery.step.name!r}, which is over; a step must not leave work behind"
            )


def _check_event(event: object, where: str) -> None:
    if not isinstance(event, Event):
        raise TypeError(f"ctx.{where} takes an event, not {type(event).__qualname__}")
