"""Child runs in a snapshot: answers they could not take yet, their numbers, renamed workflows."""

from __future__ import annotations

from typing import Any

import pytest
from codec_values import Box
from snapshot_runs import altered, child_data, read_rows, snapshot, tables

from blazen_anyio._exceptions import SnapshotError
from blazen_anyio._machine.records import ChildRow, Tables
from blazen_anyio._snapshot import Snapshot, requests_in


def with_answers(answers: list[tuple[str, Any]] | None) -> Tables:
    rows = tables()
    rows.children[10, 0] = ChildRow(
        delivery=10, number=0, workflow="child", digest="d", saved=child_data(), answers=answers
    )
    return rows


def read(text: str, renames: dict[str, str] | None = None) -> Tables:
    return read_rows(Snapshot.from_json(text), renames=renames or {})


def test_answers_come_back_equal_and_of_the_same_type() -> None:
    answers = [("child-request", Box((1, {2}))), ("odd \ud83d", None)]
    text = snapshot(with_answers(answers)).to_json()
    assert read(text).children[10, 0].answers == answers


def test_no_answers_are_not_written_but_may_be_read() -> None:
    assert '"answers"' not in snapshot().to_json()
    text = altered(lambda content: content["children"][0].update(answers=None))
    assert read(text).children[10, 0].answers is None


def test_what_has_been_answered_is_not_open() -> None:
    assert [each.request_id for each in requests_in(child_data())] == ["child-request"]
    prompts = [each.prompt for each in snapshot().requests]
    assert prompts[-1] == "and this?"
    answered = snapshot(with_answers([("child-request", 1)]))
    assert [each.prompt for each in answered.requests] == prompts[:-1]


@pytest.mark.parametrize("answers", [{}, "text", [1], [[]], [["id"]], [["id", 1, 2]], [[1, 1]]])
def test_answers_of_another_form_are_refused(answers: Any) -> None:
    text = altered(lambda content: content["children"][0].update(answers=answers))
    with pytest.raises(
        SnapshotError, match="expected pairs of a request id and an answer"
    ) as caught:
        Snapshot.from_json(text)
    assert caught.value.path == "$.children[0].answers"


def test_an_answer_that_can_not_be_read_is_refused_with_its_place() -> None:
    answers = [["id", {"$": "nonsense"}]]
    text = altered(lambda content: content["children"][0].update(answers=answers))
    with pytest.raises(SnapshotError) as caught:
        read(text)
    assert caught.value.path.startswith("$.children[0].answers")


def test_a_child_whose_elder_is_missing_is_refused() -> None:
    with pytest.raises(SnapshotError, match="the child run before it is missing") as caught:
        Snapshot.from_json(altered(lambda content: content["children"].pop(0)))
    assert caught.value.path == "$.children[0].number"


def test_the_workflow_of_a_child_may_be_renamed() -> None:
    rows = read(snapshot().to_json(), {"child": "offspring"})
    assert {row.workflow for row in rows.children.values()} == {"offspring"}
