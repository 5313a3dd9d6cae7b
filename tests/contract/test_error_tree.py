"""Errors form one tree under ``WorkflowError`` and inherit the builtin that fits."""

from __future__ import annotations

import inspect

import pytest

import blazen_anyio
from blazen_anyio import WorkflowError

ERRORS = {
    name: value
    for name in blazen_anyio.__all__
    if inspect.isclass(value := getattr(blazen_anyio, name)) and issubclass(value, BaseException)
}


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_a_workflow_error(name: str) -> None:
    assert issubclass(ERRORS[name], WorkflowError)


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("DefinitionError", TypeError),
        ("StepTimeoutError", TimeoutError),
        ("WorkflowTimeoutError", TimeoutError),
        ("StateValueError", TypeError),
        ("UnknownRequestError", LookupError),
        ("SnapshotError", ValueError),
        ("SnapshotVersionError", blazen_anyio.SnapshotError),
        ("InputRequiredError", blazen_anyio.RunSuspendedError),
        ("RunLostError", blazen_anyio.StoreError),
    ],
)
def test_an_error_is_what_else_it_ought_to_be(name: str, parent: type[BaseException]) -> None:
    assert issubclass(ERRORS[name], parent)
