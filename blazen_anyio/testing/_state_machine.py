"""A Hypothesis state machine made from a workflow: every input of a run, in any order.

The bare machine is driven, with no step body. So what is tested is the workflow as it is declared:
its joins, limits, retries, error steps and time-outs, under whatever its steps may return. Users
add invariants of their own, which see the run after every rule.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from .._events import Event, InputResponseEvent, StopEvent
from .._exceptions import WorkflowFullError
from .._workflow import Workflow
from ._driver import Invocation
from ._driving import DrivenRun, drive
from ._event_strategies import events, plain_values
from ._faults import InjectedError
from ._workflow_strategies import returns, starts

__all__ = ["WorkflowStateMachine"]

_DATA = st.data()


class WorkflowStateMachine(RuleBasedStateMachine):
    """Drives runs of a workflow in every way that there is.

    Subclass it, set :attr:`workflow`, and add what must always hold; pytest runs its ``TestCase``.
    When a run ends the next begins; :attr:`run` is the one under way, or the one that has just
    ended.

    Attributes:
        workflow: the workflow.
        run: the run under way.

    Example::

        class ShopMachine(WorkflowStateMachine):
            workflow = shop

            @invariant()
            def stock_is_never_negative(self):
                assert self.run.state.get("stock", 0) >= 0

        TestShop = ShopMachine.TestCase
    """

    workflow: ClassVar[Workflow[Any]]
    run: DrivenRun

    # ---- for subclasses ------------------------------------------------------------------------

    def starts(self) -> st.SearchStrategy[Event]:
        """What may start a run; by default what the workflow declares."""
        return starts(self.workflow)

    def returns(self, invocation: Invocation) -> st.SearchStrategy[Any]:
        """What a step may return; by default what it declares."""
        return returns(self.workflow, invocation.step)

    def errors(self, invocation: Invocation) -> st.SearchStrategy[BaseException]:
        """What a step may raise."""
        return st.builds(InjectedError)

    def answers(self) -> st.SearchStrategy[Any]:
        """What a human may answer."""
        return plain_values()

    # ---- rules ---------------------------------------------------------------------------------

    @initialize(data=_DATA)
    def begin(self, data: st.DataObject) -> None:
        """A run begins."""
        self.run = drive(self.workflow, data.draw(self.starts()))
        self._yielded: dict[int, list[Event]] = {}

    def _invocation(self, data: st.DataObject) -> Invocation | None:
        """An attempt that is ready; the next run begins where the last has ended."""
        if self.run.ended:
            self.begin(data)
        ready = self.run.ready
        return data.draw(st.sampled_from(ready)) if ready else None

    @rule(data=_DATA)
    def complete(self, data: st.DataObject) -> None:
        """A step returns; where none is ready, a human answers or time passes."""
        invocation = self._invocation(data)
        if invocation is not None:
            self.run.complete(invocation, data.draw(self.returns(invocation)))
        elif self.run.requests:
            self.answer(data)
        elif self.run.status == "paused":
            self.run.resume()
        elif self.run.next_deadline is not None:
            self.run.advance(max(0.0, self.run.next_deadline - self.run.now))

    @rule(data=_DATA)
    def complete_more(self, data: st.DataObject) -> None:
        """Ordinary work is what mostly happens."""
        self.complete(data)

    @rule(data=_DATA)
    def fail(self, data: st.DataObject) -> None:
        """A step raises."""
        invocation = self._invocation(data)
        if invocation is not None:
            self.run.fail(invocation, data.draw(self.errors(invocation)))

    @rule(data=_DATA)
    def emit(self, data: st.DataObject) -> None:
        """A generator yields."""
        invocation = self._invocation(data)
        if invocation is None:
            return
        plan = self.workflow.graph.plan.step(invocation.step)
        kinds = self.workflow.graph.steps[plan.index].fans_out
        if plan.generates and kinds:
            # A later attempt has to yield again what an earlier one has let out.
            before = self._yielded.setdefault(invocation.id, [])
            if invocation.effects >= len(before):  # pragma: no branch  # a retry is seldom drawn
                before.append(data.draw(events(data.draw(st.sampled_from(kinds)))))
            self.run.emit(invocation, before[invocation.effects])

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 60.0]))
    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.run.advance(seconds)

    @rule(data=_DATA)
    def answer(self, data: st.DataObject) -> None:
        """A human answers one of the open requests."""
        if not self.run.ended and self.run.requests:
            request = data.draw(st.sampled_from(self.run.requests))
            self.run.answer(data.draw(self.answers()), request)

    @rule(data=_DATA)
    def send(self, data: st.DataObject) -> None:
        """An event comes from outside, if the workflow takes any and has room."""
        kinds = [
            kind
            for kind in self.workflow.graph.plan.external
            if not issubclass(kind, (StopEvent, InputResponseEvent))
        ]
        if not self.run.ended and kinds:
            kind = data.draw(st.sampled_from(kinds))
            with suppress(WorkflowFullError):
                self.run.send(data.draw(events(kind)))

    @rule(pauses=st.booleans())
    def pause_or_resume(self, pauses: bool) -> None:
        """Somebody pauses the run, or lets it go on."""
        if pauses:
            self.run.pause()
        else:
            self.run.resume()

    @rule()
    def snapshot_and_restore(self) -> None:
        """The run goes on elsewhere from its snapshot."""
        if self.run.status != "completed":
            self.run = self.run.restored()
