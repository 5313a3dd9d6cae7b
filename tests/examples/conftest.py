"""The examples run in real time: of sockets nobody can tell when nothing is left to do."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both backends as they are, not on virtual time."""
    backend: str = request.param
    return backend
