"""The example's workflow gives a typed result."""

from __future__ import annotations

from typing import assert_type

from blazen_anyio import Workflow
from blazen_anyio.examples.census import Census, Scan, census


async def result_is_a_census() -> None:
    workflow = census(timeout=1.0)
    assert_type(workflow, Workflow[Census])
    assert_type(await workflow.run(Scan(root=".")), Census)
