"""Claims: events, steps, what they do, state, routing; see ``claims``."""

from __future__ import annotations

from . import early, effects, errors, events, fan_in, joins, routing, state, steps, waiting
from .claim import DEFINITION, ONE_PROCESS, STORE, TYPES, Claim, claim

__all__ = ["CLAIMS"]

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "Events": (
        claim(
            "`class Greet(Event): name: str` is all it takes: a subclass of `Event` becomes a "
            "frozen attrs class",
            events.event_with_fields,
            rest=TYPES,
            tests="typing/steps.py",
        ),
        claim(
            "Each class has a stable `event_type` for snapshots: module and qualified name, or "
            'what `class Greet(Event, event_type="app.Greet")` says',
            events.stable_event_types,
        ),
        claim(
            "Two classes with one `event_type` in a workflow: a definition error.",
            rest=DEFINITION,
            tests="engine/test_bad_input.py",
        ),
        claim("A store refuses a default `event_type` from `__main__`", rest=STORE),
        claim(
            "`StartEvent(data={...})` and `StopEvent(result=...)`; both may be subclassed with "
            "typed fields.",
            events.plain_start_and_stop,
            events.typed_start_and_stop,
        ),
        claim(
            "`DynamicEvent(event_type, data)` stands for a type this process has no class for.",
            events.dynamic_event,
        ),
    ),
    "Steps": (
        claim(
            "One parameter annotated with an event type (or a union) says what it accepts",
            events.union,
        ),
        claim(
            "`Context` may be asked for or left out, in any order",
            events.context_in_any_order,
        ),
        claim(
            "A signature that says nothing usable is an error at decoration",
            rest=DEFINITION,
            tests="test_steps.py",
        ),
        claim(
            "Matching follows the type: a step that accepts `Base` receives `Derived`.",
            events.subclass_is_matched,
        ),
        claim(
            "`Event` itself matches every event of the user's, but no control event",
            events.event_matches_what_is_the_users,
        ),
        claim("`StartEvent` is the user's.", events.event_matches_what_is_the_users),
        claim(
            "`def` runs in a worker thread (its sends and writes are buffered like any attempt's; "
            "other `ctx` calls work from the thread)",
            steps.def_step_runs_in_a_thread,
        ),
        claim("`async def` with `yield` is a generator step", steps.generator_step),
        claim(
            'Methods work: `Workflow("x", [service.fetch, service.parse])`.',
            steps.methods_are_steps,
        ),
        claim(
            "A workflow has `max_concurrency` and `timeout` of its own.",
            steps.waiting_gives_the_slot_back,
            errors.run_timeout,
        ),
        claim(
            "A limit holds for one run and is fair, first come first served",
            steps.first_come_first_served,
        ),
        claim("a step that is full never blocks another", steps.full_step_blocks_nobody),
        claim(
            "waiting in the engine (for input, an event, room) gives the slot back",
            steps.waiting_gives_the_slot_back,
            fan_in.backpressure,
        ),
        claim(
            "`timeout` on a `def` step is a definition error unless the step says "
            "`cooperative=True`",
            steps.cooperative_thread_times_out,
            rest=DEFINITION,
            tests="engine/test_bad_input.py",
        ),
    ),
    "What a step does to the run": (
        claim(
            "its state writes take effect together when the attempt succeeds. A failed, timed-out "
            "or cancelled attempt sends nothing and writes nothing.",
            effects.all_or_nothing,
        ),
        claim(
            "A `list` (and each `yield`) is a fan-out; a `tuple` is several events without one",
            effects.tuple_is_no_fan_out,
        ),
        claim("`ctx.fan_out(events)` is the imperative form.", effects.fan_out_by_hand),
        claim(
            "**Early effects**: what a generator step yields, `ctx.send_event(event, "
            "immediate=True)`, what a wait lets out, requests, child runs.",
            early.early_send_is_not_sent_twice,
            early.generator_repeats_nothing,
            early.what_a_generator_yielded_stays,
            waiting.sends_leave_before_a_wait,
        ),
        claim(
            "They are numbered per invocation and remembered with a digest. A later attempt or "
            "delivery makes them again; while number and digest agree they are not sent twice.",
            early.early_send_is_not_sent_twice,
            early.generator_repeats_nothing,
            waiting.waiting_step_starts_again_from_its_top,
        ),
        claim(
            "At the first difference the fan-out scope of the earlier attempt is abandoned (its "
            "work cancelled, its results dropped) and all that this attempt yields goes into a "
            "new one",
            early.different_yield_abandons_the_fan_out,
        ),
        claim(
            "an attempt that ends with fewer effects differs at that point",
            early.fewer_yields_abandon_the_fan_out,
        ),
        claim(
            "any other difference fails the run with `NonDeterministicStepError`",
            early.other_difference_fails_the_run,
        ),
        claim(
            "An answered request and a claimed event are remembered with their number and given "
            "again.",
            early.answer_is_given_again,
            early.claimed_event_is_given_again,
        ),
        claim(
            "`ctx.write_event_to_stream(event)` is for watchers: at once, never routed.",
            early.stream_is_not_routed,
        ),
        claim(
            "An attempt that finishes although its timeout or a suspension is under way counts as "
            "finished",
            early.finishing_after_the_timeout_counts,
            early.finishing_during_a_suspension_counts,
        ),
        claim(
            "after a `StopEvent` or a closing gather it is discarded",
            joins.losers_clean_up_first,
            rest="a run that has stopped has no snapshot",
            tests="engine/test_commit.py",
        ),
    ),
    "State": (
        claim(
            "An attempt reads committed state under its own writes; its writes apply together "
            "when it succeeds, and nobody sees them earlier.",
            state.own_writes_over_committed_state,
        ),
        claim(
            "Writing a key that another attempt committed since this one read it fails the "
            "attempt with `StateConflictError` (retryable",
            state.conflict_is_retried,
        ),
        claim(
            "A conflict without a `Retry` is final.",
            state.conflict_without_retry_is_final,
        ),
        claim(
            "`ctx.state.apply(key, fn, default=None)` never conflicts",
            state.apply_never_conflicts,
        ),
        claim(
            "A value is copied when it is set; a container read from state is a private copy, and "
            "changing it is a write of its key",
            state.containers_are_private,
        ),
        claim(
            "(an unstorable change fails the commit with `StateValueError`)",
            state.unstorable_change_fails_the_commit,
        ),
        claim(
            "`in` reads its key; `len` and iteration read none.",
            state.membership_reads_its_key,
            state.counting_reads_nothing,
        ),
        claim(
            '`StateKey("count", int, default=0)` gives a typed key, whose default also serves '
            "`apply`",
            state.typed_key,
            rest=TYPES,
            tests="typing/state.py",
        ),
    ),
    "Routing": (
        claim(
            "Events are handled in the order in which they were committed.",
            routing.committed_order,
        ),
        claim(
            "Every accepting step gets the event.",
            routing.every_acceptor_in_the_order_of_the_list,
        ),
        claim(
            "The first committed `StopEvent` ends the run at once, ahead of the queue: in-flight "
            "steps are cancelled and awaited",
            routing.first_stop_ends_the_run,
            routing.what_runs_is_cancelled_and_awaited,
        ),
        claim(
            "errors in their cleanup are logged and published, the result stands",
            rest=ONE_PROCESS,
            tests="engine/test_cancellation.py",
        ),
        claim(
            "An event that nobody accepts fails the run (`NoHandlerError`), unless the workflow "
            'says `on_unhandled="ignore"`.',
            routing.nobody_accepts_it,
            routing.unhandled_may_be_ignored,
        ),
        claim(
            "`WorkflowStalledError` at once, naming what each join still waits for",
            routing.stalled,
        ),
        claim(
            "A workflow that receives events from outside declares them (`external=[...]`), and "
            "then idles while its handle is open.",
            routing.external_events,
            routing.idle_without_a_handle,
        ),
    ),
}
