"""What could never take effect in a simulation is refused: the test would test nothing."""

from __future__ import annotations

import pytest

from blazen_anyio import testing
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


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"lateness": -1}, ValueError, "lateness= takes a number of seconds from 0, not -1"),
        ({"lateness": float("nan")}, ValueError, "lateness="),
        ({"lateness": "1"}, TypeError, "lateness="),
        ({"max_turns": 0}, ValueError, "max_turns= takes a whole number from 1, not 0"),
        ({"max_turns": 1.5}, TypeError, "max_turns="),
        ({"schedule": ["price#3"]}, TypeError, "schedule= takes what happens by the number"),
        ({"schedule": {"0": "price#3"}}, TypeError, "schedule= takes"),
        ({"schedule": {0: 3}}, TypeError, "schedule= takes"),
        ({"human": "yes"}, TypeError, "human= takes a function, not 'yes'"),
        ({"script": "send"}, TypeError, "script= takes a function, not 'send'"),
        ({"steps": ["price"]}, TypeError, "steps= takes a mapping, or what makes one, not"),
        ({"resources": lambda: [1]}, TypeError, "resources= takes a mapping, or what makes one"),
    ],
)
def test_what_a_simulation_can_not_use_is_refused_by_name(options, error, says):
    with pytest.raises(error, match=says):
        simulate(shop, ORDER, **options)


@pytest.mark.parametrize(
    ("run", "error", "says"),
    [
        (lambda: explore(shop, ORDER, None), TypeError, "check= takes a function, not None"),
        (lambda: cancel_sweep(shop, ORDER, 3), TypeError, "check= takes a function, not 3"),
        (lambda: crash_sweep(shop, ORDER, 3), TypeError, "check= takes a function, not 3"),
        (lambda: crash_sweep(shop, ORDER, effects=3), TypeError, "effects= takes a function"),
        (lambda: crash_sweep(shop, ORDER, crashes=0), ValueError, "crashes= takes a whole number"),
    ],
)
def test_what_explorations_and_sweeps_can_not_use_is_refused_by_name(run, error, says):
    with pytest.raises(error, match=says):
        run()


def test_errors_go_by_the_name_that_they_are_imported_by():
    names = [name for name in testing.__all__ if name.endswith("Error")]
    assert len(names) == 7
    for name in names:
        error = getattr(testing, name)
        assert f"{error.__module__}.{error.__qualname__}" == f"blazen_anyio.testing.{name}"
    fact = next(fact for fact in simulate(shop, ORDER, faults=[Raise("split")]).facts if fact.error)
    assert fact.error == "blazen_anyio.testing.InjectedError"
