"""Machines inside a link: which stream their frames take, and that none is said twice at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from link_pairs import MS, SECOND, Pair
from stream_play import SMALL, events
from troth.streaming.link import ControlMessage, InputEdge
from troth.streaming.netem import Conditions, Step
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_local import LocalOptions, LocalResult, run_local
from troth.streaming.session.shell_place import LinkPlace
from troth.streaming.session.ways_of_words import Stream, streams_of
from troth.streaming.shell_one_line import OneLine
from troth.streaming.transport_limits import INPUT_BYTES_MAX
from troth.vm.envelope import (
    Envelope,
    HeadEnvelope,
    MessageEnvelope,
    NoticeEnvelope,
    beginning,
    encode_envelope,
)
from troth.vm.link_frames import Ack, Data, Frame, Hello, Prove, encode_frame
from virtual_time import run_virtually

ACTS, OTHER = b"a" * 32, b"o" * 32
URGENT = (beginning(MessageEnvelope, ACTS),)


def _frame(number: int) -> Frame:
    return Data(number, b"envelope")


def _lines(place: LinkPlace) -> OneLine:
    return place.lines(
        Hello(1, bytes(16), bytes(16), ("Client",)),
        prove=lambda _challenge: Prove(()),
        on_line=lambda _line: None,
        on_frame=lambda _line, _frame: None,
        on_lost=lambda _line: None,
    )


def _head(size: int) -> Envelope:
    return HeadEnvelope(bytes(32), bytes(32), size, bytes(32), bytes(32), 1, 1, 0, False, bytes(64))


def _said(session: bytes, payload: bytes = b"") -> Envelope:
    return MessageEnvelope(
        session, "Client", "Host", 1, "pressed", 0, 0, bytes(32), payload, bytes(64), None
    )


def _data(*envelopes: Envelope) -> list[Frame]:
    return [Data(number, encode_envelope(one)) for number, one in enumerate(envelopes)]


def _streams(*envelopes: Envelope) -> list[tuple[Stream, ...]]:
    return [streams for _, streams in streams_of(_data(*envelopes), URGENT)]


def test_input_has_a_stream_of_its_own_and_a_head_goes_wherever_it_is_needed() -> None:
    control, acts = (Stream.CONTROL,), (Stream.INPUT,)
    notice = NoticeEnvelope(ACTS, "Client", (), bytes(64))
    assert _streams(_said(OTHER), _said(ACTS), notice) == [control, acts, control]
    assert _streams(_head(1), _said(ACTS), _said(ACTS)) == [acts, acts, acts]
    assert _streams(_head(1), _said(OTHER)) == [control, control]
    assert _streams(_head(1), _said(ACTS), _head(2), _said(OTHER)) == [acts, acts, control, control]
    assert _streams(_head(1), _said(OTHER), _said(ACTS)) == [control + acts, control, acts]
    assert _streams(_head(1)) == [control], "nobody waits for it"
    assert streams_of([Ack(0, ())], URGENT) == [(Ack(0, ()), control)]
    assert streams_of(_data(_said(ACTS)), ()) == [(*_data(_said(ACTS)), control)]


def test_input_passes_what_is_long_or_lost_on_the_control_stream() -> None:
    pair = Pair(1, [Step(0, Conditions(delay_ns=20 * MS, rate_bits=2_000_000))])
    pair.connect()
    place = LinkPlace(pair.client, lambda: None)
    place.hurry(ACTS)
    _lines(place)
    place.send(_data(_said(OTHER, bytes(500_000)), _said(ACTS)))
    pair.run(100 * MS)
    (came,) = pair.of(InputEdge, pair.host_events)
    assert came.data == encode_frame(_data(_said(OTHER), _said(ACTS))[1])
    assert not pair.of(ControlMessage, pair.host_events), "half a megabyte takes two seconds"
    place.send(_data(_said(ACTS, bytes(INPUT_BYTES_MAX))))
    pair.run(5 * SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 2, "what is too long waits its turn"
    assert pair.host.counts.bad_chunk == 0


def _typed(loss: float) -> LocalResult:
    wanted = Wanted(picture=SMALL, bitrate_kbps=600, seconds=3)
    steps = (Step(0, Conditions(delay_ns=20 * MS, loss=loss)),)
    return run_virtually(functools.partial(run_local, LocalOptions(wanted=wanted, steps=steps)))


@contextmanager
def _watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often each stream carried something."""
    carried = [0, 0]
    carry = LinkPlace._carry

    def counted(place: LinkPlace, data: bytes, stream: Stream) -> bool:
        carried[stream] += 1
        return carry(place, data, stream)

    with monkeypatch.context() as patched:
        patched.setattr(LinkPlace, "_carry", counted)
        yield carried


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_all_of_a_sessions_input_goes_that_way(
    monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    with _watched(monkeypatch) as carried:
        result = _typed(loss)
    assert result.ok
    assert len(events(result.host, "input_latency")) > 10
    assert result.host.keys.down == ()
    assert carried[Stream.INPUT] >= result.host.keys.injected


def test_what_is_under_way_is_not_doubled_and_what_has_arrived_may_be_said_again() -> None:
    pair = Pair(1, [Step(0, Conditions(delay_ns=20 * MS))])
    pair.connect()
    lines = _lines(LinkPlace(pair.client, lambda: None))
    for _ in range(5):
        assert lines.send(_frame(1))
        assert lines.send(_frame(2))
    pair.run(SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 2
    assert lines.send(_frame(1))
    pair.run(SECOND)
    assert len(pair.of(ControlMessage, pair.host_events)) == 3
