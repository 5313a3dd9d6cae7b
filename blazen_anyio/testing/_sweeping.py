"""What sweeps share: they do something to a run at each of its turns, and look at what is left."""

from __future__ import annotations

import attrs

from ._checking import Problem
from ._choosing import Seeded
from ._diagram import draw
from ._errors import SimulationError, SweepError
from ._simulation import AtTurn, Simulation
from ._transcript import Transcript, told
from ._virtual_time import Stage

__all__ = ["Sweep", "run_undisturbed", "sweep_error"]


@attrs.frozen
class Sweep:
    """What a sweep has done.

    Attributes:
        places: how many places there were, each of them swept.
        runs: how many runs it took.
    """

    places: int
    runs: int


async def run_undisturbed(
    simulation: Simulation, stage: Stage, seed: int, *, at_turn: AtTurn | None = None
) -> Transcript:
    """Run once with nothing done to it.

    Args:
        simulation: what is simulated.
        stage: the hooks of the event loop.
        seed: of the order.
        at_turn: called before each turn.

    Raises:
        SimulationError: the run does not come to an end even so.
    """
    transcript = await simulation.run(stage, Seeded(seed), seed=seed, traced=True, at_turn=at_turn)
    if isinstance(transcript.error, SimulationError):
        raise transcript.error
    return transcript


def sweep_error(problem: Problem, what: str, at: int, transcript: Transcript) -> SweepError:
    """Make the error over a place of a sweep.

    Args:
        problem: what is wrong.
        what: what was done to the run there.
        at: the number of the place; 0 for none.
        transcript: of the run.
    """
    lines = [
        problem.says,
        "",
        f"workflow {transcript.workflow!r}, {what}:",
        "",
        draw(transcript.turns),
        "",
        f"state: {told(dict(transcript.state))}",
    ]
    return SweepError("\n".join(lines), at, transcript)
