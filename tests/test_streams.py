"""Streams: everybody sees everything, nothing is lost silently, nobody waits without asking."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint, current_token

from blazen_anyio._events import CONTROL_EVENTS, Event, LifecycleEvent
from blazen_anyio._exceptions import StreamLagError
from blazen_anyio._run import _streams
from blazen_anyio._run._streams import Broadcast, EventStream

pytestmark = pytest.mark.anyio


class Tick(Event):
    number: int


class Room:
    """Counts how often the run was told that there is room."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def broadcast(room: Room) -> Broadcast:
    return Broadcast(room)


def publish(broadcast: Broadcast, *numbers: int) -> None:
    for number in numbers:
        broadcast.publish(Tick(number))


def number_of(event: Event) -> int:
    assert isinstance(event, Tick)
    return event.number


async def rest(stream: EventStream) -> list[int | str]:
    """All that is left of ``stream``, gaps as text."""
    seen: list[int | str] = []
    while True:
        try:
            async for event in stream:
                seen.append(number_of(event))  # kept when a gap comes
        except StreamLagError as error:
            seen.append(f"missed {error.missed}")
        else:
            return seen


async def collect(stream: EventStream, seen: list[int]) -> None:
    async for event in stream:
        seen.append(number_of(event))  # kept when it is cancelled


# --- Who sees what


async def test_each_subscriber_sees_all_from_its_call_on(broadcast: Broadcast) -> None:
    publish(broadcast, 0)
    first = broadcast.subscribe()
    publish(broadcast, 1)
    second = broadcast.subscribe()
    publish(broadcast, 2)
    broadcast.close()
    assert await rest(first) == [1, 2]
    assert await rest(second) == [2]


async def test_waiting_readers_are_woken(broadcast: Broadcast) -> None:
    seen: list[list[int]] = [[], []]
    async with anyio.create_task_group() as tasks:
        for numbers in seen:
            tasks.start_soon(collect, broadcast.subscribe(), numbers)
        for number in range(3):
            await anyio.wait_all_tasks_blocked()
            publish(broadcast, number)
        await anyio.wait_all_tasks_blocked()
        assert seen == [[0, 1, 2], [0, 1, 2]]
        broadcast.close()


async def test_one_event_object_is_handed_to_all(broadcast: Broadcast) -> None:
    streams = [broadcast.subscribe() for _ in range(2)]
    event = Tick(1)
    broadcast.publish(event)
    for stream in streams:
        assert await anext(stream) is event


async def test_publishing_to_nobody_is_fine(broadcast: Broadcast) -> None:
    publish(broadcast, 1)


async def test_the_stream_ends_after_what_is_buffered_and_stays_ended(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    publish(broadcast, 1, 2)
    broadcast.close()
    publish(broadcast, 3)
    assert await rest(stream) == [1, 2]
    assert await rest(stream) == []


async def test_a_stream_made_after_the_end_ends_at_once(broadcast: Broadcast) -> None:
    broadcast.close()
    assert await rest(broadcast.subscribe()) == []
    async with broadcast.subscribe(overflow="block", buffer=1) as stream:
        assert await rest(stream) == []
    assert broadcast.congested == 0


async def test_lifecycle_facts_go_to_those_who_asked_in_order(broadcast: Broadcast) -> None:
    plain = broadcast.subscribe()
    watching = broadcast.subscribe(lifecycle=True)
    publish(broadcast, 1)
    broadcast.publish_fact(LifecycleEvent("step_started", step="fetch"))
    publish(broadcast, 2)
    broadcast.close()
    assert [type(event) async for event in plain] == [Tick, Tick]
    assert [type(event) async for event in watching] == [Tick, LifecycleEvent, Tick]


async def test_lifecycle_facts_are_wanted_while_somebody_asks(broadcast: Broadcast) -> None:
    assert not broadcast.wants_lifecycle
    plain = broadcast.subscribe()
    assert not broadcast.wants_lifecycle
    watching = broadcast.subscribe(lifecycle=True)
    assert broadcast.wants_lifecycle
    await watching.aclose()
    assert not broadcast.wants_lifecycle
    await plain.aclose()


async def test_lifecycle_facts_are_no_longer_wanted_after_the_end(broadcast: Broadcast) -> None:
    watching = broadcast.subscribe(lifecycle=True)
    broadcast.close()
    assert not broadcast.wants_lifecycle
    assert await rest(watching) == []


async def test_lifecycle_events_are_control_events() -> None:
    assert LifecycleEvent in CONTROL_EVENTS
    assert LifecycleEvent.event_type == "blazen::LifecycleEvent"
    event = LifecycleEvent("step_failed", "fetch", "app.Fetch", 0.5, 2, "builtins.OSError")
    assert event.event_type == "app.Fetch"
    assert (event.duration, event.attempt, event.error) == (0.5, 2, "builtins.OSError")


async def test_the_path_tells_which_child_run_the_last_event_came_from(
    broadcast: Broadcast,
) -> None:
    stream = broadcast.subscribe(buffer=3, lifecycle=True)
    broadcast.publish(Tick(1), ("child", "grandchild"))
    broadcast.publish_fact(LifecycleEvent("step_started"), ("child",))
    publish(broadcast, 2, 3)
    broadcast.close()
    paths: list[tuple[str, ...]] = []
    with pytest.raises(StreamLagError):
        async for _ in stream:
            paths.append(stream.path)
    assert paths == [("child", "grandchild"), ("child",), ()]


# --- Who lags


async def test_a_lagging_reader_is_told_where_and_how_much_it_missed(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=2)
    publish(broadcast, 1, 2, 3, 4)
    assert number_of(await anext(stream)) == 1
    publish(broadcast, 5)
    broadcast.close()
    assert await rest(stream) == [2, "missed 2", 5]
    assert stream.missed == 2


async def test_a_gap_takes_no_room_from_events(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=1)
    publish(broadcast, 1, 2)
    assert number_of(await anext(stream)) == 1
    publish(broadcast, 3, 4)
    with pytest.raises(StreamLagError, match="missed 1 event"):
        await anext(stream)
    publish(broadcast, 5)
    broadcast.close()
    assert await rest(stream) == [3, "missed 2"]


async def test_a_gap_at_the_very_end_is_told(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=1)
    publish(broadcast, 1, 2)
    broadcast.close()
    assert await rest(stream) == [1, "missed 1"]


async def test_a_reader_that_never_reads_keeps_a_bounded_amount(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=8)
    for number in range(1000):
        publish(broadcast, number)
        if number % 3 == 0 and number < 900:
            with suppress(StreamLagError):
                await anext(stream)
        assert len(stream._subscription.items) <= 2 * 8 + 1
    assert stream.missed > 500


async def test_drop_oldest_keeps_the_newest_and_counts(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=2, overflow="drop_oldest")
    publish(broadcast, 1, 2, 3, 4, 5)
    broadcast.close()
    assert await rest(stream) == [4, 5]
    assert stream.missed == 3


async def test_one_lagging_subscriber_does_not_disturb_another(broadcast: Broadcast) -> None:
    slow = broadcast.subscribe(buffer=1)
    quick = broadcast.subscribe(buffer=10)
    publish(broadcast, 1, 2, 3)
    broadcast.close()
    assert await rest(quick) == [1, 2, 3]
    assert await rest(slow) == [1, "missed 2"]


# --- Who holds the run up


async def test_a_full_block_subscriber_holds_the_run_up(broadcast: Broadcast, room: Room) -> None:
    async with broadcast.subscribe(buffer=2, overflow="block") as stream:
        publish(broadcast, 1)
        assert not broadcast.congested
        publish(broadcast, 2)
        assert broadcast.congested == 1
        assert room.calls == 0
        await anext(stream)
        assert (broadcast.congested, room.calls) == (0, 1)
        await anext(stream)
        assert room.calls == 1


async def test_block_loses_nothing_that_running_steps_still_write(
    broadcast: Broadcast, room: Room
) -> None:
    async with broadcast.subscribe(buffer=2, overflow="block") as stream:
        publish(broadcast, *range(5))
        for number in range(5):
            assert broadcast.congested == (1 if number < 4 else 0)
            assert number_of(await anext(stream)) == number
        assert (stream.missed, room.calls) == (0, 1)


async def test_a_waiting_block_reader_with_a_buffer_of_one_is_woken(broadcast: Broadcast) -> None:
    seen: list[int] = []

    async def read() -> None:
        async with broadcast.subscribe(buffer=1, overflow="block") as stream:
            await collect(stream, seen)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        publish(broadcast, 1)
        assert broadcast.congested
        await anyio.wait_all_tasks_blocked()
        assert seen == [1]
        assert not broadcast.congested
        broadcast.close()


async def test_the_run_goes_on_when_the_last_full_subscriber_has_room(
    broadcast: Broadcast, room: Room
) -> None:
    async with (
        broadcast.subscribe(buffer=1, overflow="block") as first,
        broadcast.subscribe(buffer=1, overflow="block") as second,
    ):
        publish(broadcast, 1)
        assert broadcast.congested == 2
        await anext(first)
        assert (broadcast.congested, room.calls) == (1, 0)
        await anext(second)
        assert (broadcast.congested, room.calls) == (0, 1)


async def test_block_is_refused_outside_async_with(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(overflow="block")
    publish(broadcast, 1)
    with pytest.raises(RuntimeError, match=r"async with run\.stream_events"):
        await anext(stream)


async def test_block_lags_like_error_until_it_is_entered(broadcast: Broadcast, room: Room) -> None:
    stream = broadcast.subscribe(buffer=2, overflow="block")
    publish(broadcast, 1, 2, 3)
    assert not broadcast.congested
    async with stream:
        assert broadcast.congested
        publish(broadcast, 4)
        assert [number_of(await anext(stream)) for _ in range(2)] == [1, 2]
        assert (broadcast.congested, room.calls) == (0, 1)
        with pytest.raises(StreamLagError):
            await anext(stream)
        publish(broadcast, 5)
        assert broadcast.congested
        assert [number_of(await anext(stream)) for _ in range(2)] == [4, 5]


async def test_entering_twice_changes_nothing(broadcast: Broadcast) -> None:
    async with broadcast.subscribe(buffer=2, overflow="block") as stream, stream:
        publish(broadcast, 1)
        assert not broadcast.congested


async def test_leaving_the_block_lets_the_run_go_on(broadcast: Broadcast, room: Room) -> None:
    async with broadcast.subscribe(buffer=1, overflow="block"):
        publish(broadcast, 1)
        assert broadcast.congested
    assert (broadcast.congested, room.calls) == (0, 1)


async def test_a_dropped_block_subscriber_lets_the_run_go_on(
    broadcast: Broadcast, room: Room
) -> None:
    stream = broadcast.subscribe(buffer=1, overflow="block")
    await stream.__aenter__()
    publish(broadcast, 1)
    assert broadcast.congested
    del stream
    gc.collect()
    assert room.calls == 0  # never in the middle of a collection
    await anyio.wait_all_tasks_blocked()
    await checkpoint()
    assert (broadcast.congested, room.calls) == (0, 1)


async def test_a_block_subscriber_dropped_in_another_thread_lets_the_run_go_on(
    broadcast: Broadcast,
) -> None:
    told = anyio.Event()
    threads: list[int] = []

    def on_room() -> None:
        threads.append(threading.get_ident())
        told.set()

    broadcast = Broadcast(on_room)
    held = [broadcast.subscribe(buffer=1, overflow="block")]
    await held[0].__aenter__()
    publish(broadcast, 1)
    await anyio.to_thread.run_sync(held.clear)
    await told.wait()
    assert not broadcast.congested
    assert threads == [threading.get_ident()]


async def test_nothing_holds_an_ended_run_up(broadcast: Broadcast, room: Room) -> None:
    async with broadcast.subscribe(buffer=1, overflow="block") as stream:
        publish(broadcast, 1)
        broadcast.close()
        assert not broadcast.congested
        assert await rest(stream) == [1]
    assert room.calls == 0


def test_a_stream_may_outlive_its_event_loop(anyio_backend: tuple[str, dict[str, Any]]) -> None:
    async def main() -> EventStream:
        stream = Broadcast(Room()).subscribe(overflow="block")
        return await stream.__aenter__()

    backend, options = anyio_backend
    stream = anyio.run(main, backend=backend, backend_options=options)
    del stream
    gc.collect()


# --- Coming and going


async def test_a_stream_is_gone_when_it_is_dropped_at_break(broadcast: Broadcast) -> None:
    publish_one: Callable[[], None] = partial(publish, broadcast, 1)

    async def read() -> weakref.ref[Any]:
        stream = broadcast.subscribe(lifecycle=True)
        publish_one()
        async for _ in stream:
            break
        return weakref.ref(stream._subscription)

    subscription = await read()
    assert subscription() is not None
    publish_one()
    assert subscription() is None
    assert not broadcast.wants_lifecycle


async def test_dropping_loses_even_a_race_with_a_gap(broadcast: Broadcast) -> None:
    """The finalizer may run in another thread while a publication counts up ``room``."""
    stream = broadcast.subscribe(buffer=1)
    subscription = weakref.ref(stream._subscription)
    found = subscription()
    assert found is not None
    del stream
    found.room = 1
    del found
    publish(broadcast, 1)
    assert subscription() is not None
    publish(broadcast, 2)
    assert subscription() is None


async def test_a_reader_may_leave_and_come_back(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    publish(broadcast, 1, 2, 3)
    broadcast.close()
    async for event in stream:
        assert number_of(event) == 1
        break
    assert await rest(stream) == [2, 3]


async def test_a_subscriber_may_come_while_an_event_is_handed_out(broadcast: Broadcast) -> None:
    """Whoever lets the run go on may subscribe at once."""
    late: list[EventStream] = []
    broadcast = Broadcast(lambda: late.append(broadcast.subscribe()))
    first = broadcast.subscribe(buffer=1, overflow="block")
    await first.__aenter__()
    publish(broadcast, 1)
    await anext(first)
    publish(broadcast, 2)
    assert number_of(await anext(late[0])) == 2
    await first.aclose()


async def test_a_closed_stream_says_so(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    publish(broadcast, 1)
    await stream.aclose()
    await stream.aclose()
    publish(broadcast, 2)
    with pytest.raises(anyio.ClosedResourceError):
        await anext(stream)
    with pytest.raises(anyio.ClosedResourceError):
        await stream.__aenter__()


async def test_leaving_async_with_closes_the_stream(broadcast: Broadcast) -> None:
    async with broadcast.subscribe() as stream:
        publish(broadcast, 1)
    with pytest.raises(anyio.ClosedResourceError):
        await anext(stream)


@pytest.mark.parametrize("waiting", [True, False])
async def test_a_reader_learns_that_the_stream_was_closed_under_it(
    broadcast: Broadcast, waiting: bool
) -> None:
    stream = broadcast.subscribe()

    async def read() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await anext(stream)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        if waiting:
            await anyio.wait_all_tasks_blocked()
        else:
            await checkpoint()
        await stream.aclose()


async def test_two_tasks_cannot_wait_in_one_stream(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    seen: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, stream, seen)
        await anyio.wait_all_tasks_blocked()
        for _ in range(2):
            with pytest.raises(anyio.BusyResourceError) as caught:
                await anext(stream)
            assert "a stream of its own" in caught.value.__notes__[0]
            # Also when there is something to take: it belongs to the task that waits for it.
            publish(broadcast, 1)
        broadcast.close()
    assert seen == [1, 1]


async def test_tasks_may_read_one_after_another(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    publish(broadcast, 1, 2)
    seen: list[int] = []

    async def read_one() -> None:
        seen.append(number_of(await anext(stream)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_one)
        tasks.start_soon(read_one)
    assert seen == [1, 2]


# --- The loop and cancellation


async def test_a_cancelled_wait_loses_nothing(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, stream, [])
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            publish(broadcast, 1)
    publish(broadcast, 2)
    broadcast.close()
    assert await rest(stream) == [1, 2]


async def test_a_busy_reader_can_be_cancelled_and_loses_nothing(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=1000)
    publish(broadcast, *range(1000))
    seen: list[int] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await collect(stream, seen)
    assert len(seen) == _streams._EVENTS_PER_CHECKPOINT
    broadcast.close()
    assert seen + await rest(stream) == list(range(1000))


async def test_a_busy_reader_lets_others_run(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe(buffer=1000)
    publish(broadcast, *range(1000))
    broadcast.close()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await checkpoint()
        await collect(stream, [])
        tasks.cancel_scope.cancel()
    assert turns >= 1000 // _streams._EVENTS_PER_CHECKPOINT


async def test_an_ended_stream_is_no_busy_loop(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    broadcast.close()
    with anyio.CancelScope() as scope:
        scope.cancel()
        while True:
            await rest(stream)
    assert scope.cancelled_caught


# --- Misuse


@pytest.mark.parametrize(
    ("buffer", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)]
)
async def test_a_useless_buffer_is_refused(
    broadcast: Broadcast, buffer: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="buffer takes"):
        broadcast.subscribe(buffer=buffer)


async def test_an_unknown_overflow_is_refused(broadcast: Broadcast) -> None:
    bad: Any = "wait"
    with pytest.raises(ValueError, match="'drop_oldest' or 'block', not 'wait'"):
        broadcast.subscribe(overflow=bad)


async def test_a_stream_is_an_async_iterator(broadcast: Broadcast) -> None:
    stream = broadcast.subscribe()
    assert isinstance(stream, AsyncIterator)
    assert aiter(stream) is stream


async def test_a_call_for_an_ended_loop_is_dropped() -> None:
    ended = await anyio.to_thread.run_sync(partial(anyio.run, _token))
    _streams._call_soon(ended, lambda: None)


async def _token() -> Any:
    return current_token()
