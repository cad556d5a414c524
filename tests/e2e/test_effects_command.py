"""`troth run` with effects that overlap, hang or are interrupted, and with blobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from e2e.command_line import TIMEOUT_SECONDS, troth

COMMAND: Final = [sys.executable, "-m", "troth.conformance.shell_main"]

ASKS: Final = """\
effect ask(n: int) -> int

program asker(n: int):
    let answer = call ask(n)
    print answer

main:
    for n in range(4):
        spawn asker(n)
"""

BLOBS: Final = """\
effect make(text: str) -> blob
effect size(b: blob) -> int

protocol Carry(A, B):
    A -> B: data(b: blob)

program a(s: Carry.A):
    let b = call make("abc")
    send s.B data(b)
    close s

program b(s: Carry.B):
    recv s.A data(b)
    let n = call size(b)
    print n == len(b)
    close s

main:
    open Carry as x, y
    spawn a(x)
    spawn b(y)
"""
BLOB_EFFECTS: Final = """\
def make(text):
    return text.encode() * 100
def size(b):
    return len(b.read())
"""


def _files(folder: Path, script: str, effects: str) -> tuple[Path, Path]:
    (folder / "script.troth").write_text(script)
    (folder / "effects.py").write_text(effects)
    return folder / "script.troth", folder / "effects.py"


# --- overlapping ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "effects",
    [
        "import threading\nfrom troth import vm\nbarrier = threading.Barrier(4, timeout=60)\n"
        "@vm.effect(concurrent=True)\ndef ask(n):\n    barrier.wait()\n    return n\n",
        "import asyncio\nfrom troth import vm\nbegun = []\nall_begun = asyncio.Event()\n"
        "async def ask(n):\n    begun.append(n)\n    if len(begun) == 4:\n"
        "        all_begun.set()\n    await all_begun.wait()\n    return n\n",
    ],
    ids=["threads", "asyncio"],
)
@pytest.mark.parametrize("seal", ["message", "round"])
def test_effects_overlap_and_the_record_is_valid(tmp_path: Path, effects: str, seal: str) -> None:
    script, module = _files(tmp_path, ASKS, effects)
    record = tmp_path / "run.replay"
    done = troth("run", script, "--effects", module, "--record", record, "--seal", seal)
    assert (done.code, done.err) == (0, "")
    assert sorted(done.out.splitlines()) == ["0", "1", "2", "3"]
    verdict = troth("verify", record, "--json")
    assert verdict.code == 5, verdict.out
    levels = json.loads(verdict.out)["levels"]
    assert [level["level"] for level in levels if level["ran"] and level["ok"]] == [1, 2, 3, 4, 5]


def test_the_same_seed_gives_the_same_file_when_nothing_overlaps(tmp_path: Path) -> None:
    effects = "from troth import vm\n@vm.effect(timeout_seconds=60)\ndef ask(n):\n    return n\n"
    script, module = _files(tmp_path, ASKS, effects)
    (tmp_path / "plain.py").write_text("def ask(n):\n    return n\n")
    seen = set()
    for index, path in enumerate((module, tmp_path / "plain.py", module)):
        record = tmp_path / f"{index}.replay"
        keys = tmp_path / "keys"
        options = ("--seed", "3", "--keys", keys, "--record", record)
        assert troth("run", script, "--effects", path, *options).code == 0
        shown = troth("inspect", record, "--events").out.splitlines()
        kinds = ("INVOKE", "COMPLETE", "PRINT", "HALT", "SPAWN")
        seen.add(tuple(line for line in shown if any(f" {kind} " in line for kind in kinds)))
    assert len(seen) == 1
    assert len(seen.pop()) >= 12


# --- what hangs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "effects",
    [
        "import threading\nfrom troth import vm\n"
        "@vm.effect(timeout_seconds=0.05, concurrent=CONCURRENT)\n"
        "def ask(n):\n    threading.Event().wait()\n",
        "import asyncio\nfrom troth import vm\n"
        "@vm.effect(timeout_seconds=0.05, concurrent=CONCURRENT)\n"
        "async def ask(n):\n    await asyncio.Event().wait()\n",
        "import asyncio\nimport threading\nfrom troth import vm\n"
        "@vm.effect(timeout_seconds=0.05, concurrent=CONCURRENT)\n"
        "async def ask(n):\n    threading.Event().wait()\n",
    ],
    ids=["threads", "asyncio", "blocks the loop"],
)
@pytest.mark.parametrize("concurrent", ["True", "False"])
def test_what_never_answers_does_not_keep_the_run(
    tmp_path: Path, effects: str, concurrent: str
) -> None:
    script, module = _files(tmp_path, ASKS, effects.replace("CONCURRENT", concurrent))
    record = tmp_path / "run.replay"
    done = troth("run", script, "--effects", module, "--record", record)
    assert (done.code, done.out) == (1, "")
    said = " ".join(done.err.split())
    assert said.count("it took longer than its timeout of 0.05 seconds") == 4
    assert "Warning" not in done.err
    assert troth("verify", record).code == 5


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_nobody_can_stop_does_not_write_into_the_scripts_output(
    tmp_path: Path, interrupted: bool
) -> None:
    effects = (
        "import signal\nfrom troth import vm\n"
        "@vm.effect(timeout_seconds=0.05)\ndef ask(n):\n    while True:\n        print('on')\n"
    )
    if interrupted:
        effects += "import threading\nthreading.Timer(0.2, signal.raise_signal, [2]).start()\n"
        effects = effects.replace("0.05", "60")
    script, module = _files(tmp_path, ASKS, effects)
    done = troth("run", script, "--effects", module)
    assert (done.code, done.out) == (130 if interrupted else 1, "")
    assert "on\n" in done.err


INTERRUPTED: Final = {
    "here": "def ask(n):\n    ready()\n    signal.pause()\n",
    "threads": "import threading\n@vm.effect(concurrent=True)\n"
    "def ask(n):\n    ready()\n    threading.Event().wait()\n",
    "asyncio": "import asyncio\nasync def ask(n):\n    ready()\n    await asyncio.Event().wait()\n",
    "blocks the loop": "import threading\nasync def ask(n):\n    ready()\n"
    "    threading.Event().wait()\n",
}


@pytest.mark.parametrize("kind", list(INTERRUPTED))
def test_an_interruption_while_effects_are_awaited(tmp_path: Path, kind: str) -> None:
    head = (
        "import os\nimport signal\nfrom troth import vm\n"
        "def ready():\n    os.write(2, b'ready\\n')\n"
    )
    script, module = _files(tmp_path, ASKS, head + INTERRUPTED[kind])
    record = tmp_path / "run.replay"
    with subprocess.Popen(
        [*COMMAND, "run", script, "--effects", module, "--record", record],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert out == ""
    lines = [line for line in err.splitlines() if line != "ready"]
    assert lines[0] == "troth: interrupted"
    assert "is incomplete" in lines[1]
    assert len(lines) == 2, err
    assert troth("verify", record).code == 4


# --- blobs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", ["message", "round"])
def test_blobs_are_kept_in_a_directory(tmp_path: Path, seal: str) -> None:
    script, module = _files(tmp_path, BLOBS, BLOB_EFFECTS)
    folder, record = tmp_path / "blobs", tmp_path / "run.replay"
    options = ("--effects", module, "--record", record, "--seal", seal)
    for blobs in ((), ("--blobs", folder)):
        done = troth("run", script, *options, *blobs)
        assert (done.code, done.out, done.err) == (0, "true\n", "")
        assert troth("verify", record).code == 5
        assert b"abcabc" not in record.read_bytes()
    (kept,) = folder.iterdir()
    assert kept.read_bytes() == b"abc" * 100
    assert f"blob(300 bytes, {kept.name})" in troth("inspect", record, "--events").out


def test_a_directory_for_blobs_that_cannot_be_used(tmp_path: Path) -> None:
    script, module = _files(tmp_path, BLOBS, BLOB_EFFECTS)
    done = troth("run", script, "--effects", module, "--blobs", module)
    assert (done.code, done.out) == (1, "")
    assert "it is not a directory [blob.io]" in done.err


def test_a_blob_that_was_changed_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    damage = f"    import pathlib\n    for path in pathlib.Path({str(folder)!r}).iterdir():\n"
    effects = BLOB_EFFECTS.replace(
        "def size(b):\n", "def size(b):\n" + damage + "        path.write_bytes(b'abd' * 100)\n"
    )
    script, module = _files(tmp_path, BLOBS, effects)
    done = troth("run", script, "--effects", module, "--blobs", folder)
    assert (done.code, done.out) == (1, "")
    assert "does not hold the content of this blob [blob.corrupt]" in " ".join(done.err.split())
