"""Imports that wait until a name is used, so that starting stays quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping

__all__ = ["imported_when_used"]


def imported_when_used(package: str, names: Mapping[str, Iterable[str]]) -> Callable[[str], object]:
    """Make the ``__getattr__`` of a package that imports some of its names when they are used.

    Args:
        package: its name.
        names: by the module below it that has them.
    """
    module_of = {name: module for module, some in names.items() for name in some}

    def find(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f".{module_of[name]}", package)
        value: object = getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return find
