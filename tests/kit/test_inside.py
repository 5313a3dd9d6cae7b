"""Parts of the kit by themselves, where no simulation gets."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from blazen_anyio.stores import MemoryStore
from blazen_anyio.testing import Faults, SimulationError, StoreFails
from blazen_anyio.testing._choosing import Scheduled
from blazen_anyio.testing._director import Director, Settings
from blazen_anyio.testing._staged_store import StagedStore
from blazen_anyio.testing._virtual_time import Stage, run_on

SETTINGS = Settings(
    stubs={}, certain=(), drawn=Faults(()), lateness=0.0, max_turns=10, traced=False
)


def test_what_can_not_be_ended_at_all_is_an_error():
    director = Director(Stage(), Scheduled({}), SETTINGS)
    actor = director.new_actor((0, "", 1, ()), "rock#1", "rock")
    director.abandon()
    assert director.quiet(1.0) == "jump"
    with pytest.raises(SimulationError, match="rock#1"):
        for _ in range(200):
            assert director.quiet(None) == "go"
    director.leave(actor, None, True)
    assert director.leftover == ()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_between_simulations_time_jumps_and_threads_are_waited_for(backend):
    stage = Stage()

    async def main() -> float:
        await anyio.sleep(1000)
        await anyio.to_thread.run_sync(lambda: None)
        return anyio.current_time()

    assert run_on(backend, stage, main) == 1000

    async def fails() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run_on(backend, stage, fails)


def test_the_store_of_a_simulation_is_the_one_that_was_given():
    async def main() -> None:
        turns = []

        async def turn() -> None:
            turns.append(1)

        async with MemoryStore() as store:
            staged = StagedStore(store, [StoreFails(9)], turn)
            assert await staged.read("x") is None
            assert await staged.load("x") is None
            assert await staged.claim("x") is None
            assert await staged.entries("x") == []
            assert await staged.list() == []
            assert await staged.delete("x") is False
            assert await staged.prune(older_than=0) == 0
            await staged.release("x", 1)
            with pytest.raises(Exception, match="x"):
                await staged.renew("x", 1)
        assert turns == []

    anyio.run(main)
