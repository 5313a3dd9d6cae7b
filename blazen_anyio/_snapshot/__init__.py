"""Snapshots: the state of a run as plain, versioned data, strict on the way in.

The rule of the package: a document is refused at the first thing that is not as this release
writes it, in a fixed order: size, JSON, version, digest, form of the rows, references, values. It
is always one ``SnapshotError`` that says where. Nothing in a document is trusted before its digest
agrees.
"""

from __future__ import annotations

from .form import Saving
from .keys import child_path, row_key
from .rows import write_row
from .snapshot import Snapshot, requests_in

__all__ = ["Saving", "Snapshot", "child_path", "requests_in", "row_key", "write_row"]
