"""Keys: under which text a row of a run is stored.

A key is a path, the name of the row's table and its own key: ``events/17``, or for the first child
run of delivery 12 ``12.0>events/3``.
"""

from __future__ import annotations

from .._machine.records import Key

__all__ = ["child_path", "row_key"]


def row_key(path: str, table: str, key: Key) -> str:
    """The key under which a row of a table is stored."""
    own = ".".join(map(str, key)) if isinstance(key, tuple) else str(key)
    return f"{path}{table}/{own}"


def child_path(path: str, delivery: int, number: int) -> str:
    """The path of a child run of the run at ``path``."""
    return f"{path}{delivery}.{number}>"
