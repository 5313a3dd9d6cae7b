"""What one attempt has read and written, over the committed state.

The rule: a read notes the version of its key, and writing a key whose version has moved on since is
a conflict. Committed values are never changed in place: what a step gets, and what it leaves, are
copies. So the committed object that was read is also the original to compare the step's copy with.

A step in a worker thread reads while the event loop commits. A commit stores the value before the
version, and a read looks up the version before the value. At worst it takes a new value for an old
one, which is a conflict too many and never a lost update.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, final

import attrs

from .._exceptions import ContextClosedError, StateConflictError
from .values import MISSING, Changes, Committed, Mark, StateCodec

__all__ = ["Overlay"]

_IMMUTABLE = frozenset({int, str, float, bool, bytes, type(None), Mark})
_NOTHING: frozenset[str] = frozenset()


@attrs.frozen(eq=False, repr=False)
class _View:
    """A container that was read.

    Attributes:
        private: the copy that the step holds.
        original: what it was copied from.
        stored: whether the original is committed; else it is the default of a typed key.
    """

    private: Any
    original: Any
    stored: bool


@attrs.frozen(eq=False, repr=False)
class _Call:
    """A function given to ``apply``."""

    number: int
    function: Callable[[Any], Any]
    default: Any


@final
class Overlay:
    """What one attempt has read and written.

    A name has a write, which may be a removal, or a view of what is committed, or neither. Only the
    default of a removed name may be viewed beside its write. Calls come on top.
    """

    __slots__ = (
        "_calls",
        "_codec",
        "_committed",
        "_next_call",
        "_reads",
        "_views",
        "_writes",
        "closed",
    )

    def __init__(self, committed: Committed, codec: StateCodec) -> None:
        self._committed = committed
        self._codec = codec
        self.closed = False
        self._reads: dict[str, int] = {}  # the version at the first read
        self._views: dict[str, _View] = {}
        self._writes: dict[str, Any] = {}  # MISSING is a removal
        self._calls: dict[str, list[_Call]] = {}
        self._next_call = 0

    # ---- reading -------------------------------------------------------------------------------

    def read(self, name: str) -> Any:
        """Return the value of ``name`` or MISSING, and note that the step has seen it."""
        self.check_open()
        if name in self._calls:
            self._run_early(name)
        # Before the writes: a default may be read after its key was removed.
        if name in self._views:
            view = self._views[name]
            return view.private if self._is_there(view) else MISSING
        if name in self._writes:
            return self._writes[name]
        self._note_read(name)
        return self._open_view(name, self._committed.values.get(name, MISSING), stored=True)

    def read_default(self, name: str, default: Any) -> Any:
        """Return what reading a missing key gives: a private copy of its default, if it has one.

        Raises:
            KeyError: ``default`` is MISSING.
        """
        if default is MISSING:
            raise KeyError(name)
        if name in self._views:
            return self._views[name].private
        return self._open_view(name, default, stored=False)

    def holds(self, name: str) -> bool:
        """Say whether ``name`` is there. A read, but one that copies nothing."""
        self.check_open()
        if name in self._writes or name in self._views or name in self._calls:
            return self.read(name) is not MISSING
        self._note_read(name)
        return name in self._committed.values

    def names(self) -> dict[str, None]:
        """Return the keys that are there, the committed ones first. It reads none."""
        self.check_open()
        # list() runs no Python code, so that no commit comes in between in another thread.
        names = dict.fromkeys(list(self._committed.values))
        for name, value in self._writes.items():
            if value is MISSING:
                names.pop(name, None)
            else:
                names[name] = None
        names.update(dict.fromkeys(self._calls))
        views = [name for name, view in self._views.items() if self._is_there(view)]
        names.update(dict.fromkeys(views))
        return names

    def _note_read(self, name: str) -> None:
        if name not in self._reads:
            self._reads[name] = self._committed.versions.get(name, 0)

    def _open_view(self, name: str, original: Any, *, stored: bool) -> Any:
        """A private copy, which is remembered; or ``original`` if nobody can change it."""
        private = self.copy(name, original)
        if private is not original:
            self._views[name] = _View(private, original, stored)
        return private

    def _is_there(self, view: _View) -> bool:
        return view.stored or self._is_changed(view)

    def _is_changed(self, view: _View) -> bool:
        return not self._codec.same(view.private, view.original)

    # ---- writing -------------------------------------------------------------------------------

    def write(self, name: str, value: Any) -> None:
        """Write ``value``, which nobody but the step may hold; MISSING removes the key."""
        self.check_open()
        self._calls.pop(name, None)
        self._views.pop(name, None)
        self._writes[name] = value

    def apply(self, name: str, function: Callable[[Any], Any], default: Any) -> None:
        """Have ``function`` called at the commit, with a copy of ``default`` for MISSING."""
        self.check_open()
        call = _Call(self._next_call, function, self.copy(name, default))
        self._next_call += 1
        self._calls.setdefault(name, []).append(call)

    def copy_in(self, name: str, value: Any) -> Any:
        """Copy a value that comes from the step.

        Raises:
            StateValueError: it could not be restored exactly.
        """
        return self._codec.copy(value, name)

    def copy(self, name: str, value: Any) -> Any:
        """Copy a value, but don't look at one that nobody can change."""
        return value if value.__class__ in _IMMUTABLE else self._codec.copy(value, name)

    # ---- calling -------------------------------------------------------------------------------

    def _run_early(self, name: str) -> None:
        """Call what waits for the commit, because the step wants to see what comes of it."""
        self._note_read(name)
        value = self._base(name)
        for call in self._calls[name]:
            value = self._call(name, call, value)
        self.write(name, self.copy_in(name, value))

    def _base(self, name: str) -> Any:
        """A copy of what the first call gets, or MISSING."""
        view = self._views.get(name)
        if view is not None and self._is_changed(view):
            return self.copy(name, view.private)
        if name in self._writes:
            return self.copy(name, self._writes[name])
        return self.copy(name, self._committed.values.get(name, MISSING))

    def _call(self, name: str, call: _Call, value: Any) -> Any:
        if value is not MISSING:
            return call.function(value)
        if call.default is MISSING:
            raise KeyError(name)
        return call.function(self.copy(name, call.default))

    # ---- the end -------------------------------------------------------------------------------

    def settle(self, step_name: str) -> Changes:
        """Work out what the attempt changes; see ``State.settle``."""
        self.check_open()
        self.closed = True
        if self._views:
            self._take_changed_views()
        if self._writes:
            self._refuse_conflicts(step_name)
        writes = self._run_calls() if self._calls else {}
        removes: list[str] = []
        for name, value in self._writes.items():
            if name in writes:
                continue  # a call went on from this value
            if value is not MISSING:
                writes[name] = self.copy(name, value)
            elif name in self._committed.values:
                removes.append(name)
        return Changes(writes, frozenset(removes) if removes else _NOTHING)

    def _take_changed_views(self) -> None:
        for name, view in self._views.items():
            if self._is_changed(view):
                self._writes[name] = view.private

    def _refuse_conflicts(self, step_name: str) -> None:
        versions = self._committed.versions
        for name in self._writes:
            if name in self._reads and versions.get(name, 0) != self._reads[name]:
                raise StateConflictError(step_name, name)

    def _run_calls(self) -> dict[str, Any]:
        """Call all functions in the order in which they were given; return the new values."""
        waiting = [(call.number, name, call) for name in self._calls for call in self._calls[name]]
        values: dict[str, Any] = {}
        for _, name, call in sorted(waiting, key=itemgetter(0)):
            value = values[name] if name in values else self._base(name)
            values[name] = self._call(name, call, value)
        return {name: self.copy_in(name, value) for name, value in values.items()}

    def check_open(self) -> None:
        """Refuse any use after the end.

        Raises:
            ContextClosedError: the attempt is over.
        """
        if self.closed:
            raise ContextClosedError(
                "ctx.state was used after its attempt had ended (a function given to apply() gets "
                "the value and must not use the state)"
            )
