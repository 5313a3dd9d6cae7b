"""The document around a snapshot's content: JSON text with a version, a digest and a signature.

The digest is taken of the content written again in one form, so that white space does not count. It
says that nothing was changed by accident; only a signature, made with a key, says that by intent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .._codec import MAX_DEPTH, canonical, kind_of, shown
from .._exceptions import SnapshotError, SnapshotVersionError

__all__ = ["MAX_CHARACTERS", "MAX_CHILDREN", "MAX_NESTING", "VERSION", "Key", "dump", "load"]

Key = bytes | str

FORMAT = "blazen-anyio"
VERSION = 2

MAX_CHARACTERS = 2**29
"""A longer text is not even parsed."""

MAX_CHILDREN = 32
"""How many levels of child runs a document may hold."""

MAX_NESTING = 3 * MAX_DEPTH + 3 * MAX_CHILDREN + 10
"""Levels of JSON: at most three per level of a value and per level of child runs."""

_HEADER = ("format", "version", "digest", "signature")


def dump(pieces: Sequence[str], key: Key | None) -> str:
    """Wrap the canonical text of the content, which is a JSON object that is not empty.

    Args:
        pieces: of the text; the first is the bracket that opens it.
        key: to sign it with.

    Raises:
        SnapshotError: it is too long to be read again.
        ValueError: the key is empty.
    """
    digest = _digest(piece.encode() for piece in pieces)
    signature = None if key is None else _signature(digest, key)
    document = "".join((_head(digest, signature), *pieces[1:]))
    _check_size(document)
    return document


def _head(digest: object, signature: object) -> str:
    header = {"format": FORMAT, "version": VERSION, "digest": digest, "signature": signature}
    return canonical(header)[:-1] + ","


def load(text: str, key: Key | None) -> dict[str, Any]:
    """Unwrap a document.

    Returns:
        The content, which nobody else holds.

    Raises:
        SnapshotError: it is no document that this release has written, or it was changed since.
        ValueError: the key is empty.
    """
    _check_size(text)
    encoded = text.encode("utf-8", "replace")
    _check_nesting(encoded)
    document = _parse(text)
    _check_version(document)
    content = {name: part for name, part in document.items() if name not in _HEADER}
    # What ``dump`` writes is ASCII. Encoding other text may have replaced something.
    _check_digest(document, content, encoded if text.isascii() else b"")
    _check_signature(document, key)
    return content


def _check_size(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise SnapshotError(f"longer than {MAX_CHARACTERS:,} characters")


_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))


def _check_nesting(structure: bytes) -> None:
    # Before the parser, which recurses on the C stack: keep the structure only, then take away the
    # innermost pairs again and again.
    if b"\\" in structure:
        structure = _ESCAPE.sub(b"", structure)
    # Taking away two quotes in a row, whatever they are, leaves what is inside strings inside.
    structure = structure.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    structure = _STRING.sub(b"", structure)
    for _ in range(MAX_NESTING):
        if not structure:
            return
        structure = structure.replace(b"[]", b"").replace(b"{}", b"")
    if structure:
        raise SnapshotError(f"brackets that do not match, or more than {MAX_NESTING} levels deep")


def _parse(text: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except SnapshotError:
        raise
    except json.JSONDecodeError as error:
        raise SnapshotError(f"no JSON: {error.msg} at character {error.pos}") from error
    except RecursionError:
        raise SnapshotError("nested deeper than the stack that is left") from None
    except ValueError as error:  # a number with thousands of digits
        raise SnapshotError("a number that is too long") from error
    if kind_of(document) is not dict:
        raise SnapshotError("expected a JSON object")
    content: dict[str, Any] = document
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SnapshotError(f"the key {shown(twice)} is there twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:
        raise SnapshotError(f"the number {shown(text)} is out of range")
    return number


def _refuse_constant(name: str) -> None:
    raise SnapshotError(f"{name} is no JSON")


def _check_version(document: dict[str, Any]) -> None:
    if document.get("format") != FORMAT:
        raise SnapshotError("this is no snapshot of blazen_anyio", "$.format")
    version = document.get("version")
    if type(version) is not int:
        raise SnapshotError(f"expected a version, got {shown(version)}", "$.version")
    if version > VERSION:
        raise SnapshotVersionError(
            f"written by a newer release (version {version}; this one reads {VERSION}); "
            "upgrade blazen_anyio",
            "$.version",
        )
    if version != VERSION:
        raise SnapshotVersionError(
            f"no release has written version {version}; this one reads {VERSION}", "$.version"
        )


def _check_digest(document: dict[str, Any], content: dict[str, Any], encoded: bytes) -> None:
    digest = document.get("digest")
    head = _head(digest, document.get("signature")).encode()
    # Mostly it is as ``dump`` made it, and need not be written again to take its digest.
    if encoded.startswith(head):
        body = memoryview(encoded)[len(head) :]
        if _agree(digest, _digest((b"{", body))):
            return
    if not _agree(digest, _digest((canonical(content).encode(),))):
        raise SnapshotError(
            "the content does not agree with its digest: it is damaged or was changed", "$.digest"
        )


def _check_signature(document: dict[str, Any], key: Key | None) -> None:
    signature = document.get("signature")
    if key is None:
        if signature is not None:
            raise SnapshotError("signed with a key; pass it as key=", "$.signature")
        return
    expected = _signature(document["digest"], key)
    if signature is None:
        raise SnapshotError(
            "not signed, so key= can't vouch for it; read it without a key if you trust it",
            "$.signature",
        )
    if not _agree(signature, expected):
        raise SnapshotError("signed with another key, or changed by somebody", "$.signature")


def _agree(given: object, expected: str) -> bool:
    if not isinstance(given, str):
        return False
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _digest(content: Iterable[bytes | memoryview]) -> str:
    """The digest of content in UTF-8, in as many pieces as it comes."""
    digest = hashlib.sha256(f"{FORMAT}/{VERSION}\n".encode())
    for piece in content:
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _signature(digest: str, key: Key) -> str:
    secret = key.encode() if isinstance(key, str) else key
    if not secret:
        raise ValueError("the key of a snapshot must not be empty")
    return f"hmac-sha256:{hmac.new(secret, digest.encode(), hashlib.sha256).hexdigest()}"
