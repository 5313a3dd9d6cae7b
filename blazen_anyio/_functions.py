"""Functions: which of Python's many callables can be a step, and what kind each is."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, Literal, cast

from ._annotations import signature_of

__all__ = ["Binds", "Kind", "binds", "kind_of", "name_of", "problem_of_function", "unwrapped"]

Kind = Literal["async", "sync", "generator"]
Binds = Literal["instance", "class", "nothing"]


def problem_of_function(fn: object) -> str | None:
    """Say why ``fn`` can't be a step, and what to write instead; ``None`` if it can."""
    function = unwrapped(cast("Callable[..., object]", fn))
    if isinstance(function, (types.FunctionType, types.MethodType, functools.partial)):
        return _problem_of_signature(cast("Callable[..., object]", function))
    if isinstance(function, type) or not callable(function):
        return f"takes a function, not {function!r}; options go by keyword, as in @step(name=...)"
    return f"takes a function or method, not {function!r}; write step(it.__call__, name=...)"


def _problem_of_signature(fn: Callable[..., object]) -> str | None:
    try:
        signature_of(fn)
    except (TypeError, ValueError):
        return f"can't read the signature of {fn!r}; wrap it in an `async def`"
    return None


def kind_of(fn: Callable[..., object], problems: list[str]) -> Kind:
    """Tell how a step function runs; note if it can't."""
    if inspect.isasyncgenfunction(fn):
        return "generator"
    if inspect.iscoroutinefunction(fn):
        return "async"
    if inspect.isgeneratorfunction(fn):
        problems.append("is a `def` with `yield`; a generator step is an `async def` with `yield`")
    return "sync"


def unwrapped(fn: Callable[..., object]) -> Callable[..., object]:
    """Take ``staticmethod`` and ``classmethod`` off."""
    if isinstance(fn, (staticmethod, classmethod)):
        inner: Callable[..., object] = cast("Any", fn).__func__
        return inner
    return fn


def name_of(fn: Callable[..., object]) -> str:
    """Find the name of a function, also behind ``functools.partial``."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__name__", type(fn).__name__)


def binds(fn: Callable[..., object]) -> Binds:
    """Tell whether a function is a method: it has a place in a class and a bare first parameter."""
    if isinstance(fn, classmethod):
        return "class"
    if not isinstance(fn, types.FunctionType):
        return "nothing"
    first = next(iter(signature_of(fn).parameters.values()), None)
    if first is None or first.default is not first.empty or first.kind is first.KEYWORD_ONLY:
        return "nothing"
    around = fn.__qualname__.rpartition(".")[0]
    in_class = around != "" and not around.endswith("<locals>")
    bare = first.annotation is first.empty
    if (bare and in_class) or (first.name == "self" and (bare or in_class)):
        return "instance"
    return "nothing"
