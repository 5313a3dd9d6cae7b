"""Claims: fan-out and fan-in; errors, retries, time; see ``claims``."""

from __future__ import annotations

from . import children, early, effects, errors, fan_in, joins, routing
from .claim import DEFINITION, ONE_PROCESS, WORDS, Claim, claim

__all__ = ["CLAIMS"]

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "Fan-out and fan-in": (
        claim(
            "A step with a `list[Done]` parameter is a *gather* step.",
            fan_in.gather_in_the_order_of_the_fan_out,
        ),
        claim(
            "those that `Gather(of=...)` names, or else those whose events reach its type with no "
            "other fan-out in between",
            fan_in.gather_of_the_outer_fan_out,
            fan_in.nested_fan_outs,
            fan_in.crawler,
        ),
        claim(
            "A gather bound to none, or to fan-outs of which one can be nested in another, is a "
            "definition error",
            rest=DEFINITION,
            tests="test_fan_in.py contract/test_refusals.py",
        ),
        claim(
            "alternatives may share a gather; `of` takes a step or a list of steps.",
            fan_in.alternatives_share_a_gather,
        ),
        claim(
            "An event of its type outside every bound scope counts as unhandled.",
            fan_in.gathered_type_outside_its_scope,
        ),
        claim(
            "`ctx.fan_out` is declared by the annotation (`list[A] | None`), takes effect with "
            "the attempt, one scope per call; returning `None` opens none.",
            effects.fan_out_by_hand,
            effects.none_opens_no_fan_out,
        ),
        claim(
            "The gather fires exactly once per scope, when the scope has drained",
            fan_in.several_gathers_on_one_scope,
            fan_in.workers_that_return_nothing,
            fan_in.gather_before_what_follows,
        ),
        claim(
            "within one branch: by cause, then in the order sent",
            fan_in.order_within_a_branch,
        ),
        claim("with `[]` for an empty one", fan_in.empty_fan_out),
        claim(
            "with every `Done` of that scope in the order of the fan-out, not of completion",
            fan_in.gather_in_the_order_of_the_fan_out,
        ),
        claim("Its own output belongs to the parent scope.", fan_in.nested_fan_outs),
        claim(
            "The token rule: an event counts once per accepting step.",
            fan_in.once_per_accepting_step,
        ),
        claim(
            "A scope is live while it has deliveries queued, blocked, running or delayed, a "
            "waiting step, an open request, a child scope, or its opener.",
            fan_in.scope_is_live_while_anything_of_it_is,
            fan_in.nested_fan_outs,
        ),
        claim(
            "Reaching a gather or half a pair spends the token",
            fan_in.nested_fan_outs,
            joins.half_a_pair,
        ),
        claim(
            "a retry keeps it; `StepFailed` inherits it.",
            fan_in.failure_inherits_the_token,
        ),
        claim(
            "a generator's invocation holds its scope through its retries, and when they are "
            "exhausted the scope is abandoned and `StepFailed` goes to the parent",
            early.generator_repeats_nothing,
            fan_in.exhausted_generator_abandons_its_scope,
        ),
        claim(
            "cancels what is left of the scope at the third (descendants, delays, requests and "
            "children too)",
            joins.first_two_of_many,
            children.child_is_cancelled_with_its_branch,
        ),
        claim(
            "fires when the scope is empty, losers' cleanup included; if it drains earlier, with "
            "what came",
            joins.losers_clean_up_first,
            joins.count_that_is_not_reached,
        ),
        claim(
            "fires for every `n` in order of arrival, scope or not; what is left at the end of a "
            "scope fires too; its output stays in the scope.",
            joins.batches_at_the_root,
            joins.batches_in_a_scope,
        ),
        claim(
            "pair first in, first out within one branch",
            joins.pairs_by_branch,
            joins.pairs_first_in_first_out,
        ),
        claim(
            "half a pair left at the drain is a `JoinIncompleteError`",
            joins.half_a_pair,
        ),
        claim(
            "The root has no drain: there `WorkflowStalledError` names it, as it does the rest of "
            "a batch or a short collect.",
            routing.stalled,
            joins.rest_of_a_batch_at_the_root,
        ),
        claim("`None` until `n` have come, then the oldest `n`.", joins.collect_events),
        claim(
            "Only in a step with `max_concurrency=1` (elsewhere an error that says so and names "
            "`Gather` and `Batch`)",
            joins.collect_needs_one_at_a_time,
        ),
    ),
    "Errors, retries, time": (
        claim(
            "`Retry(...)` is a frozen, pure policy (attempts, exponential wait, jitter, which "
            "exceptions, total time)",
            errors.retries_with_delays,
            errors.retry_on_some_exceptions,
            errors.no_retry_past_max_elapsed,
        ),
        claim(
            "delays live in the machine, survive a snapshot, hold no slot. `ctx.attempt` counts "
            "from 1.",
            errors.delay_holds_no_slot,
            errors.retries_with_delays,
        ),
        claim(
            "a step that accepts `StepFailed` (all but handlers, or `for_steps=[...]`) gets the "
            "failure as an event",
            errors.error_step,
            errors.error_step_for_some_steps,
            errors.bounded_recoveries,
        ),
        claim(
            "a handler's own failure is never routed to itself",
            errors.failing_error_step,
            rest="both errors are in the chain while the first is alive, in one process",
            tests="engine/test_error_steps.py",
        ),
        claim(
            "Otherwise the run fails with `StepFailedError`, raised from the original exception "
            "object",
            errors.exhausted_retries_fail_the_run,
            rest=ONE_PROCESS,
            tests="engine/test_errors.py",
        ),
        claim(
            "other concurrent failures are attached",
            rest=ONE_PROCESS,
            tests="engine/test_errors.py",
        ),
        claim(
            "`StepFailed` keeps type, message and traceback text; its live exception is gone "
            "after a resume.",
            errors.error_step,
        ),
        claim(
            "a group with one leaf that is no cancellation is unwrapped, whoever made it; larger "
            "ones stay",
            errors.groups_of_one_are_unwrapped,
            rest=ONE_PROCESS,
            tests="engine/test_errors.py engine/test_hostile_steps.py test_retry.py",
        ),
        claim(
            "`KeyboardInterrupt` and `SystemExit` are never retried.",
            rest="they end the process",
            tests="test_retry.py engine/test_errors.py",
        ),
        claim(
            "A run's timeout counts the time it is active: neither paused nor only waiting for a "
            "human.",
            errors.run_timeout,
            errors.paused_time_does_not_count,
            errors.time_of_humans_does_not_count,
        ),
        claim("No default timeout.", rest=WORDS, tests="engine/test_timeouts.py"),
        claim(
            "Delays are wall-clock and elapse while suspended.",
            early.delayed_send,
            rest="virtual time does not move the clock on the wall; here a second or two elapses",
            tests="engine/test_snapshots.py",
        ),
        claim(
            "Step timeouts run during a pause, not while the engine makes the step wait.",
            errors.step_timeout,
            errors.step_timeout_stands_still_in_a_wait,
            rest="a run that is taken up is not paused",
            tests="engine/test_timeouts.py",
        ),
        claim(
            "Errors form one tree under `WorkflowError`",
            rest=WORDS,
            tests="contract/test_error_tree.py",
        ),
    ),
}
