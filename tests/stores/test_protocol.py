"""What a store of one's own gets from the base class."""

from __future__ import annotations

import pytest

from blazen_anyio import Store

pytestmark = pytest.mark.anyio


async def test_a_store_with_nothing_to_open_is_a_context_manager_all_the_same() -> None:
    methods = {name: lambda self: None for name in Store.__abstractmethods__}
    store = type("Plain", (Store,), methods)()
    async with store as entered:
        assert entered is store
