"""Generations of edges that may lose messages: their sender's word ends them, whatever was lost."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import Record, find, key_pair, parse, reseal, sign_all
from builders import make_signer
from lossy_scripts import HOMES, KEYS_FIRST, Line, counts_of, in_order
from replay_samples import record_run, require_reproduced
from second_verifier import judge
from spread_machines import Party, run_spread, trust_of
from troth.conformance import verify
from troth.conformance.reference import Setup, run_both
from troth.dsl import compile_source
from troth.vm.envelope import MessageEnvelope, Outgoing, RotateEnvelope
from troth.vm.events import (
    Dropped,
    Event,
    Faulted,
    Met,
    PeerRotated,
    Receipted,
    Retired,
    Rotated,
    Sent,
)
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.peer_history import PeerHistory
from troth.vm.records import Kind
from troth.vm.turn import Meeting

MORE: Final = ("", ", buffer = latest", ", policy = drop")


def rotating(rotate: int, more: str = "", capacity: int = 2, frames: int = 20) -> Image:
    return in_order(capacity, f"{more}, rotate = {rotate}", frames)


def kinds(data: bytes) -> list[Kind]:
    return [Kind(record[0]) for record in parse(data)]


@pytest.mark.parametrize("seal", Seal)
@pytest.mark.parametrize("more", MORE)
@settings(max_examples=4, deadline=None)
@given(
    rotate=st.integers(1, 7),
    capacity=st.integers(1, 5),
    frames=st.integers(0, 20),
    quantum=st.integers(1, 9),
)
def test_at_one_machine_a_generation_ends_where_the_next_begins(
    seal: Seal, more: str, rotate: int, capacity: int, frames: int, quantum: int
) -> None:
    image = rotating(rotate, more, capacity, frames)
    recorded = record_run(image, seal=seal, quantum=quantum)
    require_reproduced(recorded)
    assert judge(recorded.data, {}).word == "valid"
    found = kinds(recorded.data)
    sent = found.count(Kind.SEND) - 1  # One goes the other way.
    assert found.count(Kind.ROTATE) == found.count(Kind.RETIRE) == (sent - 1) // rotate
    assert all(found[i + 1] is Kind.RETIRE for i, kind in enumerate(found) if kind is Kind.ROTATE)
    assert found.count(Kind.RECEIVE) + found.count(Kind.OVERWRITE) == sent + 1


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("rotate", [1, 2, 5])
def test_the_reference_says_the_same(more: str, rotate: int) -> None:
    keys = make_signer()
    setup = Setup(
        image=rotating(rotate, more),
        seed=bytes(32),
        signer=keys,
        roster=keys,
        limits=DEFAULT_LIMITS,
        quantum=3,
    )
    both = run_both(load(setup.image), setup)
    assert both.difference is None
    assert both.events


@pytest.mark.parametrize("seal", Seal)
@pytest.mark.parametrize("more", MORE)
@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    rotate=st.integers(1, 6),
    capacity=st.integers(1, 4),
    loss=st.floats(0, 0.8),
    frames=st.integers(0, 20),
)
def test_between_machines_no_set_is_larger_than_a_generation(
    seal: Seal, more: str, seed: int, rotate: int, capacity: int, loss: float, frames: int
) -> None:
    chance = Random(seed)

    def lose(envelope: MessageEnvelope) -> bool:
        return envelope.label == "frame" and chance.random() < loss

    image = rotating(rotate, more, capacity, frames)
    parties, _ = run_spread(image, HOMES, seal=seal, seed=seed, lose=lose, shuffle=0.5, repeat=0.3)
    for party in parties:
        verdict, other = party.verdict(), judge(party.data, {})
        assert verdict.exit_code == 0, verdict.reason
        assert other.word == "valid", other
    host, viewer = parties
    assert viewer.printed == ["1234"]
    assert counts_of(viewer, PeerRotated) <= counts_of(host, Rotated)
    arrived = 0
    for kind in kinds(viewer.data):
        arrived = 0 if kind is Kind.RETIRE else arrived + (kind is Kind.ARRIVE)
        assert arrived <= rotate


def test_a_generation_begins_when_its_receiver_is_that_far() -> None:
    line = Line(rotating(2, capacity=8))
    assert counts_of(line.host, Sent) == 4, "one generation may be unheard of"
    assert line.receipts[-1].generation == 1
    line.receipt()
    assert counts_of(line.host, Sent) == 6


def test_what_may_be_lost_is_dropped_where_its_generation_cannot_begin() -> None:
    line = Line(rotating(2, ", policy = drop", capacity=8))
    assert counts_of(line.host, Dropped) == 16
    assert set(line.said) == {"frame"}, "the next may not be lost, and waits"
    line.receipt()
    assert set(line.said) == {"frame", "done", "one"}


def test_what_comes_of_an_old_generation_is_refused() -> None:
    line = Line(rotating(2, capacity=8))
    assert counts_of(line.viewer, Retired) == 1
    last = line.said["frame"]
    assert (last.generation, last.sequence) == (1, 1)
    old = line.first
    assert old is not None
    assert (old.generation, old.sequence) == (0, 0)
    assert line.viewer.machine.deliver(old).code == "vm.fault.replay.generation"
    assert line.viewer.machine.deliver(last).code == ""


def test_a_receiver_signs_when_a_generation_is_over() -> None:
    line = Line(rotating(2, capacity=64))
    signed = [event for event in line.viewer.events if isinstance(event, Receipted)]
    assert [(event.generation, event.consumed) for event in signed] == [(1, 0)]


def test_what_was_heard_is_not_said_again_after_a_stop() -> None:
    """Nothing that may be lost is; of all else what no receipt covers."""
    line = Line(rotating(2, capacity=8, frames=9))
    while line.receipt() == "":
        pass
    sent = [event for event in line.host.events if isinstance(event, Sent)]
    met = next(event for event in line.host.events if isinstance(event, Met))
    history = PeerHistory()
    history.take((), [Meeting(bytes(16), met.coroutine, "Stream", b"", (), ("Viewer",))], ())
    history.take(
        line.host.events, (), [_said(event) for event in line.host.events if _is_said(event)]
    )
    history.prune()
    left = [outgoing.envelope for outgoing in history.said]
    labels = [one.label for one in left if isinstance(one, MessageEnvelope)]
    assert labels == [event.label for event in sent if event.label != "frame"], "none was taken"
    rotations = [one.generation for one in left if isinstance(one, RotateEnvelope)]
    heard = line.receipts[-1].generation
    assert heard > 0
    assert rotations == list(range(heard, counts_of(line.host, Rotated)))


def _is_said(event: Event) -> bool:
    return isinstance(event, Sent | Rotated)


def _said(event: Event) -> Outgoing:
    if isinstance(event, Rotated):
        return Outgoing(event.session, (event.receiver,), RotateEnvelope(*event[:6]))
    assert isinstance(event, Sent)
    message = MessageEnvelope(*event[:9], event.signature, None)
    return Outgoing(event.session, (event.receiver,), message, event.label == "frame")


# --- forgeries -----------------------------------------------------------------------------------

Edit = Callable[[list[Record]], None]


def _drop(kind: Kind) -> Edit:
    return lambda records: records.__delitem__(find(records, kind, 0))


def _later(kind: Kind, other: Kind) -> Edit:
    def edit(records: list[Record]) -> None:
        place = find(records, kind, 0)
        there = next(i for i in range(place, len(records)) if records[i][0] == other)
        records.insert(there, records.pop(place))

    return edit


def _earlier(kind: Kind, other: Kind) -> Edit:
    def edit(records: list[Record]) -> None:
        place = find(records, kind, 0)
        there = max(i for i in range(place) if records[i][0] == other)
        records.insert(there, records.pop(place))

    return edit


def _without_all(kind: Kind) -> Edit:
    def edit(records: list[Record]) -> None:
        records[:] = [record for record in records if record[0] != kind]

    return edit


def _judged(party: Party, owner: str, edit: Edit | None) -> tuple[str, str]:
    records = list(parse(party.data))
    if edit is not None:
        edit(records)
    pairs = [key_pair(owner)]
    data = reseal(sign_all(records, pairs), pairs)
    verdict = verify(io.BytesIO(data), trust=trust_of(), replay=None)
    return verdict.findings[0].code if verdict.findings else "", judge(data, {}).word


def _parties() -> tuple[Party, Party]:
    parties, _ = run_spread(rotating(3, capacity=2, frames=12), HOMES)
    return parties[0], parties[1]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (None, ""),
        (_drop(Kind.RETIRE), "consumption.root"),
        (_later(Kind.RETIRE, Kind.RECEIPT), "consumption.root"),
        (_earlier(Kind.RETIRE, Kind.PEER_ROTATE), "consumption.generation"),
    ],
)
def test_both_verifiers_know_where_a_set_is_dropped(edit: Edit | None, code: str) -> None:
    word = "invalid" if code else "valid"
    assert _judged(_parties()[1], "Viewer", edit) == (code, word)


@pytest.mark.parametrize("edit", [None, _without_all(Kind.PEER_RECEIPT)])
def test_both_verifiers_know_when_a_generation_may_begin(edit: Edit | None) -> None:
    expected = ("", "valid") if edit is None else ("consumption.generation", "invalid")
    assert _judged(_parties()[0], "Host", edit) == expected


def test_the_setting_is_taken_where_messages_may_be_lost() -> None:
    image = compile_source(KEYS_FIRST.format(more=", rotate = 4096"), "keys.troth")
    (edge,) = image.protocols[0].edges
    assert edge.rotate == 4096


SPECULATES: Final = """
protocol Stream(Host, Viewer):
    edge Host -> Viewer: replay = nullifier, rotate = {rotate}, capacity = 8
    loop at Host:
        Host -> Viewer: frame(n: int) lossy

program host(s: Stream.Host):
    speculate:
        for i in range(3):
            send s.Viewer frame(i)
        commit
    else:
        print "undone"
    send s.Viewer done()
    close s

program viewer(s: Stream.Viewer):
    loop:
        recv s.Host:
            frame(n):
                continue
            done():
                break
    close s

main:
    open Stream as h, v
    spawn host(h)
    spawn viewer(v)
"""


@pytest.mark.parametrize(("rotate", "faults"), [(2, ["vm.fault.speculation"]), (3, [])])
def test_no_generation_ends_inside_of_a_speculation(rotate: int, faults: list[str]) -> None:
    parties, _ = run_spread(compile_source(SPECULATES.format(rotate=rotate), "x.troth"), HOMES)
    codes = [event.code for event in parties[0].events if isinstance(event, Faulted)]
    assert codes == faults
    for party in parties:
        assert party.verdict().exit_code == 0, party.verdict().reason
        assert judge(party.data, {}).word == "valid"
