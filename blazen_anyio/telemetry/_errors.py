"""What an error is called in logs, traces and metrics: the same in all of them."""

from __future__ import annotations

from .._exceptions import StepFailedError

__all__ = ["error_type"]


def error_type(error: BaseException) -> str:
    """Name an exception by its class, with the module unless it is a builtin.

    A step's failure that ends a run is named by what the step raised.
    """
    kind = type(error.error if isinstance(error, StepFailedError) else error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
