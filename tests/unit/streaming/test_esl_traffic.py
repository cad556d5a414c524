"""Recorded traffic keeps the protocols; damaged traffic is refused at its place."""

from __future__ import annotations

import random

import pytest

import event_socket_recordings as recordings
import event_socket_traffic as traffic
from event_socket_calls import CONNECT_REPLY, LINGER_NOTICE, OK, event, response
from troth.streaming.eventsocket.shell_record import OUTBOUND
from troth.streaming.eventsocket.testing import check_traffic
from troth.vm import LimitExceeded, Malformed

DAMAGES = 60
"""In the ordinary run; `python -m event_socket_traffic` makes ten thousand."""

TX, RX = False, True
SET_UP = [(TX, b"connect\n\n"), (RX, CONNECT_REPLY)]


@pytest.mark.parametrize("name", recordings.names())
def test_every_recording_keeps_its_protocol(name: str) -> None:
    assert traffic.check(name, traffic.traffic(name)) is None


def test_damaged_recordings_are_refused_at_their_place() -> None:
    counts, odd = traffic.campaign(DAMAGES, seed=3)
    assert not odd
    assert counts["at its place"] == counts["damaged"] == DAMAGES
    assert len([name for name in counts if name.startswith("kind")]) == 6


def test_every_kind_of_damage_finds_a_place() -> None:
    draw = random.Random(1)
    made = [traffic.damage("a1_linger_remote_hangup_during_playback", draw) for _ in range(200)]
    assert {one.kind for one in made if one} == {
        "stray", "twice", "early", "other kind", "length", "cut",
    }  # fmt: skip


def test_what_was_seen_is_counted() -> None:
    told = check_traffic([*SET_UP, (TX, b"linger\n\n"), (RX, OK + LINGER_NOTICE)])
    assert told == (3, 2)


@pytest.mark.parametrize(
    ("pieces", "at"),
    [
        ([(RX, OK)], 0),
        ([*SET_UP, (RX, OK)], len(CONNECT_REPLY)),
        ([*SET_UP, (TX, b"api status\n\n"), (RX, OK)], len(CONNECT_REPLY)),
        ([*SET_UP, (TX, b"linger\n\n"), (RX, response("UP"))], len(CONNECT_REPLY)),
        ([*SET_UP, (RX, event("A") + OK)], len(CONNECT_REPLY) + len(event("A"))),
    ],
)
def test_a_reply_to_no_command_breaks_the_protocol(
    pieces: list[tuple[bool, bytes]], at: int
) -> None:
    with pytest.raises(Malformed) as caught:
        check_traffic(pieces)
    assert (caught.value.code, caught.value.place.offset) == ("esl.protocol", at)


def test_commands_sent_ahead_count_when_their_turn_comes() -> None:
    pieces = [
        (TX, b"connect\n\nlinger\n\napi status\n\n"),
        (RX, CONNECT_REPLY + OK),
        (RX, response("")),
    ]
    assert check_traffic(pieces).commands == 3


def test_what_is_no_message_is_refused_as_ever() -> None:
    with pytest.raises(Malformed) as caught:
        check_traffic([*SET_UP, (RX, b"Content-Length: -1\n\n")], OUTBOUND)
    assert caught.value.place.offset == len(CONNECT_REPLY)
    with pytest.raises((LimitExceeded, Malformed)):
        check_traffic([*SET_UP, (RX, b"a" * (2 << 20))])
