"""State: an attempt reads committed state under its own writes, and changes it at its commit."""

from __future__ import annotations

import copy
import dataclasses
import enum
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from blazen_anyio._codec import Codec
from blazen_anyio._exceptions import ContextClosedError, StateConflictError, StateValueError
from blazen_anyio._state import Changes, Committed, State, StateCodec, StateKey

COUNT = StateKey("count", int, default=0)
NAME = StateKey("name", str)
TAGS = StateKey("tags", list[str], default=[])


@attrs.define
class Cart:
    items: list[str]


@dataclasses.dataclass
class Total:
    amount: int = 0


class PlainCodec:
    """The least that state needs: it refuses functions and copies all but numbers and strings."""

    def copy(self, value: Any, key: str, /) -> Any:
        if callable(value):
            raise StateValueError(key, type(value))
        if isinstance(value, list):
            return [self.copy(item, key) for item in value]
        return copy.deepcopy(value)

    def same(self, a: Any, b: Any, /) -> bool:
        return type(a) is type(b) and a == b


CODECS: dict[str, StateCodec] = {"plain": PlainCodec(), "codec": Codec((), types=[Cart, Total])}


class Store:
    """Committed state, and the runner's part in a commit."""

    def __init__(self, codec: StateCodec, **values: Any) -> None:
        self.codec = codec
        self.committed = Committed(dict(values))
        self.commits = 0

    @property
    def values(self) -> dict[str, Any]:
        return self.committed.values

    def attempt(self) -> State:
        return State(self.committed, self.codec)

    def commit(self, state: State) -> Changes:
        changes = state.settle("work")
        state.close()
        self.store(changes.writes, changes.removes)
        return changes

    def store(self, writes: dict[str, Any], removes: Iterable[str] = ()) -> None:
        self.commits += 1
        for key, value in writes.items():
            self.values[key] = value
            self.committed.versions[key] = self.commits
        for key in removes:
            self.values.pop(key, None)
            self.committed.versions[key] = self.commits


class MakeStore(Protocol):
    def __call__(self, **values: Any) -> Store: ...


@pytest.fixture(params=list(CODECS))
def make(request: pytest.FixtureRequest) -> MakeStore:
    def make_store(**values: Any) -> Store:
        return Store(CODECS[request.param], **values)

    return make_store


def add_one(value: int) -> int:
    return value + 1


# ---- own writes over committed state -----------------------------------------------------------


def test_an_attempt_reads_committed_state_under_its_own_writes(make: MakeStore) -> None:
    state = make(count=1, name="Ada").attempt()
    state["count"] = 5
    assert (state["count"], state["name"]) == (5, "Ada")


def test_writes_apply_together_at_the_commit_and_nobody_sees_them_earlier(make: MakeStore) -> None:
    store = make(count=1, name="Ada")
    state, other = store.attempt(), store.attempt()
    state["count"], state["new"] = 5, True
    del state["name"]
    assert store.values == {"count": 1, "name": "Ada"}
    assert (other["count"], other["name"], "new" in other) == (1, "Ada", False)
    changes = store.commit(state)
    assert changes == Changes({"count": 5, "new": True}, frozenset({"name"}))
    assert store.values == {"count": 5, "new": True}


def test_an_attempt_that_does_not_settle_leaves_no_trace(make: MakeStore) -> None:
    store = make(xs=[1], count=1)
    state = store.attempt()
    state["xs"].append(2)
    state["count"] += 1
    state.apply("count", add_one)
    del state["count"]
    state.close()
    assert store.committed == Committed({"xs": [1], "count": 1})


def test_an_attempt_that_only_reads_changes_nothing(make: MakeStore) -> None:
    store = make(xs=[1], count=1)
    state = store.attempt()
    assert (state["xs"], state["count"], "none" in state, len(state)) == ([1], 1, False, 2)
    assert store.commit(state) == Changes({}, frozenset())


def test_an_immutable_value_is_read_as_it_is_committed_now(make: MakeStore) -> None:
    """So that a step may look again after it has waited."""
    store = make(ready=False)
    state = store.attempt()
    assert state["ready"] is False
    store.store({"ready": True})
    assert state["ready"] is True


# ---- conflicts ---------------------------------------------------------------------------------


def test_writing_what_another_attempt_committed_since_the_read_is_a_conflict(
    make: MakeStore,
) -> None:
    store = make(count=1)
    first, second = store.attempt(), store.attempt()
    first["count"] += 1
    second["count"] += 1
    store.commit(first)
    with pytest.raises(StateConflictError) as caught:
        store.commit(second)
    assert (caught.value.step, caught.value.key) == ("work", "count")
    assert store.values == {"count": 2}


READS: dict[str, Callable[[State], object]] = {
    "[]": lambda state: state["count"],
    "get": lambda state: state.get("count"),
    "in": lambda state: "count" in state,
    "pop": lambda state: state.pop("count"),
    "del": lambda state: state.__delitem__("count"),
    "setdefault": lambda state: state.setdefault("count", 1),
    "values": lambda state: list(state.values()),
    "items": lambda state: list(state.items()),
    "keys, in": lambda state: "count" in state.keys(),  # noqa: SIM118
    "popitem": lambda state: state.popitem(),
    "==": lambda state: state == {"count": 1},
    "apply and []": lambda state: (state.apply("count", add_one), state["count"]),
    "apply and in": lambda state: (state.apply("count", add_one), "count" in state),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_these_read_their_key(make: MakeStore, read: Callable[[State], object]) -> None:
    store = make(count=1)
    state = store.attempt()
    read(state)
    state["count"] = 5
    store.store({"count": 2})
    with pytest.raises(StateConflictError):
        state.settle("work")


BLIND: dict[str, Callable[[State], object]] = {
    "=": lambda state: None,
    "len": len,
    "iteration": list,
    "keys": lambda state: list(state.keys()),
    "apply": lambda state: state.apply("count", add_one),
    "update": lambda state: state.update(count=3),
    "clear": lambda state: state.clear(),
    "repr": repr,
    "reading one's own": lambda state: (state.update(count=3), state["count"]),
    "reading others": lambda state: state["other"],
}


@pytest.mark.parametrize("touch", BLIND.values(), ids=BLIND)
def test_these_do_not_read_the_key(make: MakeStore, touch: Callable[[State], object]) -> None:
    store = make(count=1, other=1)
    state = store.attempt()
    touch(state)
    state["count"] = 5
    store.store({"count": 2})
    assert state.settle("work").writes["count"] == 5


def test_reading_a_missing_key_is_a_read(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    assert state.get("count") is None
    state["count"] = 1
    store.store({"count": 2})
    with pytest.raises(StateConflictError):
        state.settle("work")


def test_a_key_that_was_removed_and_set_again_is_a_conflict(make: MakeStore) -> None:
    store = make(count=1)
    state = store.attempt()
    state["count"] += 1
    store.store({}, ["count"])
    store.store({"count": 1})
    with pytest.raises(StateConflictError):
        state.settle("work")


def test_removing_what_another_attempt_changed_since_the_read_is_a_conflict(
    make: MakeStore,
) -> None:
    store = make(count=1)
    state = store.attempt()
    del state["count"]
    store.store({"count": 2})
    with pytest.raises(StateConflictError):
        state.settle("work")


def test_a_second_read_does_not_hide_a_change_since_the_first(make: MakeStore) -> None:
    store = make(count=1)
    state = store.attempt()
    before = state["count"]
    store.store({"count": 2})
    assert state["count"] == 2
    state["count"] = before + 1
    with pytest.raises(StateConflictError):
        state.settle("work")


def test_what_is_read_and_not_written_never_conflicts(make: MakeStore) -> None:
    store = make(count=1, xs=[1])
    state = store.attempt()
    state["sum"] = state["count"] + len(state["xs"])
    store.store({"count": 2, "xs": [1, 2]})
    assert state.settle("work").writes == {"sum": 2}


@pytest.mark.parametrize("moment", ["values", "versions"])
def test_a_commit_in_the_middle_of_a_read_in_a_thread_loses_no_update(
    make: MakeStore, moment: str
) -> None:
    store = make(count=1)

    class Racing(dict[str, Any]):
        commit_now = True

        def get(self, key: str, default: Any = None, /) -> Any:
            if self.commit_now:
                self.commit_now = False
                store.store({"count": 10})
            return super().get(key, default)

    parts = {"values": store.values, "versions": store.committed.versions}
    store.committed = Committed(**{**parts, moment: Racing(parts[moment])})
    state = store.attempt()
    state["count"] += 1
    try:
        store.commit(state)
    except StateConflictError:
        assert store.values == {"count": 10}
    else:
        assert store.values == {"count": 11}


# ---- copies ------------------------------------------------------------------------------------


def test_a_value_is_copied_when_it_is_set(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    mine = [1]
    state["xs"] = mine
    mine.append(2)
    store.commit(state)
    assert store.values == {"xs": [1]}


def test_what_was_set_may_be_changed_through_state(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    state["xs"] = [1]
    state["xs"].append(2)
    assert state["xs"] == [1, 2]
    store.commit(state)
    assert store.values == {"xs": [1, 2]}


CONTAINERS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "list": (lambda: [1], lambda value: value.append(2)),
    "dict": (lambda: {"a": 1}, lambda value: value.update(b=2)),
    "set": (lambda: {1}, lambda value: value.add(2)),
    "nested": (lambda: [{"a": [1]}], lambda value: value[0]["a"].append(2)),
    "in a tuple": (lambda: ([1],), lambda value: value[0].append(2)),
    "attrs": (lambda: Cart(["tea"]), lambda value: value.items.append("milk")),
    "dataclass": (lambda: Total(1), lambda value: setattr(value, "amount", 2)),
}


@pytest.mark.parametrize(("new", "change"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_that_is_read_is_a_private_copy_and_changing_it_is_a_write(
    make: MakeStore, new: Callable[[], Any], change: Callable[[Any], object]
) -> None:
    store = make(box=new())
    state = store.attempt()
    private = state["box"]
    change(private)
    assert store.values == {"box": new()}
    assert state["box"] is private
    store.commit(state)
    assert store.values == {"box": private}
    assert store.values["box"] != new()


@pytest.mark.parametrize(("new", "change"), CONTAINERS.values(), ids=CONTAINERS)
def test_nothing_the_step_still_holds_is_committed_state(
    make: MakeStore, new: Callable[[], Any], change: Callable[[Any], object]
) -> None:
    store = make(read=new())
    state = store.attempt()
    held = [new(), state["read"]]
    state["set"] = held[0]
    held.append(state["set"])
    held.append(state.setdefault("default", new()))
    state.apply("applied", lambda _: held.append(new()) or held[-1])
    change(held[1])
    store.commit(state)
    before = copy.deepcopy(store.values)
    for value in held:
        change(value)
    assert store.values == before


def test_a_container_that_was_read_and_not_changed_is_no_write(make: MakeStore) -> None:
    store = make(xs=[1], cart=Cart(["tea"]))
    state = store.attempt()
    state["xs"].append(2)
    state["xs"].pop()
    assert state["cart"].items == ["tea"]
    store.store({"xs": [5]})
    assert state.settle("work") == Changes({}, frozenset())


def test_changing_a_container_conflicts_as_any_write(make: MakeStore) -> None:
    store = make(xs=[1])
    state = store.attempt()
    state["xs"].append(2)
    store.store({"xs": [5]})
    with pytest.raises(StateConflictError):
        state.settle("work")


def test_a_change_of_type_alone_is_a_change() -> None:
    store = Store(CODECS["codec"], xs=[1])
    state = store.attempt()
    state["xs"][0] = True
    store.commit(state)
    assert store.values["xs"][0] is True


def test_repeated_reads_give_the_same_object_even_after_a_commit(make: MakeStore) -> None:
    store = make(xs=[1])
    state = store.attempt()
    private = state["xs"]
    store.store({"xs": [5]})
    assert state["xs"] is private
    assert "xs" in state


def test_a_value_that_was_replaced_is_detached(make: MakeStore) -> None:
    store = make(xs=[1])
    state = store.attempt()
    old = state["xs"]
    state["xs"] = [7]
    old.append(2)
    popped = state.pop("xs")
    popped.append(8)
    state["xs"] = [9]
    store.commit(state)
    assert store.values == {"xs": [9]}


def test_a_value_that_cannot_be_restored_is_refused_when_it_is_set(make: MakeStore) -> None:
    state = make().attempt()
    with pytest.raises(StateValueError) as caught:
        state["callback"] = add_one
    assert caught.value.key.startswith("callback")
    assert "callback" not in state


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["xs"].append(add_one),
        lambda state: state.apply("xs", lambda xs: [*xs, add_one]),
        lambda state: (state.update(ys=[]), state["ys"].append(add_one)),
    ],
)
def test_a_change_that_cannot_be_stored_fails_the_commit(
    make: MakeStore, change: Callable[[State], object]
) -> None:
    store = make(xs=[1])
    state = store.attempt()
    change(state)
    with pytest.raises(StateValueError):
        store.commit(state)
    assert store.values == {"xs": [1]}


# ---- apply -------------------------------------------------------------------------------------


def test_apply_never_conflicts_and_loses_nothing(make: MakeStore) -> None:
    store = make(count=1)
    attempts = [store.attempt() for _ in range(3)]
    for state in attempts:
        state.apply("count", add_one)
    for state in attempts:
        store.commit(state)
    assert store.values == {"count": 4}


def test_apply_after_a_read_does_not_conflict_either(make: MakeStore) -> None:
    store = make(count=1, xs=[1])
    state = store.attempt()
    assert (state["count"], state["xs"]) == (1, [1])
    state.apply("count", add_one)
    state.apply("xs", lambda xs: [*xs, 0])
    store.store({"count": 10, "xs": [5]})
    store.commit(state)
    assert store.values == {"count": 11, "xs": [5, 0]}


def test_apply_gets_the_default_for_a_missing_key(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    state.apply("none", lambda value: [value])
    state.apply("five", add_one, default=5)
    state.apply(COUNT, add_one)
    state.apply(TAGS, lambda tags: [*tags, "a"], ["b"])
    store.commit(state)
    assert store.values == {"none": [None], "five": 6, "count": 1, "tags": ["b", "a"]}


def test_apply_to_a_missing_typed_key_without_a_default_fails_the_commit(make: MakeStore) -> None:
    state = make().attempt()
    state.apply(NAME, str.upper)
    with pytest.raises(KeyError, match="name"):
        state.settle("work")


def test_the_default_is_what_it_was_at_the_call(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    default = [1]
    state.apply("xs", lambda xs: [*xs, 0], default)
    default.append(2)
    store.commit(state)
    assert store.values == {"xs": [1, 0]}


def test_functions_run_at_the_commit_in_the_order_of_the_calls(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    calls: list[str] = []

    def note(text: str) -> Callable[[Any], str]:
        return lambda value: calls.append(text) or f"{value or ''}{text}"

    state.apply("a", note("1"))
    state.apply("b", note("2"))
    state.apply("a", note("3"))
    assert calls == []
    store.commit(state)
    assert calls == ["1", "2", "3"]
    assert store.values == {"a": "13", "b": "2"}


def test_apply_goes_on_from_an_earlier_write_of_the_attempt(make: MakeStore) -> None:
    store = make(set=1, gone=1, changed=[1])
    state = store.attempt()
    state["set"] = 10
    state.clear()
    state["set"] = 10
    state["changed"] = [1]
    state["changed"].append(2)
    state.apply("set", add_one)
    state.apply("gone", add_one, default=100)
    state.apply("changed", lambda xs: [*xs, 3])
    store.commit(state)
    assert store.values == {"set": 11, "gone": 101, "changed": [1, 2, 3]}


def test_apply_goes_on_from_a_changed_container(make: MakeStore) -> None:
    store = make(xs=[1])
    state = store.attempt()
    state["xs"].append(2)
    state.apply("xs", lambda xs: [*xs, 3])
    assert state.settle("work").writes == {"xs": [1, 2, 3]}


def test_a_write_after_apply_replaces_it(make: MakeStore) -> None:
    store = make(count=1)
    state = store.attempt()
    state.apply("count", add_one)
    state["count"] = 7
    store.commit(state)
    assert store.values == {"count": 7}


def test_removing_after_apply_removes(make: MakeStore) -> None:
    store = make(count=1)
    state = store.attempt()
    state.apply("count", add_one)
    del state["count"]
    assert "count" not in state
    store.commit(state)
    assert store.values == {}


def test_reading_after_apply_sees_what_it_gives(make: MakeStore) -> None:
    store = make(xs=[1])
    state = store.attempt()
    state.apply("xs", lambda xs: [*xs, 2])
    state.apply("xs", lambda xs: [*xs, 3])
    assert state["xs"] == [1, 2, 3]
    state["xs"].append(4)
    state.apply("xs", lambda xs: [*xs, 5])
    store.commit(state)
    assert store.values == {"xs": [1, 2, 3, 4, 5]}


def test_what_a_function_gives_is_copied_when_it_is_read(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    held: list[int] = []
    state.apply("xs", lambda _: held)
    assert state["xs"] == []
    held.append(1)
    assert state["xs"] == []
    state.apply("ys", lambda _: add_one)
    with pytest.raises(StateValueError):
        state["ys"]


@pytest.mark.parametrize(
    "begin",
    [
        lambda state: None,
        lambda state: state["xs"].append(2),
        lambda state: state.update(xs=[1, 2]),
        lambda state: state.clear(),
    ],
    ids=["committed", "changed", "set", "missing"],
)
def test_a_function_that_failed_when_its_key_was_read_starts_from_the_same_value_again(
    make: MakeStore, begin: Callable[[State], object]
) -> None:
    store = make(xs=[1])
    state = store.attempt()
    begin(state)
    got: list[list[int]] = []

    def fail_once(xs: list[int]) -> list[int]:
        got.append(list(xs))
        xs.append(9)
        if len(got) == 1:
            raise ValueError("once")
        return xs

    state.apply("xs", fail_once, default=[0])
    with pytest.raises(ValueError, match="once"):
        state["xs"]
    store.commit(state)
    assert got[1] == got[0]
    assert store.values == {"xs": [*got[0], 9]}


def test_a_function_may_change_what_it_gets(make: MakeStore) -> None:
    store = make(xs=[1])
    state = store.attempt()
    state.apply("xs", lambda xs: xs.append(2) or xs)
    committed = store.values["xs"]
    store.commit(state)
    assert (committed, store.values) == ([1], {"xs": [1, 2]})


@pytest.mark.parametrize("early", [True, False])
def test_an_exception_of_a_function_comes_as_it_is_and_leaves_no_trace(
    make: MakeStore, early: bool
) -> None:
    store = make(count=1, xs=[1])
    state = store.attempt()
    mine = ValueError("mine")

    def fail(value: Any) -> Any:
        raise mine

    state["xs"] = [2]
    state.apply("count", fail)
    with pytest.raises(ValueError, match="mine") as caught:
        state["count"] if early else store.commit(state)
    assert caught.value is mine
    assert store.values == {"count": 1, "xs": [1]}


def test_a_function_must_not_use_the_state(make: MakeStore) -> None:
    state = make(count=1).attempt()
    state.apply("sum", lambda _: state["count"])
    with pytest.raises(ContextClosedError, match=r"apply\(\) gets the value"):
        state.settle("work")


def test_apply_takes_a_function(make: MakeStore) -> None:
    no_function: Any = 5
    with pytest.raises(TypeError, match=r"apply\('count', fn\) takes a function, not 5"):
        make().attempt().apply("count", no_function)


def test_a_conflict_is_found_before_a_function_runs(make: MakeStore) -> None:
    store = make(count=1)
    state = store.attempt()
    calls: list[int] = []
    state["count"] += 1
    state.apply("other", calls.append)
    store.store({"count": 2})
    with pytest.raises(StateConflictError):
        state.settle("work")
    assert calls == []


# ---- typed keys --------------------------------------------------------------------------------


def test_a_typed_key_means_the_entry_of_its_name(make: MakeStore) -> None:
    store = make(count=1)
    state = store.attempt()
    state[COUNT] += 1
    assert (state["count"], COUNT in state, list(state)) == (2, True, ["count"])
    del state[COUNT]
    assert "count" not in state


def test_a_typed_key_with_a_default_is_never_missing(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    assert (state[COUNT], state.get(COUNT), state.pop(COUNT)) == (0, 0, 0)
    assert (state.get(COUNT, 5), state.pop(COUNT, 5)) == (5, 5)
    assert COUNT not in state
    assert store.commit(state) == Changes({}, frozenset())


def test_a_typed_key_without_a_default_is_missing_as_a_string_is(make: MakeStore) -> None:
    state = make().attempt()
    for key in (NAME, "name"):
        for use in (lambda: state[key], lambda: state.pop(key), lambda: state.__delitem__(key)):  # noqa: B023
            with pytest.raises(KeyError) as caught:
                use()
            assert caught.value.args == ("name",)
        assert state.get(key) is None
        assert state.pop(key, None) is None
    with pytest.raises(KeyError, match="name"):
        state.setdefault(NAME)


def test_a_mutable_default_is_a_private_copy_and_changing_it_is_a_write(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    tags = state[TAGS]
    assert ("tags" in state, len(state), state.get("tags")) == (False, 0, None)
    tags.append("a")
    assert state[TAGS] is tags
    assert state["tags"] is tags
    assert (TAGS in state, len(state), list(state)) == (True, 1, ["tags"])
    store.commit(state)
    assert store.values == {"tags": ["a"]}
    assert TAGS.default == []


def test_a_default_that_was_read_and_not_changed_is_no_write(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    assert state[TAGS] == []
    assert state[TAGS] is state[TAGS]
    assert store.commit(state) == Changes({}, frozenset())


def test_changing_a_default_that_another_attempt_made_unneeded_is_a_conflict(
    make: MakeStore,
) -> None:
    store = make()
    state = store.attempt()
    state[TAGS].append("a")
    store.store({"tags": ["b"]})
    with pytest.raises(StateConflictError):
        state.settle("work")


def test_a_default_may_be_changed_after_the_key_was_removed(make: MakeStore) -> None:
    store = make(tags=["old"])
    state = store.attempt()
    del state[TAGS]
    assert (state[TAGS], list(state)) == ([], [])
    state[TAGS].append("new")
    assert (state["tags"], list(state)) == (["new"], ["tags"])
    store.commit(state)
    assert store.values == {"tags": ["new"]}


def test_popping_a_default_gives_a_copy_that_is_no_part_of_state(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    state.pop(TAGS).append("a")
    assert store.commit(state) == Changes({}, frozenset())
    assert TAGS.default == []


def test_setdefault_keeps_the_object_it_returns(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    tags = state[TAGS]
    assert state.setdefault(TAGS) is tags
    tags.append("a")
    state.setdefault("xs", []).append(1)
    assert (state.setdefault("none"), state.setdefault(COUNT), state.setdefault(COUNT, 7)) == (
        None,
        0,
        0,
    )
    store.commit(state)
    assert store.values == {"tags": ["a"], "xs": [1], "none": None, "count": 0}


def test_setdefault_copies_what_it_sets(make: MakeStore) -> None:
    state = make().attempt()
    mine: list[int] = []
    assert state.setdefault("xs", mine) is not mine
    mine.append(1)
    assert state["xs"] == []
    with pytest.raises(StateValueError):
        state.setdefault("callback", add_one)


def test_typed_keys_are_equal_by_name() -> None:
    assert StateKey("count", int) == COUNT
    assert len({COUNT, StateKey("count", int), NAME}) == 2
    assert COUNT != NAME
    assert COUNT != "count"


def test_the_repr_of_a_typed_key_can_be_read() -> None:
    assert repr(COUNT) == "StateKey('count', int, default=0)"
    assert repr(NAME) == "StateKey('name', str)"
    assert repr(StateKey("limit", int | None)) == "StateKey('limit', int | None)"


# ---- a mapping ---------------------------------------------------------------------------------


class Keys(enum.StrEnum):
    COUNT = "count"


@pytest.mark.parametrize("key", [1, None, ("count",), b"count"])
def test_keys_are_strings(make: MakeStore, key: Any) -> None:
    state = make().attempt()
    uses: list[Callable[[], object]] = [
        lambda: state[key],
        lambda: state.__setitem__(key, 1),
        lambda: state.__delitem__(key),
        lambda: key in state,
        lambda: state.get(key),
        lambda: state.pop(key, 1),
        lambda: state.setdefault(key, 1),
        lambda: state.apply(key, add_one),
        lambda: StateKey(key, int),
    ]
    for use in uses:
        with pytest.raises(TypeError, match="a state key is a string or a StateKey, not"):
            use()


def test_a_string_enum_is_the_plain_string(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    state[Keys.COUNT] = 1
    state[Keys.COUNT] += 1
    assert state["count"] == 2
    store.commit(state)
    assert [type(key) for key in store.values] == [str]


def test_it_is_updated_as_a_dict(make: MakeStore) -> None:
    state = make(a=1).attempt()
    state.update({"b": 2}, c=3)
    same = state
    state |= {"d": 4}
    state |= [("e", 5)]
    assert state is same
    assert dict(state) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert (list(state), len(state)) == (["a", "b", "c", "d", "e"], 5)


def test_iteration_shows_what_reading_would(make: MakeStore) -> None:
    state = make(a=1, b=2, xs=[1]).attempt()
    del state["a"]
    state["c"] = 3
    state["a"] = 9
    state.apply("d", add_one, default=3)
    state.apply("b", add_one)
    del state["xs"]
    assert list(state) == ["a", "b", "c", "d"]
    assert dict(state.items()) == {"b": 3, "c": 3, "a": 9, "d": 4}
    assert len(state) == 4


def test_clear_removes_what_is_there_now(make: MakeStore) -> None:
    store = make(a=1, b=2)
    state = store.attempt()
    state["c"] = 3
    state.clear()
    assert len(state) == 0
    store.store({"a": 5, "d": 4})
    assert store.commit(state).removes == {"a", "b"}
    assert store.values == {"d": 4}


def test_removing_what_was_never_committed_is_no_change(make: MakeStore) -> None:
    store = make()
    state = store.attempt()
    state["a"] = 1
    del state["a"]
    assert store.commit(state) == Changes({}, frozenset())


def test_the_repr_shows_no_values(make: MakeStore) -> None:
    state = make(secret="s3cret").attempt()
    assert repr(state) == "<State of 1 keys>"
    state.close()
    assert repr(state) == "<State, closed>"


# ---- the end -----------------------------------------------------------------------------------


def test_any_use_after_the_attempt_is_refused(make: MakeStore) -> None:
    state = make(count=1).attempt()
    state.close()
    uses: list[Callable[[], object]] = [
        lambda: state["count"],
        lambda: state.__setitem__("count", 1),
        lambda: state.__delitem__("count"),
        lambda: "count" in state,
        lambda: list(state),
        lambda: len(state),
        lambda: state.get("count"),
        lambda: state.pop("count", 1),
        lambda: state.setdefault("count", 1),
        lambda: state.update(count=1),
        lambda: state.clear(),
        lambda: state.items().__iter__().__next__(),
        lambda: state.apply("count", add_one),
        lambda: state.settle("work"),
    ]
    for use in uses:
        with pytest.raises(ContextClosedError, match="after its attempt"):
            use()


def test_settling_ends_the_attempt(make: MakeStore) -> None:
    state = make(count=1).attempt()
    state.settle("work")
    with pytest.raises(ContextClosedError):
        state["count"] = 1


# ---- against plain dicts -----------------------------------------------------------------------

CODEC = CODECS["codec"]
names = st.sampled_from(["a", "b", "c"])
plain = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)


class Gone(enum.Enum):
    GONE = "gone"


GONE = Gone.GONE


def append_to(value: Any, item: int) -> list[Any]:
    return [*value, item] if isinstance(value, list) else [value, item]


class Model:
    """One attempt, as naively as it can be said: what it read, what it wrote, what it will call."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state = store.attempt()
        self.own: dict[str, Any] = {}
        self.read_at: dict[str, int] = {}
        self.copies: dict[str, list[Any]] = {}
        self.originals: dict[str, Any] = {}
        self.calls: list[tuple[str, int]] = []

    def see(self, name: str) -> Any:
        if name in dict(self.calls):
            self.note(name)
            self.own[name] = self.called(name)
            self.forget(name)
        if name in self.own:
            return self.own[name]
        self.note(name)
        value = self.store.values.get(name, GONE)
        if isinstance(value, list):
            self.originals.setdefault(name, list(value))
            return self.copies.setdefault(name, list(value))
        return self.copies.get(name, value)

    def holds(self, name: str) -> bool:
        """As :meth:`see`, but a container stays as it is committed."""
        if name in self.own or name in self.copies or name in dict(self.calls):
            return self.see(name) is not GONE
        self.note(name)
        return name in self.store.values

    def note(self, name: str) -> None:
        self.read_at.setdefault(name, self.store.committed.versions.get(name, 0))

    def put(self, name: str, value: Any) -> None:
        self.own[name] = copy.copy(value)
        self.forget(name)

    def forget(self, name: str) -> None:
        self.copies.pop(name, None)
        self.calls = [call for call in self.calls if call[0] != name]

    def writes(self) -> dict[str, Any]:
        changed = {
            name: value for name, value in self.copies.items() if value != self.originals[name]
        }
        return self.own | changed

    def called(self, name: str) -> Any:
        value = self.writes().get(name, self.store.values.get(name, GONE))
        for called, item in self.calls:
            if called == name:
                value = append_to(None if value is GONE else value, item)
        return value

    def result(self) -> dict[str, Any]:
        return self.writes() | {name: self.called(name) for name, _ in self.calls}

    def conflicts(self) -> bool:
        versions = self.store.committed.versions
        return any(
            name in self.read_at and versions.get(name, 0) != self.read_at[name]
            for name in self.writes()
        )


class ConcurrentAttempts(RuleBasedStateMachine):
    """Attempts that read, write, commit and fail in any order."""

    attempts: Bundle[Model] = Bundle("attempts")

    @initialize(values=st.dictionaries(names, plain))
    def begin(self, values: dict[str, Any]) -> None:
        self.store = Store(CODEC, **values)
        self.expected = copy.deepcopy(values)

    @rule(target=attempts)
    def start(self) -> Model:
        return Model(self.store)

    @rule(model=attempts, name=names)
    def read(self, model: Model, name: str) -> None:
        assert model.state.get(name, GONE) == model.see(name)

    @rule(model=attempts, name=names)
    def look(self, model: Model, name: str) -> None:
        assert (name in model.state) == model.holds(name)

    @rule(model=attempts, name=names, value=plain)
    def write(self, model: Model, name: str, value: Any) -> None:
        model.state[name] = value
        model.put(name, value)

    @rule(model=attempts, name=names, item=st.integers(4, 6))
    def change(self, model: Model, name: str, item: int) -> None:
        value = model.see(name)
        found = model.state.get(name, GONE)
        if isinstance(value, list):
            value.append(item)
            found.append(item)

    @rule(model=attempts, name=names)
    def remove(self, model: Model, name: str) -> None:
        expected = model.see(name)
        assert model.state.pop(name, GONE) == expected
        if expected is not GONE:
            model.put(name, GONE)

    @rule(model=attempts, name=names, item=st.integers(7, 9))
    def apply(self, model: Model, name: str, item: int) -> None:
        model.state.apply(name, lambda value: append_to(value, item))
        model.calls.append((name, item))

    @rule(model=consumes(attempts))
    def commit(self, model: Model) -> None:
        if model.conflicts():
            with pytest.raises(StateConflictError):
                self.store.commit(model.state)
            return
        result = model.result()
        self.store.commit(model.state)
        self.expected = {
            name: value for name, value in (self.expected | result).items() if value is not GONE
        }

    @rule(model=consumes(attempts))
    def fail(self, model: Model) -> None:
        model.state.close()

    @rule(target=attempts, model=consumes(attempts))
    def fail_and_retry(self, model: Model) -> Any:
        model.state.close()
        return multiple(Model(self.store))

    @invariant()
    def committed_state_is_what_the_commits_made(self) -> None:
        assert self.store.values == self.expected


TestConcurrentAttempts = ConcurrentAttempts.TestCase


@given(
    order=st.permutations([number for number in range(6) for _ in range(2)]),
    applying=st.sets(st.integers(0, 5)),
)
def test_no_update_is_lost_without_a_conflict(order: list[int], applying: set[int]) -> None:
    """Six attempts add one to a counter; each first reads or applies, and later commits."""
    store = Store(CODEC, count=0)
    begun: dict[int, State] = {}
    counted = 0
    for number in order:
        if number not in begun:
            state = begun[number] = store.attempt()
            if number in applying:
                state.apply(COUNT, add_one)
            else:
                state[COUNT] += 1
            continue
        try:
            store.commit(begun[number])
        except StateConflictError:
            assert number not in applying
        else:
            counted += 1
    assert store.values == {"count": counted}
    assert counted >= max(1, len(applying))
