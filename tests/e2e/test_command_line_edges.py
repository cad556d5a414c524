"""The edges of the command: what goes wrong around it ends in one line and an exit code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from e2e.command_line import EXAMPLES, TIMEOUT_SECONDS, Finished, troth

HELLO: Final = EXAMPLES / "hello.troth"
COMMAND: Final = [sys.executable, "-m", "troth.conformance.shell_main"]

ASKS: Final = """\
effect look(name: str) -> int
effect name_of(n: int) -> str

protocol P(A, B):
    A -> B: hello(x: int)
    B -> A: back(x: int)

program a(s: P.A):
    let n = call look("x")
    let text = call name_of(n)
    print text
    cancel s "no \\x1b[31m way"

program b(s: P.B):
    recv s.A hello(x)
    send s.A back(x)
    close s

main:
    open P as x, y
    spawn a(x)
    spawn b(y)
"""
NAME_OF: Final = "def name_of(n):\n    return str(n)\n"
"""An effects file's other half."""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "asks.troth"
    path.write_text(ASKS)
    return path


def _effects(folder: Path, text: str) -> Path:
    path = folder / "effects.py"
    path.write_text(NAME_OF + text)
    return path


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("edges") / "hello.replay"
    assert troth("run", HELLO, "--record", path).code == 0
    return path


# --- effects -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["sys.exit(7)", "raise GeneratorExit", "raise ValueError('x')"])
def test_an_effect_that_ends_the_process_only_fails(tmp_path: Path, script: Path, how: str) -> None:
    effects = _effects(tmp_path, f"import sys\ndef look(name):\n    {how}\n")
    done = troth("run", script, "--effects", effects)
    assert done.code == 1
    assert done.err.startswith("fault in a at line 9 (asks.troth): the effect look failed")


def test_an_effects_file_that_ends_the_process_only_fails(tmp_path: Path, script: Path) -> None:
    effects = _effects(tmp_path, "import sys\nsys.exit(0)\n")
    done = troth("run", script, "--effects", effects)
    assert (done.code, done.out) == (1, "")
    assert "failed to load: SystemExit: 0 [effects.module]" in done.err


def test_standard_output_is_what_the_script_prints(tmp_path: Path, script: Path) -> None:
    text = "print('loading')\ndef look(name):\n    print('looking')\n    return 5\n"
    done = troth("run", script, "--effects", _effects(tmp_path, text))
    assert done.out == "5\n"
    assert done.err.startswith("loading\nlooking\n")


def test_an_exception_that_cannot_be_shown(tmp_path: Path, script: Path) -> None:
    text = (
        "class Odd(Exception):\n    def __str__(self):\n        raise KeyError\n"
        "def look(name):\n    raise Odd\n"
    )
    done = troth("run", script, "--effects", _effects(tmp_path, text))
    assert done.code == 1
    assert "look raised Odd, which fails to say why" in " ".join(done.err.split())


def test_missing_effects_are_named_together(tmp_path: Path, script: Path) -> None:
    done = troth("run", script)
    assert done.code == 1
    assert "look(name: str) -> int, name_of(n: int) -> str" in done.err
    assert "--effects" in done.err
    (tmp_path / "half.py").write_text(NAME_OF)
    half = troth("run", script, "--effects", tmp_path / "half.py").err
    assert "look(name: str) -> int." in half
    assert "name_of" not in half


def test_effects_from_a_folder(tmp_path: Path, script: Path) -> None:
    done = troth("run", script, "--effects", tmp_path)
    assert done.code == 1
    assert "it is a directory [effects.module]" in done.err


# --- nothing is lost -----------------------------------------------------------------------


def test_a_record_replaces_artifacts_only(tmp_path: Path, artifact: Path) -> None:
    note = tmp_path / "notes.txt"
    note.write_text("precious")
    done = troth("run", HELLO, "--record", note)
    assert (done.code, done.out) == (1, "")
    assert "[artifact.other]" in done.err
    assert note.read_text() == "precious"
    older = tmp_path / "older.replay"
    shutil.copy(artifact, older)
    assert troth("run", HELLO, "--record", older).code == 0
    assert older.read_bytes() != artifact.read_bytes()


def test_a_record_never_replaces_what_is_run(tmp_path: Path, artifact: Path) -> None:
    script = tmp_path / "own.troth"
    shutil.copy(HELLO, script)
    (tmp_path / "link").symlink_to(script)
    copied = tmp_path / "own.replay"
    shutil.copy(artifact, copied)
    for run, record in ((script, script), (script, tmp_path / "link"), (copied, copied)):
        before = run.read_bytes()
        done = troth("run", run, "--record", record)
        assert (done.code, done.out) == (1, "")
        assert "[output.source]" in done.err
        assert run.read_bytes() == before


def test_a_run_that_cannot_begin_leaves_the_artifact(tmp_path: Path, artifact: Path) -> None:
    older = tmp_path / "older.replay"
    shutil.copy(artifact, older)
    library = tmp_path / "library.troth"
    library.write_text(ASKS)
    assert troth("run", library, "--record", older).code == 1
    assert older.read_bytes() == artifact.read_bytes()


def test_a_fragment_replaces_nothing_precious(tmp_path: Path, artifact: Path) -> None:
    copied = tmp_path / "run.replay"
    shutil.copy(artifact, copied)
    assert troth("keygen", "Ann", "--out", tmp_path).code == 0
    kept = [copied, tmp_path / "Ann.key", tmp_path / "Ann.pub"]
    before = [path.read_bytes() for path in kept]
    assert "[output.source]" in troth("canon", copied, "-o", copied).err
    for target in kept:
        done = troth("canon", artifact, "-o", target)
        assert (done.code, done.out) == (1, "")
        assert "[output.precious]" in done.err
    assert [path.read_bytes() for path in kept] == before
    for _ in range(2):
        assert troth("canon", artifact, "-o", tmp_path / "fragment").code == 0


# --- several files -------------------------------------------------------------------------


def test_check_goes_on_after_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.troth"
    bad.write_text("protocol P(A, B):\n    A -> B: hello(x: itn)\n")
    done = troth("check", tmp_path / "none.troth", bad, HELLO)
    assert done.code == 1
    assert "type.unknown" in done.out
    assert "none.troth: the script cannot be read" in done.err
    assert "errors in 2 of 3 files" in done.err
    assert "errors in 1 of 1 file\n" in troth("check", bad).err


def test_fmt_goes_on_after_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    odd = tmp_path / "odd.troth"
    odd.write_text(HELLO.read_text().replace("(Client, Server)", "( Client,Server )"))
    done = troth("fmt", tmp_path / "none.troth", odd)
    assert done.code == 1
    assert "1 of 2 files cannot be formatted" in done.err
    assert odd.read_text() == HELLO.read_text()


def test_fmt_can_check_and_show(tmp_path: Path) -> None:
    odd = tmp_path / "odd.troth"
    before = HELLO.read_text().replace("(Client, Server)", "( Client,Server )")
    odd.write_text(before)
    done = troth("fmt", "--stdout", "--check", odd)
    assert (done.code, done.out) == (1, HELLO.read_text())
    assert odd.read_text() == before
    assert troth("fmt", "--stdout", "--check", HELLO).code == 0


# --- wording -------------------------------------------------------------------------------


def test_project_says_what_there_is(tmp_path: Path) -> None:
    empty = tmp_path / "empty.troth"
    empty.write_text("main:\n    print 1\n")
    none = troth("project", empty)
    assert none.code == 1
    assert "this script has no protocols [project.none]" in none.err
    unknown = troth("project", HELLO, "--role", "Servr")
    assert unknown.code == 1
    assert "Hello.Client, Hello.Server" in unknown.err
    assert "Server" in unknown.err.split("found Servr")[1]


def test_long_arguments_are_cut() -> None:
    for digits in (2000, 6000):
        done = troth("run", HELLO, "--seed", "9" * digits)
        assert (done.code, done.out) == (1, "")
        assert "seed" in done.err
        assert len(done.err) < 1000
    done = troth("run", HELLO, "--seal", "x" * 100_000)
    assert done.code == 1
    assert len(done.err) < 2000


def test_nothing_shown_steers_the_terminal(tmp_path: Path, script: Path) -> None:
    text = "def look(name):\n    raise ValueError('\\x1b[2J' + 'long' * 1000)\n"
    named = tmp_path / "na\x1b[31mme.troth"
    shutil.copy(script, named)
    for arguments in (
        ("run", script, "--effects", _effects(tmp_path, text)),
        ("check", tmp_path / "no\x1b[31mne"),
        ("run", named),
        ("run", script, "--role\x1b[31m"),
        ("verify", tmp_path / "no\x1b[31mne"),
        ("keygen", "Ann", "--out", tmp_path / "no\x1b[31mne"),
    ):
        done = troth(*arguments)
        assert "\x1b" not in done.out.replace("\\u{1b}", "") + done.err
        assert len(done.err) < 4000
    answers = _effects(tmp_path, "def look(name):\n    return 1\n")
    cancelled = troth("run", script, "--effects", answers)
    assert "no \\u{1b}[31m way" in cancelled.err
    assert "\x1b" not in cancelled.err


# --- keys ----------------------------------------------------------------------------------


def test_a_public_key_without_its_private_key(tmp_path: Path) -> None:
    assert troth("run", HELLO, "--keys", tmp_path).code == 0
    (tmp_path / "Client.key").unlink()
    done = troth("run", HELLO, "--keys", tmp_path)
    assert done.code == 1
    said = " ".join(done.err.split())
    assert "there is Client.pub, but the private key that belongs to it is missing" in said
    assert f"Put {tmp_path / 'Client.key'} back" in said


def test_a_folder_of_keys_that_cannot_be_looked_into(tmp_path: Path) -> None:
    done = troth("run", HELLO, "--keys", tmp_path / ("k" * 300))
    assert done.code == 1
    assert "Client.key cannot be looked up" in " ".join(done.err.split())
    shown = troth("keygen", "Ann", "--out", tmp_path / ("k" * 300))
    assert (shown.code, shown.err.count("\n")) == (1, 1)
    assert "[key.io]" in shown.err


# --- the streams ---------------------------------------------------------------------------


def _shell(command: str, *arguments: str | Path, folder: Path | None = None) -> Finished:
    """Runs `troth`, as "$@" of a line of shell."""
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *COMMAND, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


COMMANDS: Final[Sequence[tuple[str, ...]]] = (
    ("--version",),
    ("run", "--help"),
    ("run", str(HELLO)),
    ("project", str(HELLO)),
    ("fmt", "--stdout", str(HELLO)),
    ("verify", str(HELLO)),
    ("verify", "--json", str(HELLO)),
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("buffered", [True, False])
def test_standard_output_that_is_full(arguments: tuple[str, ...], buffered: bool) -> None:
    setting = (
        "unset PYTHONUNBUFFERED;" if buffered else "PYTHONUNBUFFERED=1; export PYTHONUNBUFFERED;"
    )
    done = _shell(setting + '"$@" >/dev/full', *arguments)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "standard output cannot be written" in done.err


@pytest.mark.parametrize("arguments", COMMANDS[:3], ids=" ".join)
def test_standard_output_that_is_closed(arguments: tuple[str, ...]) -> None:
    done = _shell('"$@" >&-', *arguments)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "standard output is closed" in done.err


def test_standard_error_that_is_closed(tmp_path: Path) -> None:
    done = _shell('"$@" 2>&-', "check", tmp_path / "none.troth")
    assert (done.code, done.out) == (1, "")


# --- interruptions -------------------------------------------------------------------------


def test_an_interruption_while_modules_load(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('lark', 'msgpack', 'blake3'):\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    search = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = troth("check", HELLO, environment={"PYTHONPATH": search})
    assert (done.code, done.out, done.err) == (130, "", "troth: interrupted\n")


def test_an_interrupted_record_is_said_to_be_incomplete(tmp_path: Path, script: Path) -> None:
    text = "import signal\ndef look(name):\n    signal.raise_signal(signal.SIGINT)\n"
    record = tmp_path / "cut.replay"
    done = troth("run", script, "--effects", _effects(tmp_path, text), "--record", record)
    assert done.code == 128 + signal.SIGINT
    first, second = done.err.splitlines()
    assert first == "troth: interrupted"
    assert f"the record {record} is incomplete" in second
    assert troth("verify", record).code == 4
