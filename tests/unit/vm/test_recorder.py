"""What the recorder writes: every kind of record, who owns it, when heads are signed."""

from __future__ import annotations

from collections import Counter

import pytest

from evidence_samples import (
    CLIENT,
    DEPUTY,
    HEADER,
    KEYS,
    MAIN,
    SERVER,
    descriptor,
    opened,
    read_all,
    record,
    sent,
    session_events,
    signer,
    whole_run,
)
from troth.vm import events as ev
from troth.vm import statements
from troth.vm.covered import statement_of
from troth.vm.errors import InternalError, LimitExceeded
from troth.vm.events import Event, Status
from troth.vm.limits import RECORD_BYTES_MAX
from troth.vm.merkle import EMPTY_ROOT, Frontier
from troth.vm.reader import RawRecord
from troth.vm.record_events import EventDecoder
from troth.vm.record_items import ENDED_SESSIONS_KEPT
from troth.vm.recorder import Recorder
from troth.vm.records import MAGIC, SIGNER_OWNED, Kind
from troth.vm.signatures import verify


def _recorder(*, seal_every: int = 4096) -> Recorder:
    host = signer()
    return Recorder(HEADER, None, host, host, seal_every=seal_every)


def _of_kind(records: list[RawRecord], kind: Kind) -> list[RawRecord]:
    return [record for record in records if record.items[0] == kind]


def _events_of(data: bytes) -> list[Event]:
    decoder = EventDecoder()
    decoded = (decoder.decode(record) for record in read_all(data))
    return [event for event in decoded if event is not None]


def test_every_kind_of_record_is_written_and_read_back() -> None:
    records = read_all(record(whole_run()))
    assert {Kind(record.items[0]) for record in records} == set(Kind)
    assert _events_of(record(whole_run())) == whole_run()


def test_the_file_begins_with_the_magic_and_the_header() -> None:
    data = record([])
    assert data.startswith(MAGIC)
    assert read_all(data)[0].items == (Kind.HEADER, 1, *HEADER)


def test_without_the_image_the_header_only_names_it() -> None:
    recorder = _recorder()
    recorder.finish(0, "ok")
    kinds = [record.items[0] for record in read_all(recorder.take_bytes())]
    assert kinds == [Kind.HEADER, Kind.END]


def test_names_come_once_and_before_their_use() -> None:
    events = [ev.Spawned(MAIN, b"", 0), *session_events(0), *session_events(1)]
    records = read_all(record(events))
    principals = _of_kind(records, Kind.PRINCIPAL)
    assert [r.items[1:] for r in principals] == [
        ("Client", CLIENT),
        ("Server", SERVER),
        ("Deputy", DEPUTY),
    ]
    assert len(_of_kind(records, Kind.PROTOCOL)) == 1
    opens = _of_kind(records, Kind.OPEN)
    assert len(opens) == 2
    assert principals[1].index < opens[0].index
    assert principals[2].index == _of_kind(records, Kind.DELEGATE)[0].index - 1


def test_take_bytes_gives_everything_once() -> None:
    whole = record(whole_run())
    host = signer()
    recorder = Recorder(HEADER, b"image", host, host)
    pieces = []
    for event in whole_run():
        recorder.extend([event], 1)
        assert recorder.pending_bytes > 0
        pieces.append(recorder.take_bytes())
        assert recorder.pending_bytes == 0
        assert recorder.take_bytes() == b""
    recorder.finish(1, "ok")
    assert b"".join([*pieces, recorder.take_bytes()]) == whole


# --- payload forms -------------------------------------------------------------------------


def test_inline_payloads_come_with_their_salt_and_without_commitment() -> None:
    send = _of_kind(read_all(record(whole_run())), Kind.SEND)[0].items
    assert send[9] == b"\x91\x01"
    assert len(send[8]) == 16
    assert send[10] is None


def test_digest_edges_keep_payload_and_salt_out_of_the_file() -> None:
    events = [ev.Spawned(MAIN, b"", 0), *session_events(payload="digest")]
    message = next(event for event in events if isinstance(event, ev.Sent))
    data = record(events)
    send = _of_kind(read_all(data), Kind.SEND)[0].items
    assert send[8:11] == (None, None, message.commitment)
    assert message.salt not in data
    decoded = next(event for event in _events_of(data) if isinstance(event, ev.Sent))
    assert decoded == message._replace(salt=b"", payload=b"")


# --- logs and seals ------------------------------------------------------------------------


def _owner(items: tuple[object, ...], signers: dict[tuple[object, object], int]) -> int:
    """The log a record belongs to, from the format's own words."""
    kind = items[0]
    if kind == Kind.PRINCIPAL:
        signers["count", ""] = signers.get(("count", ""), -1) + 1
        return signers["count", ""]
    if kind not in SIGNER_OWNED or (kind == Kind.CANCEL and items[2] is None):
        return 0
    # An arrival is the receiver's, and says the sender first.
    session, role = items[1], items[3] if kind == Kind.ARRIVE else items[2]
    owner = signers.get((session, role), role)
    if kind == Kind.DELEGATE:
        signers[session, role] = items[3]  # type: ignore[assignment]
    assert isinstance(owner, int)
    return owner


def _check_logs(data: bytes) -> Counter[int]:
    """Rebuilds every log from the file alone and checks every seal; counts seals by log."""
    records = read_all(data)
    header = records[0].data
    frontiers = {number: Frontier() for number in range(len(KEYS))}
    previous = dict.fromkeys(frontiers, EMPTY_ROOT)
    keys = [record.items[2] for record in _of_kind(records, Kind.PRINCIPAL)]
    signers: dict[tuple[object, object], int] = {}
    seals: Counter[int] = Counter()
    opened_count = ended_count = 0
    decoder = EventDecoder()
    for entry in records:
        items = entry.items
        if items[0] != Kind.SEAL:
            covered = statement_of(decoder.decode(entry)) or entry.data
            leaf = entry.index.to_bytes(8, "big") + covered
            frontiers[_owner(items, signers)].append(leaf)
            opened_count += items[0] == Kind.OPEN
            ended_count += items[0] == Kind.STATUS and items[2] >= Status.CLOSED
            continue
        number, size, root, before, _, alive, ended, final, signature = items[1:]
        log_id = statements.log_id(header, keys[number])
        assert (size, root) == (frontiers[number].size, frontiers[number].root)
        assert before == previous[number]
        assert (alive, ended) == (opened_count - ended_count, ended_count)
        assert final is any(record.items[0] == Kind.END for record in records[: entry.index])
        statement = statements.head_statement(log_id, *items[2:-1])
        assert verify(keys[number], statement, signature)
        previous[number] = root
        seals[number] += 1
    return seals


def test_the_file_ends_with_one_seal_for_each_principal_in_order() -> None:
    data = record(whole_run())
    tail = [record.items[:2] for record in read_all(data)[-4:]]
    assert [items[0] for items in tail] == [Kind.END, Kind.SEAL, Kind.SEAL, Kind.SEAL]
    assert [items[1] for items in tail[1:]] == [0, 1, 2]
    assert _check_logs(data) == {0: 1, 1: 1, 2: 1}


def test_the_end_record_counts_the_records_before_it() -> None:
    end = _of_kind(read_all(record(whole_run())), Kind.END)[0]
    assert end.items == (Kind.END, 1, end.index, "ok")


@pytest.mark.parametrize("seal_every", [1, 2, 7, 1000])
def test_heads_are_signed_after_so_many_leaves_at_the_end_of_a_commit(seal_every: int) -> None:
    recorder = _recorder(seal_every=seal_every)
    for round_number, event in enumerate(whole_run(), start=1):
        recorder.extend([event], round_number)
    recorder.finish(99, "ok")
    data = recorder.take_bytes()
    seals = _check_logs(data)
    assert all(seals[number] >= 1 for number in range(3))
    owned = _of_kind(read_all(data), Kind.SEAL)[-3].items[2]
    if seal_every == 1000:
        assert sum(seals.values()) == 3
    else:
        assert seals[0] >= owned // (seal_every + 4)


def test_one_commit_is_sealed_as_a_whole() -> None:
    recorder = _recorder(seal_every=1)
    recorder.extend([ev.Spawned(MAIN, b"", 0), *session_events()], 7)
    kinds = [record.items[0] for record in read_all(recorder.take_bytes())]
    assert kinds[-3:] == [Kind.SEAL] * 3
    assert Kind.SEAL not in kinds[:-3]
    recorder.extend([ev.Printed(MAIN, "more")], 8)
    kinds = [record.items[0] for record in _after_names(recorder)]
    assert kinds == [Kind.PRINT, Kind.SEAL]


def _after_names(recorder: Recorder) -> list[RawRecord]:
    """What the recorder wrote since, read with a header in front of it."""
    beginning = _recorder().take_bytes()
    return read_all(beginning + recorder.take_bytes())[1:]


# --- what cannot be recorded ---------------------------------------------------------------


def test_a_record_has_a_limit() -> None:
    recorder = _recorder()
    recorder.extend([ev.Spawned(MAIN, b"", 0)], 0)
    overhead = 1 + 1 + 1 + 5
    recorder.extend([ev.Printed(MAIN, "x" * (RECORD_BYTES_MAX - overhead))], 0)
    assert len(read_all(recorder.take_bytes())) == 3
    with pytest.raises(LimitExceeded) as caught:
        recorder.extend([ev.Printed(MAIN, "x" * (RECORD_BYTES_MAX - overhead + 1))], 0)
    assert caught.value.code == "artifact.limit"


@pytest.mark.parametrize(
    "event",
    [
        ev.Printed(MAIN, "nobody runs"),
        ev.Halted(MAIN),
        sent(bytes(32), "Client", "Server", 0),
        ev.StatusChanged(bytes(32), Status.CLOSED, 1, ""),
    ],
)
def test_events_about_nothing_are_a_bug_of_the_machine(event: Event) -> None:
    with pytest.raises(InternalError):
        _recorder().extend([event], 1)


def test_an_ended_coroutine_is_forgotten() -> None:
    recorder = _recorder()
    recorder.extend([ev.Spawned(MAIN, b"", 0), ev.Halted(MAIN)], 1)
    with pytest.raises(InternalError):
        recorder.extend([ev.Printed(MAIN, "late")], 2)


def test_a_late_fault_names_its_ended_session_while_that_is_remembered() -> None:
    recorder = _recorder()
    recorder.extend([ev.Spawned(MAIN, b"", 0)], 1)
    count = ENDED_SESSIONS_KEPT + 1
    sessions = [descriptor(number) for number in range(count)]
    for agreed in sessions:
        closed = ev.StatusChanged(agreed.session, Status.CLOSED, 1, "")
        recorder.extend([opened(agreed), closed], 1)
    children = [statements.coroutine_id(b"", MAIN, i) for i in range(2)]
    recorder.extend([ev.Spawned(child, MAIN, 0) for child in children], 2)
    recorder.take_bytes()
    for child, agreed in zip(children, (sessions[0], sessions[-1]), strict=True):
        where = (agreed.session, "Client")
        recorder.extend([ev.Faulted(child, "vm.fault.close", "late", "main", 0, *where)], 3)
    faults = [record.items[-2:] for record in _after_names(recorder)]
    assert faults == [(None, None), (count - 1, 0)]


def test_memory_does_not_grow_with_the_sessions_that_ended() -> None:
    recorder = _recorder()
    recorder.extend([ev.Spawned(MAIN, b"", 0)], 1)
    for number in range(20):
        recorder.extend(session_events(number), number)
    assert recorder._sessions == {}
