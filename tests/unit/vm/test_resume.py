"""Going on with a record: what is refused, what is released again, and what stays as it was."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import builders as b
from artifact_surgery import Record, find, join, parse, raw_records, with_field
from resume_samples import Recording, done_by_programs, record_example, record_image
from troth import conformance, vm
from troth.dsl.compile import compile_source
from troth.vm.events import Event, Printed
from troth.vm.image import Image
from troth.vm.records import Kind
from troth.vm.shell_keys import new_key

ASKS_TWICE: Final = """
effect look(n: int) -> int

program asker(n: int):
    let x = call look(n)
    print "saw " + str(x)

main:
    print "begin"
    spawn asker(1)
    spawn asker(2)
"""


def _asks_twice() -> Image:
    return compile_source(ASKS_TWICE, "asks.troth")


def _after(recording: Recording, kind: Kind, number: int = 0) -> int:
    """Where a record of some kind ends in the file."""
    records = raw_records(recording.data)
    found = records[find([record.items for record in records], kind, number)]
    return found.offset + len(found.data)


@pytest.fixture
def hello(tmp_path: Path) -> Recording:
    return record_example(tmp_path, "hello", "message")


@pytest.fixture
def buyers(tmp_path: Path) -> Recording:
    return record_example(tmp_path, "two_buyer", "round")


# --- what is released ----------------------------------------------------------------------


def test_a_run_that_has_ended_is_left_as_it_is(hello: Recording) -> None:
    path, printed = hello.cut(len(hello.data)), list[str]()
    result = vm.resume(path, write_line=printed.append)
    assert (result.ok, result.ended_before, result.incarnation) == (True, True, 0)
    assert (printed, path.read_bytes()) == ([], hello.data)


def test_resuming_twice_does_nothing_the_second_time(hello: Recording) -> None:
    path = hello.cut(1200)
    assert hello.resume(path).incarnation == 1
    data = path.read_bytes()
    assert hello.resume(path).ended_before
    assert path.read_bytes() == data


def test_a_resumed_run_can_be_cut_and_resumed_again(buyers: Recording) -> None:
    path = buyers.cut(_after(buyers, Kind.RECEIVE, 1))
    assert buyers.resume(path).incarnation == 1
    data = path.read_bytes()
    again = data[: raw_records(data)[-8].offset]
    path.write_bytes(again)
    assert buyers.resume(path).incarnation == 2
    verdict = conformance.verify(path, trust=buyers.trust)
    assert (verdict.exit_code, verdict.counts.incarnations) == (0, 2)
    assert done_by_programs(path.read_bytes()) == done_by_programs(buyers.data)
    assert "the run was resumed 2 times after a stop" in conformance.to_prose(verdict)


def test_a_line_is_printed_again_unless_the_file_proves_that_it_is_out(hello: Recording) -> None:
    printed: list[str] = []
    round_ends = _after(hello, Kind.HALT, 2)
    hello.resume(hello.cut(round_ends), printed)
    assert printed == ["hello, world"]
    hello.resume(hello.cut(round_ends + 1), printed)
    assert printed == ["hello, world"], "what comes after the round proves it"


def test_events_are_given_from_where_nothing_proves_them_released(hello: Recording) -> None:
    seen: list[Event] = []
    path = hello.cut(_after(hello, Kind.HALT, 1))
    vm.resume(path, keys=hello.keys, write_line=lambda _: None, on_events=seen.extend)
    assert [type(event).__name__ for event in seen[:2]] == ["Sent", "Received"] or seen
    assert sum(type(event) is Printed for event in seen) == 1


def test_effects_that_were_not_answered_are_asked_for_again(tmp_path: Path) -> None:
    asked: list[int] = []

    def look(n: int) -> int:
        asked.append(n)
        return 10 * n

    recording = record_image(tmp_path, _asks_twice(), effects={"look": look})
    assert recording.printed == ["begin", "saw 10", "saw 20"]
    asked.clear()
    recording.resume(recording.cut(_after(recording, Kind.INVOKE, 1)))
    assert asked == [1, 2], "nothing is answered"
    asked.clear()
    recording.resume(recording.cut(_after(recording, Kind.COMPLETE, 0)))
    assert asked == [1, 2], "an answer of a round of which there is nothing else does not bind"
    asked.clear()
    recording.resume(recording.cut(_after(recording, Kind.PRINT, 1)))
    assert asked == [], "both answers are in the file"


def test_an_effect_keeps_its_id(tmp_path: Path) -> None:
    """So its function can tell that it has been asked before."""
    told: list[tuple[int, str]] = []

    def look(n: int, *, effect_id: str) -> int:
        told.append((n, effect_id))
        return n

    recording = record_image(tmp_path, _asks_twice(), effects={"look": look})
    recording.resume(recording.cut(_after(recording, Kind.INVOKE, 1)))
    assert len(told) == 4
    assert told[:2] == told[2:]
    assert len(dict(told)) == 2


@pytest.mark.parametrize("seal", ["message", "round"])
def test_runs_whose_effects_overlap_can_be_resumed_wherever_they_are_cut(
    seal: str, tmp_path: Path
) -> None:
    """Which effect ends first may differ each time, but not in what is recorded already."""

    async def look(n: int) -> int:
        await asyncio.sleep(0)
        return n

    recording = record_image(tmp_path, _asks_twice(), effects={"look": look}, seal=seal)
    for size in range(_after(recording, Kind.IMAGE), len(recording.data), 11):
        path = recording.cut(size)
        assert recording.resume(path).ok
        assert conformance.verify(path).exit_code == 5
        recorded = parse(path.read_bytes())
        lines = [items[2] for items in recorded if items[0] == Kind.PRINT]
        assert (lines[0], sorted(lines[1:])) == ("begin", ["saw 1", "saw 2"])


def test_another_answer_is_another_run_from_there_on(tmp_path: Path) -> None:
    recording = record_image(tmp_path, _asks_twice(), effects={"look": lambda n: n})
    recording.effects = {"look": lambda n: -n}
    path, printed = recording.cut(_after(recording, Kind.INVOKE, 1)), list[str]()
    recording.resume(path, printed)
    # Between INVOKE and the end of its round lies nothing, so `begin` was not proved to be out.
    assert printed[-2:] == ["saw -1", "saw -2"]
    assert conformance.verify(path).counts.incarnations == 1


def test_the_rest_of_the_end_is_written(hello: Recording) -> None:
    path = hello.cut(_after(hello, Kind.END) + 30)
    result = hello.resume(path)
    assert (result.ok, result.ended_before, result.incarnation) == (True, False, 0)
    assert path.read_bytes() == hello.data, "the end was decided, so nothing else may come"


def test_a_tail_of_zeros_is_torn(hello: Recording) -> None:
    """A file system that lost power leaves them where bytes were not written yet."""
    path = hello.cut(1300)
    path.write_bytes(path.read_bytes()[: raw_records(hello.data)[15].offset] + bytes(9_000))
    hello.resume(path)
    assert conformance.verify(path, trust=hello.trust).exit_code == 0


# --- what is refused -----------------------------------------------------------------------


def _refused(recording: Recording, path: Path, code: str) -> vm.TrothError:
    """The file is as it was, and no key was made."""
    before, keys = path.read_bytes(), sorted(recording.keys.glob("*"))
    with pytest.raises(vm.TrothError) as caught:
        recording.resume(path)
    assert caught.value.code == code, caught.value
    assert (path.read_bytes(), sorted(recording.keys.glob("*"))) == (before, keys)
    return caught.value


def test_a_run_without_keys_cannot_be_resumed(hello: Recording) -> None:
    with pytest.raises(vm.Unusable, match="were gone with it") as caught:
        vm.resume(hello.cut(1400))
    assert caught.value.code == "resume.keys"


@pytest.mark.parametrize("missing", [True, False])
def test_other_keys_cannot_resume_it(hello: Recording, missing: bool) -> None:
    (hello.keys / "Server.key").unlink()
    (hello.keys / "Server.pub").unlink()
    if not missing:
        (hello.keys / "Server.key").touch(mode=0o600)
        (hello.keys / "Server.key").write_text(new_key("Server").private_text)
    error = _refused(hello, hello.cut(1400), "resume.keys")
    assert "'Server'" in error.message


def test_before_any_session_no_keys_are_needed(hello: Recording) -> None:
    path = hello.cut(_after(hello, Kind.SPAWN))
    assert vm.resume(path, write_line=lambda _: None).ok


def test_a_run_needs_its_effects(buyers: Recording) -> None:
    buyers.effects = {}
    _refused(buyers, buyers.cut(3000), "effects.missing")


def test_before_the_image_there_is_nothing_to_resume(hello: Recording) -> None:
    for size in (0, 5, 8, 100, _after(hello, Kind.IMAGE) - 1):
        _refused(hello, hello.cut(size), "resume.empty")


def test_a_record_without_its_image_is_refused(hello: Recording) -> None:
    records = parse(hello.data[:1400])
    path = hello.folder / "bare.replay"
    path.write_bytes(join([items for items in records if items[0] != Kind.IMAGE]))
    _refused(hello, path, "resume.image")


def _change(what: str, records: list[Record]) -> None:
    sent, received = find(records, Kind.SEND), find(records, Kind.RECEIVE)
    if what == "the seed":
        records[0] = with_field(records[0], 3, bytes(31) + b"1")
    elif what == "a message":
        records[sent] = with_field(records[sent], 9, b"\x91\xa1x")
    elif what == "a record dropped":
        del records[received]
    elif what == "a record added":
        records.insert(received, (Kind.TIME, 5, 3))
    else:
        records.append((Kind.END, 0, len(records), "ok"))


CHANGES: Final = ("the seed", "a message", "a record dropped", "a record added", "an early end")


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_record_is_refused(hello: Recording, change: str) -> None:
    records = parse(hello.data[:1500])
    _change(change, records)
    path = hello.folder / "changed.replay"
    path.write_bytes(join(records))
    _refused(hello, path, "resume.differs")


@pytest.mark.parametrize(
    "answer",
    [
        (Kind.COMPLETE, bytes(16), False, b"\x91\x01", 2),
        (Kind.COMPLETE, None, False, b"\x91\xa1x", 2),
        (Kind.COMPLETE, None, False, b"\xff", 2),
    ],
    ids=["of no effect", "of another type", "of no value"],
)
def test_an_answer_that_cannot_be_is_refused(tmp_path: Path, answer: tuple[object, ...]) -> None:
    recording = record_image(tmp_path, _asks_twice(), effects={"look": lambda n: n})
    records = parse(recording.data)[:-1]
    at = find(records, Kind.COMPLETE)
    identity = answer[1] or records[at][1]
    records[at] = (answer[0], identity, *answer[2:4], records[at][4])
    path = tmp_path / "changed.replay"
    path.write_bytes(join(records))
    _refused(recording, path, "resume.input")


def test_damage_is_refused_and_nothing_is_cut_off(hello: Recording) -> None:
    path = hello.cut(1400)
    path.write_bytes(path.read_bytes()[:1200] + b"\xc1" + hello.data[1201:1400])
    with pytest.raises(vm.TrothError):
        hello.resume(path)
    assert len(path.read_bytes()) == 1400


def test_what_is_no_artifact_is_refused(hello: Recording) -> None:
    path = hello.folder / "text"
    path.write_text("something else entirely")
    _refused(hello, path, "artifact.magic")
    with pytest.raises(vm.Unusable, match=r"artifact\.io"):
        hello.resume(hello.folder / "missing.replay")
    with pytest.raises(vm.Unusable, match=r"artifact\.io"):
        hello.resume(hello.folder)


# --- the lock ------------------------------------------------------------------------------


def _with_effect_that_tries(tmp_path: Path, attempt: Callable[[Path], object]) -> None:
    """Runs while it is tried to write the same file."""
    path = tmp_path / "busy.replay"

    def look(n: int) -> int:
        with pytest.raises(vm.Unusable, match=r"artifact\.locked") as caught:
            attempt(path)
        assert f"process {os.getpid()}" in (caught.value.actual or "")
        return n

    options = vm.RunOptions(keys=tmp_path / "keys", record=path, effects={"look": look})
    lines: list[str] = []
    assert vm.run(_asks_twice(), options=options, write_line=lines.append).ok
    assert conformance.verify(path).exit_code == 5, "the attempt has changed nothing"


def test_a_record_that_is_being_written_cannot_be_resumed(tmp_path: Path) -> None:
    _with_effect_that_tries(tmp_path, lambda path: vm.resume(path, keys=tmp_path / "keys"))


def test_nor_replaced(tmp_path: Path) -> None:
    nothing = b.image([], [b.program("main", [b.HALT])])
    options = vm.RunOptions(record=tmp_path / "busy.replay")
    _with_effect_that_tries(tmp_path, lambda _: vm.run(nothing, options=options))
