"""Claims: runs, streams, snapshots, human input, live objects; see ``claims``."""

from __future__ import annotations

from . import events, live_objects, putting_down, routing, runs, waiting
from .claim import CALL, ONE_PROCESS, Claim, claim

__all__ = ["CLAIMS"]

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "Runs": (
        claim(
            "`Workflow(name, steps, stop=Answer)` is a `Workflow[Answer]`, and `run` returns an "
            "`Answer`; a plain `StopEvent` returns its `.result` (`Any`).",
            events.typed_start_and_stop,
            events.plain_start_and_stop,
        ),
        claim("Leaving the block waits for the run", runs.leaving_waits_for_the_run),
        claim(
            "an exception in the block cancels it (and is raised itself, unwrapped)",
            runs.exception_in_the_block_cancels,
        ),
        claim("an outer cancellation cancels it", runs.outer_cancellation_cancels),
        claim(
            "a failing run does not cancel the block. A failure that nobody fetched with "
            "`result()` is raised on leaving",
            runs.unfetched_failure_is_raised_on_leaving,
        ),
        claim("a `cancel()` is no failure", runs.cancel_is_no_failure),
        claim(
            "does not hang the exit: it is suspended, and the exit raises the error that carries "
            "the snapshot.",
            routing.idle_without_a_handle,
            putting_down.left_while_paused,
            waiting.nobody_to_answer,
        ),
        claim(
            "Lanes start only once the block has been entered.",
            rest="before it there is nothing to write down",
            tests="engine/test_handle.py",
        ),
    ),
    "Streams": (
        claim(
            "The stream carries what steps write to it and input requests; routed events show "
            "only as lifecycle facts. Any number of subscribers, each sees every one",
            runs.watchers,
        ),
        claim(
            "a subscriber that lags gets `StreamLagError(missed=n)` and may go on, or chooses "
            '`overflow="drop_oldest"`',
            rest=ONE_PROCESS,
            tests="test_streams.py engine/test_streams_in_runs.py",
        ),
        claim(
            '`"block"` (dispatch waits for it)',
            runs.slow_watcher_holds_dispatch_up,
        ),
        claim(
            "Lifecycle facts (`event_routed`, `step_started`, `step_completed`, `step_failed`",
            runs.watchers,
            rest=ONE_PROCESS,
            tests="engine/test_streams_in_runs.py engine/test_history_in_runs.py",
        ),
        claim("The stream ends, without raising, when the run does.", runs.watchers),
    ),
    "Pause, snapshot, resume": (
        claim(
            "`pause()` is synchronous and stops dispatch at once; what is running goes on; inputs "
            "are accepted and committed; `resume()` continues in place.",
            putting_down.inputs_are_taken_while_paused,
            putting_down.completed_while_paused,
        ),
        claim(
            "`snapshot()` works at any moment, is taken between two inputs",
            putting_down.values_come_back_equal,
            rest="every example shows it, at each of its inputs",
            tests="contract/test_examples.py",
        ),
        claim(
            "In-flight events count as not handled.",
            putting_down.suspended_at_once,
            waiting.waiting_step_starts_again_from_its_top,
        ),
        claim(
            "`suspend(grace=5)` pauses, gives running steps `grace` seconds, cancels the rest",
            putting_down.suspended_at_once,
            putting_down.suspended_with_grace,
            rest=ONE_PROCESS,
            tests="engine/test_suspend.py",
        ),
        claim(
            "`workflow.resume(snapshot)` is `start` from there: same run id, real event classes, "
            "all settings in force",
            putting_down.run_keeps_its_id,
        ),
        claim(
            "all unknown steps and types are listed in one error",
            rest=CALL,
            tests="engine/test_snapshots.py",
        ),
        claim("`renames={old: new}` maps them.", putting_down.renames),
        claim(
            "Snapshots are versioned plain data",
            putting_down.suspended_at_once,
            rest=CALL,
            tests="test_snapshot.py test_snapshot_fuzz.py",
        ),
        claim(
            "Values come back equal and of the same type",
            putting_down.values_come_back_equal,
            rest=CALL,
            tests="test_codec.py engine/test_state_in_runs.py",
        ),
    ),
    "Human input": (
        claim(
            "A step returns (or sends) an `InputRequestEvent(prompt, metadata)`; it gets a unique "
            "`request_id`, shows on the stream and in `run.requests`",
            waiting.returned_request,
            waiting.sent_request,
        ),
        claim("other work goes on", waiting.other_work_goes_on),
        claim(
            "routes an `InputResponseEvent` into the request's scope and branch",
            waiting.answers_keep_their_branch,
        ),
        claim(
            "an unknown, answered or withdrawn id is an error",
            waiting.only_open_requests_are_answered,
        ),
        claim("Several may be open at once.", waiting.answers_keep_their_branch),
        claim(
            "An `input_handler=` answers in a task of its own.",
            waiting.input_handler,
            waiting.failing_input_handler,
        ),
        claim(
            "`await ctx.request_input(prompt)` waits inside a step.",
            waiting.request_input_inside_a_step,
            waiting.request_times_out,
        ),
        claim(
            "With no way to answer (no handler, no open handle), the run suspends when nothing "
            "else is left to do",
            waiting.nobody_to_answer,
        ),
        claim(
            "`workflow.resume(snapshot, responses={request_id: value})`",
            waiting.answered_on_resume,
        ),
        claim(
            "`await ctx.wait_for_event(Approved, where=..., timeout=...)` waits inside a step "
            "that declares it (`@step(waits=[Approved])`).",
            waiting.wait_for_event_where,
            waiting.wait_times_out,
            waiting.undeclared_wait,
        ),
        claim(
            "What the step has sent so far leaves before it waits.",
            waiting.sends_leave_before_a_wait,
        ),
        claim(
            "Events of these types that nobody claims sit in the run's mailbox",
            waiting.mailbox,
        ),
        claim(
            "waiters are served first in, first out; one event satisfies one wait",
            waiting.waiters_first_in_first_out,
        ),
        claim(
            "A pause does not wait for a waiter",
            waiting.pause_does_not_wait_for_a_waiter,
        ),
        claim(
            "after a resume the step starts again from its top, its early effects not repeated "
            "(`ctx.once` keeps what else must not happen twice)",
            waiting.waiting_step_starts_again_from_its_top,
        ),
    ),
    "Live objects": (
        claim(
            "entered once per run (or per workflow: then `async with workflow:`) on first use",
            live_objects.opened_once_for_a_run,
            live_objects.shared_by_the_runs_of_a_workflow,
            live_objects.opened_for_each_attempt,
        ),
        claim(
            "Each lives in a host task of its own, outside the step group",
            rest=ONE_PROCESS,
            tests="engine/test_resources.py",
        ),
        claim(
            "concurrent first uses share one opening; a failed opening is not cached",
            live_objects.opened_once_for_a_run,
            live_objects.failed_opening_is_not_cached,
        ),
        claim(
            "closed in reverse order when the run ends, opened afresh after a resume, never in a "
            "snapshot.",
            live_objects.closed_in_reverse_order,
        ),
    ),
}
