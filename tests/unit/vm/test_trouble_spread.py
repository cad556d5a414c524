"""Trouble between machines: each knows of what it was told, and both records hold."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import Record, find, key_pair, parse, reseal, sign_all
from second_verifier import judge
from spread_machines import Courier, Party, trust_of
from troth.conformance import verify
from troth.dsl import compile_source
from troth.dsl.trouble_words import planned
from troth.vm.errors import Unusable
from troth.vm.events import Arrived, Faulted, Opened, Received, Rejected, Sent, Troubled
from troth.vm.instructions import Seal
from troth.vm.machine import Machine
from troth.vm.records import Kind
from troth.vm.shell_hub import Hub
from troth.vm.shell_options import RunOptions
from troth.vm.shell_spread import LinkOptions, run_spread
from troth.vm.trouble_kind import Trouble

SCRIPT: Final = """
protocol Work(A, B, C):
    edge A -> B: capacity = 2
    A -> B: one()
    A -> B: two()
    A -> B: three()
    B -> C: told()
    C -> B: heard()
    B -> A: done()

program a(s: Work.A):
    send s.B one()
    send s.B two()
    send s.B three()
    recv s.B done()
    close s

program b(s: Work.B):
    recv s.A one()
    recv s.A two()
    recv s.A three()
    send s.C told()
    recv s.C heard()
    send s.A done()
    print "through"
    close s

program c(s: Work.C):
    recv s.B told()
    send s.B heard()
    close s

main:
    open Work as x, y, z
    spawn a(x)
    spawn b(y)
    spawn c(z)
"""
HOMES: Final = (("A",), ("B", "C"))


class Two:
    """A machine of A and one of B and C, with a courier between them."""

    def __init__(self, seal: Seal = Seal.MESSAGE) -> None:
        image = compile_source(SCRIPT, "work.troth")
        self.a, self.b = (
            Party(image, home, bytes([number + 1]) * 32, seal=seal)
            for number, home in enumerate(HOMES)
        )
        self.courier = Courier([self.a, self.b])
        for party in (self.a, self.b):
            party.machine.start()

    def turn(self) -> None:
        for party in (self.a, self.b):
            party.step()
        self.courier.introduce()
        self.courier._collect()
        self.courier._carry()

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(200):
            if holds():
                return
            self.turn()
        raise AssertionError("it never comes to that")

    @property
    def session(self) -> bytes:
        return next(e.session for e in self.b.events if isinstance(e, Opened))

    def count(self, party: Party, kind: type) -> int:
        return sum(type(event) is kind for event in party.events)

    def opened(self) -> None:
        self.until(lambda: all(self.count(party, Opened) for party in (self.a, self.b)))

    def finish(self) -> None:
        for _ in range(200):
            self.turn()
        for party in (self.a, self.b):
            party.finish()
            assert party.verdict().exit_code == 0, party.verdict().reason
            assert judge(party.data, {}).word == "valid", judge(party.data, {})


@pytest.mark.parametrize("seal", Seal)
@pytest.mark.parametrize("names", [("A", "B"), ("B", "A")])
def test_where_a_partition_was_said_nothing_is_taken_until_it_heals(
    seal: Seal, names: tuple[str, str]
) -> None:
    two = Two(seal)
    two.opened()
    two.b.machine.partition(two.session, *names)
    for _ in range(50):
        two.turn()
    assert two.count(two.b, Arrived) == 0
    assert two.count(two.a, Sent) == 2, "its credit is spent"
    assert two.b.machine.awaits_heal
    two.b.machine.heal(two.session, *names)
    two.finish()
    assert two.b.printed == ["through"]
    said = [(e.trouble, e.role, e.peer) for e in two.b.events if isinstance(e, Troubled)]
    assert said == [(Trouble.PARTITION, "B", "A"), (Trouble.HEAL, "B", "A")], "its own role first"


def in_flight(two: Two) -> None:
    """A message is in a buffer of B, which had no turn since it came."""
    two.opened()
    for _ in range(50):
        two.a.step()
        two.courier._collect()
        two.courier._carry()
        two.b.events += two.b.machine.poll_events()
        if two.count(two.b, Arrived):
            break
    assert two.count(two.b, Arrived) == 1
    assert two.count(two.b, Received) == 0


def test_what_is_in_the_buffer_is_not_received_through_a_partition() -> None:
    two = Two()
    in_flight(two)
    two.b.machine.partition(two.session, "A", "B")
    for _ in range(20):
        two.turn()
    assert two.count(two.b, Received) == 0
    two.b.machine.heal(two.session, "A", "B")
    two.finish()
    assert two.b.printed == ["through"]


def test_both_ends_can_be_parted_each_for_itself() -> None:
    two = Two()
    two.opened()
    for party in (two.a, two.b):
        party.machine.partition(two.session, "A", "B")
    for _ in range(20):
        two.turn()
    two.b.machine.heal(two.session, "A", "B")
    two.until(lambda: two.b.printed == ["through"])
    for _ in range(20):
        two.turn()
    assert two.count(two.a, Received) == 0
    two.a.machine.heal(two.session, "B", "A")
    two.finish()
    assert two.count(two.a, Received) == 1


@pytest.mark.parametrize("seal", Seal)
def test_a_message_is_corrupted_where_its_buffer_is(seal: Seal) -> None:
    two = Two(seal)
    in_flight(two)
    with pytest.raises(Unusable) as caught:
        two.a.machine.corrupt(two.session, "A", "B")
    assert caught.value.code == "trouble.elsewhere"
    two.b.machine.corrupt(two.session, "A", "B")
    two.finish()
    (rejected,) = [event for event in two.b.events if isinstance(event, Rejected)]
    assert rejected.code == "vm.fault.verification"
    assert rejected.code in {e.code for e in two.b.events if isinstance(e, Faulted)}


@pytest.mark.parametrize("what", [Machine.partition, Machine.corrupt])
def test_trouble_of_others_is_not_for_this_machine(
    what: Callable[[Machine, bytes, str, str], None],
) -> None:
    two = Two()
    two.opened()
    with pytest.raises(Unusable) as caught:
        what(two.a.machine, two.session, "B", "C")
    assert caught.value.code == "trouble.elsewhere"


def test_a_message_that_passes_a_partition_is_found_by_both() -> None:
    two = Two()
    two.opened()
    two.b.machine.partition(two.session, "A", "B")
    two.turn()
    two.b.machine.heal(two.session, "A", "B")
    two.finish()
    records: list[Record] = list(parse(two.b.data))
    place = find(records, Kind.TROUBLE, 1)
    arrived = find(records, Kind.ARRIVE, 0)
    assert place < arrived
    records.insert(place, (*records.pop(arrived)[:-1], records[place][-1]))
    pairs = [key_pair(role) for role in ("B", "C")]
    data = reseal(sign_all(records, pairs), pairs)
    verdict = verify(io.BytesIO(data), trust=trust_of(), replay=None)
    assert (verdict.findings[0].code, verdict.findings[0].record) == ("protocol.trouble", place)
    assert judge(data, {}).word == "invalid"


def test_a_run_with_others_meets_the_trouble_that_is_planned(tmp_path: Path) -> None:
    """Nothing can happen behind the partition but its end, so that comes before its round."""
    image = compile_source(SCRIPT, "work.troth")

    async def run() -> list[bool]:
        hub = Hub()
        parted, healed = planned("1: partition A B"), planned("999: heal A B")
        assert parted is not None
        assert healed is not None
        plans = {"A": (), "B": (parted, healed)}
        runs = [
            run_spread(
                image,
                options=RunOptions(
                    roles=home, record=tmp_path / f"{home[0]}.replay", troubles=plans[home[0]]
                ),
                links=LinkOptions(hub=hub),
                write_line=lambda _: None,
            )
            for home in HOMES
        ]
        return [result.ok and not result.trouble_left for result in await asyncio.gather(*runs)]

    assert asyncio.run(run()) == [True, True]
    with (tmp_path / "B.replay").open("rb") as record:
        verdict = verify(record)
    assert all(level.ok for level in verdict.levels), verdict.reason
    kinds = [r[2] for r in parse((tmp_path / "B.replay").read_bytes()) if r[0] == Kind.TROUBLE]
    assert kinds == [Trouble.PARTITION, Trouble.HEAL]
