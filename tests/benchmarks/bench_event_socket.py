"""The event-socket library beside genesis and greenswitch, on the same bytes in the same run.

The bytes are recorded calls, each copy with UUIDs, clock and timestamps of its own, as calls have
them. Subject is a call's whole core: framing, every header of every event decoded, applications
matched, the latch, dispatch to a hook by name. Of greenswitch only reading and parsing are
measured, in its favour; of genesis once its parser alone and once with its dispatch. A further
figure is with recording on. Where neither is installed (`pip install '.[bench]'`) only our own
figures are printed.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import io
import random
import re
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import event_socket_recordings as recordings
import fixtures_path
from benchmarks.measure import Ratio, paired, seconds
from troth.streaming.eventsocket import EventSocketServer, Recording, ServerOptions
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.headers import LineMemory
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.outbound_core import OutboundCore
from troth.streaming.eventsocket.outputs import Deliver, Noted, Output
from troth.streaming.eventsocket.parser import MessageParser
from troth.streaming.eventsocket.shell_record import OUTBOUND, ConnectionRecorder, Recorders
from troth.streaming.eventsocket.testing import Script, call

SEED = 8
CALLS = ("a1", "a2", "a9", "a11", "b1", "b2", "b8", "c1", "c4", "c5a", "c5e", "c5f", "c7")
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CLOCK = re.compile(rb"\d\d%3A\d\d%3A\d\d")
_STAMP = re.compile(rb"\d{16}")
_CHUNK_BYTES = 65_536


def measure(copies: int, *, pairs: int) -> list[str]:
    """Ratios against whoever is installed, and our own figures."""
    if fixtures_path.fixtures_dir() is None:
        return ["event socket: not measured, the recordings are not here; set TROTH_FIXTURES"]
    draw = random.Random(SEED)
    originals = [recordings.load(name).received for name in CALLS]
    calls = [_own(data, draw) for _ in range(copies) for data in originals]
    events = sum(_ours([data], decode=False) for data in calls)
    size = sum(map(len, calls))
    lines = [f"event socket: {len(calls)} recorded calls, {events} events, {size / 1e6:.1f} MB"]
    ours = _rate(lambda: _ours(calls, decode=True), events)
    lazy = _rate(lambda: _ours(calls, decode=False), events)
    core = _rate(lambda: _core(calls), _core(calls))
    lines.append(f"event socket, every header decoded: {ours:,.0f} events/s")
    lines.append(f"event socket, the whole core of a call, likewise: {core:,.0f} events/s")
    lines.append(f"event socket, decoded on access, only names asked for: {lazy:,.0f} events/s")
    few = calls[: len(CALLS)]
    lines.append(_recorded_against_not(few, _core(few), max(3, pairs // 3)).line())
    lines += [ratio.line() for ratio in _against(calls, events, pairs)]
    return lines


def _recorded_against_not(calls: list[bytes], events: int, pairs: int) -> Ratio:
    """The cost of a record: the same core with every message signed, checked and written."""
    with tempfile.TemporaryDirectory() as folder:
        recorders = Recorders(Recording(folder=folder), OUTBOUND)
        return paired(
            "event socket with recording on against the same core without",
            "stated",
            lambda: _core(calls, recorders),
            lambda: _core(calls),
            operations=events,
            baseline_operations=events,
            pairs=pairs,
        )


def _rate(work: Callable[[], object], events: int) -> float:
    return events / min(seconds(work) for _ in range(3))


def _own(data: bytes, draw: random.Random) -> bytes:
    """A copy of a call that shares no UUID, clock or timestamp with another."""
    known: dict[bytes, bytes] = {}

    def another(match: re.Match[bytes]) -> bytes:
        old = match[0]
        if old not in known:
            known[old] = re.sub(rb"[0-9a-f]", lambda _: b"%x" % draw.randrange(16), old)
        return known[old]

    def clock(match: re.Match[bytes]) -> bytes:
        if match[0] not in known:
            parts = (draw.randrange(24), draw.randrange(60), draw.randrange(60))
            known[match[0]] = b"%02d%%3A%02d%%3A%02d" % parts
        return known[match[0]]

    def stamp(match: re.Match[bytes]) -> bytes:
        if match[0] not in known:
            known[match[0]] = b"%016d" % draw.randrange(10**15, 10**16)
        return known[match[0]]

    return _STAMP.sub(stamp, _CLOCK.sub(clock, _UUID.sub(another, data)))


def _chunks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _CHUNK_BYTES):
        yield data[at : at + _CHUNK_BYTES]


Hooks = dict[str | None, Callable[[Event], object]]


def _ours(calls: list[bytes], *, decode: bool) -> int:
    """Every call through a parser of its own; one memory of lines, as a server has it."""
    memory, seen, count = LineMemory(), list[Event](), 0
    hooks: Hooks = {"CHANNEL_HANGUP": seen.append}
    for data in calls:
        parser = MessageParser(memory=memory)
        for chunk in _chunks(data):
            parser.feed(chunk)
            while (message := parser.next_message()) is not None:
                if isinstance(message, Event):
                    count += 1
                    if decode:
                        assert message.headers
                    hook = hooks.get(message.name)
                    if hook is not None:
                        hook(message)
    return count


def _core(calls: list[bytes], recorders: Recorders | None = None) -> int:
    """The same through the whole core of a call, recorded or not."""
    memory, limits, count = LineMemory(), Limits(stray_replies_max=10_000), 0
    for data in calls:
        recorder = None if recorders is None else recorders.new()
        core = OutboundCore(
            now_ns=0,
            next_uuid=lambda: "u",
            limits=limits,
            memory=memory,
            recorded=recorder is not None,
        )
        for chunk in _chunks(data):
            core.receive(chunk, 0)
            count += _carry_out(core, recorder)
        core.lost(Ending.CUT, "", 0)
        core.settled(0)
        _carry_out(core, recorder)
        assert recorder is None or recorder.failure is None
    return count


def _carry_out(core: OutboundCore, recorder: ConnectionRecorder | None) -> int:
    """As a link does it: what came together is noted and written together."""
    count, outputs = 0, list[Output]()
    while (output := core.poll()) is not None:
        if isinstance(output, Noted):
            assert recorder is not None
            recorder.note(output.fact)
        else:
            outputs.append(output)
    if recorder is not None:
        recorder.flush()
    for output in outputs:
        if isinstance(output, Deliver) and isinstance(output.message, Event):
            count += 1
            assert output.message.headers
    return count


# --- the others -------------------------------------------------------------------------------


def _against(calls: list[bytes], events: int, pairs: int) -> Iterator[Ratio]:
    def ours() -> int:
        return _ours(calls, decode=True)

    others: tuple[tuple[str, str, str, Callable[[list[bytes]], None]], ...] = (
        ("greenswitch", "greenswitch (reading and parsing)", "1.5", _greenswitch),
        ("genesis", "genesis (parser alone)", "3", _genesis_parser),
        ("genesis", "genesis (with its dispatch)", "3", _genesis),
    )
    for module, name, goal, other in others:
        if importlib.util.find_spec(module) is None:
            print(f"event socket against {module}: not installed", file=sys.stderr)
            continue
        yield paired(
            f"event socket against {name}",
            goal,
            ours,
            partial(other, calls),
            operations=events,
            baseline_operations=events,
            pairs=pairs,
        )


class _Answer:
    def set(self, _: object) -> None:
        """What greenswitch gives a reply to."""


def _greenswitch(calls: list[bytes]) -> None:
    module: Any = importlib.import_module("greenswitch.esl")
    for data in calls:
        protocol = module.ESLProtocol()
        protocol.sock_file = io.BytesIO(data)
        protocol._commands_sent = [_Answer() for _ in range(1_000)]
        protocol.sock = io.BytesIO()
        protocol.receive_events()


def _genesis_parser(calls: list[bytes]) -> None:
    module: Any = importlib.import_module("genesis.protocol.reader_fsm")
    for data in calls:
        reader, at = module.ESLReaderFSM(), 0
        while (end := data.find(b"\n\n", at)) >= 0:
            _, length = reader.process_headers(data[at : end + 2].decode())
            at = end + 2
            if length:
                reader.process_body(data[at : at + length])
                at += length


def _genesis(calls: list[bytes]) -> None:
    module: Any = importlib.import_module("genesis.protocol")

    async def run() -> None:
        for data in calls:
            protocol = type("Bench", (module.Protocol,), {})()
            protocol.reader = asyncio.StreamReader(limit=1 << 24)
            protocol.reader.feed_data(data)
            protocol.reader.feed_eof()
            protocol.is_connected = True
            protocol.on("CHANNEL_HANGUP", _ignore)
            await protocol.handler()
            while not protocol.events.empty():
                event = protocol.events.get_nowait()
                if event is not None:
                    await protocol._process_one_event(event)

    asyncio.run(run())


async def _ignore(_: object) -> None:
    """A hook of genesis."""


# --- sessions held ----------------------------------------------------------------------------


def memory_per_call(count: int, *, recorded: bool = False) -> str:
    """Python memory of a live call in the server; the kernel's buffers are not in it."""
    with tempfile.TemporaryDirectory() as folder:
        record = Recording(folder=folder) if recorded else False
        taken = asyncio.run(_memory_of_calls(count, record))
    how = "recorded" if recorded else "live"
    return (
        f"event socket: {count} {how} calls held, {taken / 1024:.1f} KiB of Python memory per call "
        "with its handler done (the fake switch's own model and streams taken off)"
    )


async def _memory_of_calls(count: int, record: Recording | bool) -> float:
    def measured() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    server = EventSocketServer(_hold, ServerOptions(record=record))
    await server.start("127.0.0.1", 0)
    first = [await call(server.port, Script(uuid=f"warm-{n}")) for n in range(10)]
    await _until(server, 10)
    tracemalloc.start()
    before = measured()
    calls = await asyncio.gather(
        *(call(server.port, Script(uuid=f"call-{n}")) for n in range(count))
    )
    await _until(server, count + 10)
    both = measured()
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    fake = sum(
        one.size for one in snapshot.statistics("filename")
        if "testing" in one.traceback[0].filename or "streams.py" in one.traceback[0].filename
    )  # fmt: skip
    for one in (*first, *calls):
        one.hang_up()
    await asyncio.gather(*(one.finished() for one in (*first, *calls)))
    await server.close()
    return (both - before - fake) / count


async def _until(server: EventSocketServer, count: int) -> None:
    while server.metrics.sessions_started < count or not all(
        session._set_up_ns is not None for session in server._sessions.values()
    ):
        await asyncio.sleep(0.01)


async def _hold(call: object) -> None:
    """Returns at once: the session stays with its call."""
