"""What passes between the engine and a store: runs, rows, and changes of them.

All bodies are sealed bytes (see :mod:`.seal`); keys are text. Times are wall-clock seconds, from
the store's own clock.
"""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["ENDED", "UNFINISHED", "Claim", "Commit", "Row", "StoredRun", "StoredStatus"]

StoredStatus = Literal["running", "suspended", "completed", "failed", "cancelled"]
"""How a stored run was last seen. One that nobody executes may still be ``"running"``: its process
died, or was shut down."""

UNFINISHED: tuple[StoredStatus, ...] = ("running", "suspended")
"""The statuses of runs that go on by themselves when they are taken up."""

ENDED: tuple[StoredStatus, ...] = ("completed", "failed", "cancelled")
"""The others."""


@attrs.frozen(kw_only=True)
class Row:
    """One record of a run.

    Attributes:
        key: unique within the run.
        sequence: of the commit that last wrote it.
        body: sealed.
    """

    key: str
    sequence: int
    body: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class StoredRun:
    """A run as a store lists it.

    Attributes:
        run_id: the id of the run.
        workflow: the name of the workflow.
        status: see :data:`StoredStatus`.
        sequence: how many commits it has made.
        epoch: how often it was claimed; a commit of an earlier epoch counts no more.
        owner: who executes it; ``None`` for nobody.
        expires: when the owner's lease ends unless it is renewed; ``None`` if it never does.
        created, updated: when it was begun, and when it was last changed.
        note: why it failed or what it waits for, in one line; empty otherwise.
        head: sealed: what the engine has to know besides the rows.
    """

    run_id: str
    workflow: str
    status: StoredStatus
    sequence: int
    epoch: int
    owner: str | None
    expires: float | None
    created: float
    updated: float
    note: str = ""
    head: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Claim:
    """A run that the caller may execute from now on.

    Attributes:
        run: the run as it is now, with the epoch that the caller's commits carry. One that has
            completed is not claimed: it has no owner.
        abandoned: whoever executed it before has died, or has let its lease expire, without giving
            it back.
    """

    run: StoredRun
    abandoned: bool = False


@attrs.frozen(kw_only=True)
class Commit:
    """One change of one run, durable as a whole or not at all.

    Attributes:
        run_id: the id of the run.
        epoch: of the claim under which it is made.
        sequence: one more than that of the commit before it.
        head: replaces that of the run.
        puts: keys and bodies of rows that are new or changed.
        removes: keys of rows that are gone.
        status: of the run from now on; ``None`` for no change. With any but ``"running"`` the
            caller gives the run back.
        note: replaces that of the run if ``status`` is given.
        clears: every row goes before ``puts`` are written.
        entry: for the log, sealed; ``None`` if none is kept.
    """

    run_id: str
    epoch: int
    sequence: int
    head: bytes = attrs.field(repr=False)
    puts: tuple[tuple[str, bytes], ...] = attrs.field(default=(), repr=False)
    removes: tuple[str, ...] = ()
    status: StoredStatus | None = None
    note: str = ""
    clears: bool = False
    entry: bytes | None = attrs.field(default=None, repr=False)
