"""Framing and decoding: what is read, what is refused, and how much is held."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from event_socket_recordings import one_by_one, parse
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.headers import (
    REMEMBERED_LINE_CHARACTERS_MAX,
    REMEMBERED_LINES_MAX,
    Headers,
    LineMemory,
    raw_headers,
    unquote,
)
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import (
    ApiResponse,
    AuthRequest,
    CommandReply,
    DisconnectNotice,
    Disposition,
    Message,
    OtherMessage,
    Rejection,
    content_of,
)
from troth.streaming.eventsocket.parser import MessageParser
from troth.vm.errors import LimitExceeded, Malformed, TrothError, Unusable

OK = b"Content-Type: command/reply\nReply-Text: +OK\n\n"


def plain(inner: bytes) -> bytes:
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(inner), inner)


def event(inner: bytes) -> Event:
    (message,) = parse([plain(inner)])
    assert isinstance(message, Event)
    return message


# --- framing --------------------------------------------------------------------------------


def test_f1_a_message_of_headers_only() -> None:
    (message,) = parse([OK])
    assert message == CommandReply(
        Headers([("Content-Type", "command/reply"), ("Reply-Text", "+OK")]), b"", 0
    )


def test_f2_a_body_without_content_type_is_read_and_stray_newlines_are_skipped() -> None:
    (message,) = parse([b"Content-Length: 21\n\nEvent-Name: HEARTBEAT\n\n"])
    assert isinstance(message, OtherMessage)
    assert message.content_type is None
    assert message.content["Event-Name"] == "HEARTBEAT"


def test_f3_two_messages_in_one_chunk_come_in_order() -> None:
    second = b"Content-Type: auth/request\n\n"
    first, last = parse([OK + second])
    assert isinstance(first, CommandReply)
    assert last == AuthRequest(len(OK))


def test_f4_the_end_at_once_is_no_error() -> None:
    assert parse([]) == []
    assert parse([b""]) == []


def test_f5_newlines_after_a_body_are_no_message() -> None:
    (message,) = parse([b"Content-Type: api/response\nContent-Length: 3\n\n+OK\n\n"])
    assert message == ApiResponse(
        Headers([("Content-Type", "api/response"), ("Content-Length", "3")]), b"+OK", 0
    )


def test_f6_messages_come_in_order_until_the_end() -> None:
    messages = parse([OK + plain(b"Event-Name: A\n\n") + plain(b"Event-Name: B\n\n") + OK])
    assert [m.name if isinstance(m, Event) else "reply" for m in messages] == [
        "reply", "A", "B", "reply",
    ]  # fmt: skip


def test_a_body_needs_no_newline_before_the_next_message() -> None:
    first = b"Content-Type: api/response\nContent-Length: 3\n\n+OK"
    assert [type(m) for m in parse([first + OK])] == [ApiResponse, CommandReply]


def test_lengths_count_bytes() -> None:
    text = "grüß".encode()
    (message,) = parse([b"Content-Type: api/response\nContent-Length: %d\n\n" % len(text) + text])
    assert isinstance(message, ApiResponse)
    assert message.text == "grüß"


def test_x10_a_body_split_inside_of_a_character() -> None:
    data = plain("Event-Name: X\nContent-Length: 5\n\ngrüß".encode()[:-2] + b"")
    whole = parse([data])
    for at in range(len(data)):
        assert parse([data[:at], data[at:]]) == whole


# --- replies and notices ----------------------------------------------------------------------


def test_p1_the_space_after_the_colon_is_optional() -> None:
    headers = raw_headers(b"Header1:some value\nOther-Header:other value")
    assert dict(headers) == {"Header1": "some value", "Other-Header": "other value"}
    assert headers["header1"] == "some value"


def test_p2_content_is_a_map() -> None:
    assert dict(content_of(b"Key:value\nOther-Key:other value")) == {
        "Key": "value",
        "Other-Key": "other value",
    }


def test_p3_content_may_be_a_plain_string() -> None:
    (message,) = parse([b"Content-Type: api/response\nContent-Length: 3\n\nOK."])
    assert isinstance(message, ApiResponse)
    assert (message.text, dict(message.content)) == ("OK.", {})


@pytest.mark.parametrize("kind", ["command/reply", "api/response", "log/data", "text/else"])
def test_p4_only_events_are_events(kind: str) -> None:
    (message,) = parse([f"Content-Type: {kind}\nContent-Length: 13\n\nEvent-Name: X".encode()])
    assert not isinstance(message, Event)


def test_p5_the_two_kinds_of_reply_are_exclusive() -> None:
    reply, response = parse([OK + b"Content-Type: api/response\nReply-Text: +OK\n\n"])
    assert isinstance(reply, CommandReply)
    assert not isinstance(reply, ApiResponse)
    assert isinstance(response, ApiResponse)
    assert not isinstance(response, CommandReply)


def test_p6_headers_and_a_message_body() -> None:
    found = event(b"Foo-Bar: Baz\nContent-Length: 12\n\nMessage body")
    assert (found["Foo-Bar"], found.text, found.defect) == ("Baz", "Message body", None)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"sofia%2Finternal%2F1000%40example.com", "sofia/internal/1000@example.com"),
        (b"%2B4512345678", "+4512345678"),
        (b"hello+world", "hello+world"),
        (b"%41lit", "Alit"),
        (b"%25zz", "%zz"),
        (b"100%", "100%"),
        (b"%zz%4", "%zz%4"),
        (b"Gr%C3%BC%c3%9f", "Grüß"),
        (b"%FF", "�"),
        (b"a%0AEvent-Name: forged", "a\nEvent-Name: forged"),
        (b"_undef_", "_undef_"),
    ],
)
def test_p7_to_p9_values_are_decoded_once(line: bytes, value: str) -> None:
    found = event(b"Event-Name: A\nX: " + line + b"\n\n")
    assert (found["X"], found.name, len(found.headers)) == (value, "A", 2)
    assert unquote(line.decode()) == value


def test_p10_the_content_of_a_reply_is_decoded_too() -> None:
    (message,) = parse([b"Content-Type: command/reply\nContent-Length: 9\n\nA: b%20c\n"])
    assert isinstance(message, CommandReply)
    assert message.content["A"] == "b c"


def test_p11_an_outer_header_is_not_decoded() -> None:
    (message,) = parse([b"Content-Type: text%2Fevent-plain\nContent-Length: 4\n\nA: b"])
    assert isinstance(message, OtherMessage)
    assert message.content_type == "text%2Fevent-plain"


@pytest.mark.parametrize("kind", ["command/reply", "api/response"])
def test_p12_and_p13_errors_are_told_from_answers(kind: str) -> None:
    wrong, right, silent = parse(
        [
            f"Content-Type: {kind}\nReply-Text: {text}\n\n".encode()
            for text in ("-ERR no", "+OK", "")
        ]
    )
    for message, expected in ((wrong, True), (right, False), (silent, False)):
        assert isinstance(message, CommandReply | ApiResponse)
        assert message.is_error is expected


def test_x7_an_error_in_the_body_of_an_api_response_is_an_error() -> None:
    (message,) = parse([b"Content-Type: api/response\nContent-Length: 9\n\n-ERR no!\n"])
    assert isinstance(message, ApiResponse)
    assert message.is_error


def test_notices_say_what_they_announce() -> None:
    def notice(lines: bytes) -> DisconnectNotice:
        (message,) = parse([b"Content-Type: text/disconnect-notice\n" + lines + b"\n"])
        assert isinstance(message, DisconnectNotice)
        return message

    linger = notice(b"Controlled-Session-UUID: u\nContent-Disposition: linger\nLinger-Time: -1\n")
    assert (linger.disposition, linger.uuid) == (Disposition.LINGER, "u")
    assert notice(b"Content-Disposition: disconnect\n").disposition is Disposition.DISCONNECT
    assert notice(b"").disposition is Disposition.UNSAID
    assert notice(b"Content-Disposition: else\n").disposition is Disposition.UNSAID
    body = b"The system is being shut down.\n"
    assert notice(b"Content-Length: 31\n\n" + body[:-1]).is_shutdown


def test_a_rejection_is_one() -> None:
    (message,) = parse([b"Content-Type: text/rude-rejection\nContent-Length: 3\n\nno\n"])
    assert message == Rejection(b"no\n", 0)


# --- events -----------------------------------------------------------------------------------


def test_an_event_without_a_newline_at_its_end() -> None:
    assert event(b"Event-Name: A").name == "A"


def test_the_last_of_two_lengths_counts() -> None:
    found = event(b"Content-Length: 99\nEvent-Name: A\nContent-Length: 3\n\nabc")
    assert (found.text, found.defect) == ("abc", None)
    assert found.headers.every("content-length") == ("99", "3")


def test_a_wrong_length_inside_of_an_event_ends_nothing() -> None:
    wrong, after = parse([plain(b"Event-Name: A\nContent-Length: 60\n\nabc") + OK])
    assert isinstance(wrong, Event)
    assert (wrong.name, wrong.text) == ("A", "abc")
    assert wrong.defect == "its body has 3 bytes, its Content-Length is 60"
    assert isinstance(after, CommandReply)


def test_a_name_in_an_event_body_is_not_its_name() -> None:
    assert event(b"Event-Name: A\nContent-Length: 15\n\n\nEvent-Name: B\n"[:-1]).name == "A"


def test_the_last_name_counts_before_and_after_decoding() -> None:
    found = event(b"Event-Name: A\nX: 1\nEvent-Name: B%20C\n\n")
    assert found.name == "B C" == found["Event-Name"] == found.name


def test_lines_without_a_colon_do_not_become_headers() -> None:
    found = event(b"Event-Name: A\nforged\n: nameless\n\n")
    assert dict(found.headers) == {"Event-Name": "A"}
    assert found.headers.stray_lines == ("forged", ": nameless")


def test_events_are_equal_when_they_say_the_same() -> None:
    assert event(b"Event-Name: A\n\n") == event(b"Event-Name: A\n\n")
    assert event(b"Event-Name: A\n\n") != event(b"Event-Name: B\n\n")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"1", b'{"a": 1}', b'{"a": {"b": "c"}}', b'{"a": [["b"]]}', b"[" * 5000],
)
def test_json_that_is_no_event_is_kept_and_told(raw: bytes) -> None:
    found = Event(raw, format=EventFormat.JSON)
    if raw == b'{"a": 1}':
        assert found["a"] == "1"
        return
    assert found.defect is not None
    assert (found.name, found.body) == (None, raw)


def test_half_a_surrogate_in_json_can_be_written() -> None:
    assert Event(b'{"a": "x\\ud800y"}', format=EventFormat.JSON)["a"].encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<event></event>",
        b"<event><headers><A>b</A>",
        b"<event><headers><A>b</B></headers></event>",
        b'<!DOCTYPE x [<!ENTITY a "aa">]><event><headers/></event>',
        b"<event><headers></headers><body>x</body></event>",
    ],
)
def test_xml_that_is_no_event_is_kept_and_told(raw: bytes) -> None:
    found = Event(raw, format=EventFormat.XML)
    assert found.defect is not None
    assert found.body == raw


def test_xml_entities_are_the_five_and_numbers() -> None:
    raw = (
        b"<event><headers><A>1%25</A></headers><Content-Length>1</Content-Length>"
        b"<body>&lt;&amp;amp;&#65;&#x42;&#55296;&#9999999;&bomb;</body></event>"
    )
    found = Event(raw, format=EventFormat.XML)
    assert (found["A"], found.text) == ("1%", "<&amp;AB&#55296;&#9999999;&bomb;")


# --- hostile input ----------------------------------------------------------------------------


def refused(chunks: Iterable[bytes], limits: Limits | None = None) -> TrothError:
    with pytest.raises((Malformed, LimitExceeded)) as caught:
        parse(chunks, limits)
    return caught.value


@pytest.mark.parametrize(
    ("data", "code", "offset"),
    [
        (OK + b"A: b\0c\n\n", "esl.malformed.nul", len(OK) + 4),
        (OK + b"Content-Length: -1\n\n", "esl.malformed.content_length", len(OK)),
        (b"Content-Length: 1e3\n\n", "esl.malformed.content_length", 0),
        (b"Content-Length: \xd9\xa1\n\n", "esl.malformed.content_length", 0),
        (b"Content-Length:\n\n", "esl.malformed.content_length", 0),
        (b"Content-Length: 2\nContent-Length: 2\n\nab", "esl.malformed.content_length", 0),
        (b"content-length: 2\nContent-Length: 1\n\nab", "esl.malformed.content_length", 0),
        (b"Content-Length: %b\n\n" % (b"9" * 20), "esl.malformed.content_length", 0),
        (b"Content-Length: %b\n\n" % (b"9" * 19), "esl.limit.body_bytes_max", 0),
        (b"Content-Length: 999999999\nContent-Type: text/event-plain\n\n",
         "esl.limit.event_bytes_max", 0),
        (b"a\n" * 8_193 + b"\n", "esl.limit.header_count_max", 0),
        (OK + b"Content-Type: command/reply\nRe", "esl.malformed.cut", len(OK)),
        (b"Content-Type: api/response\nContent-Length: 9\n\nabc", "esl.malformed.cut", 0),
    ],
)  # fmt: skip
def test_what_cannot_be_a_message_is_refused_with_its_place(
    data: bytes, code: str, offset: int
) -> None:
    for error in (refused([data]), refused(one_by_one(data))):
        assert (error.code, error.place.offset) == (code, offset)
        assert error.expected
        assert error.actual
        assert error.advice


def test_endless_headers_are_refused_at_the_limit() -> None:
    limits = Limits(header_bytes_max=100)
    for size, ends in ((98, True), (99, True), (100, True), (101, False), (5_000, False)):
        data = b"A: " + b"x" * (size - 3) + b"\n\n"
        if ends:
            assert len(parse([data], limits)) == len(parse(one_by_one(data), limits)) == 1
        else:
            assert refused([data], limits).code == "esl.limit.header_bytes_max"
            assert refused(one_by_one(data), limits).code == "esl.limit.header_bytes_max"


def test_no_more_than_the_limit_is_held() -> None:
    parser = MessageParser(Limits(header_bytes_max=1_000))
    held, codes = 0, set[str]()
    for _ in range(1_000):
        parser.feed(b"A: b\n" * 10)
        held = max(held, parser.bytes_held)
        try:
            assert parser.next_message() is None
        except LimitExceeded as error:
            codes.add(error.code)
    assert codes == {"esl.limit.header_bytes_max"}
    assert held <= 1_100
    parser.feed(b"x" * 10_000)
    assert parser.bytes_held == 0


def test_bodies_at_the_limit_and_one_past_it() -> None:
    limits = Limits(event_bytes_max=20, body_bytes_max=30)
    for kind, most in (("text/event-plain", 20), ("text/event-json", 20), ("api/response", 30)):
        head = f"Content-Type: {kind}\nContent-Length: "
        assert len(parse([f"{head}{most}\n\n".encode() + b"x" * most], limits)) == 1
        assert refused([f"{head}{most + 1}\n\n".encode()], limits).code.startswith("esl.limit.")


def test_events_of_too_many_lines_are_kept_and_told() -> None:
    limits = Limits(header_count_max=3, json_items_max=5)
    assert Event(b"a: 1\nb: 2\nc: 3\n\n", limits=limits).defect is None
    assert "header_count_max" in str(Event(b"a: 1\nb: 2\nc: 3\nd: 4\n\n", limits=limits).defect)
    assert Event(b'{"a": ["1", "2", "3"]}', format=EventFormat.JSON, limits=limits).defect is None
    many = Event(b'{"a": ["1", "2", "3", "4", "5"]}', format=EventFormat.JSON, limits=limits)
    assert "json_items_max" in str(many.defect)
    elements = b"".join(b"<h%d>v</h%d>" % (n, n) for n in range(4))
    raw = b"<event><headers>" + elements + b"</headers></event>"
    found = Event(raw, format=EventFormat.XML, limits=limits)
    assert "header_count_max" in str(found.defect)


def test_messages_before_an_error_are_given_and_the_error_stays() -> None:
    parser = MessageParser()
    parser.feed(OK + b"Content-Length: -1\n\n" + OK)
    first: Message | None = parser.next_message()
    assert isinstance(first, CommandReply)
    for _ in range(3):
        with pytest.raises(Malformed):
            parser.next_message()
    with pytest.raises(Malformed):
        parser.finish()


def test_remembered_lines_are_bounded() -> None:
    memory = LineMemory()
    long_line = "X: " + "y" * REMEMBERED_LINE_CHARACTERS_MAX
    assert memory[long_line] == ("X", "y" * REMEMBERED_LINE_CHARACTERS_MAX)
    assert long_line not in memory
    for number in range(3 * REMEMBERED_LINES_MAX):
        assert memory[f"X: {number}"] == ("X", str(number))
        assert len(memory) <= REMEMBERED_LINES_MAX


def test_limits_are_above_zero() -> None:
    with pytest.raises(Unusable, match="reply_s"):
        Limits(reply_s=0)
    with pytest.raises(Unusable, match="header_bytes_max"):
        Limits(header_bytes_max=-1)
