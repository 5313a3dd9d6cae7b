"""Seals: every record carries a digest of itself and of where it belongs.

A record is sealed under its run's id, its key and its sequence, so that one which was altered, cut
or put in another's place is found when it is opened, and named. With a key the digest is a
signature: who does not have the key can't make one. A cipher hides the content besides.

The digests of all rows add up to a sum that the run's head carries, so that a row which is missing
or was put back from an earlier time is found, too.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

import attrs

from .._exceptions import StoreError

__all__ = ["Cipher", "RunSeal", "Seal"]

_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)


class Cipher(Protocol):
    """Hides the content of records. ``context`` says where a record belongs; bind it in."""

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        """Encrypt."""
        ...

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        """Decrypt.

        Raises:
            Exception: the data was altered, or encrypted with another key or for another context.
        """
        ...


def _key_bytes(key: bytes | str | None) -> bytes:
    if key is None:
        return b""
    if not key:
        raise ValueError("the key of a seal is empty; leave it out to use none")
    data = key.encode() if isinstance(key, str) else key
    return hashlib.blake2b(data, digest_size=64).digest()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Seal:
    """How the records of a store are sealed.

    Attributes:
        key: signs them; ``None`` for digests that anybody could make.
        cipher: encrypts them; ``None`` to leave them readable.
        max_size: how many bytes one record may have before it is encrypted; 16 MiB by default.
    """

    key: bytes = attrs.field(default=None, converter=_key_bytes, repr=False)
    cipher: Cipher | None = None
    max_size: int = 16 * 2**20

    def for_run(self, run_id: str) -> RunSeal:
        """Make the seal of one run's records."""
        digest = hashlib.blake2b(run_id.encode("utf-8", "surrogatepass"), key=self.key)
        return RunSeal(self, run_id, digest.digest())


class RunSeal:
    """The seal of one run's records."""

    __slots__ = ("_key", "_run_id", "_seal")

    def __init__(self, seal: Seal, run_id: str, key: bytes) -> None:
        self._seal = seal
        self._run_id = run_id
        self._key = key

    def close(self, key: str, sequence: int, text: str) -> bytes:
        """Seal the content of a record.

        Raises:
            StoreError: it is too large.
        """
        data = text.encode()
        if len(data) > self._seal.max_size:
            raise StoreError(
                f"run {self._run_id!r}: record {key!r} has {len(data):,} bytes and may have "
                f"{self._seal.max_size:,}; keep large data elsewhere and a reference in the event "
                "or in state, or raise max_size= of the store's seal"
            )
        place = self._place(key, sequence)
        if self._seal.cipher is not None:
            data = self._seal.cipher.encrypt(data, place)
        return self._digest(place, data) + data

    def open(self, key: str, sequence: int, body: bytes) -> str:
        """Unseal a record.

        Raises:
            StoreError: it was altered, cut, or belongs elsewhere.
        """
        place, data = self._place(key, sequence), body[_SIZE:]
        if not hmac.compare_digest(self._digest(place, data), body[:_SIZE]):
            raise self.broken(key, "was altered, cut, put in another's place, or has another key")
        try:
            if self._seal.cipher is not None:
                data = self._seal.cipher.decrypt(data, place)
            return data.decode()
        except Exception as error:
            raise self.broken(key, "can't be decrypted") from error

    def broken(self, key: str, how: str) -> StoreError:
        """Make the error about a record."""
        return StoreError(f"run {self._run_id!r}: record {key!r} {how}")

    @staticmethod
    def weight(body: bytes) -> int:
        """What a sealed row adds to the sum of its run's rows."""
        return int.from_bytes(body[:_SIZE], "big")

    @staticmethod
    def total(weights: int) -> int:
        """Bring a sum of weights, or of differences between them, into its range."""
        return weights % _MODULUS

    def _place(self, key: str, sequence: int) -> bytes:
        # The length, so that no key can pose as another with part of the content.
        return f"{sequence}:{len(key)}:{key}:".encode("utf-8", "surrogatepass")

    def _digest(self, place: bytes, data: bytes) -> bytes:
        digest = hashlib.blake2b(place, digest_size=_SIZE, key=self._key)
        digest.update(data)
        return digest.digest()
