"""Silence: what the engine logs when it has no other way is of no use a thousand times over."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["silenced"]


@contextmanager
def silenced() -> Generator[None, None, None]:
    """Keep the engine's log quiet, as long as it lasts."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("blazen_anyio")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
