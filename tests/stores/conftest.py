"""The stores' tests run in real time: their threads can't be seen by a virtual clock."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both backends, in real time."""
    return request.param, {"debug": True} if request.param == "asyncio" else {}
