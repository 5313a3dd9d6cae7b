"""The graph as data, as Mermaid and as DOT."""

import anyio
from graphs import A, Done, Work, make, reduce, split, start_stop

from blazen_anyio import RunStatistics, StepStatistics, Workflow, step
from blazen_anyio._events import (
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._graph import Graph, build


def _drawn() -> Graph:
    return build(
        "w",
        [
            split,
            make("work", Work, Done | InputRequestEvent),
            make("got", InputResponseEvent, Done),
            make("handler", StepFailed, StopEvent, for_steps=["work"]),
            make("tick", A, None),
            reduce,
        ],
        external=[A],
    )


def test_the_graph_is_plain_data() -> None:
    data = _drawn().as_dict()
    names = {node["id"]: node["label"] for node in data["nodes"]}
    edges = {
        (names[edge["source"]], names[edge["target"]], edge["event"], edge["kind"])
        for edge in data["edges"]
    }

    assert edges == {
        ("StartEvent", "split", "StartEvent", "event"),
        ("A", "tick", "A", "event"),
        ("split", "work", "Work", "fan_out"),
        ("work", "reduce", "Done", "event"),
        ("work", "got", "InputResponseEvent", "answer"),
        ("got", "reduce", "Done", "event"),
        ("work", "handler", "StepFailed", "failure"),
        ("handler", "StopEvent", "StopEvent", "event"),
        ("reduce", "StopEvent", "StopEvent", "event"),
    }
    assert [node["kind"] for node in data["nodes"]] == [
        "start",
        "external",
        *["step"] * 5,
        "gather",
        "stop",
    ]


def test_a_mermaid_drawing_shows_steps_events_and_annotations() -> None:
    drawing = _drawn().to_mermaid({"work": "3 done", "StopEvent": "no step"})

    assert drawing.startswith("flowchart TD\n")
    assert '    step1["work<br/>3 done"]\n' in drawing
    assert '    step5{{"reduce"}}\n' in drawing
    assert '    step0 ==>|"Work"| step1\n' in drawing
    assert '    step1 -.->|"StepFailed"| step3\n' in drawing
    assert "no step" not in drawing


def test_a_dot_drawing_shows_steps_events_and_annotations() -> None:
    drawing = _drawn().to_dot({"work": "3 done"})

    assert drawing.startswith("digraph workflow {\n")
    assert drawing.endswith("}\n")
    assert '    step1 [shape=box, label="work\\n3 done"];\n' in drawing
    assert '    step0 -> step1 [style=bold, label="Work"];\n' in drawing


def _statistics(**steps: StepStatistics) -> RunStatistics:
    return RunStatistics(steps, 0.0)


def test_a_run_is_drawn_over_its_graph_with_counts_and_states() -> None:
    statistics = _statistics(
        split=StepStatistics(waiting=0, running=0, done=1, failed=0, retried=0),
        work=StepStatistics(waiting=4, running=2, done=12_345, failed=0, retried=3),
        got=StepStatistics(waiting=1, running=0, done=0, failed=0, retried=0),
        handler=StepStatistics(waiting=0, running=1, done=0, failed=1, retried=0),
        reduce=StepStatistics(waiting=0, running=0, done=0, failed=0, retried=0),
    )
    mermaid = _drawn().to_mermaid(statistics)
    assert '    step0["split<br/>1 done"]\n    style step0 fill:#d1e7dd\n' in mermaid
    assert '    step1["work<br/>12,345 done, 2 running, 4 waiting, 3 retried"]\n' in mermaid
    assert "    style step1 fill:#cfe2ff\n" in mermaid
    assert '    step2["got<br/>1 waiting"]\n    style step2 fill:#fff3cd\n' in mermaid
    assert '    step3["handler<br/>1 running, 1 failed"]\n    style step3 fill:#f8d7da\n' in mermaid
    assert '    step5{{"reduce"}}\n    stop' in mermaid

    dot = _drawn().to_dot(statistics)
    assert (
        '    step0 [shape=box, label="split\\n1 done", style=filled, fillcolor="#d1e7dd"];\n' in dot
    )
    assert '    step5 [shape=hexagon, label="reduce"];\n' in dot


async def _draw_a_real_run() -> str:
    @step
    async def begin(ev: StartEvent) -> StopEvent:
        return StopEvent()

    workflow = Workflow("w", [begin])
    async with workflow.start() as run:
        await run.result()
        return workflow.graph.to_mermaid(run.statistics())


def test_the_statistics_of_a_run_are_taken_as_they_are() -> None:
    assert '"begin<br/>1 done"' in anyio.run(_draw_a_real_run)


HOSTILE = 'a"]; end <script>`x`</script>\\ #quot; {{|'


def test_a_drawing_needs_no_annotations() -> None:
    assert '    step1["work"]\n' in _drawn().to_mermaid()
    assert '    step1 [shape=box, label="work"];\n' in _drawn().to_dot()


def test_hostile_names_stay_text() -> None:
    graph = build("w", [make(HOSTILE, StartEvent, StopEvent)])
    mermaid = graph.to_mermaid({HOSTILE: 'x"\n] --> y'})
    dot = graph.to_dot({HOSTILE: 'x"\n]; y'})

    line = next(line for line in mermaid.splitlines() if "step0[" in line)
    assert line == (
        '    step0["a#34;#93;#59; end #60;script#62;#96;x#96;#60;/script#62;#92; #35;quot#59; '
        '#123;#123;#124;<br/>x#34;#10;#93; --#62; y"]'
    )
    line = next(line for line in dot.splitlines() if "step0 [" in line)
    assert line == (
        '    step0 [shape=box, label="a\\"]; end <script>`x`</script>\\\\ #quot; {{|\\nx\\" ]; y"];'
    )


def test_long_names_are_cut() -> None:
    drawing = build("w", [start_stop]).to_mermaid({"start_stop": "x" * 1000})

    assert "x" * 197 + "..." in drawing
    assert "x" * 198 not in drawing
