"""Stored records are hidden, bound to their places, and readable with the key alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from blazen_anyio import StoreError
from blazen_anyio.stores import AESGCMCipher, Seal, SQLiteStore
from blazen_anyio.testing.store_conformance.base import begin

KEY = bytes(range(32))


def test_what_was_encrypted_is_decrypted() -> None:
    cipher = AESGCMCipher(KEY)
    for data in (b"", b"secret", bytes(10_000)):
        assert cipher.decrypt(cipher.encrypt(data, b"here"), b"here") == data


def test_the_same_data_never_looks_the_same() -> None:
    cipher = AESGCMCipher(KEY)
    assert len({cipher.encrypt(b"secret", b"here") for _ in range(100)}) == 100


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_have_the_sizes_of_the_standard(size: int) -> None:
    cipher = AESGCMCipher(bytes(size))
    assert cipher.decrypt(cipher.encrypt(b"x", b""), b"") == b"x"


@pytest.mark.parametrize("key", [b"", bytes(31), "text" * 8])
def test_other_keys_are_refused(key: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        AESGCMCipher(key)


def test_nothing_opens_elsewhere_or_altered_or_with_another_key() -> None:
    seal = Seal(cipher=AESGCMCipher(KEY))
    body = seal.for_run("run").close("state/a", 3, "secret")
    assert b"secret" not in body
    assert seal.for_run("run").open("state/a", 3, body) == "secret"
    wrong = Seal(cipher=AESGCMCipher(bytes(32)))
    with pytest.raises(StoreError, match="can't be decrypted"):
        wrong.for_run("run").open("state/a", 3, body)
    with pytest.raises(StoreError, match="altered"):
        seal.for_run("run").open("state/b", 3, body)
    cipher = AESGCMCipher(KEY)
    hidden = cipher.encrypt(b"secret", b"here")
    for data, context in ((hidden, b"there"), (hidden[:-1], b"here"), (b"", b"here")):
        with pytest.raises(Exception):  # noqa: B017  # the cipher's own
            cipher.decrypt(data, context)


@pytest.mark.anyio
async def test_nothing_of_it_is_in_the_file(tmp_path: Path) -> None:
    seal = Seal(cipher=AESGCMCipher(KEY), key="signed")
    path = tmp_path / "runs.db"
    async with SQLiteStore(path, seal=seal) as store:
        body = seal.for_run("run-1").close("a", 1, "a secret of great length")
        await begin(store, puts=(("a", body),))
        found = await store.read("run-1")
        assert found is not None
        opened = store.seal.for_run("run-1").open("a", 1, found[1][0].body)
        assert opened == "a secret of great length"
    assert b"a secret" not in path.read_bytes()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ImportError, match=r"blazen-anyio\[encryption\]"):
        AESGCMCipher(KEY)
