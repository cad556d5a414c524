"""Damaged recordings: typed ends only, whatever is flipped, cut, doubled or put in."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pytest

import event_socket_recordings as recordings
from event_socket_calls import CallDriver, inbound
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import Message
from troth.streaming.eventsocket.outputs import Deliver
from troth.streaming.eventsocket.parser import MessageParser
from troth.vm.errors import LimitExceeded, Malformed

SEED: Final = 20261125
DAMAGES: Final = 10_000
CALLS: Final = ("a1", "a7", "a8", "a11", "b1", "b4b", "c5e", "c9", "c10")
OTHERS: Final = ("d1", "d2", "d5", "d9", "e3", "e6", "f1")
LIMITS: Final = Limits(header_bytes_max=20_000, event_bytes_max=50_000, body_bytes_max=50_000)
HOSTILE: Final = (
    b"\0", b"\n", b"\n\n", b"Content-Length: 99\n", b"Content-Length: -1\n\n",
    b"Content-Length: 99999999999\n\n", b"\nContent-Type: command/reply\nReply-Text: +OK\n\n",
    b"\xff\xfe", b"%0A%00", b"Content-Type: text/event-json\nContent-Length: 3\n\n[[[",
    b"Content-Type: text/event-xml\nContent-Length: 7\n\n<event>", b"a" * 30_000,
)  # fmt: skip


def damaged(data: bytes, draw: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(found) + 1)
        kind = draw.randrange(5)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del found[at : at + draw.choice((1, 10, 1_000))]
        elif kind == 2:
            found[at:at] = found[at : at + draw.choice((1, 10, 1_000))]
        elif kind == 3:
            found[at:at] = draw.choice(HOSTILE)
        else:
            del found[at:]
    return bytes(found)


def pieces(data: bytes, draw: random.Random) -> list[bytes]:
    found = []
    while data:
        size = draw.choice((1, 50, 3_000, len(data)))
        found.append(data[:size])
        data = data[size:]
    return found


def parsed(chunks: list[bytes]) -> tuple[list[Message], str | None]:
    parser, found = MessageParser(LIMITS), list[Message]()
    try:
        for chunk in chunks:
            parser.feed(chunk)
            assert parser.bytes_held <= 20_000 + 50_000 + len(chunk)
            while (message := parser.next_message()) is not None:
                found.append(message)
        parser.finish()
    except (Malformed, LimitExceeded) as error:
        # With its place: an error without one differs from every other.
        return found, f"{error.place.offset!r}: {error}"
    return found, None


@pytest.mark.slow
def test_damaged_calls_end_in_a_typed_way_and_answer_everybody() -> None:
    draw = random.Random(SEED)
    print(f"seed {SEED}")
    originals = [recordings.load(name).received for name in CALLS]
    endings: Counter[Ending] = Counter()
    for _ in range(DAMAGES):
        data = damaged(draw.choice(originals), draw)
        driver = CallDriver(LIMITS)
        serials: list[int] = []
        for piece in pieces(data, draw):
            driver.feed(piece)
            if len(serials) < 2:
                serials += [driver.command("c"), driver.execute("a")]
        driver.core.lost(Ending.CUT, "", driver.now_ns)
        driver.drain()
        for output in driver.of(Deliver):
            str(output.message)
        assert driver.settled is not None
        endings[driver.settled.ending] += 1
        driver.core.settled(driver.now_ns)
        driver.drain()
        driver.wait(60)
        assert driver.closed is not None
        unanswered = {*serials} - driver.errors().keys() - {*driver.answered()}
        assert unanswered <= {*driver.completed()}
    assert endings[Ending.MALFORMED] > DAMAGES // 50
    assert endings[Ending.LATCHED] > 0


def test_damaged_streams_give_the_same_messages_whatever_the_chunks() -> None:
    draw = random.Random(SEED)
    originals = [recordings.load(name).received for name in (*CALLS, *OTHERS)]
    refused: list[str] = []
    for _ in range(DAMAGES // 4):
        data = damaged(draw.choice(originals), draw)
        whole = parsed([data])
        assert parsed(pieces(data, draw)) == whole
        if whole[1] is not None:
            refused.append(whole[1])
    assert refused
    assert not [text for text in refused if text.startswith("None")]


def test_damaged_clients_end_in_a_typed_way() -> None:
    draw = random.Random(SEED)
    originals = [recordings.load(name).received for name in OTHERS]
    for _ in range(DAMAGES // 4):
        core = inbound(LIMITS)
        for piece in pieces(damaged(draw.choice(originals), draw), draw):
            core.receive(piece, 0)
        core.lost(Ending.CUT, "", 0)
        assert core.outcome is not None
        assert core.deadline_ns() is None
