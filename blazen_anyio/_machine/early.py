"""Early effects: what an attempt lets out before it has succeeded, and does not let out twice.

They are numbered per invocation and remembered with a digest. A later attempt or delivery makes
them again; while number and digest agree nothing is sent. At the first difference among what a
generator yields, the scope of the earlier attempt is abandoned and all that this attempt yields
goes into a new one; any other difference is a :class:`NonDeterministicStepError`.

Waits and requests inside a step are early effects, too: how they ended is remembered with their
number and given again. While a step waits in the engine it holds no slot and its time limit stands
still.
"""

from __future__ import annotations

from .._events import Event, InputRequestEvent
from .._exceptions import NonDeterministicStepError
from .ledger import Ledger
from .live import Children, Delivery, Effect, EffectKind, Record, Scope
from .outcome import Offer
from .routing import Routing
from .scopes import Scopes

__all__ = ["Early"]


class Early:
    """The rules of early effects."""

    __slots__ = ("_ledger", "_routing", "_scopes")

    def __init__(self, ledger: Ledger, routing: Routing, scopes: Scopes) -> None:
        self._ledger = ledger
        self._routing = routing
        self._scopes = scopes

    # ---- sends and yields ----------------------------------------------------------------------

    def send(self, delivery: Delivery, event: Event, digest: str, due: float | None) -> None:
        """Route an event at once or when it is due, unless an earlier attempt did."""
        if self._repeat(delivery, "send", digest) is None:
            number = self._new(delivery, "send", digest).number
            if due is not None:
                self._routing.emit_later(event, delivery, number, due)
            else:
                self._routing.emit(event, delivery, number, delivery.scope, delivery.branch)

    def give(self, delivery: Delivery, event: Event, digest: str) -> None:
        """Route what a generator yields, unless an earlier attempt yielded the same here."""
        effects, number = delivery.effects or [], delivery.cursor
        if number < len(effects):
            if effects[number].kind == "yield" and effects[number].digest == digest:
                delivery.cursor += 1
                if delivery.repeated is None:
                    delivery.repeated = []
                delivery.repeated.append(event)
                return
            self._start_over(delivery)
        effect = self._new(delivery, "yield", digest)
        self._give(delivery, event, effect, self._opened(delivery))

    def _give(self, delivery: Delivery, event: Event, effect: Effect, scope: Scope) -> None:
        effect.scope = scope
        branch = delivery.branch
        if scope is not delivery.scope:
            branch = scope.items
            scope.items += 1
            self._ledger.touch_scope(scope)
        self._routing.emit(event, delivery, effect.number, scope, branch)

    def _opened(self, delivery: Delivery) -> Scope:
        """The scope that a generator yields into: its own if a gather is bound to it."""
        if delivery.opened is not None:
            return delivery.opened
        step = delivery.step
        own = delivery.scope if not step.gathers else delivery.scope.opened_by(step)
        if own is not None:
            return own
        opened = self._ledger.open_scope(delivery.scope, delivery.branch, step, delivery.recoveries)
        opened.held_by = delivery
        opened.members[delivery] = None
        delivery.opened = opened
        return opened

    def _start_over(self, delivery: Delivery) -> None:
        """This attempt differs from the earlier one: all that it yields goes into a new scope."""
        effects, opened = delivery.effects, delivery.opened
        assert effects is not None
        rest = effects[delivery.cursor :]
        if opened is None or any(effect.kind != "yield" for effect in rest):
            raise self._differs(delivery, f"the earlier attempt made a {rest[0].kind} here")
        self.give_up(delivery)
        for effect in rest:
            self._ledger.forget_effect(effect)
        del effects[delivery.cursor :]
        again = [effect for effect in effects if effect.kind == "yield"]
        for effect, event in zip(again, delivery.repeated or (), strict=True):
            self._give(delivery, event, effect, self._opened(delivery))
            self._ledger.touch_effect(effect)

    def finish(self, delivery: Delivery) -> None:
        """An attempt has succeeded: fewer early effects than before are a difference, too.

        Raises:
            NonDeterministicStepError: there are, and they can't be undone.
        """
        if delivery.children is not None:
            self._finish_children(delivery, delivery.children)
        if delivery.effects is not None and delivery.cursor < len(delivery.effects):
            self._start_over(delivery)
        if delivery.step.generates:
            self._opened(delivery)  # a generator that yielded nothing is an empty fan-out
            self._scopes.release(delivery)

    def _finish_children(self, delivery: Delivery, children: Children) -> None:
        for child in children.runs:
            if not child.begun:
                detail = f"an earlier delivery ran workflow {child.workflow!r} with another event"
                raise NonDeterministicStepError(delivery.step.name, child.number, detail)

    def give_up(self, delivery: Delivery) -> None:
        """What the invocation fanned out early counts no more."""
        if delivery.opened is not None:
            if not delivery.opened.closing:  # else its gather has what it wants
                self._scopes.abandon(delivery.opened)
            self._scopes.release(delivery)

    # ---- waiting inside a step -----------------------------------------------------------------

    def wait(self, delivery: Delivery, digest: str, due: float | None, now: float) -> Effect:
        """Suspend an attempt until an event is claimed for it, unless that is known already."""
        effect = self._repeat(delivery, "wait", digest) or self._new(delivery, "wait", digest)
        if effect.settled is None:
            self._suspend(delivery, effect, due, now)
        return effect

    def ask(
        self,
        delivery: Delivery,
        event: InputRequestEvent,
        digest: str,
        due: float | None,
        now: float,
    ) -> Effect:
        """Ask a human and suspend the attempt until the answer is there, unless it is already."""
        effect = self._repeat(delivery, "request", digest) or self._new(delivery, "request", digest)
        if effect.settled is None:
            if effect.request not in self._ledger.requests:
                request = self._routing.ask(event, delivery)
                request.effect = effect
                effect.request = request.id
            self._suspend(delivery, effect, due, now)
        return effect

    def claim(self, delivery: Delivery, effect: Effect, record: Record) -> None:
        """Give an event of the mailbox to the wait that claimed it."""
        ledger = self._ledger
        del ledger.mailbox[record.id]
        record.mailbox = False
        ledger.touch_record(record)
        ledger.let_go(record)
        ledger.settle_effect(effect, delivery, "answered", record.event)

    def timed_out(self, delivery: Delivery, effect: Effect) -> None:
        """A wait is over without what it waited for."""
        request = self._ledger.requests.get(effect.request)
        if request is not None:
            self._ledger.close_request(request, "withdrawn")
        self._ledger.settle_effect(effect, delivery, "timed_out", None)

    def leave_wait(self, delivery: Delivery) -> None:
        """An attempt has left its wait. A later one that comes to it waits again, from the start.

        The wait keeps its number, or what the attempt lets out from here on would be taken for
        something else than what a later attempt lets out after the wait.
        """
        ledger = self._ledger
        effect = ledger.waiting[delivery]
        effect.due = None
        ledger.touch_effect(effect)
        if effect.request in ledger.requests:
            ledger.close_request(ledger.requests[effect.request], "withdrawn")
        ledger.resume_attempt(delivery)

    def _suspend(self, delivery: Delivery, effect: Effect, due: float | None, now: float) -> None:
        self._ledger.suspend_attempt(delivery, effect, now)
        if delivery.begun and not delivery.step.at_most_once:
            # While it waits it is not what its process dies of; it is begun again when it goes on.
            delivery.begun = False
            self._ledger.touch(delivery)
        if effect.due is None:
            effect.due = due
        self._ledger.touch_effect(effect)
        if effect.due is not None:
            delivery.timer = self._ledger.timers.set(effect.due, "wait", delivery)
        for record in self._ledger.mailbox.values():
            self._ledger.orders.append(Offer(record))

    # ---- numbering -----------------------------------------------------------------------------

    def _repeat(self, delivery: Delivery, kind: EffectKind, digest: str) -> Effect | None:
        """The effect that an earlier attempt made at this place, or ``None`` if this one is new.

        Raises:
            NonDeterministicStepError: the earlier one was another.
        """
        if delivery.effects is None or delivery.cursor >= len(delivery.effects):
            return None
        effect = delivery.effects[delivery.cursor]
        if effect.kind != kind or effect.digest != digest:
            raise self._differs(delivery, f"it was a {effect.kind} of other content or kind")
        delivery.cursor += 1
        return effect

    def _new(self, delivery: Delivery, kind: EffectKind, digest: str) -> Effect:
        if delivery.effects is None:
            delivery.effects = []
        effect = Effect(delivery.id, delivery.cursor, kind, digest)
        delivery.effects.append(effect)
        delivery.cursor += 1
        self._ledger.touch_effect(effect)
        return effect

    def _differs(self, delivery: Delivery, detail: str) -> NonDeterministicStepError:
        return NonDeterministicStepError(delivery.step.name, delivery.cursor, detail)
