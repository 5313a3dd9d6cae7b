"""The census example: it counts right, survives what it finds, and leaves nothing running."""

from __future__ import annotations

import ast
import io
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from blazen_anyio.examples import _sources, _terminal, census
from blazen_anyio.examples._sources import (
    Definition,
    FileReport,
    SourceFile,
    Unreadable,
    analyse,
    find_sources,
)
from blazen_anyio.examples._tables import Totals, render, totals_by_group

SOURCE = '''\
"""A module."""

class Thing:
    @property
    def size(self):
        """How large."""
        def inner(): ...
        return 1

async def work():
    pass
'''

BACKENDS = ["asyncio", "trio"]


def write(root: Path, name: str, content: str | bytes = "") -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def found(root: Path) -> list[str]:
    return [os.path.relpath(item.path, root) for item in find_sources(str(root))]


class TestFindSources:
    def test_finds_python_files_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        for name in ("b.py", "a.py", "pkg/z.py", "pkg/sub/x.py", "app/w.py", "n.txt", "pkg/y.pyc"):
            write(tmp_path, name)
        assert found(tmp_path) == ["a.py", "b.py", "app/w.py", "pkg/z.py", "pkg/sub/x.py"]

    @pytest.mark.parametrize(
        "name", [".git", ".hidden", "__pycache__", "node_modules", "site-packages"]
    )
    def test_leaves_out_what_is_not_the_projects(self, tmp_path: Path, name: str) -> None:
        write(tmp_path, f"{name}/a.py")
        assert found(tmp_path) == []

    def test_leaves_out_virtual_environments(self, tmp_path: Path) -> None:
        write(tmp_path, "env/pyvenv.cfg")
        write(tmp_path, "env/lib/a.py")
        assert found(tmp_path) == []

    def test_a_loop_of_symbolic_links_is_not_followed(self, tmp_path: Path) -> None:
        write(tmp_path, "pkg/a.py")
        (tmp_path / "pkg" / "again").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "pkg" / "alias.py").symlink_to(tmp_path / "pkg" / "a.py")
        assert found(tmp_path) == ["pkg/a.py"]

    def test_a_named_pipe_is_no_source(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.py")
        assert found(tmp_path) == []

    def test_one_file_is_taken_whatever_its_name(self, tmp_path: Path) -> None:
        path = write(tmp_path, "script")
        assert list(find_sources(path)) == [SourceFile(path)]

    def test_a_directory_that_can_not_be_listed_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path, "a.py")
        locked = str(tmp_path / "locked")
        os.mkdir(locked)
        scandir = os.scandir

        def guarded(path: str):
            if path == locked:
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", guarded)
        problem = Unreadable(locked, None, "Permission denied")
        assert list(find_sources(str(tmp_path))) == [SourceFile(str(tmp_path / "a.py")), problem]

    def test_the_walk_can_be_ended_between_two_directories(self, tmp_path: Path) -> None:
        write(tmp_path, "pkg/a.py")
        visits: list[None] = []

        def between() -> None:
            visits.append(None)
            if len(visits) == 2:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            list(find_sources(str(tmp_path), between=between))


class TestAnalyse:
    def test_counts_what_is_in_a_file(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.py", SOURCE)
        ticks = iter([10.0, 10.25])
        assert analyse(path, clock=lambda: next(ticks)) == FileReport(
            path=path,
            lines=11,
            functions=3,
            longest=Definition(5, "size", path, 4),
            documentable=5,
            documented=2,
            seconds=0.25,
        )

    def test_an_empty_file_has_a_module_without_a_docstring(self, tmp_path: Path) -> None:
        report = analyse(write(tmp_path, "a.py"))
        assert isinstance(report, FileReport)
        assert (report.lines, report.functions, report.longest) == (0, 0, None)
        assert (report.documentable, report.documented) == (1, 0)

    @pytest.mark.parametrize(
        "content",
        [
            "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
            b"\xef\xbb\xbfname = '\xc3\xa9'\n",
            b"a = 1\rb = 2\r",
        ],
        ids=["PEP 263", "byte order mark", "old line ends"],
    )
    def test_reads_every_encoding_that_python_reads(self, tmp_path: Path, content: bytes) -> None:
        assert isinstance(analyse(write(tmp_path, "a.py", content)), FileReport)

    @pytest.mark.parametrize(
        ("content", "line", "reason"),
        [
            (b"ok = 1\ndef (:\n", 2, "invalid syntax"),
            (b"name = '\xe9'\n", 1, "utf-8"),
            (b"# coding: nonsense\n", None, "nonsense"),
            (b"a = '\0'\n", ..., "null bytes"),
            (b"(" * 10_000, 1, "too many nested"),
            (b"-" * 200_000 + b"1", None, "nested too deeply"),
            (b"print 'two'\n", 1, "Missing parentheses"),
        ],
        ids=["syntax", "bytes", "encoding", "null", "parentheses", "depth", "Python 2"],
    )
    def test_tells_why_and_where_a_file_is_no_python(
        self, tmp_path: Path, content: bytes, line: int | None, reason: str
    ) -> None:
        path = write(tmp_path, "a.py", content)
        problem = analyse(path)
        assert isinstance(problem, Unreadable)
        assert problem.path == path
        assert line is ... or problem.line == line
        assert reason in problem.reason

    def test_tells_why_a_file_can_not_be_read(self, tmp_path: Path) -> None:
        gone = str(tmp_path / "gone.py")
        assert analyse(gone) == Unreadable(gone, None, "No such file or directory")

    def test_refuses_a_huge_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_sources, "MAX_BYTES", 10)
        path = write(tmp_path, "a.py", b"#" * 11)
        assert analyse(path) == Unreadable(path, None, "larger than 10 bytes")

    def test_two_threads_do_not_parse_at_a_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They could fail each other: see ``PARSING``."""
        path = write(tmp_path, "a.py")
        both_inside = threading.Barrier(2)
        alone: list[bool] = []

        def parse(source: bytes, path: str) -> ast.Module:
            try:
                both_inside.wait(0.05)
            except threading.BrokenBarrierError:
                alone.append(True)
            return ast.Module(body=[], type_ignores=[])

        with monkeypatch.context() as patched, ThreadPoolExecutor(2) as threads:
            patched.setattr(_sources.ast, "parse", parse)
            list(threads.map(analyse, [path, path]))
        assert alone == [True, True]


def report(path: str, *, seconds: float = 0.0, longest: Definition | None = None) -> FileReport:
    return FileReport(
        path=path,
        lines=1000,
        functions=2,
        longest=longest,
        documentable=4,
        documented=1,
        seconds=seconds,
    )


class TestTables:
    def test_groups_are_the_top_level_directories(self) -> None:
        reports = [report("/r/b/x.py"), report("/r/a.py"), report("/r/b/c/y.py")]
        groups = totals_by_group("/r", reports)
        assert [(totals.name, totals.files) for totals in groups] == [(".", 1), ("b", 2)]

    def test_totals_are_sums_and_the_longest_of_all(self) -> None:
        long, short = Definition(9, "f", "/r/a.py", 1), Definition(3, "g", "/r/b.py", 2)
        totals = Totals.of("t", [report("/r/b.py", longest=short), report("/r/a.py", longest=long)])
        assert totals == Totals(
            name="t",
            files=2,
            lines=2000,
            functions=4,
            documentable=8,
            documented=2,
            longest=long,
        )

    def test_the_whole_text(self) -> None:
        reports = [
            report("/r/a.py", seconds=0.001, longest=Definition(40, "main", "/r/a.py", 7)),
            report("/r/pkg/b.py", seconds=0.5),
        ]
        unreadable = [Unreadable("/r/pkg/bad.py", 3, "invalid syntax")]
        assert render("/r", reports, unreadable, top=1) == (
            "       files  lines  functions  docstrings  longest function\n"
            ".          1  1,000          2         25%  40 lines: main (a.py:7)\n"
            "pkg        1  1,000          2         25%  -\n"
            "total      2  2,000          4         25%  40 lines: main (a.py:7)\n"
            "\n"
            "slowest files\n"
            "    500.0 ms  pkg/b.py\n"
            "\n"
            "not counted: 1\n"
            "  pkg/bad.py:3: invalid syntax"
        )

    def test_no_docstrings_at_all_is_a_share_of_nothing(self) -> None:
        text = render("/r", [attrs.evolve(report("/r/a.py"), documented=0)], [], top=0)
        assert "  0%  " in text

    def test_a_census_of_nothing_but_problems(self) -> None:
        text = render("/r/a.py", [], [Unreadable("/r/a.py", 1, "no")], top=5)
        assert text.splitlines()[1].split() == ["total", "0", "0", "0", "-", "-"]
        assert text.endswith("not counted: 1\n  a.py:1: no")

    def test_a_hostile_file_name_can_not_break_the_table(self) -> None:
        text = render("/r", [report("/r/a\n\x1b[31m\udcff.py")], [], top=1)
        assert r"a\n\x1b[31m\udcff.py" in text


class TestSteps:
    @pytest.mark.anyio
    async def test_an_empty_tree_is_an_empty_census(self, tmp_path: Path) -> None:
        result = await census.census().run(root=str(tmp_path))
        assert result == census.Census(reports=(), unreadable=())

    @pytest.mark.anyio
    async def test_results_come_in_the_order_of_the_walk(self, tmp_path: Path) -> None:
        names = [write(tmp_path, f"{number:02}.py", SOURCE * (20 - number)) for number in range(20)]
        result = await census.census().run(root=str(tmp_path))
        assert [report.path for report in result.reports] == names

    @pytest.mark.anyio
    async def test_a_file_that_does_not_parse_is_not_fatal(self, tmp_path: Path) -> None:
        write(tmp_path, "good.py", SOURCE)
        bad = write(tmp_path, "bad.py", "def")
        result = await census.census().run(root=str(tmp_path))
        assert [problem.path for problem in result.unreadable] == [bad]
        assert len(result.reports) == 1

    @pytest.mark.anyio
    async def test_a_limit_is_kept(self, tmp_path: Path) -> None:
        for number in range(5):
            write(tmp_path, f"{number}.py")
        assert len((await census.census().run(root=str(tmp_path), limit=2)).reports) == 2


@pytest.mark.parametrize("backend", BACKENDS)
class TestCommand:
    def test_prints_a_census(
        self, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(tmp_path, "pkg/a.py", SOURCE)
        write(tmp_path, "pkg/bad.py", "def")
        assert census.main([str(tmp_path), "--backend", backend]) == 0
        output = capsys.readouterr()
        assert "5 lines: size (pkg/a.py:4)" in output.out
        assert "pkg/bad.py:1: invalid syntax" in output.out
        assert output.err == ""

    def test_takes_a_single_file(
        self, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write(tmp_path, "script", SOURCE)
        assert census.main([path, "--backend", backend, "--top", "0"]) == 0
        assert "5 lines: size (script:4)" in capsys.readouterr().out

    def test_warnings_of_the_parser_are_not_part_of_it(
        self, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(tmp_path, "a.py", r"name = '\d'")
        assert census.main([str(tmp_path), "--backend", backend]) == 0
        output = capsys.readouterr()
        assert output.err == ""
        assert "not counted" not in output.out

    def test_no_python_files(
        self, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert census.main([str(tmp_path), "--backend", backend]) == 1
        assert capsys.readouterr().err == f"census: {tmp_path}: no Python files\n"

    def test_a_path_that_does_not_exist(
        self, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = str(tmp_path / "nowhere")
        assert census.main([path, "--backend", backend]) == 2
        assert capsys.readouterr().err == f"census: {path}: No such file or directory\n"

    def test_a_timeout_ends_it(
        self,
        tmp_path: Path,
        backend: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The walk, in its thread, is told of the timeout between two directories."""
        write(tmp_path, "a.py")

        def endless(root: str, *, between):
            while True:
                between()
                yield from ()

        monkeypatch.setattr(census, "find_sources", endless)
        assert census.main([str(tmp_path), "--backend", backend, "--timeout", "0.01"]) == 124
        assert capsys.readouterr().err == "census: not finished within 0.01 s\n"

    def test_ctrl_c_leaves_nothing_running(
        self,
        tmp_path: Path,
        backend: str,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for number in range(50):
            write(tmp_path, f"{number}.py")
        running = 0
        lock = threading.Lock()

        def interrupted(path: str) -> FileReport | Unreadable:
            nonlocal running
            with lock:
                running += 1
            if path.endswith("10.py"):
                os.kill(os.getpid(), signal.SIGINT)
            result = analyse(path)
            with lock:
                running -= 1
            return result

        monkeypatch.setattr(census, "analyse", interrupted)
        assert census.main([str(tmp_path), "--backend", backend]) == 130
        assert capsys.readouterr().err == "census: interrupted; nothing is left running\n"
        assert caplog.records == []
        assert running == 0

    def test_runs_as_a_module(self, tmp_path: Path, backend: str) -> None:
        write(tmp_path, "a.py", SOURCE)
        command = [sys.executable, "-W", "error", "-m", "blazen_anyio.examples.census"]
        done = subprocess.run(
            [*command, str(tmp_path), "--backend", backend],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("       files  lines")


def test_an_interrupt_in_a_group_is_an_interrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, backend: str) -> None:
        raise BaseExceptionGroup("on trio", [ValueError(), KeyboardInterrupt()])

    monkeypatch.setattr(census.anyio, "run", run)
    assert census.main([str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_another_group_is_not_taken_for_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, backend: str) -> None:
        raise ExceptionGroup("a bug", [ValueError()])

    monkeypatch.setattr(census.anyio, "run", run)
    with pytest.raises(ExceptionGroup, match="a bug"):
        census.main([str(tmp_path)])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--backend", "curio"], "asyncio or trio, not 'curio'"),
        (["--limit", "-1"], "a whole number from 0, not '-1'"),
        (["--top", "many"], "a whole number from 0, not 'many'"),
        (["--timeout", "0"], "a number of seconds above 0, not '0'"),
        (["--timeout", "nan"], "a number of seconds above 0, not 'nan'"),
        (["--timeout", "soon"], "a number of seconds above 0, not 'soon'"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        census.main([".", *options])
    assert exit_info.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_backend_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_terminal.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        census.main([".", "--backend", "trio"])
    assert "trio is not installed; try: pip install trio" in capsys.readouterr().err


def test_a_path_with_a_null_byte(capsys: pytest.CaptureFixture[str]) -> None:
    assert census.main(["a\0b"]) == 2
    assert "null byte" in capsys.readouterr().err


def test_output_suits_a_terminal_that_knows_only_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    _terminal.print_text("é.py")
    assert terminal.buffer.getvalue() == b"\\xe9.py\n"
