"""What a run is started with besides its event."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from .._events import InputRequestEvent

__all__ = ["InputHandler", "RunOptions"]

InputHandler = Callable[[InputRequestEvent], Awaitable[Any] | Any]


def _check_handler(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"input_handler takes an async function of the request, not {value!r}")


@attrs.frozen(kw_only=True)
class RunOptions:
    """What a run is started with besides its event.

    Attributes:
        input_handler: answers requests, each in a task of its own.
        history: how many facts to keep; 0 for none, ``None`` for all.
        random: numbers from [0, 1), for the jitter of retries.
    """

    input_handler: InputHandler | None = attrs.field(default=None, validator=_check_handler)
    history: int | None = 1000
    random: Callable[[], float] = random.random
