"""Any bytes at all: typed errors only, the same whatever the chunks, and no more held than said."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.headers import LineMemory, unquote
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import Message
from troth.streaming.eventsocket.parser import MessageParser
from troth.vm.errors import LimitExceeded, Malformed

LIMITS = Limits(header_bytes_max=200, header_count_max=8, event_bytes_max=64, body_bytes_max=99)

pieces = st.sampled_from(
    [
        b"Content-Length: ", b"Content-Type: ", b"text/event-plain", b"text/event-json", b"\n",
        b"\n\n", b"command/reply", b"api/response", b"Event-Name: A\n", b"5", b"-1", b"\0", b"%0A",
        b"text/disconnect-notice", b'{"a":"b"}', b"<event><headers>", b"\xff", b"Reply-Text: +OK",
        b"auth/request", b"text/event-xml", b"log/data", b"99", b"100",
    ]
)  # fmt: skip
streams = st.lists(pieces | st.binary(max_size=6), max_size=40).map(b"".join)


def results(chunks: list[bytes]) -> tuple[list[Message], str | None]:
    parser, found = MessageParser(LIMITS), list[Message]()
    try:
        for chunk in chunks:
            parser.feed(chunk)
            assert parser.bytes_held <= 200 + 99 + 2 + len(chunk)
            while (message := parser.next_message()) is not None:
                found.append(message)
        parser.finish()
    except (Malformed, LimitExceeded) as error:
        return found, str(error)
    return found, None


@given(streams, st.lists(st.integers(0, 300), max_size=10))
def test_chunks_make_no_difference(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    whole = results([data])
    assert results([data[a:b] for a, b in pairwise(edges)]) == whole
    assert results([data[i : i + 1] for i in range(len(data))]) == whole


@given(st.sampled_from(EventFormat), st.binary(max_size=200) | streams)
def test_the_inside_of_an_event_never_fails(form: EventFormat, raw: bytes) -> None:
    found = Event(raw, format=form, limits=LIMITS)
    before = found.name
    assert found.headers.get("Event-Name", "") == (before or "")
    assert isinstance(found.body, bytes)
    for name, value in found.headers.pairs:
        (name + value).encode()


@given(st.text(max_size=60))
def test_what_is_encoded_is_decoded(value: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in value.encode("utf-8", "replace"))
    assert unquote(encoded).encode() == value.encode("utf-8", "replace")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)))
def test_memory_changes_nothing(lines: list[str]) -> None:
    shared = LineMemory()
    for line in lines + lines:
        assert shared[line] == LineMemory()[line]
