"""Retry policies: pure functions of (attempt, elapsed, error, random number).

A policy is frozen data without a clock or a source of randomness: the runner asks it once per
failure and tells the machine the verdict, so that a replay never has to ask again. The shape
follows stamina.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs

from ._numbers import check_count, check_number

__all__ = ["Retry", "RetryOn"]

RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]


def _check_number(instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    check_number(f"Retry({attribute.name}=...)", value)


def _check_attempts(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    check_count("Retry(max_attempts=...)", value)


def _check_on(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    kinds = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    if all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        return
    if isinstance(value, (tuple, type)) or not callable(value):
        raise TypeError(
            f"Retry(on=...) takes an exception class, a tuple of them or a predicate, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class Retry:
    """When and how often a failed step is tried again.

    Args:
        max_attempts: attempts in all, the first one included.
        initial: the wait before the second attempt, in seconds.
        factor: by how much each further wait is longer.
        max_delay: no single wait is longer, in seconds.
        jitter: draw each wait uniformly from [0, wait] ("full jitter"), so that many runs that
            failed together do not come back together.
        on: which exceptions are worth another attempt: a class, a tuple, or a predicate.
        max_elapsed: no attempt is scheduled to start later than this many seconds after the first
            attempt started; ``None`` for no such limit.

    Example::

        @step(retry=Retry(max_attempts=5, on=ConnectionError))
        async def fetch(ev: Fetch) -> Page: ...
    """

    max_attempts: int = attrs.field(default=3, validator=_check_attempts)
    initial: float = attrs.field(default=0.1, validator=_check_number)
    factor: float = attrs.field(default=2.0, validator=_check_number)
    max_delay: float = attrs.field(default=30.0, validator=_check_number)
    jitter: bool = True
    on: RetryOn = attrs.field(default=Exception, validator=_check_on)
    max_elapsed: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_check_number)
    )

    def delay(
        self, attempt: int, elapsed: float, error: BaseException, random: float
    ) -> float | None:
        """Say how long to wait before the next attempt, or ``None`` to give up.

        Args:
            attempt: the attempt that failed, counted from 1.
            elapsed: seconds since the first attempt started.
            error: what it raised.
            random: a number from [0, 1).
        """
        if attempt >= self.max_attempts or not self._worth_it(error):
            return None
        wait = self._longest_wait(attempt) * (random if self.jitter else 1.0)
        if self.max_elapsed is not None and elapsed + wait > self.max_elapsed:
            return None
        return wait

    def _longest_wait(self, attempt: int) -> float:
        try:
            wait = self.initial * self.factor ** (attempt - 1)
        except OverflowError:
            return self.max_delay
        return min(wait, self.max_delay)

    def _worth_it(self, error: BaseException) -> bool:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return False
        on = self.on
        if isinstance(on, tuple) or isinstance(on, type):  # noqa: SIM101  # pyright narrows so
            return isinstance(error, on)
        return bool(on(error))
