"""What could never take effect in a simulation is refused: the test would test nothing."""

from __future__ import annotations

import pytest

from blazen_anyio.stores import MemoryStore
from blazen_anyio.testing import (
    Faults,
    Raise,
    SimulationError,
    StoreFails,
    cancel_sweep,
    crash_sweep,
    drive,
    explore,
    simulate,
)

from .shop import Order, shop

ORDER = Order(["tea"])


def passes(transcript):
    return True


@pytest.mark.parametrize(
    "run",
    [
        lambda: simulate(shop, ORDER, steps={"prise": None}),
        lambda: simulate(shop, ORDER, faults=[Raise("prise")]),
        lambda: simulate(shop, ORDER, faults=[Raise("shop/prise")]),
        lambda: explore(shop, ORDER, passes, faults=Faults.any(Raise("prise"))),
        lambda: explore(shop, ORDER, passes, pure=["prise"]),
        lambda: cancel_sweep(shop, ORDER, steps={"prise": None}),
        lambda: crash_sweep(shop, ORDER, faults=[Raise("prise")]),
    ],
)
def test_a_step_that_there_is_not_is_named(run):
    with pytest.raises(ValueError, match="prise'; its steps are split, price, add_up"):
        run()


def test_a_steps_full_name_and_a_childs_steps_are_taken():
    faults = [Raise("shop/price", on=9), Raise("child/step")]
    assert simulate(shop, ORDER, faults=faults).status == "completed"


def test_a_write_can_not_fail_where_there_is_no_store():
    with pytest.raises(ValueError, match="StoreFails needs a store"):
        simulate(shop, ORDER, faults=[StoreFails(1)])


def test_a_store_is_made_afresh_for_each_run():
    for run in (simulate, crash_sweep):
        with pytest.raises(TypeError, match="store= takes what makes a store"):
            run(shop, ORDER, store=MemoryStore())


def test_a_way_to_cancel_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="ways= takes 'handle' and 'scope', not 'signal'"):
        cancel_sweep(shop, ORDER, ways=["signal"])


def test_what_is_driven_is_a_workflow():
    with pytest.raises(TypeError, match="a Workflow is wanted, not 3"):
        drive(3, ORDER)


def test_a_store_with_a_thread_is_suspected_where_nothing_else_is_waited_for(tmp_path):
    from blazen_anyio.stores import SQLiteStore

    with pytest.raises(SimulationError, match="perhaps for a store's thread"):
        simulate(shop, ORDER, store=lambda: SQLiteStore(tmp_path / "runs.db"))
