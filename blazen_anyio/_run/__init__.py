"""The only place that starts tasks: lanes, streams, resources, the handle."""

from ._bodies import Body
from ._book import Book
from ._handle import Run, RunStatistics, RunStatus, StepStatistics
from ._history import History
from ._options import Conductor, InputHandler, RunOptions
from ._outcomes import outcome_of
from ._recovery import RecoveredRun, run_each
from ._resources import Hosts
from ._runner import Runner
from ._scribe import Durability, Scribe
from ._streams import EventStream, Overflow

__all__ = [
    "Body",
    "Book",
    "Conductor",
    "Durability",
    "EventStream",
    "History",
    "Hosts",
    "InputHandler",
    "Overflow",
    "RecoveredRun",
    "Run",
    "RunOptions",
    "RunStatistics",
    "RunStatus",
    "Runner",
    "Scribe",
    "StepStatistics",
    "outcome_of",
    "run_each",
]
