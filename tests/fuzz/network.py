"""What is fuzzed of gateway, relay and paths: every parser that faces the network.

The parties that parse are alive between one input and the next, as they are in a process; whatever
came before, what is genuine must still be served, which is asked again after every input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Final

from artifact_surgery import Sample
from fuzz.fuzzer import Campaign
from fuzz.typed import byte_campaign, typed
from gateway_world import GatewayWorld
from path_world import CLIENT, HOST, PathWorld
from relay_world import RELAY_ADDRESS, RELAY_KEY, RelayWorld
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import FrameReader, encode
from troth.streaming.gateway.limits import GatewayLimits
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.discovery import Responder, Seeker
from troth.streaming.paths.stun import MessageClass, decode, mapped_address
from troth.streaming.paths.stun import encode as encode_stun
from troth.streaming.relay.lease import Role, codes_of, issue, read_unverified
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.limits import SECOND_NS, RelayLimits
from troth.streaming.relay.wire import CODE_BYTES, code_of
from troth.vm.keys import generate

ROOT: Final = Path(__file__).resolve().parents[2]
WATCHED: Final = (f"{ROOT / 'streaming' / 'troth'}/",)
LINES_MAX: Final = 200_000
MEMORY_BYTES_MAX: Final = 8 << 20
_campaign: Final = partial(
    byte_campaign, lines_max=LINES_MAX, memory_bytes_max=MEMORY_BYTES_MAX, watched=WATCHED
)
FINGERPRINT_BYTES: Final = 8
STRANGER: Final = Address("192.0.2.66", 6_666)


def stun(_: Sequence[Sample]) -> Campaign:
    """STUN messages, with the length that they have: what is read is written and read again."""
    world = _paths()
    corpus = [data[:-FINGERPRINT_BYTES] for *_, data in world.carried if data[0] < 2][:8]

    def run(data: bytes) -> str:
        whole = data[: len(data) & ~3]
        message = decode(whole[:2] + (len(whole) - 20 & 0xFFFF).to_bytes(2, "big") + whole[4:])
        again = decode(encode_stun(message, fingerprint=False))
        assert again.attributes == message.attributes
        if message.message_class is MessageClass.SUCCESS:
            return f"an address of {mapped_address(message).ip.version}"
        return message.message_class.name

    return _campaign("stun", typed(run), corpus)


def lease_tokens(_: Sequence[Sample]) -> Campaign:
    world = RelayWorld()
    corpus = [issue(world.lease(role, world.key()), bytes(64)) for role in Role]
    return _campaign("lease", typed(lambda data: read_unverified(data).role.name), corpus)


def relay(_: Sequence[Sample]) -> Campaign:
    """A relay with one session, which goes on whatever a stranger sends."""
    limits = RelayLimits(presents_per_source_s=1_000_000, presents_per_s=1_000_000)
    world = RelayWorld(limits=limits)
    client, host = world.pair(bytes_per_s=1 << 30, packets_per_s=1 << 30)
    world.send(client, b"genuine")
    corpus = [data for _, target, data in world.sent if target == RELAY_ADDRESS]

    def run(data: bytes) -> str:
        counters = world.relay.counters
        before = {item.name: getattr(counters, item.name) for item in fields(counters)}
        before["refused"] = counters.refused.total()
        world.relay.receive(data, STRANGER, world.now_ns)
        world.relay.poll()
        after = {item.name: getattr(counters, item.name) for item in fields(counters)}
        after["refused"] = counters.refused.total()
        host.got.clear()
        world.send(client, b"genuine")
        assert host.got == [b"genuine"]
        world.sent.clear()
        moved = [name for name in before if before[name] != after[name]]
        return ", ".join(moved[2:]) or "taken"

    return _campaign("relay", run, corpus)


def relay_leg(_: Sequence[Sample]) -> Campaign:
    """A party's leg, from a relay that says anything under the right code."""
    world = RelayWorld()
    client, host = world.pair()
    world.send(host, b"genuine")
    corpus = [data for _, target, data in world.sent if target == client.address]
    key, lease = world.key(), client.leg.lease

    def run(data: bytes) -> str:
        leg = RelayLeg(
            relay=RELAY_ADDRESS,
            token=issue(replace(lease, holder_key=key.public), bytes(64)),
            key=key,
            random=bytes,
        )
        leg.start(0)
        signed = data[:-CODE_BYTES] if len(data) > CODE_BYTES else data
        codes = codes_of(key, RELAY_KEY.public, leg.lease)
        inner = leg.receive(signed + code_of(codes.from_relay, signed), 0)
        leg.receive(data, 0)
        said = [type(output).__name__ for output in leg.poll()[1:]]
        return f"{leg.state.value}: {', '.join(said) or (inner is not None and 'datagram')}"

    return _campaign("relay leg", run, corpus)


def paths(_: Sequence[Sample]) -> Campaign:
    """A party's paths, from strangers and in the name of the other party."""
    world = _paths()
    corpus = [data for _, _, target, data in world.carried if target == HOST][:12]
    names, before = fields(world.host.agent.checker.counters), dict[str, int]()

    def run(data: bytes) -> str:
        agent = world.host.agent
        for source in (STRANGER, CLIENT):
            agent.receive(data, source, world.now_ns)
        counted = {item.name: getattr(agent.checker.counters, item.name) for item in names}
        events = [type(output).__name__ for output in agent.poll()]
        events += [name for name in counted if counted[name] != before.get(name)]
        before.update(counted)
        assert agent.in_use is not None
        assert agent.in_use.address == CLIENT
        assert len(agent.paths) <= 2
        return ", ".join(sorted(frozenset(events))) or "nothing"

    return _campaign("paths", run, corpus)


def discovery(_: Sequence[Sample]) -> Campaign:
    """Questions and answers in the local network."""
    key = generate("harry", bytes(range(32)))
    seeker = Seeker((CLIENT,), bytes, 0)
    (question,) = seeker.tick(0)
    answer = Responder(key, 4_242, 0).answer(question.data, CLIENT, 0)
    assert answer is not None
    clock = [0]

    def run(data: bytes) -> str:
        clock[0] += SECOND_NS
        answered = Responder(key, 4_242, 0).answer(data, CLIENT, clock[0])
        assert answered is None or len(answered) <= len(data)
        seeker.receive(data, HOST)
        assert set(seeker.hosts) <= {key.public_key}
        return "answered" if answered else "found" if data == answer else "refused"

    return _campaign("discovery", run, [question.data, answer])


def gateway(_: Sequence[Sample]) -> Campaign:
    """Messages of registered parties, and what they make the gateway do."""
    world = GatewayWorld(GatewayLimits(messages_per_second=1_000_000, offers_per_minute=60_000))
    kinds = {kind: world.connect(kind, kind.value) for kind in PartyKind}
    world.session(kinds[PartyKind.CLIENT], kinds[PartyKind.HOST])
    corpus = [
        encode(message)
        for message in (
            m.Talk("ended", 1, b"frame"),
            m.Beat(),
            m.Talk("registration", 1, b"frame"),
            m.Talk("asking", 1, b"frame"),
            m.Talk("ending", 1, b"frame"),
            m.Command(1, "sessions", ()),
            m.Talk("bind", 1, b"frame"),
        )
    ]

    def run(data: bytes) -> str:
        said = "nothing"
        for message in FrameReader().feed(data):
            for connection in kinds.values():
                world.core.received(connection.number, message, world.now_ns)
            world.settle()
            said = type(message).__name__
        for connection in kinds.values():
            assert connection.open
            connection.got.clear()
        return said

    return _campaign("gateway", typed(run), corpus)


ALL: Final[tuple[Callable[[Sequence[Sample]], Campaign], ...]] = (
    stun,
    lease_tokens,
    relay,
    relay_leg,
    paths,
    discovery,
    gateway,
)


def _paths() -> PathWorld:
    world = PathWorld()
    world.offer_direct()
    world.offer_relay()
    world.run(1)
    return world
