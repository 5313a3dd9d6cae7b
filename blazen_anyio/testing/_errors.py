"""What the testing kit raises besides the engine's own errors.

::

    SimulationError
     +-- StuckError             everything waits, and nothing will ever happen
     +-- EndlessError           a simulation took more turns than it may
    AssertionError
     +-- ExplorationError       an exploration found a run that fails its check
     +-- SweepError             a sweep found a place at which something is left, lost or repeated
     +-- ReplayError            a recorded history is not repeated
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._transcript import Transcript

__all__ = [
    "EndlessError",
    "ExplorationError",
    "ReplayError",
    "SimulationError",
    "StuckError",
    "SweepError",
]


class SimulationError(Exception):
    """A simulation could not go on."""


class StuckError(SimulationError):
    """Everything waits, for something that will never happen.

    Attributes:
        waiting: who waits, and where.
    """

    def __init__(self, waiting: list[str]) -> None:
        self.waiting = waiting
        places = "; ".join(waiting) or "nothing that a simulation runs"
        super().__init__(f"everything waits, and nothing is due: {places}")


class EndlessError(SimulationError):
    """A simulation took more turns than it may.

    Attributes:
        turns: how many it took.
    """

    def __init__(self, turns: int) -> None:
        self.turns = turns
        super().__init__(f"the run has not ended after {turns} turns; raise max_turns= if it may")


class ExplorationError(AssertionError):
    """A run fails its check. The message shows the shortest schedule that does.

    Attributes:
        transcript: of the failing run, cut down.
        runs: how many runs it took to find.
    """

    def __init__(self, message: str, transcript: Transcript, runs: int) -> None:
        self.transcript = transcript
        self.runs = runs
        super().__init__(message)


class SweepError(AssertionError):
    """Something is left, lost or repeated at one place of a sweep.

    Attributes:
        at: the number of the place, counted from 1; 0 if the undisturbed run shows it.
        transcript: of the run that shows it; ``None`` if there is none.
    """

    def __init__(self, message: str, at: int, transcript: Transcript | None = None) -> None:
        self.at = at
        self.transcript = transcript
        super().__init__(message)


class ReplayError(AssertionError):
    """A run does not repeat a recorded history.

    Attributes:
        at: the number of the first fact that differs, from 0.
    """

    def __init__(self, message: str, at: int) -> None:
        self.at = at
        super().__init__(message)


# In tracebacks they go by the name that they are imported by.
for _name in __all__:
    globals()[_name].__module__ = "blazen_anyio.testing"
