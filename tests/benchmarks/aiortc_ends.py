"""Both ends of aiortc, with the synthetic stream on a video track or on a data channel.

The video track takes frames that are encoded already, so its codec costs nothing and the very same
bytes travel: RTP with retransmission, requests for key frames and the receiver's estimate of the
rate are aiortc's. Its decoder is replaced by the synthetic screen. The data channel loses what it
loses (unordered, no retransmission), as it is used for media, and a second, reliable one asks for
key frames. aiortc limits its own rate to 1.5 Mbit/s; here that limit is lifted.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import time
from fractions import Fraction
from typing import Any, Final

from benchmarks.emulated_path import LOOPBACK, EmulatedPath
from benchmarks.synthetic_stream import (
    FRAME_NS,
    FRAMES_PER_SECOND,
    KBPS,
    TAIL_SECONDS,
    Score,
    Stopwatch,
    Stream,
    frame_times,
)
from troth.streaming.netem import Step

CONNECT_SECONDS: Final = 20.0
CLOCK_HZ: Final = 90_000
BUFFERED_SECONDS_MAX: Final = 0.25
"""A sender that has so much waiting in a data channel leaves frames out."""

REQUEST_SECONDS: Final = 0.25
"""As often our own link asks for a key frame."""


def is_installed() -> bool:
    return importlib.util.find_spec("aiortc") is not None


async def track(path: EmulatedPath, steps: tuple[Step, ...], count: int, follows: bool) -> Score:
    """The stream as a video track."""
    stream = Stream()
    with _Patched(stream):
        aiortc: Any = importlib.import_module("aiortc")
        host, client = aiortc.RTCPeerConnection(), aiortc.RTCPeerConnection()
        source = _track(stream, count, follows)
        source.sender = host.addTrack(source)
        watch = await _run(host, client, path, steps, source.begin, count)
        watch.stop(stream.score)
        stream.score.wire_bytes = path.counts().sent_bytes
        await asyncio.gather(host.close(), client.close())
    return stream.score


async def channel(path: EmulatedPath, steps: tuple[Step, ...], count: int, follows: bool) -> Score:
    """The stream as messages of a data channel. It says nothing of a rate to follow."""
    del follows
    stream = Stream()
    with _Patched(stream):
        aiortc: Any = importlib.import_module("aiortc")
        host, client = aiortc.RTCPeerConnection(), aiortc.RTCPeerConnection()
        media = host.createDataChannel("media", ordered=False, maxRetransmits=0)
        requests = host.createDataChannel("requests")
        requests.on("message", lambda _: stream.video.force_key_frame())
        asked_at = [0.0]

        def on_channel(found: Any) -> None:
            def on_message(data: bytes) -> None:
                if stream.show(data) or time.monotonic() - asked_at[0] < REQUEST_SECONDS:
                    return
                asked_at[0] = time.monotonic()
                ways["requests"].send(b"key frame")

            ways[found.label] = found
            if found.label == "media":
                found.on("message", on_message)

        ways: dict[str, Any] = {}
        client.on("datachannel", on_channel)

        def send() -> None:
            frame = stream.capture()
            if media.bufferedAmount > KBPS * 125 * BUFFERED_SECONDS_MAX:
                stream.score.skipped += 1
            else:
                media.send(frame.data)

        def begin() -> asyncio.Task[None]:
            return asyncio.ensure_future(frame_times(count, send))

        watch = await _run(host, client, path, steps, begin, count)
        watch.stop(stream.score)
        stream.score.wire_bytes = path.counts().sent_bytes
        await asyncio.gather(host.close(), client.close())
    return stream.score


async def _run(
    host: Any,
    client: Any,
    path: EmulatedPath,
    steps: tuple[Step, ...],
    begin: Any,
    count: int,
) -> Stopwatch:
    """Connects both over the path, and lets `begin` stream once its steps have begun."""
    connected = asyncio.Event()

    def look() -> None:
        if host.connectionState == client.connectionState == "connected":
            connected.set()

    host.on("connectionstatechange", look)
    client.on("connectionstatechange", look)
    await host.setLocalDescription(await host.createOffer())
    await client.setRemoteDescription(_elsewhere(host.localDescription, path.host_port))
    await client.setLocalDescription(await client.createAnswer())
    path.connect(
        (LOOPBACK, _port_of(host.localDescription.sdp)),
        (LOOPBACK, _port_of(client.localDescription.sdp)),
    )
    await host.setRemoteDescription(_elsewhere(client.localDescription, path.client_port))
    await asyncio.wait_for(connected.wait(), CONNECT_SECONDS)
    if host.sctp is not None:
        await asyncio.sleep(0.5)  # a data channel has no event for both ends that it is open
    path.begin(steps)
    watch = Stopwatch()
    running = begin()
    await asyncio.sleep(count / FRAMES_PER_SECOND + TAIL_SECONDS)
    if running is not None:
        await running
    return watch


def _track(stream: Stream, count: int, follows: bool) -> Any:
    """A track of encoded frames. Its class is made here, since aiortc may be missing."""
    aiortc: Any = importlib.import_module("aiortc")
    av: Any = importlib.import_module("av")
    base: Any = aiortc.MediaStreamTrack

    class Encoded(base):  # type: ignore[misc]
        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self.sender: Any = None
            self._begun = asyncio.Event()
            self._start_ns = 0
            self._number = 0

        def begin(self) -> None:
            self._start_ns = time.monotonic_ns()
            self._begun.set()

        async def recv(self) -> Any:
            await self._begun.wait()
            if self._number >= count:
                await asyncio.Event().wait()
            wait_ns = self._start_ns + self._number * FRAME_NS - time.monotonic_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / 1e9)
            if self.sender._RTCRtpSender__force_keyframe:
                self.sender._RTCRtpSender__force_keyframe = False
                stream.video.force_key_frame()
            packet = av.Packet(stream.capture(self._kbps()).data)
            packet.pts = self._number * CLOCK_HZ // FRAMES_PER_SECOND
            packet.time_base = Fraction(1, CLOCK_HZ)
            self._number += 1
            return packet

        def _kbps(self) -> int:
            encoder = self.sender._RTCRtpSender__encoder
            if not follows or encoder is None:
                return KBPS
            return min(KBPS, int(encoder.target_bitrate) // 1_000)

    return Encoded()


class _Patched:
    """aiortc on loopback, with the synthetic screen as its decoder and its rate not limited."""

    def __init__(self, stream: Stream) -> None:
        av: Any = importlib.import_module("av")

        class Screen:
            def decode(self, encoded: Any) -> list[object]:
                if not stream.show(encoded.data):
                    raise av.error.InvalidDataError(1, "the frame before is missing")
                return []

        ice: Any = importlib.import_module("aioice.ice")
        vpx: Any = importlib.import_module("aiortc.codecs.vpx")
        receiver: Any = importlib.import_module("aiortc.rtcrtpreceiver")
        self._places: tuple[tuple[Any, str, object], ...] = (
            (ice, "get_host_addresses", lambda *_, **__: [LOOPBACK]),
            (receiver, "get_decoder", lambda _: Screen()),
            (vpx, "DEFAULT_BITRATE", KBPS * 1_000),
            (vpx, "MAX_BITRATE", 50_000_000),
            (vpx, "MIN_BITRATE", 200_000),
        )
        self._before: list[object] = []

    def __enter__(self) -> None:
        logging.getLogger("aiortc").setLevel(logging.ERROR)
        self._before = [getattr(module, name) for module, name, _ in self._places]
        for module, name, value in self._places:
            setattr(module, name, value)

    def __exit__(self, *_reason: object) -> None:
        for (module, name, _), before in zip(self._places, self._before, strict=True):
            setattr(module, name, before)


def _port_of(sdp: str) -> int:
    """The port of the candidate of this machine's loopback address."""
    for line in sdp.splitlines():
        words = line.split()
        if line.startswith("a=candidate:") and words[4] == LOOPBACK:
            return int(words[5])
    raise AssertionError("aiortc offers its loopback address")


def _elsewhere(description: Any, port: int) -> Any:
    """The description, with its candidate at another port: that of the emulated path."""
    lines = []
    for line in description.sdp.splitlines():
        if line.startswith("a=candidate:"):
            words = line.split()
            words[5] = str(port)
            lines.append(" ".join(words))
        else:
            lines.append(line)
    return type(description)(sdp="\r\n".join(lines) + "\r\n", type=description.type)
