"""Messages that may be lost: overwritten, dropped, late or gone, and never unaccounted for."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import parse
from lossy_scripts import HOMES, KEYS_FIRST, Line, counts_of, in_order
from replay_samples import record_run, require_reproduced
from second_verifier import judge
from spread_machines import Party, run_spread
from troth.dsl import compile_source
from troth.vm.deliver import FULL
from troth.vm.envelope import MessageEnvelope
from troth.vm.events import Dropped, Faulted, Refused, Sent, Status, Undelivered
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
    assert receipt[5:8] == (3, 1, 2), "received, those of them that had to come, and discarded"


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
    assert host[Kind.SEND] + host[Kind.DROP] == 21
    assert more == ", policy = drop" or not host[Kind.DROP]
    assert host[Kind.SEND] - courier.lost - viewer[Kind.ARRIVE] <= refused
    assert parties[1].printed[-1] == "keys 4"
    status = [record for record in parse(parties[1].data) if record[0] == Kind.STATUS][-1]
    assert (status[2], status[4]) == (Status.CLOSED, ""), "closed without waiting for the lost"


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
    assert not courier.codes[FULL], "who may not be lost has credit, so a place"


def left(party: Party) -> int:
    """How many messages were in a buffer when the session ended."""
    return counts_of(party, Undelivered)


def test_a_sender_is_held_back_by_what_may_not_be_lost_and_was_not_taken() -> None:
    line = Line(in_order(capacity=2, frames=5))
    assert set(line.said) == {"frame", "done", "one"}, "two messages are under way"
    assert line.deliver("one") == "", "it has a place, though nobody waits for it"
    assert line.deliver("frame") == ""
    assert line.deliver("done") == ""
    assert line.receipts[-1].reliable == 2
    assert line.receipt() == ""
    assert set(line.said) == {"frame", "done", "one", "two", "three"}


def test_what_may_be_lost_takes_no_credit_however_much_of_it_there_is() -> None:
    line = Line(in_order(capacity=1, frames=200))
    assert set(line.said) == {"frame", "done"}
    assert line.said["frame"].sequence == 199
    assert line.said["done"].sequence == 200


@pytest.mark.parametrize(
    ("more", "drops", "faults"),
    [
        ("", 0, []),
        (", policy = drop", 100, []),
        (", buffer = latest", 0, []),
        (", policy = error", 0, ["vm.fault.buffer"]),
    ],
)
def test_the_policy_says_what_becomes_of_a_sender_without_credit(
    more: str, drops: int, faults: list[str]
) -> None:
    line = Line(compile_source(KEYS_FIRST.format(more=more), "keys.troth"))
    assert counts_of(line.host, Sent) == 2
    assert counts_of(line.host, Dropped) == drops
    assert [one.code for one in line.host.events if isinstance(one, Faulted)] == faults


def test_receipts_that_count_what_cannot_be_are_refused() -> None:
    line = Line(in_order(capacity=2, frames=5))
    line.deliver("frame")
    line.deliver("done")
    said = line.receipts[-1]
    assert (said.consumed, said.reliable) == (2, 1)
    for reliable in (3, 2**40):
        forged = said._replace(reliable=reliable)
        assert line.host.machine.deliver(forged).code == "vm.fault.close"
    forged = said._replace(reliable=2)
    assert line.host.machine.deliver(forged).code == "vm.fault.verification"
    assert line.receipt() == ""
    back = said._replace(consumed=3, reliable=0)
    assert line.host.machine.deliver(back).code == "vm.fault.close"


def test_where_copies_are_accepted_they_take_nobodys_place_for_good() -> None:
    line = Line(in_order(capacity=1, frames=0), replay=ReplayMode.OFF)
    viewer = line.viewer.machine
    assert viewer.deliver(line.said["done"]).code == ""
    refused = counts_of(line.viewer, Refused)
    assert viewer.deliver(line.said["done"]).code == FULL, "it comes again"
    while line.step():
        pass
    assert counts_of(line.viewer, Refused) == refused, "what comes again is no refusal"


def test_a_sender_without_credit_is_refused() -> None:
    line = Line(in_order(capacity=1, frames=1))
    assert line.viewer.machine.deliver(line.said["done"]).code == ""
    assert line.viewer.machine.deliver(line.said["frame"]).code == "vm.fault.buffer"
