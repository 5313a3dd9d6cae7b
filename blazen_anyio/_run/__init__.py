"""The only place that starts tasks: lanes, streams, resources, the handle."""

from ._bodies import Body
from ._handle import Run, RunStatistics, RunStatus, StepStatistics
from ._history import History
from ._options import Conductor, Durability, InputHandler, RunOptions, check_durability
from ._outcomes import outcome_of
from ._resources import Hosts
from ._runner import Runner
from ._streams import EventStream, Overflow

__all__ = [
    "Body",
    "Conductor",
    "Durability",
    "EventStream",
    "History",
    "Hosts",
    "InputHandler",
    "Overflow",
    "Run",
    "RunOptions",
    "RunStatistics",
    "RunStatus",
    "Runner",
    "StepStatistics",
    "check_durability",
    "outcome_of",
]
