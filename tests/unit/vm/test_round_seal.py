"""Sealing by round: a message can be received once its sender's log has been signed."""

from __future__ import annotations

import io

import pytest

from builders import SEED, make_signer
from troth.dsl import compile_source
from troth.vm import events as ev
from troth.vm.covered import statement_of
from troth.vm.events import Event
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.loader import load
from troth.vm.machine import Machine, Overrides
from troth.vm.merkle import Frontier
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.records import Kind
from troth.vm.signatures import verify
from troth.vm.statements import head_statement, log_id

SCRIPT = """
protocol Pair(Left, Right):
    rec More:
        choice at Left:
            Left -> Right: item(n: int)
            continue More
        or:
            Left -> Right: last()
            Right -> Left: thanks(text: str)

program left(s: Pair.Left):
    for n in range(3):
        send s.Right item(n)
    send s.Right last()
    recv s.Right thanks(text)
    print text
    close s

program right(s: Pair.Right):
    loop:
        recv s.Left:
            item(n):
                pass
            last():
                break
    send s.Left thanks("all there")
    close s

main:
    open Pair as l, r with seal = round
    spawn left(l)
    spawn right(r)
"""


def _machine(*, evidence: bool = True, seal: Seal | None = None) -> tuple[Machine, Recorder]:
    loaded = load(compile_source(SCRIPT, "pair.troth"))
    signer = make_signer()
    header = HeaderFacts(
        loaded.id, SEED, 64, "cooperative", (1,) * 10, "cooperative", None, seal, 0, 0
    )
    recorder = Recorder(header, None, signer, signer)
    machine = Machine(
        loaded,
        seed=SEED,
        signer=signer,
        roster=signer,
        overrides=Overrides(replay=ReplayMode.SEQUENCE, seal=seal),
        evidence=recorder if evidence else None,
    )
    machine.start()
    return machine, recorder


def _rounds(machine: Machine) -> list[list[Event]]:
    found = []
    while machine.run_round(0):
        found.append(machine.poll_events())
    return found


def _of(events: list[Event], kind: type) -> int:
    return sum(isinstance(event, kind) for event in events)


def test_what_a_round_sends_is_received_in_a_later_round() -> None:
    machine, _ = _machine()
    rounds = _rounds(machine)
    first = next(events for events in rounds if _of(events, ev.Sent))
    assert _of(first, ev.Sent) == 4
    assert _of(first, ev.Received) == 0
    following = rounds[rounds.index(first) + 1]
    assert _of(following, ev.Received) == 4
    assert machine.report().ok
    assert _of([e for events in rounds for e in events], ev.Printed) == 1


def test_with_message_seals_it_is_received_in_the_same_round() -> None:
    machine, _ = _machine(seal=Seal.MESSAGE)
    first = next(events for events in _rounds(machine) if _of(events, ev.Sent))
    assert _of(first, ev.Received) > 0


def test_no_statement_carries_a_signature_of_its_own() -> None:
    machine, _ = _machine()
    stated = [e for events in _rounds(machine) for e in events if statement_of(e) is not None]
    assert len(stated) == 9
    assert {event.signature for event in stated} == {b""}  # type: ignore[union-attr]


def test_every_head_covers_what_its_round_stated_before_anyone_received_it() -> None:
    machine, recorder = _machine()
    _rounds(machine)
    recorder.finish(machine.rounds, "ok")
    decoder, header = EventDecoder(), b""
    frontiers: dict[bytes, Frontier] = {}
    keys: list[bytes] = []
    pending = Frontier()
    sealed: dict[bytes, int] = {}
    sent_at: dict[int, tuple[bytes, int]] = {}
    seals = received = 0
    for record in ArtifactReader(io.BytesIO(recorder.take_bytes())):
        items = record.items
        event = decoder.decode(record)
        if items[0] == Kind.SEAL:
            key = keys[items[1]]
            size, root = items[2:4]
            assert (size, root) == (frontiers[key].size, frontiers[key].root)
            assert verify(key, head_statement(log_id(header, key), *items[2:-1]), items[-1])
            sealed[key] = size
            seals += 1
            continue
        header = header or record.data
        if items[0] == Kind.PRINCIPAL:
            keys.append(items[2])
            frontiers[items[2]] = Frontier() if len(keys) > 1 else pending
            owner = frontiers[items[2]]
        else:
            owner = frontiers.get(
                getattr(event, "signer", b"") or (keys[0] if keys else b""), pending
            )
        owner.append(record.index.to_bytes(8, "big") + (statement_of(event) or record.data))
        if isinstance(event, ev.Sent) and event.sender == "Left":
            sent_at[event.sequence] = (event.signer, owner.size)
        if isinstance(event, ev.Received) and event.sender == "Left":
            signer, size = sent_at[event.sequence]
            assert sealed[signer] >= size
            received += 1
    assert received == 4
    assert seals > 2


def test_a_message_changed_after_its_seal_is_refused() -> None:
    machine, _ = _machine()
    while not any(isinstance(event, ev.Sent) for event in machine.poll_events()):
        assert machine.run_round(0)
    (session,) = machine._scheduler.sessions.live.values()
    (edge,) = (e for e in session.edges if e.sender.role == "Left")
    first = edge.buffer.messages[0]
    edge.buffer.messages[0] = first._replace(payload=b"\x91\x07")
    events = [event for round_events in _rounds(machine) for event in round_events]
    rejected = [event for event in events if isinstance(event, ev.Rejected)]
    assert [event.code for event in rejected] == ["vm.fault.verification"]
    assert not any(isinstance(event, ev.Received) for event in events)


def test_a_machine_without_logs_cannot_seal_by_round() -> None:
    machine, _ = _machine(evidence=False)
    events = [event for round_events in _rounds(machine) for event in round_events]
    (faulted,) = [event for event in events if isinstance(event, ev.Faulted)]
    assert faulted.code == "vm.fault.open"
    assert "seal" in faulted.message


@pytest.mark.parametrize("seal", list(Seal))
def test_both_seals_mean_the_same_apart_from_the_descriptor(seal: Seal) -> None:
    machine, _ = _machine(seal=seal)
    events = [event for round_events in _rounds(machine) for event in round_events]
    taken = [(e.receiver, e.sequence) for e in events if isinstance(e, ev.Received)]
    assert taken == [("Right", 0), ("Right", 1), ("Right", 2), ("Right", 3), ("Left", 0)]
