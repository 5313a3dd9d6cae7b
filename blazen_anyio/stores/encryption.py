"""Encryption of stored records, for a store's seal; needs the extra ``encryption``.

The nonce is random and leads the record. Where the record belongs (run, key, sequence) is bound in,
so that it opens nowhere else.
"""

from __future__ import annotations

import os

__all__ = ["AESGCMCipher"]

_NONCE = 12


class AESGCMCipher:
    """Encrypts records with AES in Galois/counter mode.

    ::

        seal = Seal(cipher=AESGCMCipher(key))
        async with SQLiteStore("runs.db", seal=seal) as store: ...

    Args:
        key: 16, 24 or 32 random bytes, as ``os.urandom(32)`` makes them. Change it before four
            billion records have been written with it.

    Raises:
        ImportError: the extra is not installed.
        TypeError: the key is no bytes.
        ValueError: the key has another length.
    """

    __slots__ = ("_aes",)

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ImportError(
                "AESGCMCipher needs cryptography: pip install 'blazen-anyio[encryption]'"
            ) from error
        self._aes = AESGCM(key)

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        """Encrypt, with a new nonce."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aes.encrypt(nonce, data, context)

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        """Decrypt.

        Raises:
            Exception: the data was altered, or encrypted with another key or for another context.
        """
        return self._aes.decrypt(data[:_NONCE], data[_NONCE:], context)
