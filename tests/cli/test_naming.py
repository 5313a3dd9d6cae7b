"""How commands are named and what they name: usage, modules, workflows, pictures of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from blazen_anyio._cli import main, session
from blazen_anyio._cli.errors import CommandError, show_error
from blazen_anyio._cli.terminal import Terminal

from .conftest import Told

Blazen = Callable[..., Told]
COMMANDS = (
    "run resume fork ls show history watch report send respond cancel rm check graph completion"
)


def test_help_names_every_command_and_the_exit_codes(blazen: Blazen) -> None:
    told = blazen("--help")
    assert told.code == 0
    for name in COMMANDS.split():
        assert f" {name} " in told.out
    assert "130 interrupted" in told.out.replace("\n", " ")


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_itself(blazen: Blazen, command: str) -> None:
    told = blazen(command, "--help")
    assert told.code == 0
    assert "Usage: blazen-anyio" in told.out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["rnu"], "blazen-anyio --help"),
        (["run"], "blazen-anyio run --help"),
        (["run", "a:b", "--backend", "curio"], "blazen-anyio run --help"),
        (["run", "a:b", "--grace", "-1"], "blazen-anyio run --help"),
        (["ls"], "blazen-anyio ls --help"),
        (["run", "a:b", "--run-id", "two\nlines"], "blazen-anyio run --help"),
        (["run", "a:b", "--run-id", ""], "blazen-anyio run --help"),
        (["rm", "-s", "x", "--older-than", "-7d"], "blazen-anyio rm --help"),
        (
            ["fork", "a:b", "r", "-s", "x", "--at", "1", "--new-run-id", ""],
            "blazen-anyio fork --help",
        ),
        (["fork", "a:b", "r", "-s", "x", "--at", "0"], "blazen-anyio fork --help"),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(
    blazen: Blazen, arguments: list[str], hint: str
) -> None:
    told = blazen(*arguments)
    assert (told.code, told.out) == (2, "")
    assert [told.lines[0][:14], told.lines[-1]] == ["blazen-anyio: ", f"  hint: {hint}"]


def test_no_command_is_a_call_for_help(blazen: Blazen) -> None:
    told = blazen()
    assert told.code == 0
    assert "Usage: blazen-anyio" in told.out


def test_the_arguments_are_those_of_the_process(
    blazen: Blazen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["blazen-anyio", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == "0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(blazen: Blazen, shell: str) -> None:
    assert "blazen-anyio" in blazen("completion", shell).out


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("blazen_anyio._cli.")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(f"blazen_anyio._cli.{name.rpartition('.')[2]}", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main([]) == 2
    assert capsys.readouterr().err == (
        f"blazen-anyio: the command line needs {missing}; "
        "install it with: pip install 'blazen-anyio[cli]'\n"
    )


def test_another_module_that_is_missing_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blazen_anyio._cli.app", None)
    with pytest.raises(ModuleNotFoundError):
        main([])


def test_a_backend_that_is_not_installed_is_told(
    blazen: Blazen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    told = blazen("run", "cli.flows:drinks", "--backend", "trio")
    assert told.lines == ["blazen-anyio: trio is not installed", "  hint: pip install trio"]


# ---- workflows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "problem", "hint"),
    [
        ("shop", "'shop' does not say where a workflow is", "as in shop:workflow"),
        ("./shop.py:shop", "does not say where a workflow is", "as in shop:shop"),
        ("shop.py:shop", "does not say where a workflow is", "as in shop:shop"),
        ("a b:", "does not say where a workflow is", "as in shop:workflow"),
        ("no.such:thing", "there is no module no", "are looked for in"),
        ("cli.such:thing", "there is no module cli.such", "are looked for in"),
        ("cli.flows:thing", "module cli.flows has no attribute thing", ""),
        ("cli.flows:shop.thing", "module cli.flows has no attribute shop.thing", ""),
        ("cli.flows:make_nothing", "is of type NoneType, not a workflow", "name a Workflow"),
        ("cli.flows:price", "is of type StepFunction, not a workflow", "name a Workflow"),
        ("builtins:dir", "is of type list, not a workflow", "name a Workflow"),
    ],
)
def test_what_is_no_workflow_is_told(
    blazen: Blazen, reference: str, problem: str, hint: str
) -> None:
    told = blazen("graph", reference)
    assert (told.code, told.out) == (2, "")
    assert problem in told.lines[0]
    assert hint in "".join(told.lines[1:])


def test_a_function_that_makes_a_workflow_will_do(blazen: Blazen) -> None:
    assert blazen("graph", "cli.flows:make_shop").out == blazen("graph", "cli.flows:shop").out


def test_problems_of_a_definition_are_all_listed(blazen: Blazen) -> None:
    told = blazen("check", "cli.flows:make_nonsense")
    assert told.code == 1
    assert told.lines[0].endswith(" problems")
    assert all(line.startswith("  - ") for line in told.lines[1:])


def test_code_that_raises_is_shown_as_python_does(blazen: Blazen) -> None:
    told = blazen("graph", "cli.flows:make_trouble")
    assert told.code == 1
    assert told.lines[0] == "Traceback (most recent call last):"
    assert told.lines[1].startswith(f'  File "{Path(__file__).parent / "flows.py"}"')
    assert told.lines[-1] == "blazen-anyio: cli.flows:make_trouble raised LookupError"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import nothing_like_it", "module broken_module raised ModuleNotFoundError"),
        ("1 +", "module broken_module raised SyntaxError"),
        (
            "from blazen_anyio import Workflow\nw = Workflow('x', [])",
            "workflow 'x': has no steps",
        ),
    ],
)
def test_a_module_of_the_current_directory_is_loaded_and_its_errors_are_its_own(
    blazen: Blazen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, problem: str
) -> None:
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "broken_module", raising=False)
    (tmp_path / "broken_module.py").write_text(code)
    told = blazen("graph", "broken_module:w")
    assert told.code == 1
    assert problem in told.lines[-1]
    assert "importlib" not in told.err


@pytest.mark.parametrize(
    ("run", "backend"),
    [
        ("anyio.run(main)", "asyncio"),
        ("anyio.run(main)", "trio"),
        ("asyncio.run(made)", "asyncio"),
        ("trio.run(main)", "trio"),
    ],
)
def test_a_script_that_runs_something_when_it_is_imported_is_told_how_not_to(
    blazen: Blazen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str, backend: str
) -> None:
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "a_script", raising=False)
    (tmp_path / "a_script.py").write_text(
        "import anyio, asyncio, trio\n"
        "async def main(): ...\n"
        f"made = main()\ntry: {run}\nfinally: made.close()\n"
    )
    told = blazen("run", "a_script:w", "--backend", backend)
    assert told.code == 1
    assert told.lines[-1] == "  hint: what runs it belongs behind: if __name__ == '__main__':"


# ---- pictures ------------------------------------------------------------------------------------


def test_a_graph_is_drawn_in_three_forms(
    blazen: Blazen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert blazen("graph", "cli.flows:drinks").out.startswith("flowchart TD\n")
    dot = blazen("graph", "cli.flows:drinks", "--format", "dot").out
    assert dot.startswith("digraph workflow {")
    give_program(tmp_path, monkeypatch, "cat; echo $1 >&2")
    assert blazen("graph", "cli.flows:drinks", "--format", "svg").out == dot
    assert blazen("graph", "cli.flows:drinks", "-o", "graph.md").out == ""
    assert (tmp_path / "graph.md").read_text().startswith("flowchart TD\n")


def give_program(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program ``dot`` on the path."""
    program = directory / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)


def test_a_picture_that_can_not_be_made_is_told(
    blazen: Blazen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    svg = ("graph", "cli.flows:drinks", "--format", "svg")
    give_program(tmp_path, monkeypatch, "echo no fonts >&2; exit 1")
    told = blazen(*svg)
    assert (told.code, told.lines) == (1, ["blazen-anyio: dot failed: no fonts"])
    monkeypatch.setenv("PATH", "")
    told = blazen(*svg)
    assert told.code == 2
    assert told.lines[1] == "  hint: install Graphviz, or take --format mermaid or --format dot"
    told = blazen("graph", "cli.flows:drinks", "-o", "no/such/file")
    assert (told.code, told.lines) == (1, ["blazen-anyio: no/such/file: No such file or directory"])


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "blazen-anyio: interrupted\n"),
        (BrokenPipeError(), 1, ""),
        (ExceptionGroup("of a task", [CommandError("no")]), 2, "blazen-anyio: no\n"),
        (
            BaseExceptionGroup("of tasks", [ExceptionGroup("", [OSError()]), KeyboardInterrupt()]),
            130,
            "blazen-anyio: interrupted\n",
        ),
    ],
)
def test_what_ends_a_command_has_its_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    async def fail(terminal: Terminal) -> int:
        raise error

    assert session.perform(fail, traceback=False) == code
    assert capsys.readouterr().err == said


def test_a_step_may_end_the_process() -> None:
    async def fail(terminal: Terminal) -> int:
        raise BaseExceptionGroup("of a task", [SystemExit(9)])

    with pytest.raises(SystemExit) as caught:
        session.perform(fail, traceback=False)
    assert caught.value.code == 9


def test_an_error_that_nobody_expected_is_shown_with_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for error in ZeroDivisionError("by zero"), AssertionError():
        assert show_error(error, sys.stderr, full=False) == 1
        shown = capsys.readouterr().err.splitlines()
        assert shown[0].startswith(type(error).__name__)
        assert shown[-1].startswith(f"blazen-anyio: {type(error).__name__}")
