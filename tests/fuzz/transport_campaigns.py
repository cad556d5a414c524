"""What is fuzzed of the transport: strangers' datagrams, and an authenticated peer gone bad."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from fuzz.edges import ROOT, Edges
from fuzz.fuzzer import Campaign
from fuzz.mutations import changed_bytes
from link_pairs import CLIENT, CLIENT_OPTIONS, HOST, HOST_OPTIONS, MS, SECOND, Pair, entropy
from troth.streaming.handshake.identity import Side
from troth.streaming.handshake.initiator import Handshaken
from troth.streaming.link import VIDEO, Listener, SecureLink, chunks
from troth.streaming.link.chunks import ChunkKind
from troth.streaming.link.packets import Opened
from troth.streaming.netem import Conditions, Step
from troth.streaming.wire import HEADER_BYTES, PacketKind, decode_header
from troth.vm.errors import InternalError, TrothError

WATCHED: Final = (f"{ROOT / 'streaming' / 'troth' / 'streaming'}/",)
LINES_MAX: Final = 400_000
MEMORY_BYTES_MAX: Final = 8 << 20
PACKETS_MAX: Final = 16


def _edges(lines_max: int) -> Edges:
    return Edges(lines_max, WATCHED)


def _campaign(name: str, run: Callable[[bytes], str], corpus: list[bytes]) -> Campaign:
    return Campaign(
        name=name,
        run=run,
        change=_change,
        corpus=tuple(corpus),
        lines_max=LINES_MAX,
        memory_bytes_max=MEMORY_BYTES_MAX,
        edges=_edges,
    )


def _change(data: bytes, other: bytes, rng: Random) -> bytes:
    return changed_bytes(data, other, rng)[: 1 << 14]


def _captured() -> list[bytes]:
    """One datagram of every kind, and some of the sealed."""
    pair = Pair(1, [Step(0, Conditions(delay_ns=MS))])
    seen: list[bytes] = []
    pair.world.taps.append(lambda _source, _to, data, _now: not seen.append(data))  # type: ignore[func-returns-value]
    pair.connect()
    pair.client.send_control(b"hello")
    pair.run(SECOND)
    return seen[:12]


def strangers_at_a_listener() -> Campaign:
    """Handshake datagrams, changed, at a listener."""

    def run(data: bytes) -> str:
        listener = Listener(HOST_OPTIONS, entropy=entropy(1))
        listener.receive(data, CLIENT, 0)
        sent = listener.datagrams()
        assert sum(len(one.data) for one in sent) <= len(data), "an answer is no longer"
        listener.tick(SECOND)
        return ", ".join(decode_header(one.data).kind.name for one in sent) or "nothing"

    return _campaign("transport, strangers at a listener", run, _captured())


def strangers_at_an_initiator() -> Campaign:
    """The same at a client that waits for an answer."""

    def run(data: bytes) -> str:
        link = SecureLink.connect(CLIENT_OPTIONS, HOST, entropy=entropy(2), now_ns=0)
        link.tick(0)
        link.datagrams()
        link.receive(data, HOST, MS)
        link.tick(2 * MS)
        assert link.established is None
        return ", ".join(decode_header(d.data).kind.name for d in link.datagrams()) or "nothing"

    return _campaign("transport, strangers at an initiator", run, _captured())


def _fresh() -> SecureLink:
    """An established link without the cost of a handshake."""
    peer = HOST_OPTIONS.identity.principal.verifier
    done = Handshaken(Side.RESPONDER, peer, bytes(32), bytes(32), 1, 2, bytes(32))
    link = SecureLink.accepted(CLIENT_OPTIONS, HOST, done, None, entropy=entropy(3), now_ns=0)
    link.send_control(b"x" * 3_000)
    link.send_frame(VIDEO, bytes(3_000), key=True, now_ns=0)
    link.tick(0)
    link.datagrams()
    return link


def _packets(data: bytes) -> list[bytes]:
    """Each begins with its length, so that one input holds several."""
    found: list[bytes] = []
    at = 0
    while at + 2 <= len(data) and len(found) < PACKETS_MAX:
        size = int.from_bytes(data[at : at + 2], "big") & 0x7FF
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def _joined(*packets: bytes) -> bytes:
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


def peers_gone_bad() -> Campaign:
    """Packets that authenticate and hold anything: the peer has the keys and means harm."""

    def run(data: bytes) -> str:
        link, now_ns = _fresh(), 0
        assert link._packets is not None
        for number, plain in enumerate(_packets(data)):
            now_ns += 3 * MS
            link._packets.replay.commit(2 * number)
            link._take(Opened(plain, 2 * number, 0, True), len(plain) + 32, HOST, now_ns)
            link.tick(now_ns)
        link.tick(now_ns + SECOND)
        kinds = sorted({type(event).__name__ for event in link.events()})
        sent = sum(len(one.data) for one in link.datagrams())
        assert sent <= 64 * (len(data) + 4_096), "what is sent has a bound in what came"
        return " ".join(kinds)

    return _campaign("transport, peers gone bad", run, _plain_packets())


def _plain_packets() -> list[bytes]:
    """Well-formed ones of every kind, from links that talk."""
    pair = Pair(4, [Step(0, Conditions(delay_ns=MS))])
    pair.connect()
    plains: list[bytes] = []
    for link in (pair.client, pair.host):
        assert link._packets is not None
        sealer = link._packets.sealer
        seal = sealer.seal

        def spy(
            header: bytes,
            number: int,
            plain: bytes,
            seal: Callable[[bytes, int, bytes], bytes] = seal,
        ) -> bytes:
            plains.append(plain)
            return seal(header, number, plain)

        sealer.seal = spy  # type: ignore[method-assign]
    pair.network.set_steps(HOST[0], CLIENT[0], [Step(0, Conditions(loss=0.2))])
    for number in range(40):
        now_ns = pair.now_ns
        pair.client.send_input_state(b"state")
        pair.client.send_input_edge(b"edge")
        pair.host.send_frame(VIDEO, bytes(2_500), key=number == 0, now_ns=now_ns, parity=1)
        pair.run(16 * MS)
    pair.client.probe(HOST, 2, pair.now_ns)
    pair.run(SECOND)
    pair.client.close(1, "bye", pair.now_ns)  # type: ignore[arg-type]
    pair.run(SECOND)
    known: dict[int, bytes] = {}
    for plain in plains:
        for kind, body in chunks.decode(plain):
            known.setdefault(kind, chunks.encode(kind, body))
    request = chunks.KEY_FRAME_REQUEST.pack(0, 3)
    known[ChunkKind.KEY_FRAME_REQUEST] = chunks.encode(ChunkKind.KEY_FRAME_REQUEST, request)
    missing = chunks.MISSING_RANGE.pack(0, 3)
    known.setdefault(ChunkKind.MISSING, chunks.encode(ChunkKind.MISSING, missing))
    absent = [kind.name for kind in ChunkKind if kind and kind not in known]
    assert absent in ([], ["CONFIRM"]), absent
    several = [_joined(*plains[at : at + 6]) for at in range(0, 60, 6)]
    return [_joined(one) for one in known.values()] + several


def headers() -> Campaign:
    """The header alone."""

    def run(data: bytes) -> str:
        try:
            header = decode_header(data)
        except InternalError:
            raise
        except TrothError as error:
            return error.code
        assert header.encode() == data[:HEADER_BYTES]
        return header.kind.name

    corpus = [bytes([0x40 | kind]) + bytes(15) for kind in PacketKind]
    return _campaign("transport, headers", run, corpus)


ALL: Final[tuple[Callable[[], Campaign], ...]] = (
    headers,
    strangers_at_a_listener,
    strangers_at_an_initiator,
    peers_gone_bad,
)
