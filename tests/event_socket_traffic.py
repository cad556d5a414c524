"""Damages recorded traffic in ways that break its protocol, and looks where it is refused.

`python -m event_socket_traffic --changes 10000` in `tests` prints the counts, and ends with 1 when
damage was accepted, or refused elsewhere than at its place.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import event_socket_recordings as recordings
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply
from troth.streaming.eventsocket.parser import MessageParser
from troth.streaming.eventsocket.shell_record import INBOUND, OUTBOUND, protocol_image
from troth.streaming.eventsocket.testing.commands_in import CommandReader
from troth.streaming.eventsocket.testing.shell_traffic import check_traffic
from troth.vm import Image, LimitExceeded, Malformed

Piece = tuple[bool, bytes]
"""Whether it came from the switch, and the bytes."""

_STRAY: Final = b"Content-Type: command/reply\nReply-Text: +OK stray\n\n"
_NO_LENGTH: Final = b"Content-Type: text/event-plain\nContent-Length: -5\n\n"


class Damage(NamedTuple):
    """Damaged traffic, and where it has to be refused in the bytes from the switch."""

    kind: str
    pieces: tuple[Piece, ...]
    offset: int


@cache
def image(direction: str) -> Image:
    return protocol_image(direction)


def direction_of(name: str) -> str:
    """Of a recording: those of a call have names with a, b or c."""
    return OUTBOUND if name[0] in "abc" else INBOUND


@cache
def traffic(name: str) -> tuple[Piece, ...]:
    """A recording message by message: each command, and each message of the switch, when it came.

    A message that came in several chunks counts when its last byte came.
    """
    recording = recordings.load(name)
    pieces: list[Piece] = []
    ends = _ends(recording.received)
    taken = arrived = 0
    for step in recording.steps:
        if step.direction == "tx":
            pieces.append((False, recording.sent[step.offset : step.offset + step.length]))
        elif step.direction == "rx_chunk":
            arrived = step.offset + step.length
            while ends and ends[0] <= arrived:
                pieces.append((True, recording.received[taken : ends[0]]))
                taken = ends.pop(0)
    rest = recording.received[taken:]
    return (*pieces, *([(True, rest)] if rest else []))


def _ends(received: bytes) -> list[int]:
    """Where each message ends."""
    parser = MessageParser()
    parser.feed(received)
    starts = []
    while (message := parser.next_message()) is not None:
        starts.append(message.offset)
    return [*starts[1:], len(received)]


def check(name: str, pieces: Sequence[Piece]) -> tuple[str, int | None] | None:
    """None when the traffic is accepted; else the code and the offset."""
    direction = direction_of(name)
    try:
        check_traffic(pieces, direction, image=image(direction))
    except (Malformed, LimitExceeded) as error:
        return error.code, error.place.offset
    return None


def damage(name: str, draw: random.Random) -> Damage | None:
    """One change that no local type or framing allows; None where there is no place for it."""
    pieces = list(traffic(name))
    replies = [
        place for place, (from_switch, data) in enumerate(pieces) if from_switch and _reply(data)
    ]
    kind = draw.choice(("stray", "twice", "early", "other kind", "length", "cut"))
    switch = [place for place, piece in enumerate(pieces) if piece[0]]
    if not replies or not switch:
        return None
    at = draw.choice(replies)
    if kind in ("stray", "twice"):
        quiet = [place for place in replies if _all_answered(pieces, place)]
        if not quiet:
            return None
        at = draw.choice(quiet)
        pieces.insert(at + 1, (True, _STRAY if kind == "stray" else pieces[at][1]))
        return Damage(kind, tuple(pieces), _offset(pieces, at + 1))
    if kind == "early":
        first = next(place for place, piece in enumerate(pieces) if not piece[0])
        moved = pieces.pop(replies[0])
        place = min(first, replies[0])
        pieces.insert(place, moved)
        return Damage(kind, tuple(pieces), _offset(pieces, place))
    if kind == "other kind":
        old, new = b"Content-Type: command/reply", b"Content-Type: api/response"
        # A refusal may come in either form when the command was `api`.
        if old not in pieces[at][1] or any(
            w in pieces[at][1] for w in (b"Content-Length", b"-ERR")
        ):
            return None
        pieces[at] = (True, pieces[at][1].replace(old, new))
        return Damage(kind, tuple(pieces), _offset(pieces, at))
    at = draw.choice(switch)
    if kind == "length":
        pieces.insert(at, (True, _NO_LENGTH))
        return Damage(kind, tuple(pieces), _offset(pieces, at))
    cut = draw.randrange(1, len(pieces[at][1]))
    left = [*pieces[:at], (True, pieces[at][1][:cut])]
    return Damage(kind, tuple(left), _offset(pieces, at))


def _reply(data: bytes) -> bool:
    parser = MessageParser()
    parser.feed(data)
    return isinstance(parser.next_message(), CommandReply | ApiResponse)


def _all_answered(pieces: Sequence[Piece], at: int) -> bool:
    """No command waits for a reply after the message at `at`."""
    reader = CommandReader()
    sent = [data for from_switch, data in pieces[: at + 1] if not from_switch]
    commands = sum(len(reader.feed(data)) for data in sent)
    replies = sum(from_switch and _reply(data) for from_switch, data in pieces[: at + 1])
    return commands <= replies


def _offset(pieces: Sequence[Piece], at: int) -> int:
    return sum(len(data) for from_switch, data in pieces[:at] if from_switch)


def campaign(changes: int, seed: int) -> tuple[Counter[str], list[str]]:
    """The counts, and a line for whatever was not refused at its place."""
    draw = random.Random(seed)
    names = [name for name in recordings.names() if check(name, traffic(name)) is None]
    counts: Counter[str] = Counter()
    odd: list[str] = []
    while counts["damaged"] < changes:
        name = draw.choice(names)
        made = damage(name, draw)
        if made is None:
            continue
        counts["damaged"] += 1
        counts[f"kind {made.kind}"] += 1
        found = check(name, made.pieces)
        if found is None:
            counts["accepted"] += 1
            odd.append(f"accepted: {made.kind} in {name} at {made.offset}")
            continue
        counts["refused"] += 1
        if found[1] == made.offset:
            counts["at its place"] += 1
        else:
            odd.append(f"{made.kind} in {name}: at {found[1]}, expected {made.offset} ({found[0]})")
    return counts, odd


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m event_socket_traffic")
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=8)
    given = parser.parse_args(arguments)
    counts, odd = campaign(given.changes, given.seed)
    print(f"seed {given.seed}")
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    for line in odd[:20]:
        print(line)
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
