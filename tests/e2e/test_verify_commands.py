"""`troth verify`, `canon` and `inspect` as their users meet them: processes, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, run_example, troth, trust_file


@pytest.fixture(name="recorded", scope="module")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("recorded")
    artifact = folder / "hello.replay"
    done = run_example("hello", "--keys", folder / "keys", "--record", artifact)
    assert done.code == 0
    return artifact, trust_file(folder / "keys", folder / "trust")


def _changed(artifact: Path, target: Path) -> Path:
    """A copy in which the last byte of the message "hello, world" is another."""
    data = artifact.read_bytes()
    assert data.count(b"hello, world") >= 1
    target.write_bytes(data.replace(b"hello, world", b"hello, word!"))
    return target


def test_a_valid_artifact(recorded: tuple[Path, Path]) -> None:
    artifact, trust = recorded
    done = troth("verify", artifact, "--trust", trust)
    assert (done.code, done.err) == (0, "")
    first, second, *_ = done.out.splitlines()
    assert first == f"{artifact}: valid (exit 0)"
    assert second == "  Levels 1 to 5 hold, and every acting principal is trusted."
    assert "\x1b" not in done.out, "no colours into a pipe"
    assert "What this does not say" in done.out


def test_a_changed_message_is_located(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, trust = recorded
    forged = _changed(artifact, tmp_path / "forged.replay")
    done = troth("verify", forged, "--trust", trust, "--json")
    assert done.code == 2
    report = json.loads(done.out)
    first = report["findings"][0]
    assert first["code"] == "integrity.message"
    assert first["edge"] == "Server -> Client"
    data = artifact.read_bytes()
    place = data.index(b"hello, world")
    assert first["offset"] < place < first["offset"] + 200
    prose = troth("verify", forged, "--trust", trust)
    assert prose.code == 2
    assert "first finding: integrity.message (forged, level 2)" in prose.out


def test_a_cut_file(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, trust = recorded
    cut = tmp_path / "cut.replay"
    cut.write_bytes(artifact.read_bytes()[:-100])
    done = troth("verify", cut, "--trust", trust)
    assert done.code == 4
    assert "incomplete.torn" in done.out


def test_another_version(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, trust = recorded
    data = bytearray(artifact.read_bytes())
    assert data[8] >> 4 == 0x9, "an array of less than 16 items, whose number a format may change"
    assert data[9:11] == b"\x00\x01", "kind 0, version 1"
    data[10] = 7
    future = tmp_path / "future.replay"
    future.write_bytes(data)
    done = troth("verify", future, "--trust", trust)
    assert done.code == 3
    assert "format version 7" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trust", "no-such-trust"],
        ["--protocol", "no-such-script.troth"],
        ["--surprise"],
    ],
)
def test_wrong_usage(recorded: tuple[Path, Path], arguments: list[str]) -> None:
    done = troth("verify", recorded[0], *arguments)
    assert done.code == 1
    assert done.out == ""
    assert done.err


def test_a_trust_file_that_is_none(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"\xff\xfenot a key\n")
    done = troth("verify", recorded[0], "--trust", junk)
    assert done.code == 1
    assert str(junk) in done.err


def test_a_script_with_errors_is_wrong_usage(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    script = tmp_path / "broken.troth"
    script.write_text("protocol P(A, B):\n    A -> C: hello()\n")
    done = troth("verify", recorded[0], "--protocol", script)
    assert done.code == 1
    assert "broken.troth:2" in done.err


def test_a_directory_is_not_an_artifact(tmp_path: Path) -> None:
    for command in ("verify", "canon", "inspect"):
        done = troth(command, tmp_path)
        assert done.code == 1
        assert str(tmp_path) in done.err or "artifact" in done.err


def test_several_protocols_can_be_pinned(tmp_path: Path) -> None:
    artifact = tmp_path / "d.replay"
    keys = tmp_path / "keys"
    done = run_example("delegation", "--keys", keys, "--record", artifact)
    assert done.code == 0
    trust = trust_file(keys, tmp_path / "trust")
    report = json.loads(troth("verify", artifact, "--trust", trust, "--json").out)
    ids = [pin["id"] for pin in report["pins"]]
    assert len(ids) == 2
    both = ["--protocol", ids[0], "--protocol", ids[1]]
    assert troth("verify", artifact, "--trust", trust, *both).code == 0
    assert troth("verify", artifact, "--trust", trust, *both[:2]).code == 2
    script = ["--protocol", str(EXAMPLES / "delegation.troth")]
    assert troth("verify", artifact, "--trust", trust, *script).code == 0


# --- canon and inspect ---------------------------------------------------------------------


def test_canon_prints_the_digest_last(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    artifact, trust = recorded
    out = tmp_path / "fragment"
    plain, written = troth("canon", artifact), troth("canon", artifact, "-o", out)
    assert (plain.code, written.code) == (0, 0)
    digest = plain.out.splitlines()[-1]
    assert digest == written.out.splitlines()[-1]
    assert len(bytes.fromhex(digest)) == 32
    assert len(out.read_bytes()) > 100
    report = json.loads(troth("verify", artifact, "--trust", trust, "--json").out)
    assert report["fragment"] == digest


def test_canon_of_what_is_no_artifact(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.replay"
    cut.write_bytes(recorded[0].read_bytes()[:500])
    done = troth("canon", cut)
    assert (done.code, done.out) == (1, "")
    assert "cut.replay" in done.err
    done = troth("canon", recorded[0], "-o", tmp_path)
    assert done.code == 1


def test_inspect(recorded: tuple[Path, Path]) -> None:
    done = troth("inspect", recorded[0])
    assert (done.code, done.err) == (0, "")
    for text in (
        "principals: 2",
        "Hello(Client, Server)",
        "0 Hello closed, 2 sent, 2 received, 0 undelivered",
        "printed: 1 line",
        "  hello, world",
        "ended after",
    ):
        assert text in done.out


def test_inspect_lists_records(recorded: tuple[Path, Path]) -> None:
    done = troth("inspect", recorded[0], "--events")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("0 HEADER version 1, image ")
    assert any(
        'SEND session 0 (Hello): Client -> Server greet("world") #0' in line for line in lines
    )


def test_inspect_of_a_broken_file(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.replay"
    cut.write_bytes(recorded[0].read_bytes()[:-10])
    done = troth("inspect", cut)
    assert done.code == 2
    assert "stopped early" in done.out
