"""Streams: what a run shows to those who watch it.

The rule: publishing never waits and never fails; the reader pays. To publish is to append to one
bounded deque per subscriber. A reader that finds something in its deque takes it without
suspending; it waits on an event, made for that wait, only when the deque is empty. To keep a busy
reader from starving the event loop or outrunning a cancellation, it passes a checkpoint every few
dozen events, always before it takes an event, so that a cancellation loses nothing.

The :class:`Broadcast` belongs to the run and holds one :class:`Subscription` per subscriber; the
user holds an :class:`EventStream`, which nobody else refers to. When the user drops it, its
finalizer marks the subscription, and the next publication forgets it. The collector may run a
finalizer in any thread and in the middle of anything, so it does no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, final, get_args

import anyio
import attrs
from anyio.lowlevel import EventLoopToken, checkpoint, current_token

from .._events import Event
from .._exceptions import StreamLagError
from .._numbers import check_count

__all__ = ["Broadcast", "EventStream", "Overflow"]

Overflow = Literal["error", "drop_oldest", "block"]

_EVENTS_PER_CHECKPOINT = 32


class _Special:
    """What stands in a deque and is no event of the run itself."""


@attrs.define(eq=False, repr=False)
class _Gap(_Special):
    """Stands in a deque where events are missing."""

    missed: int


@attrs.frozen(eq=False, repr=False)
class _Forwarded(_Special):
    """An event of a child run, with the ids of the runs that lead to it."""

    event: Event
    path: tuple[str, ...]


@attrs.define(eq=False, repr=False)
class Subscription:
    """One subscriber, as the broadcast sees it.

    Attributes:
        buffer: how many events may wait for the reader.
        overflow: what happens when they are more.
        lifecycle: whether the subscriber gets lifecycle facts.
        room: an item can be appended without a second thought while there are fewer than this many.
            It is the buffer, plus one per gap in the deque, less one where the event that fills the
            buffer must be noticed (``holds``), or -1 once the stream was dropped.
        items: what waits for the reader.
        missed: how many events this subscriber did not get.
        waiter: set to wake the reader; ``None`` if there is nobody to wake.
        holds: a "block" subscriber inside its ``async with``; only there it may hold the run up.
        full: it does hold the run up.
        ended: nothing more comes.
        dropped: its user has dropped the stream.
    """

    buffer: int
    overflow: Overflow
    lifecycle: bool
    room: int
    items: deque[Event | _Special] = attrs.field(factory=lambda: deque[Event | _Special]())
    missed: int = 0
    waiter: anyio.Event | None = None
    holds: bool = False
    full: bool = False
    ended: bool = False
    dropped: bool = False

    def wake(self) -> None:
        """Let a waiting reader go on."""
        if self.waiter is not None:
            self.waiter.set()
            self.waiter = None

    def miss(self) -> None:
        """Note at the end of the deque that an event is missing there."""
        self.missed += 1
        last = self.items[-1]
        if isinstance(last, _Gap):
            last.missed += 1
        else:
            self.items.append(_Gap(1))
            self.room += 1

    def end(self) -> None:
        """Let the reader end after what is buffered."""
        self.ended, self.holds, self.full = True, False, False
        self.wake()

    def drop(self) -> None:
        """Note that its user has dropped the stream."""
        # Where "room += 1" in another thread undoes the second, the first is seen a little later.
        self.dropped = True
        self.room = -1


@final
class Broadcast:
    """Hands what a run shows to all its subscribers. All methods belong to the event loop's thread.

    Args:
        on_room: called when nobody holds the run up any longer. It is called from the task of a
            reader or from the event loop itself, so it may only wake something up.

    Attributes:
        congested: how many subscribers hold the run up. The run stops dispatch while there are any.
        wants_lifecycle: whether anybody gets what :meth:`publish_fact` is given.
    """

    __slots__ = ("_all", "_ended", "_on_room", "_watchers", "congested", "wants_lifecycle")

    def __init__(self, on_room: Callable[[], None]) -> None:
        self.congested = 0
        self.wants_lifecycle = False
        self._on_room = on_room
        self._ended = False
        # Replaced, never changed: a subscriber may come or go while somebody goes through them.
        self._all: tuple[Subscription, ...] = ()
        self._watchers: tuple[Subscription, ...] = ()

    def publish(self, event: Event, path: tuple[str, ...] = ()) -> None:
        """Hand ``event`` to every subscriber, with the path of the child run it comes from."""
        self._hand_out(_Forwarded(event, path) if path else event, self._all)

    def publish_fact(self, event: Event, path: tuple[str, ...] = ()) -> None:
        """Hand ``event`` to those subscribers that asked for lifecycle facts."""
        self._hand_out(_Forwarded(event, path) if path else event, self._watchers)

    def _hand_out(self, event: Event | _Special, subscriptions: tuple[Subscription, ...]) -> None:
        for subscription in subscriptions:
            items = subscription.items
            if len(items) < subscription.room:
                items.append(event)
                if subscription.waiter is not None:
                    subscription.wake()
            else:
                self._overflow(subscription, event)

    def _overflow(self, subscription: Subscription, event: Event | _Special) -> None:
        if subscription.dropped:
            self.forget(subscription)
        elif subscription.holds:
            # What running steps still write is kept; what stops is the dispatch of new ones.
            subscription.items.append(event)
            self.hold(subscription)
            subscription.wake()
        elif subscription.overflow == "drop_oldest":
            subscription.items.popleft()
            subscription.items.append(event)
            subscription.missed += 1
        else:
            subscription.miss()

    def subscribe(
        self, *, buffer: int = 1024, overflow: Overflow = "error", lifecycle: bool = False
    ) -> EventStream:
        """Begin to collect events for one more reader.

        Args:
            buffer: how many events may wait for the reader, at least 1.
            overflow: what to do with an event when they are that many: ``"error"``,
                ``"drop_oldest"`` or ``"block"``; see :class:`EventStream`.
            lifecycle: whether to show lifecycle facts as well.

        Returns:
            A stream of what is published from now on; one that ends at once if the run has ended.

        Raises:
            TypeError: ``buffer`` is no whole number.
            ValueError: ``buffer`` is less than 1, or ``overflow`` is none of the three.
        """
        check_count("buffer", buffer)
        if overflow not in get_args(Overflow):
            raise ValueError(f"overflow is 'error', 'drop_oldest' or 'block', not {overflow!r}")
        subscription = Subscription(buffer, overflow, lifecycle, buffer)
        if self._ended:
            subscription.end()
        else:
            self._replace((*self._all, subscription))
        return EventStream(self, subscription)

    def close(self) -> None:
        """End all streams, each after what it has buffered. Nothing holds the run up any more."""
        self._ended = True
        subscriptions = self._all
        self._replace(())
        self.congested = 0
        for subscription in subscriptions:
            subscription.end()

    def forget(self, subscription: Subscription) -> None:
        """Stop collecting for a subscriber that has gone."""
        self._replace(tuple(other for other in self._all if other is not subscription))
        self.release(subscription)

    def hold(self, subscription: Subscription) -> None:
        """Let a full subscriber hold the run up."""
        if not subscription.full:
            subscription.full = True
            self.congested += 1

    def release(self, subscription: Subscription) -> None:
        """Let a subscriber hold the run up no longer."""
        if subscription.full:
            subscription.full = False
            self.congested -= 1
            if not self.congested:
                self._on_room()

    def _replace(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._all = subscriptions
        self._watchers = tuple(each for each in subscriptions if each.lifecycle)
        self.wants_lifecycle = bool(self._watchers)


@final
class EventStream(AsyncIterator[Event]):
    """The events that a run shows, from the call that made this object on.

    Iterate over it, with or without ``async with`` around it::

        async for event in run.stream_events():
            print(event)

    It ends when the run does, without raising the run's error. It holds no task and no scope: leave
    the loop with ``break`` and drop the object, and it is gone. A reader takes buffered events
    without suspending, and passes a checkpoint every 32 events and whenever there is none. Being
    cancelled loses no event. One task reads at a time; several readers take a stream each.

    What happens when the reader lags and the buffer is full depends on ``overflow``:

    - ``"error"``: :exc:`StreamLagError` is raised where events are missing. Iterate again to go
      on.
    - ``"drop_oldest"``: the oldest buffered event makes room. Nothing is raised; :attr:`missed`
      counts.
    - ``"block"``: inside ``async with`` the run starts no further step until there is room. Steps
      that are running go on, and what they still write is kept. Before the block is entered the
      stream lags as with ``"error"``.
    """

    __slots__ = ("_broadcast", "_budget", "_closed", "_loop", "_path", "_reading", "_subscription")

    def __init__(self, broadcast: Broadcast, subscription: Subscription) -> None:
        self._broadcast = broadcast
        self._subscription = subscription
        self._budget = 0 if subscription.overflow == "block" else _EVENTS_PER_CHECKPOINT
        self._closed = False
        self._reading = False
        self._path: tuple[str, ...] = ()
        self._loop: EventLoopToken | None = None

    @property
    def missed(self) -> int:
        """How many events this subscriber did not get so far, because it was too slow."""
        return self._subscription.missed

    @property
    def path(self) -> tuple[str, ...]:
        """Which child run the event last returned comes from: the ids of the runs that lead to it.

        Empty for an event of the run itself.
        """
        return self._path

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        """Return the next event.

        Raises:
            StreamLagError: events are missing at this place; the next call goes on after them.
            anyio.BusyResourceError: another task is waiting in this stream.
            anyio.ClosedResourceError: the stream was closed on this side.
            RuntimeError: a stream with ``overflow="block"`` is read outside ``async with``.
        """
        subscription = self._subscription
        items = subscription.items
        if not self._budget or not items:
            await self._pause()
        self._budget -= 1
        item = items.popleft()
        if self._path:
            self._path = ()
        if isinstance(item, _Special):
            item = self._look_through(item)
        if subscription.full and len(items) <= subscription.room:
            self._broadcast.release(subscription)
        return item

    def _look_through(self, item: _Special) -> Event:
        if isinstance(item, _Gap):
            self._subscription.room -= 1
            raise StreamLagError(item.missed)
        assert isinstance(item, _Forwarded)
        self._path = item.path
        return item.event

    async def _pause(self) -> None:
        """Pass a checkpoint or wait, until there is something to take."""
        self._check_readable()
        # An empty budget sends a second task here, too.
        self._reading, self._budget = True, 0
        try:
            await self._wait()
        finally:
            self._reading = False
        if self._closed:
            raise anyio.ClosedResourceError
        if not self._subscription.items:
            raise StopAsyncIteration
        self._budget = _EVENTS_PER_CHECKPOINT

    async def _wait(self) -> None:
        # While the run is busy, this is mostly enough, and cheaper than being woken.
        await checkpoint()
        subscription = self._subscription
        if not subscription.items and not subscription.ended:
            subscription.waiter = anyio.Event()
            await subscription.waiter.wait()

    def _check_readable(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        if self._reading:
            busy = anyio.BusyResourceError("reading from")
            busy.add_note("give every reader a stream of its own: run.stream_events()")
            raise busy
        if self._subscription.overflow == "block" and self._loop is None:
            raise RuntimeError(
                "overflow='block' can hold the run up, so it has to say where that ends; write: "
                "async with run.stream_events(overflow='block') as events:"
            )

    async def __aenter__(self) -> EventStream:
        if self._closed:
            raise anyio.ClosedResourceError
        if self._subscription.overflow == "block":
            self._loop = current_token()
            self._start_holding()
        return self

    def _start_holding(self) -> None:
        subscription = self._subscription
        if subscription.ended or subscription.holds:
            return
        subscription.holds = True
        subscription.room -= 1
        if len(subscription.items) > subscription.room:
            self._broadcast.hold(subscription)

    async def __aexit__(self, *exc_info: object) -> None:
        self._close()

    async def aclose(self) -> None:
        """Stop collecting events and forget those that are buffered. Does not suspend."""
        self._close()

    def _close(self) -> None:
        self._closed = True
        self._broadcast.forget(self._subscription)
        self._subscription.end()
        self._subscription.items.clear()

    def __del__(self) -> None:
        self._subscription.drop()
        if self._subscription.holds and self._loop is not None:
            _call_soon(self._loop, partial(self._broadcast.forget, self._subscription))


def _call_soon(loop: EventLoopToken, function: Callable[[], None]) -> None:
    """Have an event loop call ``function``; nothing happens if the loop has ended."""
    native: Any = loop.native_token
    # anyio can only do this and wait for the result.
    schedule = getattr(native, "run_sync_soon", None) or native.call_soon_threadsafe
    with suppress(RuntimeError):
        schedule(function)
