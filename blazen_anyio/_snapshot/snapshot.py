"""``Snapshot``: a run at one moment, ready to be kept, sent and resumed."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Any, final

import attrs

from .._codec import (
    TAG,
    WAYS_OUT,
    Codec,
    Malformed,
    canonical_in_pieces,
    escape_text,
    kind_of,
    refusing_at,
    shown,
    under,
    unescape_text,
)
from .._events import InputRequestEvent
from .._exceptions import SnapshotError
from .._machine import Sheets
from .columns import (
    Columns,
    check_tables,
    count_of,
    read_tables,
    rows_of,
    shorten_tables,
    steps_in,
    values_in,
    write_tables,
)
from .document import MAX_CHILDREN, VERSION, Key, dump, load
from .form import Loading, Saving
from .integrity import check_references

__all__ = ["Snapshot", "requests_in"]

_NO_RENAMES: Mapping[str, str] = MappingProxyType({})
_BUILT_IN = Codec(())
_LISTED = 20


@final
@attrs.frozen(kw_only=True, slots=False, eq=False, repr=False)
class Snapshot:
    """All that a run needs to go on, at one moment. Immutable.

    It holds plain data and no object of the run: it stays what it was, can be written as JSON
    without loss, and goes on with ``workflow.resume(snapshot)``, in this process or another. Two
    snapshots are equal if they hold the same. Reading and writing a large one takes a while and may
    be done in a worker thread: ``await to_thread.run_sync(snapshot.to_json)``.

    Attributes:
        run_id: the id of the run.
        workflow: the name of the workflow.
    """

    run_id: str
    workflow: str
    _tables: dict[str, Columns] = attrs.field(alias="tables")
    _requests: tuple[InputRequestEvent, ...] | None = attrs.field(default=None, alias="requests")

    @classmethod
    def of(
        cls,
        sheets: Sheets,
        *,
        run_id: str,
        workflow: str,
        codec: Codec,
        offset: float,
        requests: Iterable[InputRequestEvent] | None = None,
    ) -> Snapshot:
        """Write down the live state of a run, at once.

        Args:
            sheets: from the machine.
            run_id: the id of the run.
            workflow: the name of the workflow.
            codec: knows the classes of the workflow.
            offset: wall-clock time minus the machine's, in seconds.
            requests: the open requests, to show them as they are and not as they were written.

        Raises:
            StateValueError: a live object in a field of an event.
            SnapshotError: child runs that nest too deep to be read again.
        """
        written = write_tables(sheets, Saving(codec, offset))
        if _levels_of_children(written) > MAX_CHILDREN:
            raise SnapshotError(f"child runs nested deeper than {MAX_CHILDREN} levels")
        shown = None if requests is None else tuple(requests)
        return cls(run_id=run_id, workflow=workflow, tables=written, requests=shown)

    @classmethod
    def from_json(cls, text: str, key: Key | None = None) -> Snapshot:
        """Read what ``to_json`` wrote.

        Args:
            text: the document.
            key: the key that it was signed with; ``None`` if it was not.

        Raises:
            SnapshotError: it is damaged, was changed, is signed with another key or not at all, or
                was never a snapshot; ``path`` says where.
            SnapshotVersionError: another version wrote it.
            ValueError: the key is empty.
        """
        return cls.from_data(load(text, key))

    @classmethod
    def from_data(cls, data: Any) -> Snapshot:
        """Read what ``to_data`` returned.

        Raises:
            SnapshotError: it did not return this.
        """
        with refusing_at("$"):
            return _read_content(data, 0)

    @classmethod
    def from_bytes(cls, data: bytes, key: Key | None = None) -> Snapshot:
        """Read what ``to_bytes`` wrote; see ``from_json``.

        Raises:
            SnapshotError: as for ``from_json``.
            SnapshotVersionError: another version wrote it.
            ValueError: the key is empty.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise SnapshotError(f"no UTF-8 at byte {error.start}") from error
        return cls.from_json(text, key)

    def to_json(self, key: Key | None = None) -> str:
        """Write the snapshot as a JSON document with a version and a digest.

        Args:
            key: signs the document (HMAC-SHA256), so that ``from_json`` with this key refuses any
                that was made or changed without it.

        Raises:
            SnapshotError: the document would be longer than ``from_json`` takes.
            ValueError: the key is empty.
        """
        return dump(self._pieces, key)

    def to_bytes(self, key: Key | None = None) -> bytes:
        """Write the snapshot as JSON in UTF-8; see ``to_json``.

        Raises:
            SnapshotError: as for ``to_json``.
            ValueError: the key is empty.
        """
        return self.to_json(key).encode()

    def to_data(self) -> dict[str, Any]:
        """Return the content as plain data in rows, without version, digest and signature.

        What the rows hold belongs to the snapshot: don't change it.
        """
        rows = {name: rows_of(name, columns) for name, columns in self._tables.items()}
        return {**self._names(), **rows}

    def _names(self) -> dict[str, Any]:
        return {"run_id": escape_text(self.run_id), "workflow": escape_text(self.workflow)}

    @property
    def version(self) -> int:
        """The version of the document."""
        return VERSION

    @property
    def requests(self) -> tuple[InputRequestEvent, ...]:
        """The open requests, oldest first, those of child runs last.

        Those of a document show as plain ``InputRequestEvent``, and metadata of a class that only
        the workflow knows shows as plain data. Resuming restores what was really there.
        """
        if self._requests is not None:
            return self._requests
        return tuple(map(_plain_request, _requests_in(self._tables)))

    def sheets(
        self,
        codec: Codec,
        *,
        offset: float,
        renames: Mapping[str, str] = _NO_RENAMES,
        steps: Collection[str] | None = None,
    ) -> Sheets:
        """Read the sheets for a machine.

        Args:
            codec: knows the classes of the workflow.
            offset: wall-clock time minus the machine's, in this process.
            renames: old to new names of steps, event types and classes.
            steps: the names of the workflow's steps; ``None`` if any will do.

        Raises:
            SnapshotError: names that nobody knows here, all in ``problems``, or a malformed value.
        """
        loading = Loading(codec.reader(renames), offset, renames)
        unknown = _unknown_steps(self._tables, loading, steps)
        if not unknown:
            with refusing_at("$"):
                try:
                    return read_tables(self._tables, loading)
                except Malformed as fault:
                    if not fault.unknown:
                        raise
        raise _misfit(unknown | _unknown_types(self._tables, loading))

    @functools.cached_property
    def _pieces(self) -> tuple[str, ...]:
        data = {**self._names(), **shorten_tables(self._tables)}
        return tuple(canonical_in_pieces(data))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self._pieces == other._pieces

    def __hash__(self) -> int:
        return hash(self._pieces)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count_of(name, self._tables[name])} {name}"
            for name in ("events", "deliveries", "requests")
        )
        return f"<Snapshot of {self.workflow!r}, run {self.run_id!r}: {counts}>"


def _levels_of_children(tables: dict[str, Any]) -> int:
    levels = (1 + _levels_of_children(child) for child in _children_in(tables))
    return max(levels, default=0)


def _read_content(data: Any, level: int) -> Snapshot:
    if kind_of(data) is not dict:
        raise Malformed("expected the content of a snapshot")
    content: dict[str, Any] = dict(data)
    run_id = _take_text(content, "run_id")
    workflow = _take_text(content, "workflow")
    tables = check_tables(content)
    check_references(tables)
    for index, saved in enumerate(tables["children"].get("saved", ())):
        if saved is not None:
            with under("children"), under(index), under("saved"):
                if level == MAX_CHILDREN:
                    raise Malformed(f"child runs nested deeper than {MAX_CHILDREN} levels")
                _read_content(saved, level + 1)
    return Snapshot(run_id=run_id, workflow=workflow, tables=tables)


def _take_text(content: dict[str, Any], name: str) -> str:
    data = content.pop(name, None)
    with under(name):
        if not isinstance(data, str):
            raise Malformed(f"expected text, got {shown(data)}")
        try:
            return unescape_text(data)
        except ValueError as error:
            raise Malformed("expected text") from error


def _requests_in(tables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in sorted(_rows(tables, "requests"), key=itemgetter("number")):
        yield row["event"]["fields"]
    for row in _rows(tables, "children"):
        answered = {request_id for request_id, _ in row.get("answers") or ()}
        for fields in _requests_in(row["saved"]) if row.get("saved") is not None else ():
            if fields["request_id"] not in answered:
                yield fields


def _children_in(tables: dict[str, Any]) -> list[dict[str, Any]]:
    return [row["saved"] for row in _rows(tables, "children") if row.get("saved") is not None]


def _rows(tables: dict[str, Any], name: str) -> list[dict[str, Any]]:
    table = tables[name]
    return table if kind_of(table) is list else rows_of(name, table)


def requests_in(data: Any) -> list[InputRequestEvent]:
    """The open requests in what ``to_data`` returned, as :attr:`Snapshot.requests` has them."""
    return list(map(_plain_request, _requests_in(data)))


def _plain_request(fields: dict[str, Any]) -> InputRequestEvent:
    return InputRequestEvent(
        prompt=str(_plain_value(fields.get("prompt", ""))),
        metadata=_plain_metadata(fields.get("metadata")),
        request_id=fields["request_id"],
    )


def _plain_metadata(data: Any) -> Mapping[str, Any]:
    if kind_of(data) is dict and TAG not in data:
        return {name: _plain_value(part) for name, part in data.items()}
    value = _plain_value(data)
    return value if kind_of(value) is dict else {}


def _plain_value(data: Any) -> Any:
    if kind_of(data) is dict and data.get(TAG) == "untyped":
        data = data.get("v")
    try:
        return _BUILT_IN.decode(data, "$")
    except SnapshotError:
        return data


def _unknown_steps(
    tables: dict[str, Any], loading: Loading, steps: Collection[str] | None
) -> dict[str, str]:
    unknown: dict[str, str] = {}
    for path, name in steps_in(tables):
        if steps is not None and name and loading.renamed(name) not in steps:
            unknown.setdefault(f"step {shown(name)}", path)
    return unknown


def _unknown_types(tables: dict[str, Any], loading: Loading) -> dict[str, str]:
    unknown: dict[str, str] = {}
    for path, data in values_in(tables):
        for name in loading.reader.unknown_types(data):
            unknown.setdefault(name, path)
    return unknown


def _misfit(unknown: dict[str, str]) -> SnapshotError:
    problems = [f"unknown {what} at {path}" for what, path in unknown.items()]
    listed = "; ".join(problems[:_LISTED])
    more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    path = next(iter(unknown.values()))
    return SnapshotError(f"{listed}{more}; {WAYS_OUT}", path, problems)
