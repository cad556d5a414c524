"""The pytest plugin, in projects of its own; `docs/testing.md` shows the ordinary way."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from e2e.command_line import run_example, trust_file

PROJECT = """
from pathlib import Path
import pytest
from troth.conformance import assert_replay_valid

HERE = Path(__file__).parent

def test_valid():
    verdict = assert_replay_valid(HERE / "hello.replay", trust=HERE / "trust", levels=5)
    assert verdict.exit_code == 0

@pytest.mark.parametrize("name", ["a b", "../../x"])
def test_golden(name, replay_golden):
    replay_golden(HERE / "hello.replay")
    replay_golden(HERE / "hello.replay", name=name)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    run_example("hello", "--keys", tmp_path / "keys", "--record", tmp_path / "hello.replay")
    trust_file(tmp_path / "keys", tmp_path / "trust")
    (tmp_path / "test_it.py").write_text(PROJECT)
    return tmp_path


def _pytest(folder: Path, *arguments: str, code: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_plugin_is_there_where_troth_is_installed() -> None:
    found = [entry for entry in entry_points(group="pytest11") if entry.name == "troth"]
    assert found, "install the project again: `sh tests/run.sh` does"
    assert found[0].value == "troth.conformance.shell_pytest"


def test_a_run_that_does_not_use_it_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_modules():\n"
        "    assert 'troth.conformance.shell_pytest' in sys.modules\n"
        "    heavy = ('troth.vm', 'troth.dsl', 'nacl', 'msgpack', 'rich', 'lark', 'blake3')\n"
        "    assert not [name for name in heavy if name in sys.modules]\n"
        "    assert sum(name.startswith('troth.') for name in sys.modules) == 2\n"
    )
    _pytest(tmp_path, code=0)


def test_goldens_are_written_compared_and_left_alone(project: Path) -> None:
    out = _pytest(project, code=1)
    assert "there is no golden fragment" in out
    assert not (project / "goldens").exists()
    out = _pytest(project, "--troth-update", code=0)
    names = sorted(path.relative_to(project).as_posix() for path in project.rglob("*.fragment"))
    assert [f"troth: wrote {name}" in out for name in names] == [True] * 4
    assert all(name.startswith("goldens/test_it/") for name in names)
    assert _pytest(project, "--troth-update", code=0).count("troth: wrote") == 0
    _pytest(project, code=0)
    golden = project / names[0]
    golden.write_text(golden.read_text().replace("send greet to", "send greeting to"))
    out = _pytest(project, code=1)
    assert "expected  0 send greeting to Server" in out
    assert "found     0 send greet to Server" in out
    assert "role Client" in out


def test_what_is_wrong_is_shown_in_prose(project: Path) -> None:
    path = project / "hello.replay"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    out = _pytest(project, "-k", "valid", code=1)
    assert "hello.replay is invalid (exit 2): The seal of Server" in out
    assert "first finding: integrity.seal (forged, level 2)" in out
    assert "shell_testing.py" not in out, "the assertion hides its own lines"
    path.unlink()
    for which in ("valid", "golden"):
        out = _pytest(project, "-k", which, "--troth-update", code=1)
        assert "[artifact.io]" in out


def test_strangers_and_levels(project: Path) -> None:
    (project / "trust").write_text("")
    out = _pytest(project, "-k", "valid", code=1)
    assert "not in the trust file" in out
    test = project / "test_it.py"
    test.write_text(PROJECT.replace(', trust=HERE / "trust", levels=5', ", replay=None, levels=5"))
    out = _pytest(project, "-k", "valid", code=1)
    assert "level 5 (replay) does not hold" in out
    test.write_text(PROJECT.replace(', trust=HERE / "trust", levels=5', "").replace("== 0", "== 5"))
    _pytest(project, "-k", "valid", code=0)
