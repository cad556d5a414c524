"""Generations: what bounds the set of nullifiers, and what becomes of messages of old ones."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import fields, replace
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_surgery import key_pair, parse, sign
from replay_samples import record_run, require_reproduced
from spread_machines import Courier, Party, run_spread
from troth.dsl import compile_source
from troth.vm import events as ev
from troth.vm.consumption import start
from troth.vm.deliver import EARLY, REPEATED
from troth.vm.envelope import (
    Envelope,
    JoinEnvelope,
    MessageEnvelope,
    NoticeEnvelope,
    RotateEnvelope,
)
from troth.vm.errors import Invalid
from troth.vm.events import Status
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.records import Kind
from troth.vm.statements import message_statement, payload_commitment

COUNT: Final = """
protocol Count(A, B):
    edge A -> B: replay = nullifier, rotate = {rotate}, capacity = {capacity}
    edge B -> A: replay = nullifier, rotate = 2
    rec Next:
        choice at A:
            A -> B: tick(n: int)
            continue Next
        or:
            A -> B: stop()
            B -> A: sum(n: int)

program a(s: Count.A):
    for i in range({ticks}):
        send s.B tick(i)
    send s.B stop()
    recv s.B sum(n)
    print n
    close s

program b(s: Count.B):
    let sum = 0
    loop:
        recv s.A:
            tick(n):
                sum = sum + n
            stop():
                break
    send s.A sum(sum)
    close s

main:
    open Count as x, y
    spawn a(x)
    spawn b(y)
"""


def counting(*, rotate: int = 3, ticks: int = 10, capacity: int = 4) -> Image:
    text = COUNT.format(rotate=rotate, ticks=ticks, capacity=capacity)
    return compile_source(text, "count.troth")


@pytest.mark.parametrize("seal", Seal)
@settings(max_examples=15, deadline=None)
@given(
    rotate=st.integers(1, 7),
    ticks=st.integers(0, 20),
    capacity=st.integers(1, 6),
    quantum=st.integers(1, 9),
)
def test_numbers_restart_and_every_generation_leaves_its_root(
    seal: Seal, rotate: int, ticks: int, capacity: int, quantum: int
) -> None:
    image = counting(rotate=rotate, ticks=ticks, capacity=capacity)
    recorded = record_run(image, seal=seal, quantum=quantum)
    require_reproduced(recorded)
    records = parse(recorded.data)
    sent = [record[6:8] for record in records if record[0] == Kind.SEND and record[2] == 0]
    assert sent == [divmod(index, rotate) for index in range(ticks + 1)]
    over = [r[4:6] for r in records if r[0] == Kind.ROTATE and r[2] == 0]
    assert over == [(number, rotate) for number in range(ticks // rotate)]
    left = [record for record in records if record[0] == Kind.RETIRE and record[2] == 1]
    assert [record[4] for record in left] == [number for number, _ in over]
    receives = [r for r in records if r[0] == Kind.RECEIVE and r[2] == 1]
    roots = {record[4]: record[6] for record in receives}
    assert [record[5] for record in left] == [roots[number] for number, _ in over]


def test_without_a_setting_a_limit_ends_generations() -> None:
    image = compile_source(
        COUNT.replace(", rotate = {rotate}", "").format(ticks=9, capacity=4), "x"
    )
    limits = replace(DEFAULT_LIMITS, generation_messages_max=4)
    recorded = record_run(image, limits=limits)
    require_reproduced(recorded)
    assert sum(record[0] == Kind.ROTATE for record in parse(recorded.data)) == 2


def test_a_generation_larger_than_the_limit_is_refused() -> None:
    limits = Limits(generation_messages_max=4)
    load(counting(rotate=4), limits)
    with pytest.raises(Invalid) as caught:
        load(counting(rotate=5), limits)
    assert caught.value.code == "image.edge.settings"


@pytest.mark.parametrize("override", [ReplayMode.SEQUENCE, ReplayMode.OFF])
def test_another_mode_has_one_generation(override: ReplayMode) -> None:
    recorded = record_run(counting(), replay=override)
    require_reproduced(recorded)
    assert not any(record[0] == Kind.ROTATE for record in parse(recorded.data))


SPECULATIVE: Final = """
protocol Batch(A, B):
    edge A -> B: replay = nullifier, rotate = 3, capacity = 8
    A -> B: a(n: int)
    A -> B: b(n: int)
    A -> B: c(n: int)
    A -> B: d(n: int)
    A -> B: e(n: int)
    B -> A: done()

program giver(s: Batch.A):
    send s.B a(1)
    speculate:
        send s.B b(2)
        send s.B c(3)
        send s.B d(4)
        send s.B e(5)
        commit
    recv s.B done()
    close s

program taker(s: Batch.B):
    recv s.A a(n)
    for nap in range(4):
        yield
    speculate:
        recv s.A b(i)
        recv s.A c(j)
        recv s.A d(k)
        if k == 4:
            rollback
        commit
    else:
        recv s.A b(i)
        recv s.A c(j)
        recv s.A d(k)
    recv s.A e(l)
    print l
    send s.A done()
    close s

main:
    open Batch as a, b
    spawn giver(a)
    spawn taker(b)
"""


@pytest.mark.parametrize("seal", Seal)
@pytest.mark.parametrize("rolls_back", [True, False])
def test_what_is_speculative_passes_from_one_generation_to_the_next(
    seal: Seal, rolls_back: bool
) -> None:
    text = SPECULATIVE if rolls_back else SPECULATIVE.replace("k == 4", "k == 5")
    recorded = record_run(compile_source(text, "batch.troth"), seal=seal)
    require_reproduced(recorded)
    kinds = Counter(record[0] for record in parse(recorded.data))
    assert (kinds[Kind.ROTATE], kinds[Kind.RETIRE], kinds[Kind.RECEIVE]) == (1, 1, 6)


@pytest.mark.parametrize("seal", Seal)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    rotate=st.integers(1, 5),
    capacity=st.integers(1, 5),
    shuffle=st.sampled_from([0.0, 0.5]),
)
def test_between_machines_generations_pass_in_their_order(
    seal: Seal, seed: int, rotate: int, capacity: int, shuffle: float
) -> None:
    image = compile_source(_steps(rotate, 14, capacity), "steps.troth")
    parties, _ = run_spread(
        image, (("A",), ("B",)), seal=seal, seed=seed, shuffle=shuffle, repeat=0.3
    )
    for party in parties:
        verdict = party.verdict()
        assert verdict.exit_code == 0, (verdict.reason, verdict.findings[:1])
    kinds = Counter(record[0] for record in parse(parties[1].data))
    assert kinds[Kind.PEER_ROTATE] == kinds[Kind.RETIRE] == 13 // rotate
    assert parties[1].printed == ["13"]


# --- what is accepted and what is not, over generated schedules -------------------------------


def _steps(rotate: int, count: int, capacity: int, sessions: int = 1, mode: str = "") -> str:
    """Messages that the types take in one order only: who comes early waits."""
    mode = mode or f"replay = nullifier, rotate = {rotate}"
    lines = [f"protocol Steps(A, B):\n    edge A -> B: {mode}, capacity = {capacity}"]
    lines += [f"    A -> B: m{number}(n: int)" for number in range(count)]
    lines += ["\nprogram a(s: Steps.A):"]
    lines += [f"    send s.B m{number}({number})" for number in range(count)]
    lines += ["    close s\n\nprogram b(s: Steps.B):"]
    lines += [f"    recv s.A m{number}(n{number})" for number in range(count)]
    lines += [f"    print n{count - 1}", "    close s\n\nmain:"]
    for number in range(sessions):
        lines += [f"    open Steps as x{number}, y{number}"]
        lines += [f"    spawn a(x{number})", f"    spawn b(y{number})"]
    return "\n".join(lines) + "\n"


COUNT_SENT: Final = 12
ROTATE: Final = 4


class _Table:
    """What the design says of the messages of one edge."""

    def __init__(self, mode: ReplayMode) -> None:
        self.mode = mode
        self.accepted: set[tuple[int, int]] = set()
        self.rotated = 0
        self.retired = 0

    def says(self, envelope: MessageEnvelope) -> str:
        position = (envelope.generation, envelope.sequence)
        if self.mode is ReplayMode.SEQUENCE:
            expected = len(self.accepted)
            if envelope.sequence == expected:
                return ""
            late = envelope.sequence < expected
            return f"vm.fault.replay.{'duplicate' if late else 'sequence'}"
        if envelope.generation > self.rotated:
            return EARLY
        if envelope.generation < self.retired:
            return "vm.fault.replay.generation"
        return "vm.fault.replay.duplicate" if position in self.accepted else ""

    def rotates(self, envelope: RotateEnvelope) -> str:
        if envelope.generation < self.rotated:
            return REPEATED
        return "" if envelope.generation == self.rotated else EARLY


def _forgery(random: Random, envelope: MessageEnvelope, other: bytes) -> MessageEnvelope:
    """One thing changed, or the whole signed by somebody else."""
    what = random.randrange(6)
    if what == 0:
        return envelope._replace(payload=envelope.payload[:-1] + bytes([envelope.payload[-1] ^ 1]))
    if what == 1:
        return envelope._replace(label="m0" if envelope.label != "m0" else "m1")
    if what == 2:
        return envelope._replace(sequence=envelope.sequence ^ 1)
    if what == 3:
        # Of another session between the same two.
        return envelope._replace(session=other)
    if what == 4:
        flipped = bytes([envelope.signature[0] ^ 4]) + envelope.signature[1:]
        return envelope._replace(signature=flipped)
    commitment = payload_commitment(envelope.salt, envelope.payload)
    statement = message_statement(*envelope[:7], commitment)
    return envelope._replace(signature=sign(key_pair("Mallory"), statement))


def _sent_and_receiver(mode: ReplayMode) -> tuple[list[Envelope], list[bytes], Party]:
    """All that the sender's machine says, and the other machine, which has heard the joins."""
    text = {
        ReplayMode.SEQUENCE: "replay = sequence",
        ReplayMode.NULLIFIER: f"replay = nullifier, rotate = {ROTATE}",
    }[mode]
    image = compile_source(_steps(ROTATE, COUNT_SENT, 64, 2, text), "steps.troth")
    parties = [Party(image, [role], bytes([n]) * 32) for n, role in enumerate("AB", 1)]
    courier = Courier(parties)
    said: list[Envelope] = []
    for party in parties:
        party.machine.start()
    for _ in range(80):
        for party in parties:
            party.step()
        courier.introduce()
        said += [outgoing.envelope for outgoing in parties[0].machine.poll_outgoing()]
        for outgoing in parties[1].machine.poll_outgoing():
            parties[0].machine.deliver(outgoing.envelope)
    held = (MessageEnvelope, RotateEnvelope)
    later = [envelope for envelope in said if isinstance(envelope, held)]
    for envelope in said:
        if isinstance(envelope, JoinEnvelope):
            assert parties[1].machine.deliver(envelope).accepted
    sessions = list(dict.fromkeys(envelope.session for envelope in later))
    notices = [envelope for envelope in said if isinstance(envelope, NoticeEnvelope)]
    return [*later, *notices], sessions, parties[1]


TRIED: Final[Counter[str]] = Counter()


@pytest.mark.parametrize("mode", [ReplayMode.SEQUENCE, ReplayMode.NULLIFIER])
def test_exactly_what_the_design_says_is_accepted(mode: ReplayMode) -> None:
    for seed in range(40):
        _try_schedule(mode, Random(seed))
    shown = ", ".join(f"{code or 'accepted'} {count}" for code, count in sorted(TRIED.items()))
    print(f"{mode}: {sum(TRIED.values())} deliveries tried: {shown}")
    assert min(TRIED.values()) >= 50
    TRIED.clear()


def _try_schedule(mode: ReplayMode, random: Random) -> None:
    said, sessions, receiver = _sent_and_receiver(mode)
    assert len(sessions) == 2
    tables = {session: _Table(mode) for session in sessions}
    held = [e for e in said if isinstance(e, MessageEnvelope | RotateEnvelope)]
    for _ in range(200):
        envelope = random.choice(held)
        table = tables[envelope.session]
        if isinstance(envelope, MessageEnvelope) and random.random() < 0.2:
            forged = _forgery(random, envelope, next(s for s in sessions if s != envelope.session))
            wanted = "vm.fault.verification"
            if mode is ReplayMode.NULLIFIER and forged.generation > tables[forged.session].rotated:
                wanted = EARLY
            _deliver(receiver, forged, wanted)
        else:
            _deliver_genuine(receiver, envelope, table)
        if random.random() < 0.3:
            receiver.step()
            for session, its in tables.items():
                its.retired = _retired(receiver, session)
    for envelope in held:
        _deliver_genuine(receiver, envelope, tables[envelope.session])
        receiver.step()
        for session, its in tables.items():
            its.retired = _retired(receiver, session)
    for last in said:
        if last not in held:
            assert receiver.machine.deliver(last).accepted
    while receiver.step():
        pass
    ended = [e for e in receiver.events if isinstance(e, ev.StatusChanged)]
    assert [e.status for e in ended if e.status is not Status.DRAINING] == [Status.CLOSED] * 2
    receiver.finish()
    verdict = receiver.verdict()
    assert verdict.exit_code == 0, (verdict.reason, verdict.findings[:1])


def _deliver_genuine(receiver: Party, envelope: Envelope, table: _Table) -> None:
    if isinstance(envelope, RotateEnvelope):
        wanted = table.rotates(envelope)
        _deliver(receiver, envelope, wanted)
        table.rotated += not wanted
        return
    assert isinstance(envelope, MessageEnvelope)
    wanted = table.says(envelope)
    _deliver(receiver, envelope, wanted)
    if not wanted:
        table.accepted.add((envelope.generation, envelope.sequence))


def _deliver(receiver: Party, envelope: Envelope, wanted: str) -> None:
    code = receiver.machine.deliver(envelope).code
    assert code == wanted, envelope
    TRIED[code] += 1


def _retired(receiver: Party, session: bytes) -> int:
    return sum(isinstance(e, ev.Retired) and e.session == session for e in receiver.events)


def test_the_limit_is_recorded_with_the_others() -> None:
    assert "generation_messages_max" in {field.name for field in fields(Limits)}


def test_the_memory_of_a_receiver_does_not_grow_with_what_it_took() -> None:
    consumption = start(ReplayMode.NULLIFIER, 64)
    largest = {}
    for count in (1_000, 10_000):
        tracemalloc.start()
        for index in range(count):
            generation, sequence = divmod(index, 64)
            statement = index.to_bytes(8, "big")
            if generation != consumption.generation:
                consumption.retire()
            assert consumption.decide(generation, sequence, statement) is None
            consumption.consume(generation, sequence, statement)
            assert consumption.expected <= 64
        largest[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        consumption = start(ReplayMode.NULLIFIER, 64)
    assert largest[10_000] < 1.3 * largest[1_000]
