"""Pipelines: stages one after another or side by side, built out of what any workflow can do."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    InputRequestEvent,
    InputRequiredError,
    NoHandlerError,
    Parallel,
    Snapshot,
    Stage,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    pipeline,
    step,
)
from blazen_anyio._run import Runner

from .kit import Boom, Log, Work

pytestmark = pytest.mark.anyio


class Ask(StartEvent):
    text: str


class Answer(StopEvent):
    text: str


def adding(amount: int, seconds: float = 0, log: Log | None = None) -> Workflow[Any]:
    """Adds to the number that it starts with."""

    @step
    async def add(ev: Work) -> StopEvent:
        if log is not None:
            log(f"add {amount} to {ev.n}")
        await anyio.sleep(seconds)
        return StopEvent(result=ev.n + amount)

    return Workflow(f"add {amount}", [add])


def telling() -> Workflow[Any]:
    """Returns the data that it starts with."""

    @step
    async def tell(ev: StartEvent) -> StopEvent:
        return StopEvent(result=dict(ev.data))

    return Workflow("tell", [tell])


def of_start(results: Any) -> Event:
    return Work(results["start"].data["n"])


def of(name: str) -> Any:
    return lambda results: Work(results[name])


# ---- one after another -------------------------------------------------------------------------


async def test_stages_run_one_after_another_each_with_the_results_so_far() -> None:
    workflow = pipeline(
        "sum",
        [
            Stage("first", adding(1), input=of_start),
            Stage("second", adding(10), input=of("first")),
            Stage(
                "third", adding(100), input=lambda results: Work(sum(list(results.values())[1:]))
            ),
        ],
    )
    assert await workflow.run(n=5) == {"first": 6, "second": 16, "third": 122}


async def test_by_default_the_first_gets_the_start_event_and_later_ones_the_results() -> None:
    workflow = pipeline("tell", [Stage("first", telling()), Stage("second", telling())])
    results = await workflow.run(topic="tides")
    assert results["first"] == {"topic": "tides"}
    assert results["second"] == {
        "start": StartEvent(data={"topic": "tides"}),
        "first": {"topic": "tides"},
    }


async def test_typed_start_and_stop_events_go_through() -> None:
    @step
    async def answer(ev: Ask) -> Answer:
        return Answer(text=f"{ev.text}!")

    child = Workflow("answer", [answer], stop=Answer)
    workflow = pipeline("p", [Stage("answer", child)], types=[Ask, Answer])
    assert await workflow.run(Ask(text="why")) == {"answer": Answer(text="why!")}


async def test_a_stage_whose_condition_does_not_hold_is_skipped_and_has_no_result() -> None:
    workflow = pipeline(
        "p",
        [
            Stage("first", adding(1), input=of_start, when=lambda results: False),
            Stage("second", telling(), when=lambda results: "first" not in results),
        ],
    )
    assert await workflow.run(n=1) == {"second": {"n": 1}}


async def test_a_stage_runs_again_with_its_latest_result_as_long_as_it_says() -> None:
    workflow = pipeline(
        "p",
        [
            Stage(
                "grow",
                adding(3),
                input=lambda results: Work(results.get("grow", 0)),
                again=lambda results: results["grow"] < 8,
            ),
            Stage("end", adding(0), input=of("grow")),
        ],
    )
    assert await workflow.run() == {"grow": 9, "end": 9}


async def test_a_loop_ends_at_its_bound() -> None:
    log = Log()

    def loop(**options: Any) -> Workflow[Any]:
        child = adding(1, log=log)
        stage = Stage("loop", child, input=of_start, again=lambda results: True, **options)
        return pipeline("p", [stage])

    await loop(max_runs=3).run(n=0)
    assert len(log.lines) == 3
    await loop().run(n=0)
    assert len(log.lines) == 3 + 10
    with pytest.raises(ValueError, match="max_runs"):
        loop(max_runs=0)


async def test_a_skipped_stage_does_not_loop() -> None:
    stage = Stage("s", adding(1), when=lambda results: False, again=lambda results: True)
    assert await pipeline("p", [stage]).run(n=0) == {}


# ---- side by side ------------------------------------------------------------------------------


async def test_stages_side_by_side_run_at_the_same_time_and_are_gathered_by_name() -> None:
    workflow = pipeline(
        "p",
        [
            Stage("first", adding(1, seconds=1), input=of_start),
            Parallel(
                "both",
                [
                    Stage("slow", adding(10, seconds=5), input=of("first")),
                    Stage("fast", adding(100, seconds=2), input=of("first")),
                    Stage("none", adding(1000), when=lambda results: False),
                ],
            ),
            Stage("last", adding(0), input=lambda results: Work(sum(results["both"].values()))),
        ],
    )
    started = anyio.current_time()
    results = await workflow.run(n=0)
    assert results == {"first": 1, "both": {"slow": 11, "fast": 101}, "last": 112}
    assert list(results["both"]) == ["slow", "fast"]
    assert round(anyio.current_time() - started) == 6


async def test_side_by_side_has_a_limit() -> None:
    stages = [Stage(f"s{n}", adding(n, seconds=1), input=of_start) for n in range(4)]
    started = anyio.current_time()
    workflow = pipeline("p", [Parallel("all", stages, max_concurrency=2)])
    assert await workflow.run(n=0) == {"all": {"s0": 0, "s1": 1, "s2": 2, "s3": 3}}
    assert round(anyio.current_time() - started) == 2


async def test_the_whole_pipeline_has_a_limit_and_a_timeout() -> None:
    stages = [Stage(f"s{n}", adding(n, seconds=1), input=of_start) for n in range(4)]
    started = anyio.current_time()
    await pipeline("p", [Parallel("all", stages)], max_concurrency=1).run(n=0)
    assert round(anyio.current_time() - started) == 4
    with pytest.raises(TimeoutError):
        await pipeline("p", [Parallel("all", stages)], timeout=0.5).run(n=0)


async def test_a_stage_side_by_side_may_loop() -> None:
    stage = Stage(
        "grow",
        adding(1),
        input=lambda results: Work(results.get("grow", 0)),
        again=lambda results: results["grow"] < 4,
    )
    assert await pipeline("p", [Parallel("all", [stage])]).run() == {"all": {"grow": 4}}


# ---- with all that a workflow can do -----------------------------------------------------------


async def test_a_stage_that_fails_is_named_and_the_rest_does_not_run() -> None:
    log, error = Log(), Boom()

    @step
    async def fail(ev: StartEvent) -> StopEvent:
        raise error

    workflow = pipeline(
        "p", [Stage("broken", Workflow("fail", [fail])), Stage("next", adding(1, log=log))]
    )
    with pytest.raises(StepFailedError) as caught:
        await workflow.run()
    assert caught.value.step == "broken"
    inner = caught.value.error
    assert isinstance(inner, StepFailedError)
    assert inner.error is error
    assert log.lines == []


async def test_an_event_that_a_stage_does_not_take_fails_it() -> None:
    with pytest.raises(StepFailedError) as caught:
        await pipeline("p", [Stage("add", adding(1))]).run()
    assert isinstance(caught.value.error, NoHandlerError)


def asking_pipeline(log: Log) -> Workflow[Any]:
    """Stages of every kind, one of which asks."""

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("how many?"))

    return pipeline(
        "asking",
        [
            Stage("first", adding(1, log=log), input=of_start),
            Parallel(
                "both",
                [
                    Stage("asked", Workflow("ask", [ask])),
                    Stage("added", adding(10, log=log), input=of("first")),
                ],
            ),
            Stage(
                "loop",
                adding(2, log=log),
                input=lambda results: Work(results.get("loop", sum(results["both"].values()))),
                again=lambda results: results["loop"] < 30,
            ),
        ],
    )


async def test_a_snapshot_after_every_machine_input_resumes_to_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    workflow = asking_pipeline(log)
    expected = {"first": 6, "both": {"asked": 10, "added": 16}, "loop": 30}
    texts: dict[str, None] = {}
    original = Runner.after_input

    def recording(runner: Runner) -> None:
        original(runner)
        outermost = list(runner.line())[-1]
        if outermost.machine.outcome is None:
            texts[outermost.snapshot().to_json()] = None

    async def answer(request: InputRequestEvent) -> int:
        return 10

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "after_input", recording)
        assert await workflow.run(n=5, input_handler=answer) == expected
    assert len(texts) > 8
    # Built again, as another process would.
    workflow = asking_pipeline(log)
    for text in texts:
        async with workflow.resume(Snapshot.from_json(text), input_handler=answer) as run:
            assert await run.result() == expected


async def test_a_pipeline_that_waits_for_a_human_is_suspended_and_nothing_runs_again() -> None:
    log = Log()
    with pytest.raises(InputRequiredError) as caught:
        await asking_pipeline(log).run(n=5)
    assert log.lines == ["add 1 to 5", "add 10 to 6"]
    snapshot = Snapshot.from_json(caught.value.snapshot.to_json())
    (request,) = snapshot.requests
    assert request.prompt == "how many?"
    responses = {request.request_id: 20}
    async with asking_pipeline(log).resume(snapshot, responses=responses) as run:
        results = await run.result()
    assert results == {"first": 6, "both": {"asked": 20, "added": 16}, "loop": 38}
    assert log.lines[2:] == ["add 2 to 36"]


async def test_pipelines_nest() -> None:
    inner = pipeline("inner", [Stage("add", adding(1), input=of_start)])
    outer = pipeline("outer", [Stage("inner", inner), Stage("tell", telling())])
    results = await outer.run(n=1)
    assert results["inner"] == {"add": 2}


async def test_what_a_stage_writes_shows_on_the_stream_of_the_pipeline() -> None:
    @step
    async def write(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Work(1))
        return StopEvent()

    async with pipeline("p", [Stage("s", Workflow("write", [write]))]).start() as run:
        assert [event async for event in run.stream_events()] == [Work(1)]


def test_a_pipeline_is_a_workflow_that_can_be_looked_at() -> None:
    stages = [Stage("one", telling()), Parallel("many", [Stage("two", telling())])]
    graph = pipeline("p", stages).graph
    labels = [node.label for node in graph.nodes if node.kind in ("step", "gather")]
    assert labels == ["start", "one", "many: split", "many: run", "many"]


def stage(name: str) -> Stage:
    return Stage(name, telling())


@pytest.mark.parametrize(
    ("stages", "problems"),
    [
        ([], ["it has no stages"]),
        ([stage("a"), stage("a")], ["two stages are called 'a' ('start' is taken)"]),
        ([stage("start")], ["two stages are called 'start' ('start' is taken)"]),
        ([Parallel("p", [])], ["parallel stage 'p' has no stages in it"]),
        (
            [stage("a"), Parallel("b", [stage("a"), stage("b")])],
            [
                "two stages are called 'a' ('start' is taken)",
                "two stages are called 'b' ('start' is taken)",
            ],
        ),
    ],
)
def test_a_pipeline_that_makes_no_sense_is_refused(stages: Any, problems: list[str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        pipeline("p", stages)
    assert list(caught.value.problems) == problems


def test_what_is_no_stage_or_no_workflow_is_refused() -> None:
    with pytest.raises(TypeError, match="takes Stage and Parallel objects"):
        pipeline("p", [telling()])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="workflow"):
        Stage("s", "telling")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Parallel 'outer' takes Stage objects, not Parallel"):
        Parallel("outer", [Parallel("inner", [stage("a")])])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="Parallel 'p' takes Stage objects, not <Workflow"):
        Parallel("p", telling())  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["input", "when", "again"])
def test_a_stage_takes_functions_of_the_results(option: str) -> None:
    with pytest.raises(TypeError, match=rf"Stage\({option}=...\) takes a function of the results"):
        Stage("s", telling(), **{option: 3})  # type: ignore[arg-type]
