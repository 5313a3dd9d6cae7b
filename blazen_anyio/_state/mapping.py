"""``ctx.state``: the mapping that a step sees. It turns the many ways to use a mapping into few."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self, TypeVar, final, overload

from .overlay import Overlay
from .values import MISSING, Changes, Committed, StateCodec, StateKey, default_of, name_of

__all__ = ["State"]

T = TypeVar("T")
D = TypeVar("D")


@final
class State(MutableMapping[str, Any]):
    """The run's state as one attempt sees it. Keys are strings or :class:`StateKey` objects.

    What is written takes effect when the attempt succeeds, together with what it sends and returns.
    If another attempt commits a key after this one has first read it, then writing that key makes
    the attempt fail with :exc:`StateConflictError`.

    A value is copied when it is set. Reading a container gives a private copy, the same at each
    read, and to change that is to write its key. Reading anything else gives what is committed at
    that moment.

    ``in``, ``get``, ``pop``, ``setdefault`` and ``del`` read their key. ``len``, iteration,
    ``clear`` and plain assignment read none.
    """

    __slots__ = ("_overlay",)

    def __init__(self, committed: Committed, codec: StateCodec) -> None:
        self._overlay = Overlay(committed, codec)

    # ---- reading -------------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: StateKey[T], /) -> T: ...

    @overload
    def __getitem__(self, key: str, /) -> Any: ...

    def __getitem__(self, key: str | StateKey[Any], /) -> Any:
        name = name_of(key)
        value = self._overlay.read(name)
        return self._overlay.read_default(name, default_of(key)) if value is MISSING else value

    @overload
    def get(self, key: str, /) -> Any: ...

    @overload
    def get(self, key: str, default: Any, /) -> Any: ...

    @overload
    def get(self, key: StateKey[T], /) -> T | None: ...

    @overload
    def get(self, key: StateKey[T], default: D, /) -> T | D: ...

    # pyright wants an overload for each of Mapping's; the second for a string covers two of them.
    def get(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: str | StateKey[Any], default: Any = MISSING, /
    ) -> Any:
        """Return the value of ``key``; if it is missing, ``default`` itself.

        Without ``default`` a typed key's own default serves, as in ``state[key]``, and else
        ``None``.
        """
        name = name_of(key)
        value = self._overlay.read(name)
        if value is not MISSING:
            return value
        if default is not MISSING:
            return default
        own = default_of(key)
        return None if own is MISSING else self._overlay.read_default(name, own)

    def __contains__(self, key: object, /) -> bool:
        return self._overlay.holds(name_of(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._overlay.names())

    def __len__(self) -> int:
        return len(self._overlay.names())

    # ---- writing -------------------------------------------------------------------------------

    @overload
    def __setitem__(self, key: StateKey[T], value: T, /) -> None: ...

    @overload
    def __setitem__(self, key: str, value: Any, /) -> None: ...

    def __setitem__(self, key: str | StateKey[Any], value: Any, /) -> None:
        name = name_of(key)
        self._overlay.write(name, self._overlay.copy_in(name, value))

    def __delitem__(self, key: str | StateKey[Any], /) -> None:
        name = name_of(key)
        if not self._overlay.holds(name):
            raise KeyError(name)
        self._overlay.write(name, MISSING)

    def __ior__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:
        self.update(other)
        return self

    @overload
    def pop(self, key: str, /) -> Any: ...

    @overload
    def pop(self, key: str, default: Any, /) -> Any: ...

    @overload
    def pop(self, key: StateKey[T], /) -> T: ...

    @overload
    def pop(self, key: StateKey[T], default: D, /) -> T | D: ...

    def pop(  # pyright: ignore[reportIncompatibleMethodOverride]  # as for get
        self, key: str | StateKey[Any], default: Any = MISSING, /
    ) -> Any:
        """Remove ``key`` and return its value; if it is missing, ``default``.

        Raises:
            KeyError: it is missing, and neither ``default`` nor a default of the key was given.
        """
        name = name_of(key)
        value = self._overlay.read(name)
        if value is not MISSING:
            self._overlay.write(name, MISSING)
            return value
        if default is not MISSING:
            return default
        own = default_of(key)
        if own is MISSING:
            raise KeyError(name)
        return self._overlay.copy(name, own)

    @overload
    def setdefault(self, key: str, default: None = None, /) -> Any: ...

    @overload
    def setdefault(self, key: str, default: Any, /) -> Any: ...

    @overload
    def setdefault(self, key: StateKey[T], default: T = ..., /) -> T: ...

    def setdefault(self, key: str | StateKey[Any], default: Any = MISSING, /) -> Any:
        """Return the value of ``key``, after setting it to ``default`` if it is missing.

        Without ``default`` a typed key's own default serves, and for a string ``None``.

        Raises:
            KeyError: a typed key without any default is missing.
        """
        name = name_of(key)
        value = self._overlay.read(name)
        if value is not MISSING:
            return value
        if default is MISSING:
            value = None if isinstance(key, str) else self._overlay.read_default(name, key.default)
        else:
            value = self._overlay.copy_in(name, default)
        self._overlay.write(name, value)
        return value

    def clear(self) -> None:
        """Remove all keys that are there now, without reading any."""
        for name in self._overlay.names():
            self._overlay.write(name, MISSING)

    @overload
    def apply(self, key: StateKey[T], fn: Callable[[T], T], default: T = ...) -> None: ...

    @overload
    def apply(self, key: str, fn: Callable[[Any], Any], default: Any = None) -> None: ...

    def apply(
        self, key: str | StateKey[Any], fn: Callable[[Any], Any], default: Any = MISSING
    ) -> None:
        """Replace a value by ``fn(value)`` when the attempt commits. This never conflicts.

        ``fn`` gets a private copy of what is committed by then, or of what this attempt has written
        before, and must depend on nothing else. If it raises, the attempt fails. Reading the key in
        the same attempt calls ``fn`` at once, and then that counts as a read and a write.

        Args:
            key: the key.
            fn: a plain function; what it returns is stored.
            default: what ``fn`` gets if the key is missing. Without it a typed key's own default
                serves (if it has none, the attempt fails with ``KeyError``), and for a string
                ``None``.

        Raises:
            TypeError: ``fn`` can't be called.
            StateValueError: ``default`` could not be restored exactly.
        """
        name = name_of(key)
        if not callable(fn):
            raise TypeError(f"apply({name!r}, fn) takes a function, not {fn!r}")
        if default is MISSING:
            default = None if isinstance(key, str) else key.default
        self._overlay.apply(name, fn, default)

    # ---- the end -------------------------------------------------------------------------------

    def settle(self, step_name: str) -> Changes:
        """Work out what the attempt changes. To be called at its commit; it is then over.

        Args:
            step_name: the name of the step, for the error.

        Raises:
            StateConflictError: another attempt has committed a key that this one read and wrote.
            StateValueError: something in a changed container could not be restored exactly.
            ContextClosedError: the attempt is over already, or a function that was given to
                ``apply`` uses the state.
            Exception: whatever such a function raises, the very object.
        """
        return self._overlay.settle(step_name)

    def close(self) -> None:
        """End the attempt: any later use raises :exc:`ContextClosedError`."""
        self._overlay.closed = True

    def __repr__(self) -> str:
        return "<State, closed>" if self._overlay.closed else f"<State of {len(self)} keys>"
