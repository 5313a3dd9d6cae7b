"""Claims: sub-workflows, durability, names and signatures; see ``claims``."""

from __future__ import annotations

from . import (
    children,
    early,
    effects,
    errors,
    events,
    fan_in,
    live_objects,
    putting_down,
    routing,
    runs,
    waiting,
)
from .claim import CALL, DEFINITION, STORE, WORDS, Claim, claim

__all__ = ["CLAIMS"]

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "Sub-workflows": (
        claim(
            "`await ctx.run_workflow(child, event)` runs a child inside the step's scope: "
            "cancelled with it, its stream forwarded, its requests in the parent's handle, its "
            "snapshot inside the parent's (only the outermost run suspends).",
            children.child_run,
            children.several_children_at_once,
            children.child_is_cancelled_with_its_branch,
            children.stream_of_a_child_is_forwarded,
            children.requests_of_children,
            children.children_answered_on_resume,
            children.failure_of_a_child_is_its_steps,
            children.child_has_its_own_timeout,
            children.child_of_its_own,
        ),
        claim(
            "A later *delivery* goes on with its n-th child; a later *attempt* runs its children "
            "anew.",
            children.later_delivery_goes_on_with_its_children,
            children.later_attempt_runs_its_children_anew,
        ),
        claim(
            "`child.as_step(...)` makes a step of a workflow.",
            children.child_as_a_step,
            children.pipeline_of_stages,
        ),
    ),
    "Durability": (
        claim("The store holds the machine's live state as rows", rest=STORE),
        claim(
            "`ctx.idempotency_key` is stable across deliveries",
            early.idempotency_key,
            rest=STORE,
        ),
        claim(
            "`await ctx.once(key, fn, ...)` remembers a result durably inside a step.",
            waiting.waiting_step_starts_again_from_its_top,
            rest=STORE,
        ),
    ),
    "Names and signatures": (
        claim(
            "a `StopEvent` subclass is itself the result; `event_type` is not inherited.",
            events.typed_start_and_stop,
            rest=WORDS,
            tests="test_events.py",
        ),
        claim(
            "A live object in a field is fine until a snapshot or a store needs it",
            rest="such a run can't be written down",
            tests="engine/test_snapshots.py",
        ),
        claim(
            "`max_pending` bounds the deliveries that wait for the step: a generator waits at its "
            "`yield`, `run.send_event` refuses.",
            fan_in.backpressure,
            routing.full_step_refuses_from_outside,
        ),
        claim(
            "A missing return annotation and a plain `def` with `yield` are definition errors.",
            rest=DEFINITION,
            tests="test_steps.py",
        ),
        claim("Annotations do not bound `ctx.send_event`.", waiting.sent_request),
        claim(
            "Returning what is no event fails the attempt.",
            errors.what_is_no_event_fails_the_attempt,
        ),
        claim(
            "`on` is a class, a tuple or a predicate; with jitter the wait is uniform in [0, "
            "delay]; no attempt is scheduled past `max_elapsed`; `Workflow(retry=)` is the "
            "default of the steps that have none.",
            errors.delay_holds_no_slot,
            errors.no_retry_past_max_elapsed,
            rest=WORDS,
            tests="test_retry.py",
        ),
        claim(
            "`types` lists classes that state and `Any` fields may hold.",
            putting_down.values_come_back_equal,
        ),
        claim(
            "Keywords fill the one start event type that the workflow accepts, else "
            "`StartEvent.data`",
            events.typed_start_and_stop,
            events.plain_start_and_stop,
        ),
        claim("Any accepted event may start a run.", events.any_accepted_event_starts),
        claim("`resources={opener: replacement}`", live_objects.replaced_in_a_test),
        claim(
            "`run()` has no handle: a run that idles for external events raises "
            "`RunSuspendedError`. A failing `input_handler` is a `StepFailedError` from the "
            "original.",
            routing.idle_without_a_handle,
            waiting.failing_input_handler,
        ),
        claim(
            "Used after its attempt it raises `ContextClosedError`.",
            rest=CALL,
            tests="engine/test_bad_input.py",
        ),
        claim(
            "An attempt's sends come before what it returns; acceptors run in the order of the "
            "workflow's list.",
            effects.sends_come_before_what_is_returned,
            routing.every_acceptor_in_the_order_of_the_list,
        ),
        claim("A `StopEvent` is the result and not on the stream.", runs.watchers),
        claim(
            "A run that completes while paused is completed.",
            putting_down.completed_while_paused,
        ),
    ),
}
