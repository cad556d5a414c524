"""Whatever a file does to the process that judges it, it costs that file alone."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from artifact_surgery import EXAMPLES, record_script
from troth.conformance import Budget, shell_batch_pool
from troth.conformance.batch import BatchOptions, Bounds, FileResult
from troth.conformance.shell_batch_pool import Pool
from troth.conformance.shell_batch_state import State
from troth.vm.errors import Unusable

OPTIONS = BatchOptions()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return record_script(EXAMPLES / "hello.troth", tmp_path_factory.mktemp("run")).data


def _files(folder: Path, data: bytes, *names: str) -> list[str]:
    for name in names:
        (folder / f"{name}.replay").write_bytes(data)
    return [str(folder / f"{name}.replay") for name in names]


def _judge(
    files: list[str],
    *,
    jobs: int = 2,
    bounds: Bounds | None = None,
    state: State | None = None,
) -> list[FileResult]:
    with Pool(OPTIONS, jobs, bounds=bounds or Bounds(), state=state) as pool:
        results = list(pool.judge(files))
        processes = [worker.process for worker in pool._workers]
    assert all(process.poll() is not None for process in processes), "none is left behind"
    assert [result.file for result in results] == files, "in the order of the files"
    return results


def test_files_are_judged_by_themselves(artifact: bytes, tmp_path: Path) -> None:
    files = _files(tmp_path, artifact, *(f"f{number}" for number in range(20)))
    Path(files[3]).write_bytes(artifact[:-1])
    Path(files[7]).write_bytes(b"")
    Path(files[11]).unlink()
    results = _judge(files, jobs=3)
    assert Counter(result.exit_code for result in results) == {5: 17, 4: 2, 1: 1}
    assert results[11].failure == "artifact.io"
    assert results[3].findings[0].code == "incomplete.torn"


def test_a_file_that_does_harm_costs_itself_only(
    artifact: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_batch_pool, "_WORKER", "batch_bad_worker")
    bad = {
        "crash": "batch.crash",
        "exit": "batch.crash",
        "hang": "batch.timeout",
        "nonsense": "batch.reply",
        "lie": "batch.reply",
        "endless": "batch.crash",
        "memory": "batch.memory",
    }
    names = [name for kind in bad for name in (f"good-{kind}", kind, f"good-after-{kind}")]
    results = _judge(_files(tmp_path, artifact, *names), bounds=Bounds(seconds=5))
    for name, result in zip(names, results, strict=True):
        assert result.failure == bad.get(name), name
        assert result.exit_code == (1 if name in bad else 5), name
        assert result.reason
    crashed = results[names.index("crash")]
    assert "SIGSEGV" in crashed.reason
    assert crashed.status == "not judged"


def test_memory_is_bounded_for_real(artifact: bytes, tmp_path: Path) -> None:
    (small, large) = _files(tmp_path, artifact, "small", "large")
    length = 15 << 20
    with Path(large).open("ab") as file:
        file.write(b"\x93\x12\x00\xdb" + length.to_bytes(4, "big") + b"x" * length)
    results = _judge([large, small], bounds=Bounds(memory_mib=64), jobs=1)
    assert [result.failure for result in results] == ["batch.memory", None]


def test_a_state_remembers_by_content(artifact: bytes, tmp_path: Path) -> None:
    files = _files(tmp_path, artifact, "one", "two")
    Path(files[1]).write_bytes(artifact[:-1])
    path = tmp_path / "state"
    with State(path, OPTIONS) as state:
        first = _judge(files, state=state)
    assert not any(result.remembered for result in first)
    copies = [str(Path(file).rename(Path(file).with_suffix(".moved.replay"))) for file in files]
    with State(path, OPTIONS) as state:
        again = _judge(copies, state=state)
    assert all(result.remembered for result in again)
    assert [r.exit_code for r in again] == [r.exit_code for r in first]
    assert [r.findings for r in again] == [r.findings for r in first]
    assert [r.text.replace(".moved", "") for r in again] == [r.text for r in first]
    # Another content, or other options, is another question.
    Path(copies[0]).write_bytes(artifact[:-2])
    with State(path, OPTIONS) as state:
        assert [r.remembered for r in _judge(copies, state=state)] == [False, True]
    with State(path, BatchOptions(budget=Budget(work=17))) as state:
        assert state.find("00" * 32, "x") is None
        assert not any(r.remembered for r in _judge(copies, state=state))


def test_a_state_that_was_cut_off_goes_on(artifact: bytes, tmp_path: Path) -> None:
    files = _files(tmp_path, artifact, "one", "two")
    Path(files[1]).write_bytes(artifact[:-1])
    path = tmp_path / "state"
    with State(path, OPTIONS) as state:
        _judge(files, state=state)
    whole = path.read_bytes()
    ends = [place for place in range(len(whole)) if whole[place : place + 1] == b"\n"]
    for cut in (0, 10, ends[0], ends[0] + 1, ends[1], ends[1] + 1, ends[1] + 70):
        path.write_bytes(whole[:cut])
        with State(path, OPTIONS) as state:
            results = _judge(files, state=state, jobs=1)
        assert [result.exit_code for result in results] == [5, 4]
        kept = sum(1 for end in ends[1:] if end < cut)
        assert sum(result.remembered for result in results) == kept
        assert sorted(path.read_bytes().split(b"\n")) == sorted(whole.split(b"\n"))


@pytest.mark.parametrize(
    "data", [b"something else\n", b"x", b'{"troth_batch_state": 2}\n', None, b"zz zz\n", b"00\n"]
)
def test_another_file_is_no_state(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "state"
    if data is None:
        path.mkdir()
    else:
        head = b'{"troth_batch_state": 1}\n' if data[:1] in (b"z", b"0") else b""
        path.write_bytes(head + data)
    with pytest.raises(Unusable) as caught:
        State(path, OPTIONS)
    assert caught.value.code == "batch.state"
    if data is not None:
        assert path.read_bytes().endswith(data), "it is left as it is"


def test_one_batch_at_a_time_uses_a_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with State(path, OPTIONS), pytest.raises(Unusable, match="another batch"):
        State(path, OPTIONS)


def test_the_processes_go_with_the_pool(artifact: bytes, tmp_path: Path) -> None:
    files = _files(tmp_path, artifact, *(f"f{number}" for number in range(50)))
    with Pool(OPTIONS, 2, bounds=Bounds(), state=None) as pool:
        next(pool.judge(files))
        processes = [worker.process for worker in pool._workers]
        os.kill(processes[0].pid, signal.SIGINT)
        assert processes[0].poll() is None, "an interruption is for the parent to handle"
    assert all(process.poll() is not None for process in processes)
