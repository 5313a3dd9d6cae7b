"""What type checkers know of ``ctx.state``. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_type

from blazen_anyio._state import State, StateKey

count = StateKey("count", int, default=0)
name = StateKey("name", str)
tags = StateKey("tags", list[str], default=[])
limit: StateKey[int | None] = StateKey("limit", int | None, default=None)

assert_type(count, StateKey[int])
assert_type(name, StateKey[str])
assert_type(tags, StateKey[list[str]])
assert_type(count.name, str)


def double(value: int) -> int:
    return 2 * value


def shout(value: str) -> str:
    return value.upper()


def reading(state: State) -> None:
    assert_type(state[count], int)
    assert_type(state[tags], list[str])
    assert_type(state[limit], int | None)
    assert_type(state["count"], Any)
    assert_type(state.get(count), int | None)
    assert_type(state.get(count, 1), int)
    assert_type(state.get(count, "none"), int | str)
    assert_type(state.get("count"), Any)
    assert_type(state.get("count", 1), Any)
    assert_type(list(state), list[str])
    assert_type(len(state), int)
    assert_type(count in state, bool)


def writing(state: State) -> None:
    state[count] = 1
    state[count] += 1
    state[count] = "one"  # type: ignore[misc]
    state[1] = 1  # type: ignore[call-overload]
    state["anything"] = object()
    state |= {"count": 1}
    state.update(count=1)
    del state[count]
    del state["count"]
    assert_type(state.pop(count), int)
    assert_type(state.pop(count, None), int | None)
    assert_type(state.pop("count"), Any)
    assert_type(state.setdefault(count), int)
    assert_type(state.setdefault(tags, []), list[str])
    assert_type(state.setdefault("count", 1), Any)


def applying(state: State) -> None:
    state.apply(count, double)
    state.apply(count, double, default=5)
    state.apply(count, lambda value: value + 1)
    state.apply(tags, lambda value: [*value, "new"])
    state.apply(name, double)  # type: ignore[arg-type]
    state.apply(count, double, default="none")  # type: ignore[misc]
    state.apply("count", double, default=1)
    state.apply("name", shout)
