"""The network in memory does what its conditions say, and the same again from the same seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from troth.streaming.netem import (
    PERFECT,
    Bursts,
    Channel,
    Conditions,
    Nat,
    NatBehaviour,
    Network,
    Step,
    World,
)
from troth.streaming.netem.nat import MAPPINGS_MAX
from troth.vm.errors import Unusable

MS = 1_000_000
SEED = 7


def _channel(conditions: Conditions, seed: int = SEED) -> Channel:
    return Network(seed, [Step(0, conditions)]).channel("a", "b")


def _carry(channel: Channel, count: int, gap_ns: int = MS) -> list[bytes]:
    for index in range(count):
        channel.send(index.to_bytes(4, "big") + bytes(96), index * gap_ns)
    return channel.receive(10**18)


def _numbers(arrived: list[bytes]) -> list[int]:
    return [int.from_bytes(data[:4], "big") for data in arrived]


def test_a_perfect_channel_changes_nothing() -> None:
    assert _numbers(_carry(_channel(PERFECT), 100)) == list(range(100))


def test_the_same_seed_does_the_same_and_another_does_not() -> None:
    conditions = Conditions(loss=0.2, jitter_ns=5 * MS, reorder=0.1, duplicate=0.1)
    runs = [_carry(_channel(conditions, seed), 500) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(
    ("conditions", "count", "share"),
    [
        (Conditions(loss=0.05), "lost", 0.05),
        (Conditions(bursts=Bursts.of(0.05, 4)), "lost_in_bursts", 0.05),
        (Conditions(duplicate=0.05), "duplicated", 0.05),
        (Conditions(reorder=0.05), "reordered", 0.05),
        (Conditions(corrupt=0.05), "corrupted", 0.05),
        (Conditions(blackout=True), "blacked_out", 1.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_chances_are_kept(conditions: Conditions, count: str, share: float) -> None:
    channel = _channel(conditions)
    _carry(channel, 20_000)
    assert getattr(channel.counts, count) / 20_000 == pytest.approx(share, rel=0.2)
    others = {"lost", "lost_in_bursts", "duplicated", "reordered", "corrupted", "blacked_out"}
    assert all(getattr(channel.counts, other) == 0 for other in others - {count})


def test_bursts_are_bursts() -> None:
    arrived = set(_numbers(_carry(_channel(Conditions(bursts=Bursts.of(0.05, 6))), 40_000)))
    runs, run = [], 0
    for number in range(40_000):
        if number in arrived:
            runs += [run] if run else []
            run = 0
        else:
            run += 1
    assert sum(runs) / len(runs) == pytest.approx(6, rel=0.2)


def test_delay_and_jitter_keep_the_order() -> None:
    channel = _channel(Conditions(delay_ns=20 * MS, jitter_ns=10 * MS))
    channel.send(b"x", 0)
    assert channel.next_ns is not None
    assert 20 * MS <= channel.next_ns <= 30 * MS
    assert channel.receive(channel.next_ns - 1) == []
    numbers = _numbers(_carry(_channel(Conditions(jitter_ns=10 * MS)), 1_000, gap_ns=1_000))
    assert numbers == sorted(numbers)


def test_reordering_overtakes() -> None:
    numbers = _numbers(_carry(_channel(Conditions(reorder=0.1)), 1_000))
    assert numbers != sorted(numbers)
    assert sorted(numbers) == list(range(1_000))


def test_a_rate_has_a_queue_that_overflows() -> None:
    channel = _channel(Conditions(rate_bits=800_000, queue_bytes=1_000))  # 1 ms a packet
    for _ in range(20):
        channel.send(bytes(100), 0)
    assert channel.counts.overflowed == 10
    assert channel.queue_ns(0) == 10 * MS
    assert len(channel.receive(5 * MS)) == 5
    assert len(channel.receive(20 * MS)) == 5


def test_a_corrupt_datagram_differs_in_one_bit() -> None:
    channel = _channel(Conditions(corrupt=1.0))
    channel.send(bytes(50), 0)
    (data,) = channel.receive(0)
    assert int.from_bytes(data, "big").bit_count() == 1


def test_steps_follow_each_other() -> None:
    steps = [Step(0, PERFECT), Step(10 * MS, Conditions(blackout=True)), Step(20 * MS, PERFECT)]
    channel = Network(SEED, steps).channel("a", "b")
    numbers = _numbers(_carry(channel, 30))
    assert numbers == [*range(10), *range(20, 30)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conditions(loss=1.5),
        lambda: Conditions(delay_ns=-1),
        lambda: Conditions(rate_bits=0),
        lambda: Bursts(enter=0.1, leave=0.0),
        lambda: Network(1, [Step(5, PERFECT), Step(0, PERFECT)]).channel("a", "b"),
    ],
)
def test_conditions_that_cannot_be_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(Unusable) as caught:
        make()
    assert caught.value.code == "netem.conditions"


INSIDE, STRANGER, FRIEND = ("10.0.0.1", 5), ("9.9.9.9", 1), ("8.8.8.8", 53)


@pytest.mark.parametrize(
    ("behaviour", "other_port", "other_host"),
    [
        (NatBehaviour.FULL_CONE, True, True),
        (NatBehaviour.RESTRICTED, True, False),
        (NatBehaviour.PORT_RESTRICTED, False, False),
        (NatBehaviour.SYMMETRIC, False, False),
    ],
)
def test_boxes_let_in_whom_they_should(
    behaviour: NatBehaviour, other_port: bool, other_host: bool
) -> None:
    nat = Nat("1.1.1.1", behaviour)
    public = nat.outward(INSIDE, FRIEND, 0)
    assert public is not None
    assert public[0] == "1.1.1.1"
    assert nat.inward(FRIEND, public[1], 1) == INSIDE
    assert (nat.inward((FRIEND[0], 99), public[1], 1) == INSIDE) is other_port
    assert (nat.inward(STRANGER, public[1], 1) == INSIDE) is other_host
    same_port = nat.outward(INSIDE, STRANGER, 2) == public
    assert same_port is (behaviour is not NatBehaviour.SYMMETRIC)


def test_mappings_end_and_are_bounded() -> None:
    nat = Nat("1.1.1.1", NatBehaviour.FULL_CONE, lifetime_ns=10)
    public = nat.outward(INSIDE, FRIEND, 0)
    assert public is not None
    assert nat.inward(FRIEND, public[1], 10) == INSIDE
    assert nat.inward(FRIEND, public[1], 11) is None
    for port in range(MAPPINGS_MAX):
        assert nat.outward(("10.0.0.2", port), FRIEND, 12) is not None
    assert nat.outward(("10.0.0.3", 1), FRIEND, 12) is None
    nat.forget()
    assert nat.outward(("10.0.0.3", 1), FRIEND, 12) is not None


class _Echo:
    """Answers everything, and remembers from where it came."""

    def __init__(self, *, first: list[tuple[tuple[str, int], bytes]]) -> None:
        self.out = first
        self.seen: list[tuple[tuple[str, int], bytes, int]] = []

    def receive(self, datagram: bytes, address: tuple[str, int], now_ns: int) -> None:
        self.seen.append((address, datagram, now_ns))
        if not datagram.startswith(b"re "):
            self.out.append((address, b"re " + datagram))

    def tick(self, now_ns: int) -> None:
        raise AssertionError(f"it has no deadline, at {now_ns}")

    deadline_ns: int | None = None

    def datagrams(self) -> list[tuple[tuple[str, int], bytes]]:
        found, self.out = self.out, []
        return found


def test_a_world_carries_questions_and_answers_through_a_box() -> None:
    network = Network(SEED, [Step(0, Conditions(delay_ns=10 * MS))])
    network.put_behind(INSIDE[0], Nat("1.1.1.1", NatBehaviour.SYMMETRIC))
    world = World(network)
    inside, friend = _Echo(first=[(FRIEND, b"hi")]), _Echo(first=[])
    world.place(INSIDE, inside)
    world.place(FRIEND, friend)
    seen: list[bytes] = []
    world.taps.append(lambda _source, _to, data, _now: seen.append(data) or True)  # type: ignore[func-returns-value]
    world.run(100 * MS)
    assert friend.seen == [(("1.1.1.1", 20_000), b"hi", 10 * MS)]
    assert inside.seen == [(FRIEND, b"re hi", 20 * MS)]
    assert seen == [b"hi", b"re hi"]
    friend.out = [(("1.1.1.1", 20_001), b"who is there?"), (("4.4.4.4", 1), b"nobody")]
    world.run(200 * MS)
    assert network.unroutable == 1
    assert world.lost_parcels == 1


def test_a_world_rings_its_alarms() -> None:
    world, rung = World(Network(SEED)), list[int]()
    world.every(10 * MS, rung.append, until_ns=35 * MS)
    world.at(5 * MS, rung.append)
    world.run(50 * MS)
    assert rung == [0, 5 * MS, 10 * MS, 20 * MS, 30 * MS]
