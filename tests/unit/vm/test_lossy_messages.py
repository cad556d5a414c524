"""Messages that may be lost: overwritten, dropped, late or gone, and never unaccounted for."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import parse
from replay_samples import record_run, require_reproduced
from second_verifier import judge
from spread_machines import Courier, Party, run_spread
from troth.dsl import compile_source
from troth.vm.deliver import FULL
from troth.vm.envelope import MessageEnvelope
from troth.vm.events import Event, Received, Refused, Status, Undelivered
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import Kind

SCRIPT: Final = """
protocol Stream(Host, Viewer):
    edge Host -> Viewer: replay = {replay}, capacity = {capacity}{more}
    rec Next:
        choice at Host:
            Host -> Viewer: frame(n: int) lossy
            continue Next
        or:
            Host -> Viewer: key(n: int)
            continue Next
        or:
            Host -> Viewer: done()

program host(s: Stream.Host):
    for i in range({frames}):
        if i % 5 == 4:
            send s.Viewer key(i)
        else:
            send s.Viewer frame(i)
    send s.Viewer done()
    close s

program viewer(s: Stream.Viewer):
    for nap in range({naps}):
        yield
    let keys = 0
    loop:
        recv s.Host:
            frame(n):
                print n
            key(n):
                keys = keys + 1
            done():
                break
    print "keys " + str(keys)
    close s

main:
    open Stream as h, v
    spawn host(h)
    spawn viewer(v)
"""


def script(
    *,
    more: str = "",
    capacity: int = 2,
    frames: int = 20,
    naps: int = 40,
    replay: str = "nullifier",
) -> Image:
    text = SCRIPT.format(more=more, capacity=capacity, frames=frames, naps=naps, replay=replay)
    return compile_source(text, "stream.troth")


def counts(data: bytes) -> Counter[Kind]:
    return Counter(Kind(record[0]) for record in parse(data))


@pytest.mark.parametrize("seal", Seal)
@pytest.mark.parametrize("more", [", buffer = latest", ", policy = drop", ""])
@settings(max_examples=15, deadline=None)
@given(
    capacity=st.integers(1, 5),
    frames=st.integers(0, 25),
    naps=st.integers(0, 40),
    quantum=st.integers(1, 9),
    replay=st.sampled_from(["nullifier", "off"]),
)
def test_every_message_is_accounted_for(
    seal: Seal, more: str, capacity: int, frames: int, naps: int, quantum: int, replay: str
) -> None:
    image = script(more=more, capacity=capacity, frames=frames, naps=naps, replay=replay)
    recorded = record_run(image, seal=seal, quantum=quantum)
    require_reproduced(recorded)
    found = counts(recorded.data)
    assert found[Kind.SEND] == found[Kind.RECEIVE] + found[Kind.OVERWRITE]
    assert found[Kind.SEND] + found[Kind.DROP] == frames + 1
    prints = [record[2] for record in parse(recorded.data) if record[0] == Kind.PRINT]
    assert prints[-1] == f"keys {frames // 5}", "what may not be lost arrives"
    assert [int(text) for text in prints[:-1]] == sorted(int(text) for text in prints[:-1])
    if not more:
        assert found[Kind.OVERWRITE] == found[Kind.DROP] == 0
    (numbers,) = [[r[7] for r in parse(recorded.data) if r[0] == Kind.SEND]]
    assert numbers == list(range(len(numbers))), "what is dropped spends no number"


def test_the_latest_messages_stay() -> None:
    recorded = record_run(script(more=", buffer = latest", capacity=3, frames=4, naps=30))
    lost = [record[5] for record in parse(recorded.data) if record[0] == Kind.OVERWRITE]
    assert lost == [0, 1]
    receipt = next(record for record in parse(recorded.data) if record[0] == Kind.RECEIPT)
    assert receipt[5:7] == (3, 2), "received and discarded"


def test_what_cannot_hold_is_refused_at_open() -> None:
    for override, refused in ((ReplayMode.SEQUENCE, True), (ReplayMode.OFF, False)):
        recorded = record_run(script(), replay=override)
        codes = [record[2] for record in parse(recorded.data) if record[0] == Kind.FAULT]
        assert codes == (["vm.fault.open"] if refused else [])


@pytest.mark.parametrize("mode", [ReplayMode.NULLIFIER, ReplayMode.OFF])
@pytest.mark.parametrize("seal", Seal)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    loss=st.floats(0, 0.9),
    more=st.sampled_from([", buffer = latest", ", policy = drop", ""]),
    naps=st.integers(0, 30),
    capacity=st.integers(1, 9),
)
def test_between_machines_a_sender_never_waits_for_what_was_lost(
    seal: Seal, mode: ReplayMode, seed: int, loss: float, more: str, naps: int, capacity: int
) -> None:
    chance = Random(seed)

    def lose(envelope: MessageEnvelope) -> bool:
        return envelope.label == "frame" and chance.random() < loss

    image = script(more=more, capacity=capacity, frames=20, naps=naps)
    homes = (("Host",), ("Viewer",))
    repeat = 0.3 if mode is ReplayMode.NULLIFIER else 0.0
    parties, courier = run_spread(
        image, homes, replay=mode, seal=seal, seed=seed, lose=lose, repeat=repeat
    )
    for party in parties:
        verdict = party.verdict()
        assert verdict.exit_code == 0, verdict.reason
    host, viewer = (counts(party.data) for party in parties)
    assert viewer[Kind.ARRIVE] == viewer[Kind.RECEIVE] + viewer[Kind.OVERWRITE]
    refused = courier.codes["vm.fault.buffer"] + courier.codes["vm.fault.replay.duplicate"]
    assert host[Kind.SEND] == 21
    assert host[Kind.SEND] - courier.lost - viewer[Kind.ARRIVE] <= refused
    assert parties[1].printed[-1] == "keys 4"
    status = [record for record in parse(parties[1].data) if record[0] == Kind.STATUS][-1]
    assert (status[2], status[4]) == (Status.CLOSED, ""), "closed without waiting for the lost"


IN_ORDER: Final = """
protocol Stream(Host, Viewer):
    edge Host -> Viewer: replay = nullifier, capacity = {capacity}{more}
    loop at Host:
        Host -> Viewer: frame(n: int) lossy
    Host -> Viewer: one(n: int)
    Host -> Viewer: two(n: int)
    Host -> Viewer: three(n: int)
    Viewer -> Host: seen()
    Host -> Viewer: four(n: int)

program host(s: Stream.Host):
    for i in range({frames}):
        send s.Viewer frame(i)
    send s.Viewer done()
    send s.Viewer one(1)
    send s.Viewer two(2)
    send s.Viewer three(3)
    recv s.Viewer seen()
    send s.Viewer four(4)
    close s

program viewer(s: Stream.Viewer):
    loop:
        recv s.Host:
            frame(n):
                continue
            done():
                break
    recv s.Host one(first)
    recv s.Host two(second)
    recv s.Host three(third)
    send s.Host seen()
    recv s.Host four(fourth)
    print str(first) + str(second) + str(third) + str(fourth)
    close s

main:
    open Stream as h, v
    spawn host(h)
    spawn viewer(v)
"""
HOMES: Final = (("Host",), ("Viewer",))


def in_order(capacity: int = 1, more: str = "", frames: int = 3) -> Image:
    return compile_source(
        IN_ORDER.format(capacity=capacity, more=more, frames=frames), "in_order.troth"
    )


@pytest.mark.parametrize("seal", Seal)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    more=st.sampled_from([", buffer = latest", ", policy = drop", ""]),
    capacity=st.integers(1, 3),
    frames=st.integers(0, 6),
)
def test_what_may_not_be_lost_finds_its_place_in_whatever_order_it_comes(
    seal: Seal, seed: int, more: str, capacity: int, frames: int
) -> None:
    parties, courier = run_spread(
        in_order(capacity, more, frames), HOMES, seal=seal, seed=seed, shuffle=0.6, repeat=0.3
    )
    for party in parties:
        verdict, other = party.verdict(), judge(party.data, {})
        assert verdict.exit_code == 0, verdict.reason
        assert other.word == "valid", other
    host, viewer = (counts(party.data) for party in parties)
    assert parties[1].printed == ["1234"]
    assert viewer[Kind.ARRIVE] == viewer[Kind.RECEIVE] + viewer[Kind.OVERWRITE] + left(parties[1])
    assert host[Kind.SEND] - viewer[Kind.ARRIVE] <= courier.codes["vm.fault.buffer"]


def left(party: Party) -> int:
    """How many messages were in a buffer when the session ended."""
    return counts_of(party, Undelivered)


class Line:
    """The machine of the viewer, and what that of the host has said to it, by label."""

    def __init__(self, image: Image) -> None:
        parties = [Party(image, home, bytes([n + 1]) * 32) for n, home in enumerate(HOMES)]
        self.host, self.viewer = parties
        self.said: dict[str, MessageEnvelope] = {}
        for party in parties:
            party.machine.start()
        courier = Courier(parties)
        while "three" not in self.said:
            assert self._step(courier), "the host says what it has to say"

    def _step(self, courier: Courier) -> bool:
        stepped = [party.step() for party in courier.parties]
        courier.introduce()
        for party, other in ((self.host, self.viewer), (self.viewer, self.host)):
            for outgoing in party.machine.poll_outgoing():
                if isinstance(outgoing.envelope, MessageEnvelope):
                    self.said[outgoing.envelope.label] = outgoing.envelope
                else:
                    other.machine.deliver(outgoing.envelope)
        return any(stepped)

    def deliver(self, label: str) -> str:
        return self.viewer.machine.deliver(self.said[label]).code


def test_what_is_waited_for_is_taken_beyond_the_capacity_and_nothing_else_is() -> None:
    line = Line(in_order(capacity=1, frames=1))
    assert line.deliver("two") == ""
    refused_before = counts_of(line.viewer, Refused)
    assert line.deliver("three") == FULL, "nobody waits for it yet"
    assert line.deliver("frame") == "vm.fault.buffer", "what may be lost is"
    assert line.deliver("done") == "", "the viewer waits for it"
    assert line.deliver("three") == FULL
    assert line.deliver("one") == FULL, "there is one place beyond the capacity, and it is taken"
    assert line.deliver("done") == "vm.fault.replay.duplicate"
    line.viewer.step()
    assert line.deliver("three") == FULL
    assert line.deliver("one") == ""
    line.viewer.step()
    assert line.deliver("three") == "", "two was taken in its turn"
    line.viewer.step()
    assert counts_of(line.viewer, Refused) == refused_before + 2, "what has no place is no refusal"
    received = [event.sequence for event in line.viewer.events if isinstance(event, Received)]
    assert received == [line.said[label].sequence for label in ("done", "one", "two", "three")]


def counts_of(party: Party, kind: type[Event]) -> int:
    return sum(type(event) is kind for event in party.events)


def test_a_forged_message_has_no_place_to_wait_for() -> None:
    line = Line(in_order(capacity=1, frames=0))
    assert line.deliver("two") == ""
    forged = line.said["three"]._replace(signature=bytes(64))
    assert line.viewer.machine.deliver(forged).code == "vm.fault.verification"
