"""The link at full speed: packets a second, microseconds a packet, and where they go.

Subject is everything between a frame and a datagram, and back: cutting, parity, sealing, pacing,
opening, putting together, feedback. Both ends run on one core, with and without sockets between.
The baseline is what the libraries below cost for the same bytes: one seal and one open a packet.
"""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
)

from benchmarks.measure import Ratio, one_core, paired
from link_pairs import CLIENT, HOST, MS, Pair
from troth.streaming.link import VIDEO, DelayController, DelayOptions, Frame
from troth.streaming.link.parity import encode_parity, recover

FRAME_BYTES = 200_000
PARITY = 3
"""For every group of up to 64: 200 kB are 176 shards in 3 groups, so 5 % parity."""

FAST = DelayOptions(start_bits=2_000_000_000, highest_bits=4_000_000_000)


@dataclass(frozen=True, slots=True)
class Throughput:
    """One run: media bits are those of the frames alone, seconds those of the processor."""

    frames: int
    packets: int
    seconds: float

    def line(self, name: str) -> str:
        megabits = self.frames * FRAME_BYTES * 8 / self.seconds / 1e6
        return (
            f"transport, {name}: {megabits:,.0f} Mbit/s of media on one core, {PARITY} parities a "
            f"group, {self.packets / self.seconds:,.0f} packets/s, "
            f"{self.seconds / self.packets * 1e6:.1f} us a packet for both ends together"
        )


def _pair() -> Pair:
    pair = Pair(controller=lambda: DelayController(FAST), playout_ns=10_000 * MS)
    pair.connect()
    return pair


def in_memory(frames: int) -> Throughput:
    """Datagrams go from one end to the other as they are."""
    pair = _pair()
    client, host, now_ns, packets = pair.client, pair.host, pair.now_ns, 0
    data, shown = os.urandom(FRAME_BYTES), 0
    start = time.process_time()
    for number in range(frames):
        host.send_frame(VIDEO, data, key=number == 0, now_ns=now_ns, parity=PARITY)
        for _ in range(10):
            now_ns += MS
            host.tick(now_ns)
            for _, datagram in host.datagrams():
                client.receive(datagram, HOST, now_ns)
                packets += 1
            client.tick(now_ns)
            for _, datagram in client.datagrams():
                host.receive(datagram, CLIENT, now_ns)
                packets += 1
        shown += sum(isinstance(event, Frame) for event in client.events())
        host.events()
    taken = time.process_time() - start
    assert shown == frames, "every frame arrives"
    return Throughput(frames, packets, taken)


def over_loopback(frames: int) -> Throughput:
    """Datagrams go through two sockets of this machine; both ends take turns on one core."""
    pair = _pair()
    client, host, packets = pair.client, pair.host, 0
    data, shown = os.urandom(FRAME_BYTES), 0
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for end in ends:
        end.bind(("127.0.0.1", 0))
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    ours, theirs = ends
    offset_ns = pair.now_ns - time.monotonic_ns()

    def move(
        source: socket.socket,
        target: socket.socket,
        datagrams: list[bytes],
        receive: Callable[[bytes, int], None],
    ) -> int:
        address = target.getsockname()
        for at in range(0, len(datagrams), 32):
            for datagram in datagrams[at : at + 32]:
                source.sendto(datagram, address)
            for _ in datagrams[at : at + 32]:
                receive(target.recv(2_048), time.monotonic_ns() + offset_ns)
        return len(datagrams)

    start = time.process_time()
    for number in range(frames):
        now_ns = time.monotonic_ns() + offset_ns
        host.send_frame(VIDEO, data, key=number == 0, now_ns=now_ns, parity=PARITY)
        while len(host.media.pacer):
            host.tick(time.monotonic_ns() + offset_ns)
            there = [datagram for _, datagram in host.datagrams()]
            packets += move(ours, theirs, there, lambda d, at: client.receive(d, HOST, at))
            client.tick(time.monotonic_ns() + offset_ns)
            back = [datagram for _, datagram in client.datagrams()]
            packets += move(theirs, ours, back, lambda d, at: host.receive(d, CLIENT, at))
        shown += sum(isinstance(event, Frame) for event in client.events())
        host.events()
    taken = time.process_time() - start
    for end in ends:
        end.close()
    assert shown == frames, "every frame arrives"
    return Throughput(frames, packets, taken)


def _crypto(packets: int) -> None:
    key, nonce, header, plain = bytes(32), bytes(12), bytes(16), bytes(1_170)
    for _ in range(packets):
        sealed = crypto_aead_chacha20poly1305_ietf_encrypt(plain, header, nonce, key)
        crypto_aead_chacha20poly1305_ietf_decrypt(sealed, header, nonce, key)


def measure(frames: int, *, pairs: int) -> list[Ratio]:
    """Ratios against the cipher alone, and parity against copying the same bytes."""
    once = in_memory(2)
    packets = once.packets * frames // 2
    shards = [os.urandom(1_140) for _ in range(59)]
    parity = encode_parity(shards, PARITY, 1_140)
    rows = dict(enumerate(parity))
    kept = dict(enumerate(shards[PARITY:], PARITY))
    return [
        paired(
            "transport, packets through both ends, against sealing and opening alone",
            "0.2",
            lambda: in_memory(frames),
            lambda: _crypto(packets),
            operations=packets,
            baseline_operations=packets,
            pairs=pairs,
        ),
        paired(
            f"transport, {PARITY} parities of 59 shards, against repairing {PARITY} lost ones",
            "1",
            lambda: [encode_parity(shards, PARITY, 1_140) for _ in range(frames)],
            lambda: [recover(kept, rows, 59, 1_140) for _ in range(frames)],
            operations=59 * frames,
            baseline_operations=59 * frames,
            pairs=pairs,
        ),
    ]


def figures(frames: int) -> list[str]:
    """Our own figures, on this machine."""
    return [
        in_memory(frames).line("in memory"),
        over_loopback(frames).line("over loopback"),
    ]


def profile(frames: int) -> str:
    """Where the time goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    in_memory(frames)
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(25)
    return out.getvalue()


def main() -> None:
    one_core()
    for line in figures(100):
        print(line)
    for ratio in measure(30, pairs=5):
        print(ratio.line())
    if "--profile" in sys.argv:
        print(profile(50))


if __name__ == "__main__":
    main()
