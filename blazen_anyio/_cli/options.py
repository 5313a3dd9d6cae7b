"""Options that several commands share, with what their help says."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs
from cyclopts import Parameter, validators

from .._run_ids import checked_run_id
from .terminal import Terminal

__all__ = [
    "AsJson",
    "Executing",
    "Injected",
    "NewRunId",
    "OptionalStore",
    "Renames",
    "RunId",
    "SnapshotToResume",
    "SnapshotToWrite",
    "StoreName",
    "Traceback",
    "WorkflowName",
]

Injected = Annotated[Terminal, Parameter(parse=False)]
"""Where a command is given: by nobody who types it."""

WorkflowName = Annotated[
    str,
    Parameter(
        help="Where the workflow is: module:attribute. A function without parameters that makes "
        "one will do, too."
    ),
]
RunId = Annotated[str, Parameter(help="The id of the run.")]


def _check_run_id(_: object, run_id: str | None) -> None:
    checked_run_id(run_id)


NewRunId = Annotated[str | None, Parameter(validator=_check_run_id)]
"""The help says what it names."""

_STORE = Parameter(
    name=["--store", "-s"],
    env_var="BLAZEN_STORE",
    help="Where runs are kept: the path of an SQLite file, or module:attribute of a store.",
)
StoreName = Annotated[str, _STORE]
OptionalStore = Annotated[str | None, _STORE]

SnapshotToWrite = Annotated[
    str | None,
    Parameter(
        name="--snapshot",
        help="The file to put the run down in if it is suspended and in no store; by default "
        "run-ID.json.",
    ),
]
SnapshotToResume = Annotated[
    str | None,
    Parameter(
        name="--snapshot",
        help="The file that the run was put down in; it is put down there again if need be.",
    ),
]
Renames = Annotated[
    list[str],
    Parameter(
        name="--rename",
        help="old=new: a step, event type, class or workflow has another name now. Repeatable.",
    ),
]
AsJson = Annotated[
    bool,
    Parameter(name="--json", negative="", show_default=False, help="JSON, for programs."),
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
