"""What an example is: a small workflow, the claims it shows, and the one outcome it has to have.

An example is a function that builds a workflow, decorated with the outcome of its run. Its
docstring quotes the claims that it shows. The outcome is plain data, and it is the same in whatever
process and on whatever backend the run goes on, whenever it was written down:

* It says nothing about what one process can't know, such as how often a step was begun.
* Whoever is outside (a script that answers, sends or pauses) begins anew in each process, so what
  it does is safe to do again.
* Waits are minutes long. They are virtual, but the clock on the wall goes on for real between two
  processes, and a second of that must not change who comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from blazen_anyio import (
    Event,
    NoHandlerError,
    Retry,
    Run,
    StateConflictError,
    StateValueError,
    StepFailedError,
    Workflow,
    WorkflowStalledError,
)

__all__ = [
    "EXAMPLES",
    "HOUR",
    "MINUTE",
    "Example",
    "FlakyError",
    "Outcome",
    "Script",
    "described",
    "example",
    "plain",
    "tries",
]

MINUTE = 60
HOUR = 3600

Outcome = Any
"""Plain data: what comes back from JSON as it went in."""

Script = Callable[[Run[Any], Workflow[Any]], Awaitable[Any]]
"""The program around a run: it enters the run, does what somebody outside does, and returns what
has come of it; or raises."""


class FlakyError(Exception):
    """What goes wrong in the examples."""


def tries(attempts: int, **options: Any) -> Retry:
    """A policy of so many attempts, a minute apart."""
    return Retry(
        **{
            "max_attempts": attempts,
            "initial": MINUTE,
            "max_delay": HOUR,
            "jitter": False,
            **options,
        }
    )


async def result_of(run: Run[Any], workflow: Workflow[Any]) -> Any:
    """Do nothing but wait for the result."""
    async with run:
        return await run.result()


@attrs.frozen(kw_only=True)
class Example:
    """One example.

    Attributes:
        name: the name of the function that builds it.
        build: makes its workflow.
        outcome: what every run of it has to come to: a result, or an error as `described`.
        first: the event that starts it, if not the one that ``fields`` fill.
        fields: the keyword arguments that start it.
        script: the program around the run.
        options: of ``start`` and ``resume``.
        later: makes the workflow that another process has, if it is a newer one.
        renames: what that has renamed.
        fresh: whether its steps keep something of the one run besides the run, so that each run
            needs a workflow of its own.
    """

    name: str
    build: Callable[[], Workflow[Any]]
    outcome: Outcome
    first: Event | None
    fields: Mapping[str, Any]
    script: Script
    options: Mapping[str, Any]
    later: Callable[[], Workflow[Any]] | None
    renames: Mapping[str, str]
    fresh: bool

    def start(self, workflow: Workflow[Any]) -> Run[Any]:
        """Make a run of its workflow."""
        return workflow.start(self.first, **self.options, **self.fields)


EXAMPLES: dict[str, Example] = {}
"""All examples by name, once the modules with them are imported."""


def example(
    outcome: Outcome,
    *,
    first: Event | None = None,
    fields: Mapping[str, Any] | None = None,
    script: Script = result_of,
    options: Mapping[str, Any] | None = None,
    later: Callable[[], Workflow[Any]] | None = None,
    renames: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Callable[[Callable[[], Workflow[Any]]], Callable[[], Workflow[Any]]]:
    """Make an example of a function that builds a workflow; see :class:`Example`."""

    def made(build: Callable[[], Workflow[Any]]) -> Callable[[], Workflow[Any]]:
        name = build.__name__
        assert name not in EXAMPLES, f"two examples are called {name}"
        EXAMPLES[name] = Example(
            name=name,
            build=build,
            outcome=outcome,
            first=first,
            fields=fields or {},
            script=script,
            options=options or {},
            later=later,
            renames=renames or {},
            fresh=fresh,
        )
        return build

    return made


def plain(value: Any) -> Outcome:
    """Turn a result into plain data: an event becomes its class's name and its fields."""
    if isinstance(value, Event):
        fields = {
            field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))
        }
        return {type(value).__name__: fields}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    return value


def described(error: BaseException) -> Outcome:
    """Turn the error of a run into plain data: its class, and what it says of its own."""
    name = type(error).__name__
    if isinstance(error, StepFailedError):
        return [name, error.step, error.attempts, *described(error.error)]
    if isinstance(error, NoHandlerError):
        return [name, type(error.event).__name__, error.source]
    if isinstance(error, WorkflowStalledError):
        return [name, *sorted(error.waiting)]
    if isinstance(error, (StateConflictError, StateValueError)):
        return [name, error.key]
    if isinstance(error, FlakyError):
        return [name, str(error)]
    return [name]
