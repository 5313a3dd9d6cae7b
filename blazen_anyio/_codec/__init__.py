"""Values and events to plain JSON-able data and back, exactly.

The rule of the package: what comes back equals what went in and has the same type all the way
down, or it is refused before it is stored. Values are written by their type at run time, with tags
for all that JSON has no form for; annotations only check what comes in. Data never decides what is
imported or executed: it names classes, and only those that the codec was given are looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._imports import imported_when_used
from .registry import Registry

if TYPE_CHECKING:
    from .codec import Codec, refusing_at
    from .faults import MAX_DEPTH, Malformed, kind_of, segment, shown, under
    from .packing import check_packed, pack, read_packed, unpack
    from .reading import WAYS_OUT, Reader
    from .scalars import escape_text, unescape_text
    from .writing import TAG, canonical, canonical_in_pieces

__all__ = [
    "MAX_DEPTH",
    "TAG",
    "WAYS_OUT",
    "Codec",
    "Malformed",
    "Reader",
    "Registry",
    "canonical",
    "canonical_in_pieces",
    "check_packed",
    "escape_text",
    "kind_of",
    "pack",
    "read_packed",
    "refusing_at",
    "segment",
    "shown",
    "under",
    "unescape_text",
    "unpack",
]

if not TYPE_CHECKING:  # pragma: no branch  # type checkers shall notice a name that is not there
    # A workflow that is only defined, or whose runs keep no values, needs the registry alone.
    __getattr__ = imported_when_used(
        __name__,
        {
            "codec": ["Codec", "refusing_at"],
            "faults": ["MAX_DEPTH", "Malformed", "kind_of", "segment", "shown", "under"],
            "packing": ["check_packed", "pack", "read_packed", "unpack"],
            "reading": ["WAYS_OUT", "Reader"],
            "scalars": ["escape_text", "unescape_text"],
            "writing": ["TAG", "canonical", "canonical_in_pieces"],
        },
    )
