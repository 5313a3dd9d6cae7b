"""A machine that lets a test look at it after each of its inputs.

An input is what takes the time and is public, be it a method of the machine or of a part of it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import blazen_anyio._launch
from blazen_anyio._machine import Machine

__all__ = ["after_each_input"]

_READ_ONLY = {"snapshot", "active_time", "restore"}


def _is_input(name: str, member: object) -> bool:
    if name.startswith("_") or name in _READ_ONLY or not inspect.ismethod(member):
        return False
    return "now" in inspect.signature(member).parameters


@contextmanager
def after_each_input(look: Callable[[str], None]) -> Iterator[None]:
    """Have runs call ``look`` with the name of each input that their machine was given.

    Not for the last one: a child run's end is the business of the run around it, which is told of
    it before anything else can happen.
    """
    depth = 0

    def told(machine: Machine, owner: Any, name: str) -> Any:
        method = getattr(owner, name)

        @functools.wraps(method)
        def tell(*args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                return method(*args, **kwargs)
            finally:
                depth -= 1
                if not depth and machine.outcome is None:
                    look(name)

        return tell

    class Told:
        """A part of the machine; each of its inputs is told."""

        def __init__(self, machine: Machine, part: Any) -> None:
            for name, member in inspect.getmembers(part, inspect.ismethod):
                if not name.startswith("_"):
                    is_input = _is_input(name, member)
                    setattr(self, name, told(machine, part, name) if is_input else member)

    class Recorded(Machine):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            for name, member in inspect.getmembers(self):
                if _is_input(name, member):
                    setattr(self, name, told(self, self, name))
            self.handling: Any = Told(self, self.handling)
            self.inside: Any = Told(self, self.inside)

    with mock.patch.object(blazen_anyio._launch, "Machine", Recorded):
        yield
