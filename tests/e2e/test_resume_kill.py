"""Processes that are killed at random moments and resumed, until the run has ended.

The run draws numbers from a host that never answers alike twice, sends each as a message, prints
it and tells it to the host. So if a resumed run ever filled a position anew, two different numbers
would have left the processes for it. A handful of kills; with `TROTH_LONG=1` in the environment
200. The numbers tried and the seed are printed (`pytest -s`, or `-rP`).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgpack
import pytest

from artifact_surgery import parse
from e2e.command_line import trust_file
from troth import conformance, vm
from troth.vm.records import Kind

LONG: Final = os.environ.get("TROTH_LONG") == "1"
KILLS: Final = 100 if LONG else 5
"""For each seal."""

KILLS_OF_A_RUN: Final = 10
DRAWS: Final = 150
TIMEOUT_SECONDS: Final = 120

SCRIPT: Final = f"""
effect draw(n: int) -> int
effect note(n: int, value: int) -> int

protocol Draws(Asker, Drawer):
    rec More:
        choice at Asker:
            Asker -> Drawer: more(n: int)
            Drawer -> Asker: drawn(n: int, value: int)
            continue More
        or:
            Asker -> Drawer: enough()

program asker(s: Draws.Asker):
    for n in range({DRAWS}):
        send s.Drawer more(n)
        recv s.Drawer drawn(same, value)
        print str(n) + " " + str(value)
        let noted = call note(n, value)
    send s.Drawer enough()
    close s

program drawer(s: Draws.Drawer):
    loop:
        recv s.Asker:
            more(n):
                let value = call draw(n)
                send s.Asker drawn(n, value)
            enough():
                break
    close s

main:
    open Draws as a, d
    spawn asker(a)
    spawn drawer(d)
"""

EFFECTS: Final = """
import os
import secrets


def _log(text):
    file = os.open("effects.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, text.encode())
    os.close(file)


def draw(n, *, effect_id):
    value = secrets.randbelow(2**60)
    _log(f"draw {n} {value} {effect_id}\\n")
    return value


def note(n, value, *, effect_id):
    _log(f"note {n} {value} {effect_id}\\n")
    return n
"""


@dataclass(slots=True)
class Counts:
    """What was tried."""

    kills: int = 0
    ended_first: int = 0
    verdicts: dict[int, int] = field(default_factory=dict)
    draws: int = 0
    draws_again: int = 0
    lines_again: int = 0


@pytest.mark.parametrize("seal", ["message", "round"])
def test_no_kill_loses_or_repeats_what_was_released(seal: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("TROTH_SEED", str(random.randrange(2**32))))
    rng = random.Random(seed)
    counts = Counts()
    number = 0
    while counts.kills < KILLS:
        folder = tmp_path / str(number)
        folder.mkdir()
        _one_run(folder, seal, rng, counts)
        number += 1
    print(f"seed {seed}, seal {seal}: {number} runs, {counts}")


def _one_run(folder: Path, seal: str, rng: random.Random, counts: Counts) -> None:
    (folder / "draws.troth").write_text(SCRIPT)
    (folder / "draws_effects.py").write_text(EFFECTS)
    record = folder / "draws.replay"
    run = ("run", "draws.troth", "--record", record.name, "--seal", seal)
    resume = ("resume", record.name)
    kills = 0
    written: list[tuple[object, ...]] = []
    while counts.kills < KILLS and kills < KILLS_OF_A_RUN:
        if not _killed(folder, record, resume if _begun(record) else run, rng):
            counts.ended_first += 1
            break
        kills += 1
        counts.kills += 1
        if record.exists():
            exit_code = conformance.verify(record).exit_code
            # Nobody is trusted here: 5 is a whole record, 4 the beginning of one.
            assert exit_code in (4, 5)
            counts.verdicts[exit_code] = counts.verdicts.get(exit_code, 0) + 1
            now = list(_messages(record))
            assert now[: len(written)] == written, "a message in the file was changed"
            written = now
    for command in (resume if _begun(record) else run, resume):
        code = _start(folder, command).wait(TIMEOUT_SECONDS)
        assert code == 0, (folder / "stderr").read_text()
    _require_one_story(folder, record, written, counts)


def _begun(record: Path) -> bool:
    """Whether the header and the image are there; before that a run begins anew."""
    return record.exists() and len(parse(record.read_bytes())) >= 2


def _start(folder: Path, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """All incarnations add to the same files, as under a supervisor."""
    with (folder / "stdout").open("ab") as out, (folder / "stderr").open("ab") as err:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "troth.conformance.shell_main", *command),
                *("--effects", "draws_effects.py", "--keys", "keys"),
            ],
            cwd=folder,
            stdout=out,
            stderr=err,
        )


def _killed(folder: Path, record: Path, command: tuple[str, ...], rng: random.Random) -> bool:
    """Kills the process when the file has grown by some amount, and a moment; False if it ended."""
    size = record.stat().st_size if record.exists() else 0
    target = size + rng.choice((0, rng.randrange(1, 3_000), rng.randrange(1, 40_000)))
    process = _start(folder, command)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and not (record.exists() and record.stat().st_size >= target):
        assert time.monotonic() < deadline, "the process does not go on"
        time.sleep(0.0002)
    time.sleep(rng.choice((0.0, rng.random() / 100, rng.random())) if target == size else 0.0)
    process.send_signal(signal.SIGKILL)
    return process.wait(TIMEOUT_SECONDS) == -signal.SIGKILL


def _messages(record: Path) -> Iterator[tuple[object, ...]]:
    """Position, content and signature of every message in the file."""
    for items in parse(record.read_bytes()):
        if items[0] == Kind.SEND:
            yield items


def _require_one_story(
    folder: Path, record: Path, written: list[tuple[object, ...]], counts: Counts
) -> None:
    trust = vm.parse_trust(trust_file(folder / "keys", folder / "trust").read_text(), "trust")
    verdict = conformance.verify(record, trust=trust)
    assert (verdict.exit_code, verdict.findings) == (0, ())
    messages = list(_messages(record))
    assert messages[: len(written)] == written
    sent = dict(msgpack.unpackb(items[9]) for items in messages if len(items[9]) > 5)  # type: ignore[arg-type]
    assert sorted(sent) == list(range(DRAWS))
    lines = (folder / "stdout").read_text().splitlines()
    printed = [tuple(map(int, line.split())) for line in lines]
    log = [line.split() for line in (folder / "effects.log").read_text().splitlines()]
    noted = [(int(n), int(value)) for what, n, value, _ in log if what == "note"]
    for released in (printed, noted):
        # Everything came out, in order, and whatever came out again was the same.
        assert set(released) == set(sent.items())
        firsts = list(dict.fromkeys(released))
        assert firsts == sorted(firsts)
    drawn = [(int(n), int(value)) for what, n, value, _ in log if what == "draw"]
    asked = {(what, n): effect_id for what, n, _, effect_id in log}
    assert len(set(asked.values())) == len(asked) == 2 * DRAWS
    assert all(asked[what, n] == effect_id for what, n, _, effect_id in log), "another id"
    assert set(sent.items()) <= set(drawn)
    counts.draws += len(drawn)
    counts.draws_again += len(drawn) - DRAWS
    counts.lines_again += len(printed) - DRAWS
