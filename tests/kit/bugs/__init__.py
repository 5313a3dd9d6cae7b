"""Planted bugs in small realistic workflows, each with its mend: what the kit is there to find.

Each is a function that looks for its bug with the kit, in the workflow as somebody wrote it or as
somebody mended it. They are also examples of how to use the kit; their docstrings tell the story.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

__all__ = ["BUGS", "Bug", "bug"]


@attrs.frozen
class Bug:
    """A planted bug.

    Attributes:
        name: of the bug.
        find: looks for it, in the mended workflow or in the other.
        says: what the report has to say.
        departures: how many departures from the default order it may take to show it at most;
            ``None`` where the report has no schedule.
    """

    name: str
    find: Callable[[bool], object]
    says: str
    departures: int | None


BUGS: dict[str, Bug] = {}


def bug(
    says: str, departures: int | None = None
) -> Callable[[Callable[[bool], object]], Callable[[bool], object]]:
    """Register a planted bug; see :class:`Bug`."""

    def register(find: Callable[[bool], object]) -> Callable[[bool], object]:
        BUGS[find.__name__] = Bug(find.__name__, find, says, departures)
        return find

    return register
