"""The synchronous examples: a cyclopts script, and plain code with a pool of threads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from blazen_anyio.examples import plain_sync

both = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@both
def test_the_script_prints_digests_and_what_is_the_same(
    backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cyclopts", reason="cyclopts is not installed; see the extra 'examples'")
    from blazen_anyio.examples.cyclopts_script import app

    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, content in zip(paths, (b"same", b"other", b"same"), strict=True):
        path.write_bytes(content)
    missing = tmp_path / "missing"
    assert call(app, [*map(str, paths), str(missing), "--backend", backend]) == 1
    out, err = capsys.readouterr()
    same, other = (hashlib.sha256(content).hexdigest() for content in (b"same", b"other"))
    assert out.splitlines() == [
        f"{same}  {paths[0]}",
        f"{other}  {paths[1]}",
        f"{same}  {paths[2]}  the same as {paths[0]}",
    ]
    assert err.startswith(f"{missing}: ")


@both
def test_the_script_without_files_prints_nothing(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cyclopts", reason="cyclopts is not installed; see the extra 'examples'")
    from blazen_anyio.examples.cyclopts_script import app

    assert call(app, ["--backend", backend]) == 0
    assert capsys.readouterr().out == ""


def call(app: object, arguments: list[str]) -> object:
    """Call a cyclopts application as its program is called; return the exit code."""
    assert callable(app)
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    return ended.value.code


def test_plain_code_runs_workflows_from_a_pool_of_threads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plain_sync.main() == 0
    assert capsys.readouterr().out.splitlines() == [
        "Hello, Ada!",
        "Hello, Grace!",
        "Hello, Edsger!",
        "Hello, Barbara!",
    ]
