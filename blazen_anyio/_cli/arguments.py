"""Arguments that stand for more than their text: JSON, files, names with something behind ``=``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from .errors import FAILED, CommandError

__all__ = ["read_json", "read_pairs", "write_text"]


def read_json(option: str, argument: str) -> Any:
    """Read JSON: written out, from a file with ``@file``, or from standard input with ``-``.

    Raises:
        CommandError: it can't be read, or is no JSON.
    """
    try:
        text = _text(argument)
    except (OSError, ValueError) as error:
        raise CommandError(f"{option} {argument}: {error}") from error
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"{option} is no JSON: {error}",
            f"write {option} '{{\"field\": 1}}', {option} @file or {option} - for standard input",
        ) from error


def _text(argument: str) -> str:
    if argument == "-":
        if sys.stdin is None:
            raise ValueError("standard input is closed")
        return sys.stdin.read()
    if argument.startswith("@"):
        return Path(argument[1:]).read_text(encoding="utf-8")
    return argument


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it has no number {constant}")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def read_pairs(option: str, arguments: Iterable[str]) -> dict[str, str]:
    """Read ``name=value`` arguments.

    Raises:
        CommandError: one has no ``=``.
    """
    pairs: dict[str, str] = {}
    for argument in arguments:
        name, found, value = argument.partition("=")
        if not found or not name:
            raise CommandError(f"{option} takes name=value, not {argument!r}")
        pairs[name] = value
    return pairs


def write_text(path: str, text: str) -> None:
    """Write the file that an argument names, over one that is there.

    Raises:
        CommandError: it can't be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", code=FAILED) from error
