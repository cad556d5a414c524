"""`troth checkpoint`, `prove` and `check-proof` as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nacl.signing import SigningKey

import c2sp_reader as c2sp
from e2e.command_line import Finished, run_example, troth, trust_file

WITNESS = SigningKey(b"w" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs with the same keys, the first of which is published by Server."""
    keys = tmp_path / "keys"
    for name in ("one", "two"):
        done = run_example("hello", "--keys", keys, "--record", tmp_path / f"{name}.replay")
        assert done.code == 0
    trust_file(keys, tmp_path / "trust")
    assert _publish(tmp_path, "one").code == 0
    return tmp_path


def _publish(folder: Path, run: str, *options: str) -> Finished:
    return troth(
        "checkpoint",
        f"{run}.replay",
        "--keys",
        "keys",
        "--principal",
        "Server",
        *options,
        cwd=folder,
    )


def test_from_the_run_to_the_checked_proof(folder: Path) -> None:
    note = (folder / "keys" / "Server.checkpoint").read_text()
    (folder / "keys" / "Server.checkpoint").write_text(
        c2sp.cosign(note, "witness.example/w", WITNESS, 1_700_000_000)
    )
    (folder / "witnesses").write_text(c2sp.witness_key("witness.example/w", WITNESS) + "\n")
    log = ("--log", "keys/Server.tlog")
    assert troth("prove", "one.replay", "--event", "14", *log, "-o", "p", cwd=folder).code == 0
    known = ("--trust", "trust", "--witness", "witnesses", "--witnesses", "1")
    done = troth("check-proof", "p", *known, cwd=folder)
    assert done.code == 0
    assert "Witnessed by witness.example/w" in done.out
    report = json.loads(troth("check-proof", "p", *known, "--json", cwd=folder).out)
    assert report["publication"]["witnesses"][0]["unix_time"] == 1_700_000_000
    assert report["event"]["said"] == 'Server -> Client reply("hello, world") #0'
    assert troth("check-proof", "p", cwd=folder).code == 5
    data = (folder / "p").read_text()
    (folder / "p").write_text(data.replace("index 0", "index 1"))
    assert troth("check-proof", "p", "--trust", "trust", cwd=folder).code == 2


def test_a_later_checkpoint_continues_the_earlier_one(folder: Path) -> None:
    (folder / "old").write_text((folder / "keys" / "Server.checkpoint").read_text())
    assert "entry 1 of 2" in _publish(folder, "two").out
    grown = ("--log", "keys/Server.tlog", "--since", "old", "-o", "grown")
    assert troth("prove", *grown, cwd=folder).code == 0
    check = ("check-proof", "grown", "--trust", "trust")
    assert troth(*check, "--since", "old", cwd=folder).code == 0
    assert troth(*check, "--since", "keys/Server.checkpoint", cwd=folder).code == 2
    assert troth(*check, cwd=folder).code == 2


def test_publishing_again_changes_nothing(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in (folder / "keys").iterdir()}
    again = _publish(folder, "one")
    assert again.code == 0
    assert "was already entry 0 of 1" in again.out
    assert {path.name: path.read_bytes() for path in (folder / "keys").iterdir()} == before


def test_a_log_that_was_cut_is_not_signed_again(folder: Path) -> None:
    assert _publish(folder, "two").code == 0
    log = folder / "keys" / "Server.tlog"
    note = (folder / "keys" / "Server.checkpoint").read_bytes()
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    for text in ("".join(lines[:-1]), "".join([*lines[:2], lines[3], lines[2]]), ""):
        log.write_text(text)
        done = _publish(folder, "two")
        assert done.code == 1
        assert "publish.rewritten" in done.err
        assert (folder / "keys" / "Server.checkpoint").read_bytes() == note
    log.write_text(whole)
    assert _publish(folder, "two").code == 0


def test_a_line_that_was_being_written_is_written_again(folder: Path) -> None:
    log = folder / "keys" / "Server.tlog"
    before = log.read_bytes()
    log.write_bytes(before + b"AHRyb3Ro")
    assert "entry 1 of 2" in _publish(folder, "two").out
    assert log.read_bytes().startswith(before)
    assert len(log.read_text().splitlines()) == 4


def test_only_what_holds_and_is_whole_is_published(folder: Path) -> None:
    data = (folder / "two.replay").read_bytes()
    (folder / "cut.replay").write_bytes(data[:-1])
    assert "publish.incomplete" in _publish(folder, "cut").err
    (folder / "bad.replay").write_bytes(data.replace(b"hello, world", b"hello, moon!"))
    assert "publish.invalid" in _publish(folder, "bad").err
    assert len((folder / "keys" / "Server.tlog").read_text().splitlines()) == 3


def test_whose_key_is_missing_or_other_is_said(folder: Path) -> None:
    elsewhere = ("checkpoint", "one.replay", "--keys", "other")
    assert run_example("hello", "--keys", folder / "other").code == 0
    done = troth(*elsewhere, cwd=folder)
    assert done.code == 1
    assert "publish.key" in done.err
    done = troth("checkpoint", "one.replay", "--keys", "keys", "--principal", "Bob", cwd=folder)
    assert "publish.principal" in done.err
    (folder / "keys" / "Client.tlog").write_text((folder / "keys" / "Server.tlog").read_text())
    done = troth("checkpoint", "one.replay", "--keys", "keys", "--principal", "Client", cwd=folder)
    assert "publish.origin" in done.err


def test_what_cannot_be_proved_is_said(folder: Path) -> None:
    log = ("--log", "keys/Server.tlog", "-o", "p")
    for arguments, code in (
        (("two.replay", "--event", "14", *log), "prove.unpublished"),
        (("one.replay", "--event", "99", *log), "prove.event"),
        (("one.replay", *log), "prove.arguments"),
        (("one.replay", "--since", "old", *log), "prove.arguments"),
        (("one.replay", "--event", "14", "-o", "one.replay"), "output.source"),
        (("one.replay", "--event", "14", "-o", "keys/Server.key"), "output.precious"),
        (("one.replay", "--event", "14", "--log", "trust", "-o", "p"), "proof.malformed"),
        (("one.replay", "--event", "14", "--log", "missing", "-o", "p"), "proof.io"),
    ):
        done = troth("prove", *arguments, cwd=folder)
        assert (done.code, f"[{code}]" in done.err) == (1, True), done.err
    assert not (folder / "p").exists()


def test_a_checkpoint_older_than_the_run_does_not_prove_it(folder: Path) -> None:
    (folder / "old").write_text((folder / "keys" / "Server.checkpoint").read_text())
    assert _publish(folder, "two").code == 0
    arguments = ("--log", "keys/Server.tlog", "--checkpoint", "old", "-o", "p")
    done = troth("prove", "two.replay", "--event", "14", *arguments, cwd=folder)
    assert "prove.checkpoint" in done.err
    assert troth("prove", "one.replay", "--event", "14", *arguments, cwd=folder).code == 0
    assert troth("check-proof", "p", "--trust", "trust", cwd=folder).code == 0


def test_two_publishers_at_once_write_one_log(folder: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda run: _publish(folder, run), ("two", "one")))
    assert [one.code for one in done] == [0, 0]
    assert _publish(folder, "two").code == 0
    assert len((folder / "keys" / "Server.tlog").read_text().splitlines()) == 4
