"""Finding a path, leaving it for a relay, and coming back: once, and not too soon."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from path_world import CLIENT, HOST, RELAY, Party, PathWorld
from troth.streaming.liveness import Liveness
from troth.streaming.paths.addresses import Address, address_of, parse_address, why_unusable
from troth.streaming.paths.agent import TOO_MANY, PathAgent
from troth.streaming.paths.candidates import (
    Candidate,
    CandidateKind,
    from_items,
    sort_out,
    to_items,
)
from troth.streaming.paths.checks import Credential, Side, new_credential
from troth.streaming.paths.limits import MILLISECOND_NS, SECOND_NS, PathLimits
from troth.streaming.paths.outputs import CandidateMet, Inbound, LivenessChanged
from troth.streaming.paths.path import PathState
from troth.vm.errors import Invalid, Malformed, Unusable

DIRECT, RELAYED = CandidateKind.HOST, CandidateKind.RELAY
FRAME_NS = SECOND_NS // 60


def _both(world: PathWorld) -> PathWorld:
    world.offer_direct()
    world.offer_relay()
    return world


def _gaps(party: Party) -> list[float]:
    """Seconds between media datagrams that arrived."""
    return [(b - a) / SECOND_NS for (a, _), (b, _) in pairwise(party.got)]


def test_the_path_of_least_cost_is_taken_by_both() -> None:
    world = _both(PathWorld())
    world.run(2, FRAME_NS)
    for party in world.parties:
        assert party.kinds == [DIRECT]
        assert party.agent.in_use is not None
        assert party.agent.in_use.state is PathState.VALID
        assert party.agent.liveness is Liveness.ALIVE
    at_ns = world.client.taken[0][0]
    assert at_ns - world.start_ns < SECOND_NS
    assert len(world.client.got) > 80


def test_no_datagram_of_the_link_leaves_before_a_path_is_chosen() -> None:
    world = _both(PathWorld())
    assert not world.host.agent.send(b"\x45 too soon", world.now_ns)
    world.run(0.001)
    assert all(data[0] != 0x45 for *_, data in world.carried)


def test_with_the_direct_way_blocked_a_relay_is_taken() -> None:
    world = PathWorld()
    world.block_direct()
    _both(world).run(3, FRAME_NS)
    assert world.client.kinds == world.host.kinds == [RELAYED]
    assert world.client.taken[0][0] - world.start_ns < SECOND_NS
    assert world.client.got


@pytest.mark.parametrize("seed", range(5))
def test_a_blocked_path_is_left_for_the_relay_in_three_seconds(seed: int) -> None:
    world = _both(PathWorld(seed))
    world.loss = 0.02
    world.run(5 + seed / 7, FRAME_NS)
    world.block_direct()
    blocked_ns = world.now_ns
    world.run(5, FRAME_NS)
    print(f"seed {seed}; silent for {max(_gaps(world.client)):.2f} s")
    assert world.client.kinds[-1] == world.host.kinds[-1] == RELAYED
    after = [at_ns for at_ns, _ in world.client.got if at_ns > blocked_ns + SECOND_NS // 10]
    assert after[0] - blocked_ns < 3 * SECOND_NS
    assert max(_gaps(world.client)) < 3
    assert world.client.taken[-1][1].gap_ns >= 750 * MILLISECOND_NS


@pytest.mark.parametrize("direction", [(CLIENT, HOST), (HOST, CLIENT)])
def test_a_path_that_is_blocked_one_way_is_left_too(direction: tuple[Address, Address]) -> None:
    world = _both(PathWorld())
    world.run(5, FRAME_NS)
    world.blocked = lambda source, target, _: (source, target) == direction
    world.run(5, FRAME_NS)
    assert world.client.kinds == world.host.kinds == [DIRECT, RELAYED]
    assert max(_gaps(world.client)) < 3


def test_the_direct_path_is_taken_again_once_when_it_has_been_good() -> None:
    world = _both(PathWorld())
    world.run(5, FRAME_NS)
    world.block_direct(lambda seconds: seconds < 10)
    world.run(18)
    assert world.client.kinds == [DIRECT, RELAYED], "not before it has been good for ten seconds"
    world.run(20, FRAME_NS)
    assert world.client.kinds == world.host.kinds == [DIRECT, RELAYED, DIRECT]
    back_s = (world.client.taken[-1][0] - world.start_ns) / SECOND_NS - 15
    assert 10 <= back_s < 16, back_s
    assert max(_gaps(world.client)[-600:]) < 0.1, "coming back loses nothing"


@pytest.mark.parametrize(("seed", "period_s"), [(0, 0.5), (1, 1.0), (2, 1.0), (3, 2.0)])
def test_a_path_that_comes_and_goes_is_left_once(seed: int, period_s: float) -> None:
    world = _both(PathWorld(seed))
    world.run(5)
    world.block_direct(lambda seconds: seconds % period_s < period_s / 2 and seconds < 40)
    world.run(40)
    print(f"seed {seed}, period {period_s} s; paths {world.client.kinds}")
    assert world.client.kinds == world.host.kinds == [DIRECT, RELAYED]
    world.run(25)
    assert world.client.kinds == [DIRECT, RELAYED, DIRECT]


def test_a_path_that_does_not_last_is_waited_for_longer_each_time() -> None:
    world = _both(PathWorld())
    world.run(5)
    waits = []
    for _ in range(3):
        world.block_direct(lambda seconds: seconds < 5)
        start = len(world.client.kinds)
        world.run(3)
        assert world.client.kinds[start:] == [RELAYED]
        while world.client.kinds[-1] is not DIRECT:
            world.run(1)
        waits.append((world.client.taken[-1][0] - world.client.taken[-2][0]) / SECOND_NS)
    assert waits[1] - waits[0] > 8
    assert waits[2] - waits[1] > 17
    world.run(70)
    assert world.client.agent.returns_after_ns == PathLimits().return_ns


def test_loss_does_not_move_anybody() -> None:
    world = _both(PathWorld(3))
    world.loss = 0.05
    world.run(120)
    assert world.client.kinds == world.host.kinds == [DIRECT]


def test_a_party_that_changes_its_address_is_followed() -> None:
    world = _both(PathWorld())
    world.run(3, FRAME_NS)
    moved = Address("203.0.113.77", 50_123)
    world.client.address = moved
    world.run(5, FRAME_NS)
    assert world.host.agent.in_use is not None
    assert world.host.agent.in_use.address in (moved, RELAY)
    assert world.client.got[-1][0] > world.now_ns - SECOND_NS
    assert max(_gaps(world.client)) < 3


def test_silence_has_its_names_at_their_times() -> None:
    world = _both(PathWorld())
    world.run(5)
    world.blocked = lambda *_: True
    start_ns = world.now_ns
    world.run(20)
    for party in world.parties:
        said = [(at, s.state) for at, s in party.told if isinstance(s, LivenessChanged)]
        states = [state for _, state in said]
        assert states == [Liveness.DEGRADED, Liveness.LOST, Liveness.ENDED]
        for (at_ns, _), wanted_s in zip(said, (0.75, 5, 15), strict=True):
            assert abs((at_ns - start_ns) / SECOND_NS - wanted_s) < 0.5
        assert party.agent.ended
        assert party.agent.deadline_ns is None
        assert not party.agent.send(b"\x45", world.now_ns)


def test_what_is_lost_for_a_while_comes_back() -> None:
    world = _both(PathWorld())
    world.run(5)
    start_ns = world.now_ns
    world.blocked = lambda _s, _t, now_ns: now_ns - start_ns < 8 * SECOND_NS
    world.run(14, FRAME_NS)
    states = [s.state for _, s in world.client.told if isinstance(s, LivenessChanged)]
    assert states == [Liveness.DEGRADED, Liveness.LOST, Liveness.ALIVE]
    assert world.client.got[-1][0] > world.now_ns - SECOND_NS


def test_copied_and_forged_checks_do_nothing() -> None:
    world = _both(PathWorld())
    world.run(3)
    checks = [d for _, s, t, d in world.carried if (s, t) == (CLIENT, HOST) and d[0] == 0]
    agent, paths = world.host.agent, len(world.host.agent.paths)
    thief = Address("192.0.2.66", 6_666)
    for data in checks:
        agent.receive(data, thief, world.now_ns)
    assert agent.checker.counters.repeated == len(checks)
    stranger = PathAgent(
        side=Side.CONTROLLING,
        own=new_credential(Random(9).randbytes),
        other=new_credential(Random(8).randbytes),
        random=Random(9).randbytes,
        now_ns=world.now_ns,
    )
    stranger.add_candidates([Candidate(DIRECT, HOST)], world.now_ns)
    for output in stranger.poll():
        if not isinstance(output, Inbound) and hasattr(output, "data"):
            agent.receive(output.data, thief, world.now_ns)
    assert agent.checker.counters.wrong_name == 1
    assert len(agent.paths) == paths
    assert agent.in_use is not None
    assert agent.in_use.address == CLIENT


def test_anything_may_arrive_from_anywhere() -> None:
    world = _both(PathWorld())
    world.run(3)
    rng, pool = Random(5), [data for *_, data in world.carried]
    for _ in range(2_000):
        data = bytearray(rng.choice(pool))
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        source = rng.choice([CLIENT, RELAY, Address("192.0.2.66", 1)])
        world.host.agent.receive(
            bytes(data[: rng.randrange(1, len(data) + 1)]), source, world.now_ns
        )
        world.host.agent.poll()
    assert len(world.host.agent.paths) == 2
    world.run(3, FRAME_NS)
    assert world.client.kinds == [DIRECT]
    assert len(world.client.got) > 150


def test_a_closed_agent_gives_its_lease_back() -> None:
    world = _both(PathWorld())
    world.run(3)
    for party in world.parties:
        party.agent.close(world.now_ns)
    world.run(1)
    assert world.relay.sessions == 0


# --- values ---------------------------------------------------------------------------------


def test_candidates_are_sorted_out_with_reasons() -> None:
    items = [
        Candidate(CandidateKind.HOST, Address(host, port))
        for host, port in (
            ("0.0.0.0", 1), ("239.1.1.1", 5), ("255.255.255.255", 5), ("10.0.0.9", 7),
            ("10.0.0.1", 5), ("10.0.0.1", 5), ("::", 5), ("240.0.0.1", 5), ("2001:db8::1", 5),
        )
    ]  # fmt: skip
    good, refused = sort_out(items, [Address("10.0.0.9", 7)])
    assert [c.address.host for c in good] == ["10.0.0.1", "2001:db8::1"]
    assert [r.reason for r in refused] == [
        "it names no machine",
        "it names a group of machines",
        "it names all machines of a network",
        "it is our own",
        "it was given twice",
        "it names no machine",
        "it is reserved",
    ]
    assert refused[0].text == "host 0.0.0.0:1"


def test_candidates_are_read_back_from_a_message() -> None:
    items = [Candidate(CandidateKind.SERVER_REFLEXIVE, Address("2001:db8::1", 5))]
    assert list(from_items(to_items(items), 16)) == items


def test_every_candidate_is_told_with_its_address_and_why_it_is_not_tried() -> None:
    agent = PathWorld().client.agent
    items = [Candidate(CandidateKind.HOST, Address("10.1.0.1", port)) for port in range(1, 20)]
    nowhere = Candidate(CandidateKind.HOST, Address("0.0.0.0", 1))
    agent.add_candidates([nowhere, *items], 0)
    agent.add_candidates(items, 0)
    told = [said for said in agent.poll() if isinstance(said, CandidateMet)]
    tried = [said.address.port for said in told if not said.refused]
    assert tried == list(range(1, agent.limits.candidates_max + 1))
    others = [(said.address.text, said.refused) for said in told if said.refused]
    reason = why_unusable(nowhere.address)
    assert others[0] == ("0.0.0.0:1", reason)
    assert ("10.1.0.1:17", TOO_MANY) in others
    assert len(others) == len(agent.refused) <= agent.limits.candidates_max


@pytest.mark.parametrize(
    "items",
    [
        None, "host", [[1]], [[9, "10.0.0.1", 1]], [[True, "10.0.0.1", 1]], [[4, "10.0.0.1", 1]],
        [[1, "name.example", 1]], [[1, "10.0.0.1", 0]], [[1, "10.0.0.1", 65_536]],
        [[1, 10, 1]], [[1, "10.0.0.1", 1]] * 17, [[1, "x" * 100_000, 1]],
    ],
)  # fmt: skip
def test_other_candidates_are_refused(items: object) -> None:
    with pytest.raises(Malformed) as caught:
        from_items(items, 16)
    assert caught.value.code == "path.candidate"


def test_addresses_have_one_spelling() -> None:
    assert parse_address("[2001:DB8:0::1]:5") == Address("2001:db8::1", 5)
    assert parse_address("10.0.0.1:5").text == "10.0.0.1:5"
    assert address_of("::ffff:10.0.0.1", 5) == Address("10.0.0.1", 5)
    assert Address("2001:db8::1", 5).text == "[2001:db8::1]:5"
    for text in ("", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "x:5", "10.0.0.1:99999", "10.0.0.1:-1"):
        with pytest.raises(Invalid):
            parse_address(text)


def test_a_credential_hides_its_password_and_has_a_form() -> None:
    credential = new_credential(Random(1).randbytes)
    assert credential.password not in repr(credential)
    for name, password in (("ab", "p" * 22), ("abcd", "p" * 21), ("a:bc", "p" * 22)):
        with pytest.raises(Invalid) as caught:
            Credential(name, password)
        assert caught.value.code == "path.credential"


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(Unusable, match="keepalive_ns"):
        PathLimits(keepalive_ns=0)
