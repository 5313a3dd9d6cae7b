"""Which gathers are bound to which fan-outs, and which bindings are refused."""

from collections.abc import AsyncIterator
from typing import Annotated

from graphs import (
    A,
    B,
    C,
    D,
    Done,
    Work,
    gathers,
    make,
    problem,
    problems,
    reduce,
    split,
    start_stop,
    work,
)

from blazen_anyio._events import (
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._graph import build
from blazen_anyio._steps import Batch, Gather, step


def test_a_gather_is_bound_to_the_fan_out_above_it() -> None:
    assert gathers(build("w", [split, work, reduce])) == {"split": ("reduce",)}


def test_a_generator_is_a_fan_out() -> None:
    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        yield Work()

    assert gathers(build("w", [pages, work, reduce])) == {"pages": ("reduce",)}


def test_a_gather_may_take_what_is_fanned_out_itself() -> None:
    assert gathers(build("w", [make("split", StartEvent, list[Done]), reduce])) == {
        "split": ("reduce",)
    }


def test_several_gathers_may_share_a_fan_out() -> None:
    graph = build(
        "w",
        [split, make("work", Work, Done | A), reduce, make("others", list[A], None)],
    )

    assert gathers(graph) == {"split": ("reduce", "others")}


def test_alternative_fan_outs_may_share_a_gather() -> None:
    graph = build(
        "w",
        [
            make("choose", StartEvent, A | B),
            make("few", A, list[Work]),
            make("many", B, list[Work]),
            work,
            reduce,
        ],
    )

    assert gathers(graph) == {"few": ("reduce",), "many": ("reduce",)}


def test_a_path_goes_through_pairs_batches_and_error_steps() -> None:
    graph = build(
        "w",
        [
            make("split", StartEvent, list[A | B]),
            make("join", (A, B), C),
            make("group", Annotated[list[C], Batch(2)], D),
            make("unlucky", D, None),
            make("handler", StepFailed, Done, for_steps=["unlucky"]),
            reduce,
        ],
    )

    assert gathers(graph) == {"split": ("reduce",)}


def test_a_path_goes_through_questions() -> None:
    graph = build(
        "w",
        [
            split,
            make("work", Work, InputRequestEvent),
            make("got", InputResponseEvent, Done),
            reduce,
        ],
    )

    assert gathers(graph) == {"split": ("reduce",)}


def test_the_failure_of_the_fan_out_itself_belongs_to_the_scope_around_it() -> None:
    found = problems(
        make("split", StartEvent, list[Work]),
        make("work", Work, None),
        make("handler", StepFailed, Done, for_steps=["split"]),
        reduce,
    )

    assert any("gather step 'reduce' has no fan-out above it" in each for each in found)


def test_nested_fan_outs_have_each_their_own_gather() -> None:
    graph = build(
        "w",
        [
            make("books", StartEvent, list[A]),
            make("chapters", A, list[Work]),
            work,
            make("book", list[Done], B),
            make("library", list[B], StopEvent),
        ],
    )

    assert gathers(graph) == {"books": ("library",), "chapters": ("book",)}


def test_deeply_nested_fan_outs_are_bound_whatever_the_order_of_the_list() -> None:
    kinds = [type(f"Part{i}", (Event,), {}) for i in range(6)]
    results = [type(f"Result{i}", (Event,), {}) for i in range(6)]
    steps = [make("leaf", kinds[5], results[5])]
    for i in range(5):
        steps.append(make(f"split{i}", kinds[i] if i else StartEvent, list[kinds[i + 1]]))
        steps.append(make(f"join{i}", list[results[i + 1]], results[i] if i else StopEvent))
    expected = {f"split{i}": (f"join{i}",) for i in range(5)}

    assert gathers(build("w", steps)) == expected
    assert gathers(build("w", steps[::-1])) == expected


def test_a_loop_of_fan_out_and_gather_is_no_nesting() -> None:
    graph = build(
        "w",
        [
            make("split", StartEvent | A, list[Work]),
            work,
            make("reduce", list[Done], A | StopEvent),
        ],
    )

    assert gathers(graph) == {"split": ("reduce",)}


def test_a_crawler_that_feeds_itself_is_no_nesting() -> None:
    graph = build(
        "w",
        [
            make("seed", StartEvent, Work),
            make("crawl", Work, list[Work | Done]),
            reduce,
        ],
    )

    assert gathers(graph) == {"crawl": ("reduce",)}


def test_a_crawler_may_share_its_gather_with_an_alternative() -> None:
    graph = build(
        "w",
        [
            make("seed", StartEvent, Work | A),
            make("crawl", Work, list[Work | Done]),
            make("other", A, list[Done]),
            reduce,
        ],
    )

    assert gathers(graph) == {"crawl": ("reduce",), "other": ("reduce",)}


def test_what_the_gather_of_a_crawler_emits_is_outside_of_its_scope() -> None:
    found = problem(
        make("seed", StartEvent, Work),
        make("crawl", Work, list[Work | Done]),
        make("reduce", list[Done], A),
        make("total", list[A], StopEvent),
    )

    assert "gather step 'total' has no fan-out above it" in found


def test_a_list_that_no_gather_is_bound_to_is_just_several_events() -> None:
    graph = build(
        "w",
        [
            split,
            make("work", Work, Done | A),
            make("notify", A, list[B]),
            make("log", B, None),
            reduce,
        ],
    )

    assert gathers(graph) == {"split": ("reduce",)}


def test_a_gather_binds_to_the_nearest_fan_out() -> None:
    graph = build(
        "w",
        [split, make("again", Work, list[A]), make("work", A, Done), reduce],
    )

    assert gathers(graph) == {"again": ("reduce",)}


def test_of_names_the_fan_out_that_is_gathered() -> None:
    again = make("again", Work, list[A])
    for of in ("split", split, ["split"], [split]):
        total = make("reduce", Annotated[list[Done], Gather(of=of)], StopEvent)
        graph = build("w", [split, again, make("work", A, Done), total])

        assert gathers(graph) == {"split": ("reduce",)}, of


def test_of_names_method_steps() -> None:
    class Job:
        @step
        async def split(self, ev: StartEvent) -> list[Done]: ...  # type: ignore[empty-body]

        @step
        async def reduce(self, parts: Annotated[list[Done], Gather(of=split)]) -> StopEvent: ...  # type: ignore[empty-body]

    job = Job()

    assert gathers(build("w", [job.split, job.reduce])) == {"split": ("reduce",)}


def test_of_may_name_alternatives() -> None:
    total = make("reduce", Annotated[list[Done], Gather(of=["few", "many"])], StopEvent)
    graph = build(
        "w",
        [
            make("choose", StartEvent, A | B),
            make("few", A, list[Work]),
            make("many", B, list[Work]),
            work,
            total,
        ],
    )

    assert gathers(graph) == {"few": ("reduce",), "many": ("reduce",)}


def test_a_gather_without_a_fan_out_is_refused_with_the_way_that_leads_to_it() -> None:
    found = problem(make("a", StartEvent, Work), work, reduce)

    assert "gather step 'reduce' has no fan-out above it" in found
    assert "(StartEvent -> a -> Work -> work -> Done -> reduce)" in found
    assert "return `list[...]` where the work is split, or write Annotated[list[...]" in found


def test_what_follows_a_gather_without_a_fan_out_is_not_told_as_well() -> None:
    found = problems(start_stop, make("reduce", list[Done], A), make("a", A, None))

    assert len(found) == 1
    assert "gather step 'reduce' has no fan-out above it" in found[0]


def test_nested_fan_outs_of_one_gather_are_refused_with_the_way() -> None:
    found = problem(
        split,
        make("work", Work, list[A] | Done),
        make("again", A, Done),
        reduce,
    )

    assert (
        "gather step 'reduce' is bound to the fan-outs of 'split' and of 'work', which can be "
        "nested (split -> Work -> work); say which one it gathers with Gather(of=split) or "
        "Gather(of=work)" in found
    )


def test_fan_outs_with_another_between_them_are_nested_too() -> None:
    total = make("total", Annotated[list[Done], Gather(of=["outer", "inner"])], StopEvent)
    found = problem(
        make("outer", StartEvent, list[A]),
        make("middle", A, list[B]),
        make("inner", B, list[Done]),
        make("middle_sum", Annotated[list[Done], Gather(of="middle")], Done),
        total,
    )

    assert "bound to the fan-outs of 'outer' and of 'inner', which can be nested" in found


def test_fan_outs_with_a_list_that_opens_no_scope_between_them_are_nested_too() -> None:
    found = problem(
        split,
        make("several", Work, list[A]),
        make("inner", A, list[Done]),
        make("total", Annotated[list[Done], Gather(of=["split", "inner"])], StopEvent),
    )

    assert "which can be nested (split -> Work -> several -> A -> inner)" in found


def test_fan_outs_that_nest_in_each_other_without_end_are_searched_once() -> None:
    found = problem(
        make("one", StartEvent | A, list[B] | Done),
        make("two", B, list[A | Done]),
        make("total", Annotated[list[Done], Gather(of=["one", "two"])], StopEvent),
    )

    assert "can be nested" in found


def test_of_that_names_no_fan_out_is_refused() -> None:
    total = make("reduce", Annotated[list[Done], Gather(of=["splitt", "work"])], StopEvent)
    found = problems(split, work, total)

    assert (
        "gather step 'reduce': Gather(of=...) names 'splitt', which is no step of the workflow; "
        "did you mean 'split'?" in found
    )
    assert any("names 'work', which does not fan out" in each for each in found)
    assert len(found) == 2


def test_a_gather_of_a_fan_out_that_does_not_lead_to_it_is_refused() -> None:
    total = make("reduce", Annotated[list[Done], Gather(of="other")], StopEvent)
    found = problem(
        make("start", StartEvent, A | B),
        make("split", A, list[Work]),
        work,
        make("other", B, list[C]),
        make("log", C, None),
        total,
    )

    assert "'reduce' can never fill: nothing that 'other' fans out leads to Done" in found


def test_a_gather_of_what_a_context_sends_in_a_fan_out_is_bound_to_it() -> None:
    sender = make("work", Work, None, context=True)
    named = make("reduce", Annotated[list[Done], Gather(of="split")], StopEvent)

    assert gathers(build("w", [split, sender, reduce])) == {"split": ("reduce",)}
    assert gathers(build("w", [split, sender, named])) == {"split": ("reduce",)}


def test_what_such_a_gather_emits_is_searched_too() -> None:
    graph = build(
        "w",
        [
            make("outer", StartEvent, list[A]),
            make("inner", A, list[Work]),
            make("work", Work, None, context=True),
            make("part", list[Done], B),
            make("whole", list[B], StopEvent),
        ],
    )

    assert gathers(graph) == {"outer": ("whole",), "inner": ("part",)}


def test_a_gather_with_a_declared_sender_is_not_bound_by_guess() -> None:
    found = problems(
        make("a", StartEvent, list[Work] | Done), make("work", Work, None, context=True), reduce
    )

    assert any("has no fan-out above it" in each for each in found)
