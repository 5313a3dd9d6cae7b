"""Fan-out and fan-in, end to end: a gather fires once per scope, drained, in the scope's order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import pytest

from blazen_anyio import (
    Batch,
    Context,
    DefinitionError,
    Event,
    Gather,
    InputRequestEvent,
    InputResponseEvent,
    JoinIncompleteError,
    NoHandlerError,
    Retry,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    UnknownRequestError,
    Workflow,
    WorkflowFullError,
    step,
)

from .kit import Boom, Done, Log, Note, Other, Work, cleanup, settle

pytestmark = pytest.mark.anyio


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(n) for n in range(ev.data.get("count", 4))]


@step
async def work(ev: Work) -> Done:
    await anyio.sleep(10 - ev.n)  # the last is done first
    return Done(ev.n)


@step
async def gather(done: list[Done]) -> StopEvent:
    return StopEvent(result=[each.n for each in done])


# ---- one scope ---------------------------------------------------------------------------------


async def test_the_whole_program_is_three_steps() -> None:
    """In the order of the fan-out, not of completion."""
    started = anyio.current_time()
    assert await Workflow("w", [split, work, gather]).run() == [0, 1, 2, 3]
    assert anyio.current_time() == pytest.approx(started + 10)


async def test_an_empty_fan_out_gathers_nothing_at_once() -> None:
    assert await Workflow("w", [split, work, gather]).run(count=0) == []


class Far(Event):
    n: int


Made = Done | tuple[Done, ...] | Far | InputRequestEvent | None


async def returns_nothing(ctx: Context) -> Made:
    return None


async def returns_several(ctx: Context) -> Made:
    return Done(20), Done(21)


async def goes_another_way(ctx: Context) -> Made:
    return Far(22)


async def fails(ctx: Context) -> Made:
    raise Boom


async def retries(ctx: Context) -> Made:
    if ctx.attempt < 3:
        raise Boom
    return Done(2)


async def asks(ctx: Context) -> Made:
    return InputRequestEvent("?")


async def asks_inside(ctx: Context) -> Made:
    return Done(await ctx.request_input("?"))


@pytest.mark.parametrize(
    ("third", "expected"),
    [
        (returns_nothing, [0, 1, 3]),
        (returns_several, [0, 1, 20, 21, 3]),
        (goes_another_way, [0, 1, 22, 3]),
        (fails, [0, 1, 23, 3]),
        (retries, [0, 1, 2, 3]),
        (asks, [0, 1, 24, 3]),
        (asks_inside, [0, 1, 24, 3]),
    ],
)
async def test_workers_may_do_as_they_like(third, expected: list[int]) -> None:
    """What the third of four does to the gather follows from the token rule."""

    @step(retry=Retry(initial=5))
    async def worker(
        ev: Work, ctx: Context
    ) -> Done | tuple[Done, ...] | Far | InputRequestEvent | None:
        await anyio.sleep(4 - ev.n)
        return await third(ctx) if ev.n == 2 else Done(ev.n)

    @step
    async def go_far(ev: Far) -> Done:
        await anyio.sleep(50)
        return Done(ev.n)

    @step
    async def handle(failure: StepFailed) -> Done:
        return Done(23)

    @step
    async def answered(ev: InputResponseEvent) -> Done:
        return Done(ev.response)

    async def answer(request: InputRequestEvent) -> int:
        await anyio.sleep(100)
        return 24

    steps = [split, worker, go_far, handle, answered, gather]
    assert await Workflow("w", steps, input_handler=answer).run() == expected


async def test_several_gathers_may_close_one_scope() -> None:
    @step
    async def both(ev: Work) -> tuple[Done, Note]:
        return Done(ev.n), Note(str(ev.n))

    @step
    async def numbers(done: list[Done]) -> Other:
        return Other(len(done))

    @step
    async def texts(notes: list[Note], ctx: Context) -> None:
        ctx.state["texts"] = [note.text for note in notes]

    @step
    async def end(ev: Other, ctx: Context) -> StopEvent:
        return StopEvent(result=(ev.n, ctx.state["texts"]))

    workflow = Workflow("w", [split, both, texts, numbers, end])
    assert await workflow.run() == (4, ["0", "1", "2", "3"])


async def test_a_gather_fires_before_anything_that_follows_it_and_only_once() -> None:
    log = Log()

    @step
    async def logged_work(ev: Work) -> Done:
        await anyio.sleep(ev.n)
        log(f"work {ev.n}")
        return Done(ev.n)

    @step
    async def logged_gather(done: list[Done]) -> Other:
        log("gather")
        return Other()

    @step
    async def end(ev: Other) -> StopEvent:
        log("end")
        return StopEvent()

    await Workflow("w", [split, logged_work, logged_gather, end]).run()
    assert log.lines == ["work 0", "work 1", "work 2", "work 3", "gather", "end"]


async def test_a_gather_output_belongs_to_the_parent_so_rounds_can_follow_each_other() -> None:
    @step
    async def again(ev: Other) -> list[Work]:
        return [Work(ev.n), Work(ev.n + 1)]

    @step
    async def quick(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def reduce(done: list[Done]) -> Other | StopEvent:
        total = sum(each.n for each in done)
        return Other(total) if total < 100 else StopEvent(result=total)

    assert await Workflow("w", [again, quick, reduce]).run(Other(1)) >= 100


async def test_the_events_of_one_gather_arrive_as_a_list_of_their_own() -> None:
    """A step that changes its list changes nobody else's."""

    @step
    async def first(done: list[Done]) -> Note:
        done.clear()
        return Note()

    @step
    async def second(done: list[Done]) -> Other:
        return Other(len(done))

    @step
    async def end(ev: Other) -> StopEvent:
        return StopEvent(result=ev.n)

    @step
    async def ignore(ev: Note) -> None:
        return None

    assert await Workflow("w", [split, work, first, second, ignore, end]).run() == 4


# ---- nested ------------------------------------------------------------------------------------


class Page(Event):
    n: int


class Word(Event):
    n: int


class Counted(Event):
    n: int


class PageDone(Event):
    n: int
    words: int


async def test_nested_fan_outs_gather_at_their_own_level() -> None:
    @step
    async def book(ev: StartEvent) -> list[Page]:
        return [Page(n) for n in range(3)]

    @step
    async def page(ev: Page) -> list[Word]:
        return [Word(ev.n * 10 + n) for n in range(ev.n)]

    @step
    async def word(ev: Word) -> Counted:
        await anyio.sleep(50 - ev.n)
        return Counted(ev.n)

    @step
    async def page_done(counted: list[Counted]) -> PageDone:
        return PageDone(len(counted), sum(each.n for each in counted))

    @step
    async def book_done(pages: list[PageDone]) -> StopEvent:
        return StopEvent(result=[(each.n, each.words) for each in pages])

    workflow = Workflow("w", [book, page, word, page_done, book_done])
    assert await workflow.run() == [(0, 0), (1, 10), (2, 41)]


async def test_an_outer_gather_can_take_what_inner_branches_make() -> None:
    """In the order of the outer fan-out, within it of the inner one."""

    @step
    async def book(ev: StartEvent) -> list[Page]:
        return [Page(1), Page(2)]

    @step
    async def page(ev: Page) -> list[Word]:
        return [Word(ev.n * 10 + n) for n in range(2)]

    @step
    async def word(ev: Word) -> Counted:
        await anyio.sleep(50 - ev.n)
        return Counted(ev.n)

    @step
    async def all_words(counted: Annotated[list[Counted], Gather(of=book)]) -> StopEvent:
        return StopEvent(result=[each.n for each in counted])

    assert await Workflow("w", [book, page, word, all_words]).run() == [10, 11, 20, 21]


async def test_alternatives_may_share_a_gather() -> None:
    @step
    async def choose(ev: StartEvent) -> Page | Other:
        return Page(2) if ev.data["pages"] else Other(3)

    @step
    async def by_page(ev: Page) -> list[Work]:
        return [Work(n) for n in range(ev.n)]

    @step
    async def by_other(ev: Other) -> list[Work]:
        return [Work(n) for n in range(ev.n)]

    workflow = Workflow("w", [choose, by_page, by_other, work, gather])
    assert await workflow.run(pages=True) == [0, 1]
    assert await workflow.run(pages=False) == [0, 1, 2]


async def test_a_crawler_adds_to_its_own_scope() -> None:
    """A step that fans out to its own input type neither nests without end nor gathers early."""

    @step
    async def begin(ev: StartEvent) -> Page:
        return Page(0)

    @step
    async def crawl(ev: Page) -> list[Page | Counted]:
        links = [Page(2 * ev.n + 1), Page(2 * ev.n + 2)] if ev.n < 20 else []
        return [Counted(ev.n), *links]

    @step
    async def seen(counted: list[Counted]) -> StopEvent:
        return StopEvent(result=sorted(each.n for each in counted))

    assert await Workflow("w", [begin, crawl, seen]).run() == list(range(41))


# ---- the first few -----------------------------------------------------------------------------


async def test_gather_count_takes_the_first_and_cancels_the_rest() -> None:
    log = Log()

    @step
    async def race(ev: Work) -> Done:
        async with cleanup(log, f"cleanup {ev.n}", seconds=3):
            await anyio.sleep(10 * (4 - ev.n))
        return Done(ev.n)

    @step
    async def first_two(done: Annotated[list[Done], Gather(count=2)]) -> StopEvent:
        log("gather")
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [split, race, first_two]).run() == [2, 3]
    assert log.lines[-1] == "gather"  # the losers' cleanup included
    assert sorted(log.lines[:-1]) == [f"cleanup {n}" for n in range(4)]


async def test_gather_count_fires_with_what_came_if_there_is_less() -> None:
    @step
    async def first_ten(done: Annotated[list[Done], Gather(count=10)]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [split, work, first_ten]).run() == [0, 1, 2, 3]


async def test_gather_count_withdraws_requests() -> None:
    @step
    async def race(ev: Work) -> Done | InputRequestEvent:
        await anyio.sleep(ev.n)
        return Done(ev.n) if ev.n == 3 else InputRequestEvent("?")

    @step
    async def answered(ev: InputResponseEvent) -> Done:
        return Done(ev.response)

    @step
    async def first(done: Annotated[list[Done], Gather(count=1)]) -> Other:
        return Other(len(done))

    @step
    async def end(ev: Other) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result=ev.n)

    async with Workflow("w", [split, race, answered, first, end]).start() as run:
        await anyio.sleep(2.5)
        requests = run.requests
        assert len(requests) == 3
        await anyio.sleep(1)
        assert run.requests == ()
        with pytest.raises(UnknownRequestError) as caught:
            run.respond_to_input(requests[0].request_id, 1)
        assert caught.value.reason == "withdrawn"
        assert await run.result() == 1


async def test_gather_count_drops_what_is_queued_and_delayed() -> None:
    log = Log()

    @step(max_concurrency=2)
    async def race(ev: Work, ctx: Context) -> Done | None:
        log(f"race {ev.n}")
        await anyio.sleep(1)
        if ev.n == 0:
            ctx.send_event(Note("delayed"), delay=100)
            return None
        await anyio.sleep(0.5)
        return Done(ev.n)

    @step
    async def note(ev: Note) -> None:
        log("delayed")

    @step
    async def first(done: Annotated[list[Done], Gather(count=1)]) -> Other:
        return Other(done[0].n)

    @step
    async def end(ev: Other) -> StopEvent:
        await anyio.sleep(1000)
        return StopEvent(result=ev.n)

    assert await Workflow("w", [split, race, note, first, end]).run() == 1
    assert log.lines == ["race 0", "race 1", "race 2"]


async def test_gather_count_cancels_scopes_further_in() -> None:
    log = Log()

    @step
    async def race(ev: Work) -> Done | list[Word]:
        await anyio.sleep(ev.n)
        return Done(ev.n) if ev.n == 3 else [Word(1), Word(2)]

    @step
    async def word(ev: Word) -> Counted:
        try:
            await anyio.sleep_forever()
        finally:
            log("cancelled")

    @step
    async def words(counted: list[Counted]) -> None:
        log("gathered")

    @step
    async def first(done: Annotated[list[Done], Gather(count=1, of=split)]) -> StopEvent:
        return StopEvent(result=len(done))

    assert await Workflow("w", [split, race, word, words, first]).run() == 1
    assert log.lines == ["cancelled"] * 6


# ---- batches and pairs -------------------------------------------------------------------------


async def test_a_batch_fires_for_every_n_in_order_of_arrival_and_for_the_rest() -> None:
    @step
    async def batch(done: Annotated[list[Done], Batch(3)]) -> Note:
        return Note(",".join(str(each.n) for each in done))

    @step
    async def texts(notes: list[Note]) -> StopEvent:
        return StopEvent(result=sorted(note.text for note in notes))

    workflow = Workflow("w", [split, work, batch, texts])
    assert await workflow.run(count=7) == ["0", "3,2,1", "6,5,4"]


async def test_two_events_pair_within_one_branch() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Page]:
        return [Page(n) for n in range(3)]

    @step
    async def both(ev: Page) -> tuple[Word, Counted]:
        return Word(ev.n), Counted(ev.n * 10)

    @step
    async def slow_word(ev: Word) -> Note:
        await anyio.sleep(ev.n)
        return Note(str(ev.n))

    @step
    async def slow_count(ev: Counted) -> Other:
        await anyio.sleep(30 - ev.n)
        return Other(ev.n)

    @step
    async def pair(note: Note, other: Other) -> Done:
        return Done(int(note.text) * 100 + other.n)

    workflow = Workflow("w", [begin, both, slow_word, slow_count, pair, gather])
    assert await workflow.run() == [0, 110, 220]


async def test_pairs_are_first_in_first_out() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Event, ...]:
        return Word(1), Word(2), Counted(10), Counted(20)

    @step(max_concurrency=1)
    async def pair(word: Word, counted: Counted, ctx: Context) -> StopEvent | None:
        ctx.state.apply("pairs", lambda pairs: [*pairs, (word.n, counted.n)], [])
        pairs = ctx.state["pairs"]
        return StopEvent(result=pairs) if len(pairs) == 2 else None

    assert await Workflow("w", [begin, pair]).run() == [(1, 10), (2, 20)]


async def test_half_a_pair_at_the_end_of_a_scope_fails_the_run() -> None:
    @step
    async def half(ev: Work) -> Word | tuple[Word, Counted]:
        return Word(ev.n) if ev.n == 2 else (Word(ev.n), Counted(ev.n))

    @step
    async def pair(word: Word, counted: Counted) -> Done:
        return Done(word.n)

    with pytest.raises(JoinIncompleteError) as caught:
        await Workflow("w", [split, half, pair, gather]).run()
    assert caught.value.step == "pair"
    assert caught.value.waiting == (Word(2),)


# ---- the imperative form -----------------------------------------------------------------------


async def test_ctx_fan_out_opens_a_scope_for_each_call() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> list[Work] | None:
        ctx.fan_out([Work(1), Work(2)])
        ctx.fan_out([])
        ctx.fan_out(Work(n) for n in (3,))
        return None

    @step
    async def quick(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def each_scope(done: list[Done]) -> Note:
        return Note(str([each.n for each in done]))

    @step(max_concurrency=1)
    async def collect(ev: Note, ctx: Context) -> StopEvent | None:
        notes = ctx.collect_events(Note, 3)
        return None if notes is None else StopEvent(result={note.text for note in notes})

    workflow = Workflow("w", [begin, quick, each_scope, collect])
    assert await workflow.run() == {"[1, 2]", "[]", "[3]"}


async def test_ctx_fan_out_before_a_wait_belongs_to_the_success_of_the_attempt() -> None:
    """What is sent leaves before the wait; a fan-out does not."""
    log = Log()

    @step(waits=[Other])
    async def begin(ev: StartEvent, ctx: Context) -> list[Work] | Note | None:
        ctx.fan_out([Work(1)])
        ctx.send_event(Note("sent"))
        await ctx.wait_for_event(Other)
        log("waited")
        return None

    @step
    async def note(ev: Note) -> Other:
        log(ev.text)
        return Other()

    @step
    async def quick(ev: Work) -> Done:
        log("work")
        return Done(ev.n)

    assert await Workflow("w", [begin, note, quick, gather]).run() == [1]
    assert log.lines == ["sent", "waited", "work"]


async def test_returning_none_opens_no_scope() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work] | Other | None:
        return Other(7)

    @step
    async def quick(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def end(ev: Other) -> StopEvent:
        return StopEvent(result=ev.n)

    assert await Workflow("w", [begin, quick, gather, end]).run() == 7


async def test_an_event_for_a_gather_outside_every_bound_scope_is_unhandled() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> list[Work] | Done:
        return Done(1)

    with pytest.raises(NoHandlerError):
        await Workflow("w", [begin, work, gather]).run()


async def test_a_gather_without_a_fan_out_is_a_definition_error() -> None:
    @step
    async def begin(ev: StartEvent) -> Done:
        return Done(1)

    with pytest.raises(DefinitionError, match="gather"):
        Workflow("w", [begin, gather])


# ---- generators --------------------------------------------------------------------------------


async def test_a_generator_lets_each_event_out_at_once() -> None:
    log = Log()

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        for n in range(3):
            yield Work(n)
            await anyio.sleep(10)
        log("generator ends")

    @step
    async def quick(ev: Work) -> Done:
        log(f"work {ev.n}")
        return Done(ev.n)

    assert await Workflow("w", [pages, quick, gather]).run() == [0, 1, 2]
    assert log.lines == ["work 0", "work 1", "work 2", "generator ends"]


async def test_a_generator_that_yields_nothing_is_an_empty_fan_out() -> None:
    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        for n in range(0):
            yield Work(n)

    assert await Workflow("w", [pages, work, gather]).run() == []


async def test_a_generator_waits_at_its_yield_until_there_is_room() -> None:
    ahead = 0
    most = 0

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        nonlocal ahead, most
        for n in range(20):
            ahead += 1
            most = max(most, ahead)
            yield Work(n)

    @step(max_pending=3, max_concurrency=1)
    async def slow(ev: Work) -> Done:
        nonlocal ahead
        await anyio.sleep(1)
        ahead -= 1
        return Done(ev.n)

    assert await Workflow("w", [pages, slow, gather]).run() == list(range(20))
    assert most <= 6


async def test_a_generator_that_waits_for_room_gives_its_slot_back() -> None:
    """With a workflow of one slot the consumer could not run otherwise."""

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        for n in range(10):
            yield Work(n)

    @step(max_pending=1)
    async def quick(ev: Work) -> Done:
        return Done(ev.n)

    workflow = Workflow("w", [pages, quick, gather], max_concurrency=1)
    assert await workflow.run() == list(range(10))


async def test_sending_from_outside_to_a_full_step_is_refused() -> None:
    @step
    async def begin(ev: StartEvent) -> None:
        return None

    @step(max_pending=2, max_concurrency=1)
    async def slow(ev: Work) -> StopEvent | None:
        await anyio.sleep(10)
        return StopEvent() if ev.n == 2 else None

    async with Workflow("w", [begin, slow], external=[Work]).start() as run:
        run.send_event(Work(0))
        await settle()
        run.send_event(Work(1))
        run.send_event(Work(2))
        with pytest.raises(WorkflowFullError) as caught:
            run.send_event(Work(3))
        assert caught.value.event == Work(3)
        await run.result()


async def test_a_generator_that_raises_half_way_keeps_what_it_yielded_and_fails() -> None:
    """Exhausted, its scope is abandoned and the failure goes to the parent."""
    log = Log()

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        yield Work(0)
        await anyio.sleep(5)
        raise Boom

    @step
    async def quick(ev: Work) -> Done:
        log(f"work {ev.n}")
        return Done(ev.n)

    @step
    async def handle(failure: StepFailed) -> StopEvent:
        return StopEvent(result=failure.step)

    @step
    async def never(done: list[Done]) -> StopEvent:
        log("gathered")
        return StopEvent()

    assert await Workflow("w", [pages, quick, handle, never]).run() == "pages"
    assert log.lines == ["work 0"]


async def test_a_generator_that_yields_what_is_no_event_fails() -> None:
    log = Log()

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        async with cleanup(log):
            yield "text"  # type: ignore[misc]

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [pages, work, gather]).run()
    assert isinstance(caught.value.error, TypeError)
    assert "pages" in str(caught.value.error)
    assert log.lines == ["cleanup"]  # it was closed, and had the time to clean up


async def test_a_generator_may_use_the_context_and_scopes_of_its_own() -> None:
    @step
    async def pages(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        with anyio.move_on_after(5):
            await anyio.sleep_forever()
        ctx.state["made"] = 2
        for n in range(2):
            yield Work(n)

    @step
    async def end(done: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=(len(done), ctx.state["made"]))

    assert await Workflow("w", [pages, work, end]).run() == (2, 2)


async def test_a_generator_whose_own_scope_is_cancelled_at_a_yield_fails_with_advice() -> None:
    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        with anyio.move_on_after(5):
            while True:
                yield Work()

    @step(max_pending=1, max_concurrency=1)
    async def slow(ev: Work) -> Done:
        await anyio.sleep(100)
        return Done()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [pages, slow, gather]).run()
    assert "PEP 789" in str(caught.value.error)
