"""One event of the switch, in any of the three formats, decoded when somebody looks.

Only the framing of a connection is strict. What is inside of an event can be shaped by a remote
caller, so it never ends a connection: what cannot be read is kept as it came, and `defect` says
what is wrong with it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from troth.streaming.eventsocket.event_formats import Content, json_content, xml_content
from troth.streaming.eventsocket.headers import (
    NO_HEADERS,
    Headers,
    LineMemory,
    decoded_headers,
    text_of,
    unquote,
)
from troth.streaming.eventsocket.limits import Limits

_NAME: Final = b"Event-Name:"
_NAME_LATER: Final = b"\nEvent-Name:"


class EventFormat(Enum):
    """In which form a switch sends events; all of a connection have the same."""

    PLAIN = "text/event-plain"
    JSON = "text/event-json"
    XML = "text/event-xml"


class Event:
    """An event: its `name`, its `headers`, and its own `body` when it has one.

    `offset` is where its message began in the bytes from the switch.
    """

    __slots__ = ("_content", "_limits", "_memory", "_name", "_raw", "format", "offset")

    def __init__(
        self,
        raw: bytes,
        format: EventFormat = EventFormat.PLAIN,
        offset: int = 0,
        memory: LineMemory | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._raw = raw
        self._memory = memory
        self._limits = limits
        self._content: Content | None = None
        self._name: str | None = None
        self.format = format
        self.offset = offset

    @property
    def headers(self) -> Headers:
        return self._decoded().headers

    @property
    def body(self) -> bytes:
        """The event's own body, such as the result of a background job; often empty."""
        return self._decoded().body

    @property
    def text(self) -> str:
        return text_of(self.body)

    @property
    def defect(self) -> str | None:
        """What is wrong with the event's own content, or None."""
        return self._decoded().defect

    @property
    def name(self) -> str | None:
        """`Event-Name`. There are events without one: an `api_hangup_hook` makes them."""
        if self._name is None:
            self._name = self._find_name()
        return self._name or None

    @property
    def subclass(self) -> str | None:
        return self.get("Event-Subclass")

    @property
    def uuid(self) -> str | None:
        """`Unique-ID`: the channel that the event is about."""
        return self.get("Unique-ID")

    def get(self, name: str) -> str | None:
        return self.headers.get(name)

    def __getitem__(self, name: str) -> str:
        return self.headers[name]

    def variable(self, name: str) -> str | None:
        """The channel variable `name`, or None."""
        return self.headers.variable(name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        mine = (self.offset, self.format, self.headers, self.body, self.defect)
        return mine == (other.offset, other.format, other.headers, other.body, other.defect)

    # Compared by content that is decoded on access, never used as a key.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Event {self.name} {self.get('Unique-ID') or ''} at {self.offset}>"

    def _find_name(self) -> str:
        """The name without decoding everything, when nobody has asked for more yet."""
        if self._content is not None or self.format is not EventFormat.PLAIN:
            return self.headers.get("Event-Name") or ""
        raw = self._raw
        at, end = 0, len(raw)
        if raw.rfind(_NAME_LATER) >= 0:
            # The last one counts, but not one in the event's body.
            blank = raw.find(b"\n\n")
            end = end if blank < 0 else blank
            at = raw.rfind(_NAME_LATER, 0, end) + 1
        if at == 0 and not raw.startswith(_NAME):
            return self.headers.get("Event-Name") or ""
        stop = raw.find(b"\n", at, end)
        return unquote(text_of(raw[at + len(_NAME) : end if stop < 0 else stop]).strip())

    def _decoded(self) -> Content:
        if self._content is None:
            limits = self._limits or Limits()
            if self.format is EventFormat.JSON:
                self._content = json_content(self._raw, limits)
            elif self.format is EventFormat.XML:
                self._content = xml_content(self._raw, limits)
            else:
                memory = LineMemory() if self._memory is None else self._memory
                self._content = _plain_content(self._raw, memory, limits)
            self._raw, self._memory, self._limits = b"", None, None
        return self._content


def _plain_content(raw: bytes, memory: LineMemory, limits: Limits) -> Content:
    head, blank, rest = raw.partition(b"\n\n")
    most = limits.header_count_max
    if len(head) >= most and head.count(b"\n") >= most:
        return Content(NO_HEADERS, raw, f"more than header_count_max={limits.header_count_max}")
    headers = decoded_headers(head, memory)
    if not blank or not rest:
        return Content(headers, b"", None)
    # Of two lengths the last is the event's own: `sendevent` leaves the caller's in the middle.
    stated = headers.get("Content-Length", "")
    if stated == str(len(rest)):
        return Content(headers, rest, None)
    return Content(headers, rest, f"its body has {len(rest)} bytes, its Content-Length is {stated}")
