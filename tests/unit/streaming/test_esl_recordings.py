"""Every recording parses to the same messages whole, byte by byte and as it came."""

from __future__ import annotations

import json

import pytest

import event_socket_recordings as recordings
import fixtures_path
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.messages import ApiResponse, CommandReply, DisconnectNotice


@pytest.mark.parametrize("name", recordings.names())
def test_three_ways_of_feeding_give_the_same_messages(name: str) -> None:
    recording = recordings.load(name)
    whole = recordings.parse([recording.received])
    assert recordings.parse(recordings.one_by_one(recording.received)) == whole
    assert b"".join(recording.chunks()) == recording.received
    assert recordings.parse(recording.chunks()) == whole
    assert whole


@pytest.mark.parametrize("name", recordings.names())
def test_messages_are_those_that_the_recorder_saw(name: str) -> None:
    recording = recordings.load(name)
    path = fixtures_path.require(f"esl/{recording.name}.timeline.json")
    seen = [line for line in json.loads(path.read_text("utf-8"))["timeline"] if line["dir"] == "rx"]
    messages = recordings.parse([recording.received])
    assert [message.offset for message in messages] == [line["off"] for line in seen]
    for message, line in zip(messages, seen, strict=True):
        if isinstance(message, Event):
            assert message.format.value == line["ctype"]
            assert message.defect is None
            if message.format is EventFormat.PLAIN:
                assert (message.name, message.get("Application")) == (line["event"], line["app"])
        elif isinstance(message, CommandReply):
            # The recorder kept the reply to `connect` as it stands on the wire.
            stated = line["reply"].replace("%2B", "+").replace("%0A", "\n").strip()
            assert message.text == stated
        elif isinstance(message, ApiResponse | DisconnectNotice):
            assert len(message.body) == line["body"]


@pytest.mark.parametrize("name", recordings.names())
def test_the_name_is_the_same_before_and_after_decoding(name: str) -> None:
    for message in recordings.parse([recordings.load(name).received]):
        if isinstance(message, Event):
            before = message.name
            assert message.headers.get("Event-Name") == before == message.name


def test_x1_a_header_that_only_ends_in_content_length_is_no_length() -> None:
    """A caller's SIP header `X-Content-Length: 60` is in the outer block of the connect reply."""
    first, second, *_ = recordings.parse([recordings.load("a11").received])
    assert isinstance(first, CommandReply)
    assert first.headers["variable_sip_h_X-Content-Length"] == "60"
    assert first.body == b""
    assert isinstance(second, CommandReply)
    assert second.text == "+OK Events Enabled"


def test_x2_an_event_without_a_name_is_an_event() -> None:
    events = [m for m in recordings.parse([recordings.load("a8").received]) if isinstance(m, Event)]
    (nameless,) = [event for event in events if event.name is None]
    assert nameless["API-Command"] == "msleep"
    assert nameless.defect is None


def test_a_connect_reply_is_decoded_and_other_replies_are_not() -> None:
    reply = recordings.parse([recordings.load("a11").received])[0]
    assert isinstance(reply, CommandReply)
    assert reply.text == "+OK"
    assert reply.headers["Caller-Caller-ID-Number"] == "+4512345678"
    assert reply.headers["variable_switch_r_sdp"].startswith("v=0\r\no=user1 ")
    raw = [m.text for m in recordings.parse([recordings.load("c5d").received])
           if isinstance(m, CommandReply)]  # fmt: skip
    assert "a: b%20c + d" in raw
    assert "100%25 grüß +x" in raw


def test_json_and_xml_events_say_what_the_plain_ones_say() -> None:
    events = [m for m in recordings.parse([recordings.load("e3").received]) if isinstance(m, Event)]
    json_events = [event for event in events if event.format is EventFormat.JSON]
    xml_events = [event for event in events if event.format is EventFormat.XML]
    assert json_events[0]["X-Text"] == 'a b: c%20d + "e" \\ /'
    assert json_events[1].body == b"body: 1\n\nline"
    assert json_events[2].headers.every("X-Array") == ("a", "b c", "d,e")
    assert json_events[2]["X-Uml"] == "grüß"
    assert xml_events[0]["X-Text"] == "a < b & c"
    assert xml_events[1].body == b"body: 1\n\nline"


def test_a_background_job_has_its_result_as_body() -> None:
    events = [m for m in recordings.parse([recordings.load("e4").received]) if isinstance(m, Event)]
    results = [event.text for event in events if event.name == "BACKGROUND_JOB"]
    assert any(text.startswith("UP ") for text in results)


def test_big_events_arrive_whole() -> None:
    events = [m for m in recordings.parse([recordings.load("e8").received]) if isinstance(m, Event)]
    assert max(len(event.body) for event in events) == 300_000
    assert max(len(value) for event in events for value in event.headers.values()) >= 90_000
