"""The commands that a switch gets, read as mod_event_socket reads them."""

from __future__ import annotations

from dataclasses import dataclass

from troth.streaming.eventsocket.headers import Headers, raw_headers, text_of


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its first line, its header lines, its body."""

    line: str
    headers: Headers
    body: str = ""

    @property
    def word(self) -> str:
        return self.line.split(" ", 1)[0].lower()

    @property
    def rest(self) -> str:
        return self.line.partition(" ")[2]


class CommandReader:
    """Bytes in, commands out. Newlines before a command are skipped, CRLF is accepted."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Command]:
        self._buffer = (self._buffer + data).replace(b"\r\n", b"\n")
        found: list[Command] = []
        while True:
            self._buffer = self._buffer.lstrip(b"\n")
            block, blank, rest = self._buffer.partition(b"\n\n")
            if not blank:
                return found
            first, _, lines = block.partition(b"\n")
            headers = raw_headers(lines)
            length = int(headers.get("Content-Length", "0"))
            if len(rest) < length:
                return found
            found.append(Command(text_of(first), headers, text_of(rest[:length])))
            self._buffer = rest[length:]
