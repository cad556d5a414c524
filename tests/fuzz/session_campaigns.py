"""What is fuzzed of a session above its link: contents, pictures, sound, the machines' frames, what
a gateway says, candidates, and whoever asks for metrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgpack

from fuzz.edges import ROOT
from fuzz.fuzzer import Campaign
from fuzz.typed import byte_campaign, typed
from gateway_world import GatewayWorld
from troth.streaming.gateway import messages as m
from troth.streaming.gateway.client import GatewayLink
from troth.streaming.gateway.codec import encode
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.lane import pack_content, unpack_content
from troth.streaming.media.interfaces import Picture
from troth.streaming.media.pixels import HEIGHT_MIN, WIDTH_MIN
from troth.streaming.media.synthetic import SyntheticScreen, SyntheticVideo
from troth.streaming.media.tones import SyntheticTones, ToneMeter
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.candidates import (
    Candidate,
    CandidateKind,
    from_items,
    sort_out,
    to_items,
)
from troth.streaming.shell_metrics import MetricsServer
from troth.vm.link_frames import Ack, Data, Hello, Offer, Ping, Prove, decode_frame, encode_frame

WATCHED: Final = (
    f"{ROOT / 'streaming' / 'troth'}/",
    str(ROOT / "vm" / "troth" / "vm" / "link_frames.py"),
)
LINES_MAX: Final = 400_000
MEMORY_BYTES_MAX: Final = 24 << 20
"""A picture of 4 MiB, the one before it, and the numbers that their difference is made with."""
_campaign: Final = partial(
    byte_campaign, lines_max=LINES_MAX, memory_bytes_max=MEMORY_BYTES_MAX, watched=WATCHED
)

OWN: Final = Address("203.0.113.9", 9)


def pictures() -> Campaign:
    """Frames at a screen that shows another one."""
    video = SyntheticVideo()
    video.start(Picture(WIDTH_MIN, HEIGHT_MIN, 60), 300)
    first, second = (video.capture(at).data for at in (0, 16_667))

    def run(data: bytes) -> str:
        screen = SyntheticScreen()
        screen.present(first)
        number = screen.present(data)
        assert screen.last == number
        return "shown"

    return _campaign("session, pictures", typed(run), [first, second])


def sound() -> Campaign:
    """Groups of sound at a meter."""
    tones = SyntheticTones()
    corpus = [tones.capture(at).data for at in range(4)]
    return _campaign("session, sound", typed(lambda data: str(ToneMeter().play(data))), corpus)


def contents() -> Campaign:
    """What the lanes of a link carry; the first byte stands for lane and key."""
    video = SyntheticVideo()
    video.start(Picture(WIDTH_MIN, HEIGHT_MIN, 60), 300)

    def run(data: bytes) -> str:
        lane, key = data[:1], data[1:]
        content = unpack_content(lane[0] & 1 if lane else 0, bool(lane and lane[0] & 2), key)
        assert pack_content(content) == key
        return type(content).__name__

    return _campaign("session, contents", typed(run), [b"\2" + bytes(40), b"\1" + bytes(24)])


def machines() -> Campaign:
    """Frames of the machine at the other end of a link."""
    frames = (
        Hello(1, bytes(16), bytes(16), ("Host",)),
        Prove(((bytes(32), bytes(64)),)),
        Offer(bytes(16), bytes(40), (("Host", bytes(32), bytes(64)),)),
        Data(7, bytes(60)),
        Ack(7, (9, 12)),
        Ping(),
    )

    def run(data: bytes) -> str:
        frame = decode_frame(data)
        assert decode_frame(encode_frame(frame)) == frame
        return type(frame).__name__

    return _campaign("session, machines", typed(run), [encode_frame(frame) for frame in frames])


def gateways_gone_bad() -> Campaign:
    """What a gateway says to a party, from its first word on."""
    key = GatewayWorld().key("client")

    def run(data: bytes) -> str:
        link = GatewayLink(key, 0)
        if data[-1:] > b"\x7f":
            link.bound()
        found = link.receive(data, 1)
        link.tick(SECOND_NS)
        assert len(link.to_write()) < 4_096, "one answer to whatever it says"
        return f"{link.state.value}: {', '.join(sorted({type(one).__name__ for one in found}))}"

    said = (
        m.Talk("bind", 1, b"frame"),
        m.Talk("consulting", 7, bytes(200)),
        m.Refused(1, "gateway.limit", "too many", "offers", 1_000),
        m.Talk("ended", 1, b"frame"),
        m.Talk("ending", 1, b"frame"),
        m.BeatBack(1),
    )
    corpus = [encode(message) for message in said]
    return _campaign("session, gateways gone bad", typed(run), [*corpus, b"".join(corpus)])


def candidates() -> Campaign:
    """Addresses that the other party offers."""
    good = [
        Candidate(CandidateKind.HOST, Address("192.168.1.4", 4_000)),
        Candidate(CandidateKind.SERVER_REFLEXIVE, Address("203.0.113.5", 5_000)),
        Candidate(CandidateKind.LAN, OWN),
    ]
    corpus = [msgpack.packb(to_items(some)) for some in (good, good[:1], [])]

    def run(data: bytes) -> str:
        try:
            items = msgpack.unpackb(data)
        except (ValueError, msgpack.UnpackException):
            return "no message"
        taken, refused = sort_out(from_items(items, 16), [OWN])
        assert len(taken) + len(refused) <= 16
        return f"{len(taken)} taken"

    return _campaign("session, candidates", typed(run), corpus)


def askers_for_metrics() -> Campaign:
    """Requests to the small HTTP server."""
    server = MetricsServer({"/metrics": lambda: (200, "frames_total 1\n")})
    corpus = [
        f"{first}\r\nHost: here\r\n\r\n".encode()
        for first in ("GET /metrics HTTP/1.1", "GET /x?y HTTP/1.0", "POST / HTTP/1.1")
    ]

    def run(data: bytes) -> str:
        answer = server._answer(data[:4_096])
        assert len(answer) < 1_024
        return answer.split(b"\r\n", 1)[0].decode()

    return _campaign("session, askers for metrics", run, corpus)


ALL: Final[tuple[Callable[[], Campaign], ...]] = (
    pictures,
    sound,
    contents,
    machines,
    gateways_gone_bad,
    candidates,
    askers_for_metrics,
)
