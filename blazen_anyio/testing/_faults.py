"""Faults as data: what goes wrong in a simulation, where, and how often.

A fault names a step and which of its attempts it strikes, counted over the run from 1. In a list,
``faults=[Raise("charge")]``, each strikes for certain; in :meth:`Faults.any` each may strike, as
the seed or the exploration has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from .._numbers import check_count, check_seconds

__all__ = [
    "ClockJump",
    "Duplicate",
    "Fault",
    "Faults",
    "Hang",
    "Human",
    "InjectedError",
    "Late",
    "Raise",
    "Slow",
    "StepFault",
    "StoreFails",
]


class InjectedError(Exception):
    """What a step raises in a simulation where a fault says no more than that it fails."""

    __module__ = "blazen_anyio.testing"  # where it is imported from, in tracebacks and transcripts


def _check_on(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_count(f"{type(instance).__name__}(on=...)", value)


def _check_seconds(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check_seconds(f"{type(instance).__name__}({attribute.name}=...)", value)


def _check_step(instance: object, attribute: attrs.Attribute[Any], step: object) -> None:
    if not isinstance(step, str):
        raise TypeError(f"{type(instance).__name__} takes the name of a step, not {step!r}")


def _check_error(instance: object, attribute: attrs.Attribute[Any], error: object) -> None:
    if not isinstance(error, BaseException) and not (
        isinstance(error, type) and issubclass(error, BaseException)
    ):
        raise TypeError(f"Raise(error=...) takes an exception or its class, not {error!r}")


_may_be_on = attrs.validators.optional(_check_on)
_may_be_seconds = attrs.validators.optional(_check_seconds)


@attrs.frozen
class StepFault:
    """A fault of a step.

    Attributes:
        step: the name of the step; with its workflow's before it for a child's, as in
            ``"payment/charge"``.
        on: which attempt, counted over the run from 1; ``None`` for every one.
    """

    step: str = attrs.field(validator=_check_step)
    on: int | None = attrs.field(default=None, validator=_may_be_on, kw_only=True)

    def strikes(self, names: Sequence[str], number: int) -> bool:
        """Whether it strikes the ``number``-th attempt of the step with these names."""
        return self.step in names and self.on in (None, number)


@attrs.frozen
class Raise(StepFault):
    """The step raises.

    Attributes:
        error: an exception or its class.
        after: raise after the body has run, as if its success had got lost on the way.
    """

    error: BaseException | type[BaseException] = attrs.field(
        default=InjectedError, validator=_check_error
    )
    after: bool = attrs.field(default=False, kw_only=True)

    def __str__(self) -> str:
        kind = self.error if isinstance(self.error, type) else type(self.error)
        return f"raises {kind.__name__}" + (" after its work" if self.after else "")


@attrs.frozen
class Hang(StepFault):
    """The step never comes to an end by itself; its timeout or a cancellation ends it."""

    def __str__(self) -> str:
        return "hangs"


@attrs.frozen
class Slow(StepFault):
    """The step takes longer, before its body begins.

    Attributes:
        seconds: of virtual time.
    """

    seconds: float = attrs.field(default=1.0, validator=_check_seconds)

    def __str__(self) -> str:
        return f"is slow by {self.seconds:g} s"


@attrs.frozen
class Late(StepFault):
    """The step's body runs, and what it returns arrives late, whatever cancels it meanwhile.

    Attributes:
        seconds: of virtual time; by default one more than the step's timeout.
    """

    seconds: float | None = attrs.field(default=None, validator=_may_be_seconds)

    def __str__(self) -> str:
        return "returns late"


@attrs.frozen
class Duplicate(StepFault):
    """The attempt is delivered twice: its body runs, what comes of it is lost, and it runs again.

    It is what a crash just before the commit does.
    """

    def __str__(self) -> str:
        return "is delivered twice"


@attrs.frozen
class Human:
    """A human misbehaves over a request.

    Attributes:
        on: which request, counted over the run from 1; ``None`` for every one.
        late: seconds of virtual time before the answer comes.
        twice: the answer comes a second time.
        wrong: answers this instead; by default the answer is the right one.
    """

    on: int | None = attrs.field(default=None, validator=_may_be_on, kw_only=True)
    late: float = attrs.field(default=0.0, validator=_check_seconds, kw_only=True)
    twice: bool = attrs.field(default=False, kw_only=True)
    wrong: Any = attrs.field(factory=lambda: attrs.NOTHING, kw_only=True)

    def strikes(self, number: int) -> bool:
        """Whether it strikes the answer to the ``number``-th request."""
        return self.on in (None, number)

    def __str__(self) -> str:
        told = [f"late by {self.late:g} s"] if self.late else []
        told += ["twice"] if self.twice else []
        told += ["wrongly"] if self.wrong is not attrs.NOTHING else []
        return f"answers {' and '.join(told) or 'as ever'}"


@attrs.frozen
class ClockJump:
    """The clock jumps ahead, and all that is due by then becomes due at once.

    Attributes:
        seconds: how far.
        at: when, in virtual seconds from the start.
    """

    seconds: float = attrs.field(validator=_check_seconds)
    at: float = attrs.field(default=0.0, validator=_check_seconds, kw_only=True)


@attrs.frozen
class StoreFails:
    """A write to the store fails.

    Attributes:
        on: which commit, counted over the run from 1.
    """

    on: int = attrs.field(validator=_check_on)


Fault = StepFault | Human | ClockJump | StoreFails


def _check_drawable(instance: object, attribute: object, faults: tuple[object, ...]) -> None:
    for fault in faults:
        if not isinstance(fault, (StepFault, Human)):
            raise TypeError(f"{fault!r} can't be drawn; what is certain goes into faults=[...]")


def _check_rate(instance: object, attribute: object, rate: object) -> None:
    if not isinstance(rate, (int, float)) or isinstance(rate, bool):
        raise TypeError(f"rate= takes a number from 0 to 1, not {rate!r}")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate= is a number from 0 to 1, not {rate!r}")


def _check_most(instance: object, attribute: object, most: object) -> None:
    check_count("most=", most, least=0)


@attrs.frozen
class Faults:
    """Faults that may strike; see :meth:`any`.

    Attributes:
        faults: what may happen.
        rate: how likely it is that one strikes where some may.
        most: how many strike in one run at most.
    """

    faults: tuple[Fault, ...] = attrs.field(validator=_check_drawable)
    rate: float = attrs.field(default=0.1, validator=_check_rate)
    most: int = attrs.field(default=3, validator=_check_most)

    @classmethod
    def any(cls, *faults: Fault, rate: float = 0.1, most: int = 3) -> Faults:
        """Make a set of faults of which any may strike.

        Args:
            faults: of steps and of humans; a jumping clock and a failing store are certain or not
                at all.
            rate: how likely it is that one of those strikes that may, from 0 to 1.
            most: how many strike in one run at most.

        Raises:
            TypeError: one of ``faults`` can't be drawn.
            ValueError: ``rate`` or ``most`` is out of range.

        Example::

            explore(shop, order, check, faults=Faults.any(Raise("charge"), Duplicate("charge")))
        """
        return cls(faults, rate, most)


def settled(faults: Faults | Iterable[Fault]) -> Faults | tuple[Fault, ...]:
    """Faults as a simulation keeps them.

    Raises:
        TypeError: something among them is no fault.
    """
    if isinstance(faults, Faults):
        return faults
    certain = tuple(faults)
    for fault in certain:
        if not isinstance(fault, (StepFault, Human, ClockJump, StoreFails)):
            raise TypeError(f"faults= takes faults, not {fault!r}")
    return certain


def split(faults: Faults | tuple[Fault, ...]) -> tuple[tuple[Fault, ...], Faults]:
    """The faults that are certain, and those that may be drawn."""
    return ((), faults) if isinstance(faults, Faults) else (faults, Faults(()))
