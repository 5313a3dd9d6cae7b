"""From steps to a checked plan: which workflows are refused, with what words, and what is not."""

import itertools
import time
import types
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, NoReturn

import pytest
from graphs import (
    A,
    Answer,
    AnyStep,
    Ask,
    B,
    C,
    ChildOfA,
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
from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._exceptions import DefinitionError
from blazen_anyio._graph import build
from blazen_anyio._machine.plan import Mode
from blazen_anyio._retry import Retry
from blazen_anyio._steps import Batch, Gather, step

# ---- the plan ------------------------------------------------------------------------------------


def test_the_plan_holds_all_that_the_machine_needs() -> None:
    def handle(ev: StepFailed) -> None: ...

    async def pages(ev: Work) -> AsyncIterator[A]:
        yield A()

    graph = build(
        "w",
        [
            split,
            step(pages, max_concurrency=2, max_pending=3, timeout=4),
            make("collect", Annotated[list[A], Batch(5)], Done, waits=[B]),
            make("first", Annotated[list[Done], Gather(count=3)], StopEvent),
            step(handle, for_steps=["split"], max_recoveries=6),
            make("named", DynamicEvent, None, accepts=["app.Thing"]),
        ],
        timeout=7,
        max_concurrency=8,
        external=[B, DynamicEvent],
        on_unhandled="ignore",
        max_recoveries=9,
    )
    plan = graph.plan
    by_name = {planned.name: planned for planned in plan.steps}

    assert [planned.index for planned in plan.steps] == list(range(6))
    assert (plan.name, plan.timeout, plan.max_concurrency) == ("w", 7, 8)
    assert (plan.external, plan.ignore_unhandled) == ((B, DynamicEvent), True)
    assert plan.max_recoveries == 9
    limited = by_name["pages"]
    assert (limited.max_concurrency, limited.max_pending, limited.timeout) == (2, 3, 4)
    assert limited.generates
    assert (by_name["collect"].mode, by_name["collect"].size) == (Mode.BATCH, 5)
    assert by_name["collect"].waits == (B,)
    assert (by_name["first"].mode, by_name["first"].count) == (Mode.GATHER, 3)
    assert by_name["handle"].for_steps == {"split"}
    assert by_name["handle"].max_recoveries == 6
    assert by_name["named"].dynamic == {"app.Thing"}
    assert gathers(graph) == {"pages": ("first",)}


def test_a_pair_keeps_the_order_of_its_parameters() -> None:
    graph = build(
        "w",
        [make("both", StartEvent, tuple[A, B]), make("join", (B, A), StopEvent)],
    )

    assert (graph.plan.steps[1].mode, graph.plan.steps[1].accepts) == (Mode.PAIR, (B, A))


def test_the_retry_of_the_workflow_is_for_steps_that_have_none() -> None:
    own, default = Retry(max_attempts=1), Retry()
    graph = build(
        "w", [make("a", StartEvent, A), make("b", A, StopEvent, retry=own)], retry=default
    )

    assert [each.options.retry for each in graph.steps] == [default, own]


def test_the_events_of_a_workflow_are_all_that_it_names() -> None:
    class Held(Event):
        pass

    class ChildOfD(D):
        pass

    class BetterAnswer(Answer):
        pass

    graph = build(
        "w",
        [
            make("a", Ask, list[ChildOfA], context=True, emits=[B], waits=[C]),
            make("b", A | B, BetterAnswer),
            make("c", D, None),
        ],
        stop=Answer,
        external=[C, ChildOfD],
        types=[Held, int],
    )

    named = {Ask, A, ChildOfA, B, C, D, ChildOfD, Answer, BetterAnswer, Held}
    assert named | {StartEvent, StepFailed} <= set(graph.events)
    assert int not in graph.events
    assert graph.stop is Answer


# ---- what starts a run ---------------------------------------------------------------------------


def test_start_events_start_a_run() -> None:
    assert build("w", [start_stop]).starts == (StartEvent,)
    assert build("w", [make("a", Ask | A, StopEvent)]).starts == (Ask,)


def test_without_a_start_event_what_nobody_emits_starts_a_run() -> None:
    graph = build("w", [make("a", A | DynamicEvent, B, accepts=[A, "x"]), make("b", B, StopEvent)])

    assert graph.starts == (A, "x")


def test_a_dynamic_type_that_somebody_emits_does_not_start_a_run() -> None:
    taker = make("taker", DynamicEvent, StopEvent, accepts=["x"])
    by_name = make("a", A, None, context=True, emits=["x"])

    assert build("w", [by_name, taker]).starts == (A,)
    assert build("w", [make("a", A, DynamicEvent), taker]).starts == (A,)


def test_what_a_step_for_any_event_takes_besides_does_not_start_a_run() -> None:
    assert build("w", [make("log", Event, None), make("a", A, StopEvent)]).starts == (A,)


def test_in_a_loop_anything_accepted_starts_a_run() -> None:
    assert build("w", [make("a", A, A | StopEvent)]).starts == (A,)
    dynamic = make("a", DynamicEvent, DynamicEvent | StopEvent, accepts=["x"])
    assert build("w", [dynamic]).starts == ("x",)


def test_a_step_for_any_event_starts_a_run_if_nothing_else_does() -> None:
    assert build("w", [make("any", Event, StopEvent)]).starts == (Event,)


def test_a_workflow_that_nothing_can_start_is_refused() -> None:
    found = problems(make("reduce", list[A], StopEvent))

    assert len(found) == 2
    assert "no step takes the first event of a run" in found[0]
    assert "gather step 'reduce' has no fan-out above it" in found[1]


# ---- the list of steps ---------------------------------------------------------------------------


class Service:
    @step
    async def fetch(self, ev: StartEvent) -> A: ...  # type: ignore[empty-body]

    @step
    async def parse(self, ev: A) -> StopEvent: ...  # type: ignore[empty-body]

    @classmethod
    @step
    async def shared(cls, ev: A) -> StopEvent: ...  # type: ignore[empty-body]


def test_methods_are_steps() -> None:
    service = Service()

    assert problems(service.fetch, service.parse) == ()
    assert problems(service.fetch, Service.shared) == ()


def test_a_classmethod_around_a_step_is_a_step_in_newer_pythons_too() -> None:
    # There it is a bound method around the step, which binds nothing by itself.
    bound = types.MethodType(vars(Service)["shared"].__func__, Service)

    assert problems(Service().fetch, bound) == ()


def test_a_method_without_its_instance_is_refused() -> None:
    assert "step 'fetch' is a method; list it from an instance, as in `service.fetch`" in problems(
        Service.fetch, Service.parse
    )


def plain(ev: StartEvent) -> StopEvent: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("item", "advice"),
    [
        (plain, "'plain' is a plain function; decorate it with @step"),
        ([].append, "is no step; list functions that are decorated with @step"),
        (types.MethodType(plain, 3), "'plain' is a plain function"),
        (3, "3 is no step"),
        (Service(), "lists an object of type Service; list its steps: fetch, parse"),
    ],
)
def test_what_is_no_step_is_refused_with_advice(item: Any, advice: str) -> None:
    assert advice in problem(start_stop, item)
    assert advice in problem(item)


@pytest.mark.parametrize("steps", [start_stop, "steps", 3])
def test_steps_come_in_a_list(steps: Any) -> None:
    with pytest.raises(DefinitionError, match="takes a list of steps"):
        build("w", steps)


def test_a_workflow_has_steps() -> None:
    assert problem() == "has no steps; list at least one"


def test_a_step_is_listed_once() -> None:
    service = Service()

    assert "step 'start_stop' is listed twice" in problem(start_stop, start_stop)
    assert "step 'parse' is listed twice" in problem(service.fetch, service.parse, service.parse)


def test_names_are_unique() -> None:
    assert "two steps are called 'a'; give one another name" in problem(
        make("a", StartEvent, A), make("a", A, StopEvent)
    )


def test_a_step_whose_annotations_stay_unknown_is_refused() -> None:
    @step
    async def lost(ev: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert "step 'lost': an annotation can't be resolved" in problem(lost, start_stop)


def test_two_classes_do_not_share_an_event_type() -> None:
    class Other(Event, event_type="app.Same"):
        pass

    class Same(Event, event_type="app.Same"):
        pass

    found = problem(
        make("a", StartEvent, Other), make("b", Other, Same), make("c", Same, StopEvent)
    )

    assert "Other and" in found
    assert "have one event_type, 'app.Same'; give one another" in found


def test_a_class_does_not_take_the_event_type_of_a_built_in_one() -> None:
    class Mine(Event, event_type="blazen::StartEvent"):
        pass

    assert "blazen::StartEvent" in problem(make("a", Mine, StopEvent))


# ---- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"timeout": 0}, "timeout= takes a number of seconds above 0"),
        ({"max_concurrency": 0}, "max_concurrency= takes a whole number from 1"),
        ({"max_recoveries": 0}, "max_recoveries= takes a whole number from 1, not 0"),
        ({"max_deliveries": 0}, "max_deliveries= takes a whole number from 1, or None"),
        ({"max_deliveries": 1}, "max_deliveries= is at least 2; use @step(delivery="),
        ({"max_recoveries": None}, "max_recoveries= takes a whole number from 1, not None"),
        ({"retry": 3}, "retry= takes a policy"),
        ({"stop": A}, "stop= takes a subclass of StopEvent"),
        ({"stop": 3}, "stop= takes a subclass of StopEvent"),
        ({"external": A}, "external= takes a list of event classes"),
        ({"external": ["x"]}, "external= takes event classes, not 'x'"),
        ({"types": int}, "types= takes a list of classes"),
        ({"types": [3]}, "types= takes classes, not 3"),
        ({"on_unhandled": "drop"}, "on_unhandled= is 'error' or 'ignore', not 'drop'"),
    ],
)
def test_settings_that_can_not_work_are_refused(options: dict[str, Any], advice: str) -> None:
    assert advice in problem(start_stop, **options)


def test_a_workflow_has_a_name() -> None:
    with pytest.raises(DefinitionError, match="is empty, has spaces around it"):
        build("", [start_stop])


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        make("a", StartEvent, A), make("b", B, C), make("c", D, StopEvent), external=[Work]
    )

    assert len(found) == 6
    assert sum("nothing leads to step" in each for each in found) == 2


# ---- reach ---------------------------------------------------------------------------------------


def test_a_step_that_nothing_leads_to_is_refused() -> None:
    found = problem(start_stop, make("lost", A, StopEvent))

    assert "nothing leads to step 'lost': no step that a run comes to emits A" in found
    assert "name it in emits= of the step that sends it, or declare it in external=[...]" in found


def test_steps_that_only_an_unreached_step_leads_to_are_told_with_it() -> None:
    found = problems(
        start_stop, make("b", B, StopEvent), make("a", A, B), make("loop", C, C | None)
    )

    assert len(found) == 2
    assert "nothing leads to step 'a', nor so to 'b'" in found[0]
    assert "nothing leads to step 'loop': " in found[1]


def test_a_step_that_leads_to_itself_alone_is_told_with_what_follows_it() -> None:
    found = problem(start_stop, make("b", B, None), make("a", A, A | B | None))

    assert "nothing leads to step 'a', nor so to 'b'" in found


def test_emits_leads_to_steps() -> None:
    sender = make("sender", StartEvent, None, context=True, emits=[A, "app.Thing"])
    taker = make("taker", A | DynamicEvent, StopEvent, accepts=[A, "app.Thing"])

    assert problems(sender, taker) == ()


def test_external_events_lead_to_steps() -> None:
    assert problems(start_stop, make("a", A, None), external=[A]) == ()


def test_what_a_context_may_send_is_not_guessed() -> None:
    anything = make("sender", StartEvent, None, context=True)
    nothing = make("sender", StartEvent, None, context=True, emits=[])
    taker = make("taker", A, StopEvent)

    assert problems(anything, taker) == ()
    assert any("nothing leads to step 'taker'" in each for each in problems(nothing, taker))


def test_a_context_that_no_run_comes_to_leads_nowhere() -> None:
    found = problems(start_stop, make("lost", A, B, context=True), make("b", B, StopEvent))

    assert any("nothing leads to step 'lost', nor so to 'b'" in each for each in found)


def test_subclasses_and_base_classes_lead_to_steps() -> None:
    assert problems(make("a", StartEvent, ChildOfA), make("b", A, StopEvent)) == ()
    assert problems(make("a", StartEvent, A), make("b", ChildOfA, StopEvent)) == ()
    assert problems(make("a", StartEvent, Event), make("b", A, StopEvent)) == ()


def test_any_event_does_not_take_control_events() -> None:
    ask = make("ask", StartEvent, InputRequestEvent | StopEvent)

    assert any("asks with" in each for each in problems(ask, make("log", Event, None)))


def test_a_step_that_returns_any_event_does_not_lead_to_control_events() -> None:
    found = problem(make("a", StartEvent, Event), make("b", InputResponseEvent, None))

    assert "nothing leads to step 'b': no step that a run comes to asks for input" in found


def test_dynamic_events_lead_to_steps_by_name() -> None:
    by_name = make("by_name", DynamicEvent, StopEvent, accepts=["x"])
    by_class = make("by_class", DynamicEvent, StopEvent)
    other = make("other", StartEvent, None, context=True, emits=["y"])

    assert problems(make("a", StartEvent, DynamicEvent), by_name) == ()
    assert problems(other, by_class) == ()
    assert any(
        "nothing leads to step 'by_name': no step that a run comes to emits x;" in each
        for each in problems(other, by_name)
    )


def test_failures_lead_to_error_steps() -> None:
    handler = make("handler", StepFailed, A | None)

    assert problems(start_stop, handler, make("a", A, None)) == ()


def test_an_error_step_for_steps_that_never_run_is_refused() -> None:
    handler = make("handler", StepFailed, None, for_steps=["lost"])
    found = problems(start_stop, make("lost", A, None), handler)

    assert found == (
        "nothing leads to step 'lost', nor so to 'handler': no step that a run comes to emits A; "
        "return it, name it in emits= of the step that sends it, or declare it in external=[...]",
    )


def test_error_steps_alone_are_no_workflow() -> None:
    assert "no step takes the first event" in problem(make("handler", StepFailed, StopEvent))


def test_for_steps_takes_names_and_steps() -> None:
    service = Service()
    handler = make("handler", StepFailed, None, for_steps=[Service.fetch, "parse"])
    graph = build("w", [service.fetch, service.parse, handler])

    assert graph.plan.steps[2].for_steps == {"fetch", "parse"}


def test_for_steps_that_names_no_step_is_refused() -> None:
    handler = make("handler", StepFailed, None, for_steps=["start_stopp", plain, split])
    found = problems(start_stop, handler)

    assert (
        "step 'handler': for_steps= names 'start_stopp', which is no step of the workflow; did you "
        "mean 'start_stop'?" in found
    )
    assert any("names 'plain', which is no step of the workflow" in each for each in found)
    assert any("names 'split', which is no step of the workflow" in each for each in found)


def test_for_steps_that_names_an_error_step_is_refused() -> None:
    one = make("one", StepFailed, None)
    two = make("two", StepFailed, None, for_steps=["one", "start_stop"])

    assert "names 'one', an error step, whose failures end the run" in problem(start_stop, one, two)


def test_an_error_step_that_nothing_fails_into_is_refused() -> None:
    one = make("one", StepFailed, None)
    two = make("two", StepFailed, None, for_steps=["one"])

    assert any(
        "nothing leads to step 'two': no step that may fail into it is reached" in each
        for each in problems(start_stop, one, two)
    )


# ---- stop ----------------------------------------------------------------------------------------


def test_a_workflow_without_a_way_to_a_stop_event_is_refused_with_the_way_it_takes() -> None:
    found = problem(make("a", StartEvent, A), make("b", A, B), make("c", B, None))

    assert "no way leads to a StopEvent" in found
    assert "a run gets as far as StartEvent -> a -> A -> b -> B -> c" in found


def test_a_stop_event_that_no_run_comes_to_does_not_count() -> None:
    found = problems(make("a", StartEvent, None), make("b", A, StopEvent))

    assert any("no way leads to a StopEvent" in each for each in found)


@pytest.mark.parametrize("gives", [Answer, Event, list[Answer] | None, StopEvent | None])
def test_every_way_to_stop_counts(gives: Any) -> None:
    assert problems(make("a", StartEvent, gives)) == ()


def test_what_stops_is_the_stop_event_of_the_workflow() -> None:
    assert problems(make("a", StartEvent, Answer), stop=Answer) == ()
    assert "step 'a' emits StopEvent, but the workflow stops with Answer" in problem(
        make("a", StartEvent, StopEvent), stop=Answer
    )
    assert "step 'a' emits StopEvent, but the workflow stops with Answer" in problem(
        make("a", StartEvent, list[StopEvent]), stop=Answer
    )


def test_a_stop_event_may_come_from_outside() -> None:
    assert problems(make("a", StartEvent, None), external=[StopEvent]) == ()


def test_a_stop_event_may_be_sent_by_a_context() -> None:
    assert problems(make("a", StartEvent, None, context=True)) == ()


# ---- what is emitted -----------------------------------------------------------------------------


def test_an_event_that_nobody_accepts_is_refused() -> None:
    found = problem(make("a", StartEvent, A | list[B] | StopEvent), make("b", B, None))

    assert "step 'a' emits A, which no step accepts; add a step for it" in found


def test_a_dynamic_event_that_nobody_accepts_is_refused() -> None:
    found = problem(make("a", StartEvent, StopEvent, context=True, emits=["app.Thing"]))

    assert "step 'a' emits app.Thing, which no step accepts" in found


def test_a_dynamic_event_is_not_what_a_step_waits_for() -> None:
    waiter = make("a", StartEvent, B, context=True, emits=["app.Thing"], waits=[A])
    found = problem(waiter, make("b", B, A | StopEvent))

    assert "step 'a' emits app.Thing, which no step accepts" in found


def test_events_that_nobody_accepts_may_be_ignored() -> None:
    assert problems(make("a", StartEvent, A | StopEvent), on_unhandled="ignore") == ()


def test_a_question_may_be_taken_by_a_step_for_a_kind_of_question() -> None:
    class Confirm(InputRequestEvent):
        pass

    ask = make("ask", StartEvent, InputRequestEvent)
    steps = [ask, make("log", Confirm, None), make("got", InputResponseEvent, StopEvent)]

    assert problems(*steps) == ()


def test_an_event_that_a_step_waits_for_is_accepted() -> None:
    waiter = make("waiter", StartEvent, StopEvent, context=True, emits=[], waits=[A])

    assert problems(waiter, make("a", StartEvent, A)) == ()


def test_a_question_needs_a_step_that_takes_the_answer() -> None:
    ask = make("ask", StartEvent, InputRequestEvent)
    answered = make("answered", InputResponseEvent, StopEvent)
    waiter = make("waiter", StartEvent, StopEvent, context=True, waits=[InputResponseEvent])

    assert problems(ask, answered) == ()
    assert problems(ask, waiter) == ()
    assert any(
        "step 'ask' asks with InputRequestEvent, but no step accepts InputResponseEvent" in each
        for each in problems(ask)
    )


# ---- joins and waits -----------------------------------------------------------------------------


def test_a_pair_of_which_one_side_never_comes_is_refused_with_the_way() -> None:
    found = problem(make("a", StartEvent, A | StopEvent), make("join", (A, B), None))

    assert "step 'join' can never fire" in found
    assert "no step that a run comes to emits B (StartEvent -> a -> A -> join)" in found


def test_a_pair_may_get_a_side_from_outside_from_the_start_or_by_an_answer() -> None:
    assert problems(make("join", (StartEvent, A), StopEvent), external=[A]) == ()
    ask = make("ask", StartEvent, tuple[A, InputRequestEvent])
    assert problems(ask, make("join", (A, InputResponseEvent), StopEvent)) == ()


def test_a_pair_may_get_a_side_from_a_context() -> None:
    sender = make("a", StartEvent, A | StopEvent, context=True)

    assert problems(sender, make("join", (A, B), None)) == ()


def test_a_dynamic_event_is_no_side_of_a_pair_and_ends_no_wait() -> None:
    sender = make("a", StartEvent, A | StopEvent, context=True, emits=["x"], waits=[C])
    found = problems(sender, make("join", (A, B), None), make("x", DynamicEvent, None))

    assert len(found) == 2
    assert "step 'join' can never fire" in found[0]
    assert "step 'a' waits for C, which no step emits" in found[1]


def test_a_pair_that_no_run_comes_to_is_told_once() -> None:
    assert "nothing leads to step 'join'" in problem(start_stop, make("join", (A, B), None))


def test_a_wait_that_nothing_can_end_is_refused() -> None:
    waiter = make("waiter", StartEvent, StopEvent, context=True, emits=[], waits=[A])

    assert "step 'waiter' waits for A, which no step emits" in problem(waiter)
    assert problems(waiter, external=[A]) == ()
    assert problems(waiter, make("a", StartEvent, ChildOfA)) == ()


def test_a_wait_for_what_a_context_may_send_is_not_refused() -> None:
    assert problems(make("a", StartEvent, StopEvent, context=True, waits=[A])) == ()


def test_an_external_event_that_nobody_takes_is_refused() -> None:
    assert "external= names A, which no step accepts or waits for" in problem(
        start_stop, external=[A]
    )


# ---- loops ---------------------------------------------------------------------------------------


def test_a_loop_that_nothing_leaves_is_refused_with_its_way() -> None:
    found = problem(
        make("a", StartEvent, A | StopEvent),
        make("b", A, B),
        make("c", B, C),
        make("d", C, B),
    )

    assert "a run never leaves the loop c -> d -> c" in found


def test_two_loops_are_told_once_each() -> None:
    found = problems(make("a", StartEvent, A | B | StopEvent), make("b", A, A), make("c", B, B))

    assert [each.partition(";")[0] for each in found] == [
        "a run never leaves the loop b -> b",
        "a run never leaves the loop c -> c",
    ]


def test_what_leads_into_a_loop_without_an_end_is_not_told_again() -> None:
    found = problems(
        make("a", StartEvent, A | B | StopEvent), make("b", A, C), make("c", B, C), make("d", C, C)
    )

    assert len(found) == 1


@pytest.mark.parametrize(
    "leaves",
    [
        make("b", A, A | None),
        make("b", A, A | StopEvent),
        make("b", A, A | B),
        make("b", A, list[A]),
        make("b", A, A | InputRequestEvent),
        make("b", A, A, context=True),
    ],
)
def test_a_loop_with_a_way_out_is_sound(leaves: AnyStep) -> None:
    start = make("a", StartEvent, A | StopEvent)
    leaf, answer = make("c", B, None), make("d", InputResponseEvent, None)
    gives = leaves.resolve()
    rest = [leaf] * (B in gives.emits) + [answer] * (InputRequestEvent in gives.emits)

    assert problems(start, leaves, *rest) == ()


def test_a_loop_that_a_human_takes_part_in_may_end() -> None:
    start = make("start", StartEvent, A | StopEvent)

    assert (
        problems(start, make("ask", A, InputRequestEvent), make("got", InputResponseEvent, A)) == ()
    )


def test_a_step_that_only_raises_is_no_loop() -> None:
    assert problems(make("start", StartEvent, A | StopEvent), make("b", A, NoReturn)) == ()


def test_a_loop_through_a_fan_out_and_its_gather_is_a_loop() -> None:
    found = problem(
        make("a", StartEvent, A | StopEvent),
        make("split", A, list[Work]),
        work,
        make("reduce", list[Done], A),
    )

    assert "a run never leaves the loop split -> work -> reduce -> split" in found


def test_a_loop_that_emits_what_is_ignored_may_end() -> None:
    steps = [make("a", StartEvent, A | StopEvent), make("b", A, A | B)]

    assert problems(*steps, on_unhandled="ignore") == ()


# ---- any graph -----------------------------------------------------------------------------------

KINDS = [A, B, C, D, ChildOfA, StartEvent, StopEvent, InputRequestEvent, InputResponseEvent, Event]
TAKEN = [kind for kind in [*KINDS, StepFailed] if kind is not StopEvent]


@st.composite
def any_step(draw: st.DrawFn) -> Callable[[int], AnyStep]:
    takes: Any = draw(st.sampled_from(TAKEN))
    gives: Any = draw(st.sampled_from([None, *KINDS]))
    if takes is not StepFailed:
        form = draw(st.sampled_from(["each", "each", "each", "gather", "batch", "pair", "of"]))
        other = draw(st.sampled_from([A, B, C]))
        of = draw(st.lists(st.sampled_from(["step0", "step1", "step2"]), min_size=1, max_size=2))
        takes = {
            "each": takes,
            "gather": list[takes],
            "batch": Annotated[list[takes], Batch(2)],
            "pair": (takes, other),
            "of": Annotated[list[takes], Gather(of=of)],
        }[form]
    if draw(st.booleans()):
        gives = list[draw(st.sampled_from(KINDS))] | gives
    context = draw(st.integers(0, 9)) == 0
    options = {"emits": draw(st.lists(st.sampled_from([A, "x"])))} if draw(st.booleans()) else {}
    return lambda index: make(f"step{index}", takes, gives, context=context, **options)


@given(
    steps=st.lists(any_step(), max_size=8), ignore=st.booleans(), external=st.sampled_from(KINDS)
)
def test_any_workflow_is_sound_or_refused(
    steps: list[Callable[[int], AnyStep]], ignore: bool, external: type[Event]
) -> None:
    made = [each(index) for index, each in enumerate(steps)]
    try:
        graph = build("w", made, on_unhandled="ignore" if ignore else "error", external=[external])
    except DefinitionError as error:
        assert error.problems
        assert len(set(error.problems)) == len(error.problems)
        return
    bound = set(itertools.chain(*(planned.gathers for planned in graph.plan.steps)))
    assert bound == {each.index for each in graph.plan.steps if each.mode is Mode.GATHER}
    assert all(
        graph.steps[each.index].fans_out is not None for each in graph.plan.steps if each.gathers
    )
    assert graph.to_mermaid().startswith("flowchart")
    assert graph.to_dot().startswith("digraph")


SOUND = [split, work, reduce, make("log", Event, None), make("handler", StepFailed, None)]


@given(order=st.permutations(SOUND))
def test_the_order_of_the_list_changes_no_binding(order: list[AnyStep]) -> None:
    assert gathers(build("w", order)) == {"split": ("reduce",)}


def test_a_workflow_of_50_steps_is_built_quickly() -> None:
    """At most 10 ms is the target; the bound here allows for a busy machine."""
    kinds = [type(f"Kind{i}", (Event,), {}) for i in range(50)]
    steps = [make("first", StartEvent, list[kinds[0]])]
    steps += [make(f"step{i}", kinds[i], kinds[i + 1] | None) for i in range(48)]
    steps.append(make("last", list[kinds[48]], StopEvent))

    def seconds() -> float:
        began = time.perf_counter()
        build("w", steps)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.05
