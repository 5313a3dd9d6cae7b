"""Options that several commands share, with what their help says."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs
from cyclopts import Parameter, validators

__all__ = [
    "Executing",
    "OptionalStore",
    "RunId",
    "SnapshotFile",
    "StoreName",
    "Traceback",
    "WorkflowName",
]

WorkflowName = Annotated[
    str,
    Parameter(
        help="Where the workflow is: module:attribute. A function without parameters that makes "
        "one will do, too."
    ),
]
StoreName = Annotated[
    str,
    Parameter(
        name=["--store", "-s"],
        env_var="BLAZEN_STORE",
        help="Where runs are kept: the path of an SQLite file, or module:attribute of a store.",
    ),
]
OptionalStore = Annotated[
    str | None,
    Parameter(
        name=["--store", "-s"],
        env_var="BLAZEN_STORE",
        help="Where runs are kept: the path of an SQLite file, or module:attribute of a store.",
    ),
]
RunId = Annotated[str, Parameter(help="The id of the run.")]


SnapshotFile = Annotated[
    str | None,
    Parameter(help="A file: where the run is taken up, or put down, if it is in no store."),
]
Traceback = Annotated[
    bool,
    Parameter(negative="", show_default=False, help="Show errors with their whole traceback."),
]


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Executing:
    """What every command that executes a run takes."""

    backend: Annotated[Literal["asyncio", "trio"], Parameter(help="What runs the steps.")] = (
        "asyncio"
    )
    grace: Annotated[
        float,
        Parameter(
            validator=validators.Number(gte=0),
            help="How many seconds running steps have to finish after Ctrl-C.",
        ),
    ] = 5.0
    events: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Write every event and all that the engine does with it as lines of JSON to "
            "standard error, instead of a live view.",
        ),
    ] = False
    log: Annotated[
        bool,
        Parameter(
            negative="--no-log", help="Keep a log in the store, for history, fork and report."
        ),
    ] = True
    traceback: Traceback = False
