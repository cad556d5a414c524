"""What of a call goes into its record. What is left out never enters the machine.

Caller numbers, names, digits and the like are in headers, arguments and replies, so of these only
what is named here is kept. A record counts what was left out, and says first what is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from troth.vm.values import Record

VALUE_CHARACTERS_MAX: Final = 4_096
"""A longer value is left out, whatever it is."""
HEADERS_KEPT_MAX: Final = 256
"""So many headers of one event are kept at most."""

HARMLESS_HEADERS: Final = frozenset(
    {
        "Event-Name",
        "Event-Subclass",
        "Event-Date-Timestamp",
        "Unique-ID",
        "Job-UUID",
        "Application",
        "Application-UUID",
        "Application-Response",
        "Answer-State",
        "Channel-State",
        "Channel-Call-State",
        "Call-Direction",
        "Hangup-Cause",
        "Socket-Mode",
        "Control",
    }
)
"""What is kept by default: what happened to a channel, not who was on it."""

Kept = tuple[tuple[Record, ...], int]
"""Headers as a message carries them, and how many are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What a record keeps.

    Attributes:
        headers: the names of headers of events that are kept; None for all.
        arguments: keep the arguments of commands and applications.
        replies: keep the text of replies, the output of api commands, and lines of the log.
    """

    headers: frozenset[str] | None = HARMLESS_HEADERS
    arguments: bool = False
    replies: bool = False

    @classmethod
    def everything(cls) -> Privacy:
        """Nothing is left out but passwords, and what is too long."""
        return cls(headers=None, arguments=True, replies=True)

    def stated(self) -> list[str]:
        """What is kept, as a record says it."""
        headers = ["all headers"] if self.headers is None else sorted(self.headers)
        extra = [name for name in ("arguments", "replies") if getattr(self, name)]
        return [*headers, *extra]

    def pairs(self, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Kept:
        """The headers that are kept, and how many are not."""
        items = headers.items() if isinstance(headers, Mapping) else headers
        most, names = VALUE_CHARACTERS_MAX, self.headers
        every = list(items)
        known = every if names is None else [pair for pair in every if pair[0] in names]
        fit = [pair for pair in known if len(pair[0]) <= most and len(pair[1]) <= most]
        kept = tuple(
            Record((("name", sound(name)), ("value", sound(value))))
            for name, value in fit[:HEADERS_KEPT_MAX]
        )
        return kept, len(every) - len(kept)

    def argument(self, text: str) -> tuple[str, int]:
        """An argument, and whether it is hidden: 0 or 1."""
        return _text(text, self.arguments)

    def reply(self, text: str) -> tuple[str, int]:
        return _text(text, self.replies)


def sound(text: str) -> str:
    """Text that a message can carry: halves of characters become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _text(text: str, keep: bool) -> tuple[str, int]:
    if not text:
        return "", 0
    if keep and len(text) <= VALUE_CHARACTERS_MAX:
        return sound(text), 0
    return "", 1
