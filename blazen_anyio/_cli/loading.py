"""Loading: the workflow and the store that the command line names, and nothing that data names."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

from .._exceptions import DefinitionError
from .._store import Store
from .._workflow import Workflow
from ..stores import SQLiteStore
from .errors import CommandError, UserCodeError

__all__ = ["load_store", "load_workflow"]

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def load_workflow(reference: str) -> Workflow[Any]:
    """Import the workflow at ``module:attribute``: one, or a function that makes one.

    Modules are found as ``python -m`` finds them, in the current directory first.

    Raises:
        CommandError: there is none.
        UserCodeError: its code raised.
        DefinitionError: it can't work as it is written.
    """
    found = _called(reference, _load(reference, "workflow"), Workflow)
    if not _is_workflow(found):
        raise CommandError(
            f"{reference} is of type {type(found).__qualname__}, not a workflow",
            "name a Workflow, or a function without parameters that makes one",
        )
    return found


def _is_workflow(found: object) -> TypeGuard[Workflow[Any]]:
    return isinstance(found, Workflow)


def load_store(reference: str, *, keep_log: bool = False, create: bool = False) -> Store:
    """Find the store that a path or ``module:attribute`` names.

    Args:
        reference: the path of an SQLite file; or where a store is, or a function that makes one:
            for keys, ciphers and stores of one's own.
        keep_log: whether a run in a file is to be logged.
        create: whether the file may be made.

    Raises:
        CommandError: there is none.
        UserCodeError: its code raised.
    """
    if _REFERENCE.fullmatch(reference) and not Path(reference).exists():
        found = _called(reference, _load(reference, "store"), Store)
        if isinstance(found, Store):
            return found
        raise CommandError(f"{reference} is of type {type(found).__qualname__}, not a store")
    if not create and not Path(reference).exists():
        raise CommandError(f"there is no store at {reference}", "run --store makes one")
    try:
        return SQLiteStore(reference, keep_log=keep_log)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _load(reference: str, what: str) -> object:
    if not _REFERENCE.fullmatch(reference) or reference.partition(":")[0].endswith(".py"):
        raise CommandError(
            f"{reference!r} does not say where a {what} is",
            f"write module:attribute, as in {_suggestion(reference)}",
        )
    module, _, path = reference.partition(":")
    found: object = _import(module)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise CommandError(f"module {module} has no attribute {path}") from error
    return found


def _suggestion(reference: str) -> str:
    path, _, attribute = reference.partition(":")
    module = path.removesuffix(".py").strip("./\\").replace(os.sep, ".")
    suggestion = f"{module}:{attribute or 'workflow'}"
    return suggestion if _REFERENCE.fullmatch(suggestion) else "shop:workflow"


def _import(name: str) -> object:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UserCodeError(f"module {name}", error) from error
        raise CommandError(
            f"there is no module {error.name}", f"modules are looked for in {here} first"
        ) from error
    except DefinitionError:
        raise
    except Exception as error:
        raise UserCodeError(f"module {name}", error) from error


def _takes_nothing(fn: Callable[..., object]) -> bool:
    try:
        inspect.signature(fn).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        pass
    return True


def _called(reference: str, found: object, wanted: type) -> object:
    """Call what is a function instead of the thing itself."""
    if isinstance(found, wanted) or not callable(found) or not _takes_nothing(found):
        return found
    make: Callable[[], object] = partial(found)
    try:
        return make()
    except DefinitionError:
        raise
    except Exception as error:
        raise UserCodeError(reference, error) from error
