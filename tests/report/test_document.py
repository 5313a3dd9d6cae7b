"""The data of a page: summaries, graphs, rows and gaps, as plain data."""

from __future__ import annotations

import json
from typing import Any

from blazen_anyio import Event, StartEvent, StepStatistics, StopEvent, Workflow, step
from blazen_anyio._report.document import Record, document
from blazen_anyio._report.summary import observe, summarize, topology_of
from blazen_anyio._report.timeline import read_timeline

from .told import Story


def record(story: Story, **about: Any) -> Record:
    return Record(
        **{"workflow": "w", "run_id": "r", "status": "completed", "facts": story.facts, **about}
    )


def names(data: dict[str, Any], *numbers: int | None) -> list[str | None]:
    return [None if number is None else data["strings"][number] for number in numbers]


# ---- summaries -----------------------------------------------------------------------------------


def test_a_step_is_summed_up() -> None:
    story = Story().step("started").step("failed").step("started", attempt=2).step("completed")
    story.step("started", 2).step("waiting", 2).step("continued", 2).step("timed_out", 2)
    story.step("started", 3).step("cancelled", 3).step("started", 4)
    summary = summarize(read_timeline(story.facts, ended=False))["work"]
    assert (summary.invocations, summary.completed, summary.failed) == (4, 1, 1)
    assert (summary.cancelled, summary.running, summary.lost, summary.retries) == (1, 1, 0, 1)
    assert (summary.durations, summary.waited) == ([1], 1)


def test_times_that_are_not_known_do_not_count() -> None:
    story = Story().step("completed").step("continued", 2).step("waiting", 2)
    summary = summarize(read_timeline(story.facts, ended=False))["work"]
    assert (summary.durations, summary.waited, summary.quantile(0.5)) == ([], 0, None)


def test_quantiles_are_durations_that_there_were() -> None:
    story = Story()
    for number in range(1, 12):
        story.step("started", number)
        story.now += number - 1
        story.step("completed", number)
    summary = summarize(read_timeline(story.facts, ended=True))["work"]
    assert [summary.quantile(share) for share in (0, 0.5, 1)] == [1, 6, 11]


# ---- graphs --------------------------------------------------------------------------------------


@step
async def first(ev: StartEvent) -> StopEvent:
    return StopEvent()


class Item(Event):
    pass


WORKFLOW = Workflow("declared", [first])


def test_without_a_workflow_the_graph_is_what_the_facts_show() -> None:
    story = Story().step("started", 1, "a").step("started", 2, "b", cause=1)
    story.step("started", 3, "b", cause=1).step("started", 4, "c", cause=99)
    story.inside(("r/3.0",)).step("started", 1, "inner")
    topology = observe(read_timeline(story.facts, ended=True))
    assert [(node.kind, node.label) for node in topology.nodes] == [
        ("external", "events"),
        ("step", "a"),
        ("step", "b"),
        ("step", "c"),
    ]
    assert [(edge.source, edge.target) for edge in topology.edges] == [
        ("outside", "step0"),
        ("step0", "step1"),
    ]
    edges = document(record(story))["graph"]["edges"]
    assert [(*edge[:3], edge[5]) for edge in edges] == [(0, 1, ["Work"], 1), (1, 2, ["Work"], 2)]


def test_a_run_without_anything_has_a_graph_without_anything() -> None:
    data = document(record(Story()))
    assert (data["graph"]["nodes"], data["graph"]["edges"]) == ([], [])
    assert (data["run"]["duration"], data["run"]["began"]) == (0, None)


def test_a_declared_graph_shows_how_often_its_ways_were_taken() -> None:
    story = Story().step("started", 1, "first").step("completed", 1, "first")
    graph = document(record(story, topology=topology_of(WORKFLOW.graph)))["graph"]
    assert graph["declared"]
    assert [node[:2] for node in graph["nodes"]] == [
        ["start", "StartEvent"],
        ["step", "first"],
        ["stop", "StopEvent"],
    ]
    taken = {(edge[0], edge[1]): edge[5] for edge in graph["edges"]}
    assert taken == {(0, 1): 1, (1, 2): None}


def test_what_a_gather_takes_is_not_counted_as_one() -> None:
    @step
    async def split(ev: StartEvent) -> list[Item]:
        return []

    @step
    async def total(items: list[Item]) -> StopEvent:
        return StopEvent()

    story = Story().step("started", 1, "split").step("completed", 1, "split")
    story.step("started", 4, "total", cause=1)
    topology = topology_of(Workflow("declared", [split, total]).graph)
    edges = document(record(story, topology=topology))["graph"]["edges"]
    assert [(edge[2], edge[5]) for edge in edges] == [
        (["StartEvent"], 1),
        (["Item"], None),
        (["StopEvent"], None),
    ]


def test_events_from_outside_are_counted_for_no_way_if_there_are_several() -> None:
    two = Workflow("two", [first], external=[StartEvent])
    story = Story().step("started", 1, "first")
    graph = document(record(story, topology=topology_of(two.graph)))["graph"]
    assert {edge[5] for edge in graph["edges"]} == {None}


def test_edges_between_the_same_nodes_are_one() -> None:
    story = Story().step("started", 1, "a", event_type="X").step("started", 2, "a", event_type="Y")
    (edge,) = document(record(story))["graph"]["edges"]
    assert (edge[2], edge[5]) == (["X", "Y"], 2)


# ---- rows ----------------------------------------------------------------------------------------


def test_invocations_are_rows_of_names_and_times_from_the_beginning() -> None:
    story = Story()
    story.now = 100
    story.routed().step("started", 7).step("failed", 7, error="Boom", duration=1)
    story.step("started", 8, "next", cause=7, event_type="Done")
    data = document(record(story, status="running", now=110.0, offset=1000.0))
    first_row, second_row = data["invocations"]
    run, number, name, kind, cause, ready, attempts = first_row
    assert (run, number, cause, ready) == (None, 7, -1, 0)
    assert names(data, name, kind) == ["work", "Work"]
    assert attempts == [[1, 1, 2, "failed", data["strings"].index("Boom"), []]]
    assert (second_row[1], second_row[4], second_row[5]) == (8, 0, None)
    assert second_row[6] == [[1, 3, None, "running", None, []]]
    assert (data["run"]["began"], data["run"]["duration"]) == (1100, 10)


def test_a_cause_that_is_not_known_is_told_from_the_outside() -> None:
    story = Story().step("started", 1, cause=None).step("started", 2, cause=99)
    story.inside(("r/50.0",)).step("started", 3, cause=0)
    assert [row[4] for row in document(record(story))["invocations"]] == [-2, -2, -2]


def test_a_beginning_before_the_first_fact_is_the_beginning() -> None:
    story = Story()
    story.now = 10
    data = document(record(story.step("completed", duration=4.5)))
    assert data["run"]["duration"] == 4.5
    assert data["invocations"][0][6][0][1:3] == [0, 4.5]
    assert data["facts"][0][1] == 4.5


def test_waits_are_rows_within_an_attempt() -> None:
    story = Story().step("started").step("waiting").step("continued").step("waiting")
    data = document(record(story, status="running"))
    assert data["invocations"][0][6][0][5] == [[1, 2], [3, None]]


def test_facts_are_rows_that_name_their_invocation() -> None:
    story = Story().routed().inside(("r/1.0",))
    story.step("failed", 5, error="Boom", duration=0.5)
    data = document(record(story))
    routed, failed = data["facts"]
    assert names(data, routed[0], routed[3], routed[2], routed[7]) == [
        "event_routed",
        "Work",
        None,
        None,
    ]
    assert routed[8] is None
    assert names(data, failed[0], failed[2], failed[6], failed[7]) == [
        "step_failed",
        "work",
        "Boom",
        "r/1.0",
    ]
    assert (failed[4], failed[5], failed[8]) == (1, 0.5, 0)


def test_steps_come_in_the_order_of_the_workflow_with_what_was_counted() -> None:
    story = Story().step("started", 1, "late").step("completed", 1, "late")
    counts = {"early": StepStatistics(1, 2, 3, 4, 5), "late": StepStatistics(0, 0, 1, 0, 0)}
    early, late, other = document(
        record(story, counts=counts, topology=topology_of(WORKFLOW.graph))
    )["steps"]
    assert (early["name"], late["name"], other["name"]) == ("early", "late", "first")
    assert early["counted"]["done"] == 3
    assert (early["invocations"], early["median"]) == (0, None)
    assert (late["completed"], late["median"], late["total"]) == (1, 1, 1)
    assert other["counted"] is None


def test_gaps_state_and_requests_are_told() -> None:
    data = document(
        record(
            Story(),
            gaps=["gone"],
            state={"b": "2", "a": "1"},
            state_note="old",
            requests=["Why?"],
            error="Boom: \u202e",
            result="3",
        )
    )
    assert data["gaps"] == ["gone"]
    assert data["state"] == [["a", "1"], ["b", "2"]]
    assert (data["stateNote"], data["requests"]) == ("old", ["Why?"])
    assert (data["run"]["error"], data["run"]["result"]) == ("Boom: \\u202e", "3")


def test_the_data_is_json() -> None:
    story = Story().step("started").step("completed")
    data = document(record(story))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
