"""What a client has asked a switch to send, so that it can ask again on a new connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from troth.streaming.eventsocket import commands
from troth.streaming.eventsocket.event import EventFormat


class Subscriptions:
    """Names, subclasses and filters in the order in which they were asked for.

    The format is one for the whole connection: the switch changes it for all events at once.
    """

    def __init__(self, event_format: EventFormat = EventFormat.PLAIN) -> None:
        self.event_format = event_format
        self.everything = False
        self._names: dict[str, None] = {}
        self._custom: dict[str, None] = {}
        self._filters: dict[tuple[str, str], None] = {}
        self.log_level: str | None = None

    @property
    def has_filters(self) -> bool:
        return bool(self._filters)

    def includes(self, name: str) -> bool:
        return self.everything or name in self._names

    def add(self, names: Iterable[str], custom: Iterable[str]) -> None:
        """Without names and subclasses it is everything."""
        wanted, subclasses = list(names), list(custom)
        self.everything |= (not wanted and not subclasses) or "ALL" in wanted
        self._names.update(dict.fromkeys(name for name in wanted if name != "ALL"))
        self._custom.update(dict.fromkeys(subclasses))

    def remove(self, names: Iterable[str], custom: Iterable[str]) -> None:
        gone, subclasses = list(names), list(custom)
        if not gone and not subclasses:
            self.everything = False
            self._names.clear()
            self._custom.clear()
        for name in gone:
            self._names.pop(name, None)
        for name in subclasses:
            self._custom.pop(name, None)

    def add_filter(self, header: str, value: str) -> None:
        self._filters[header, value] = None

    def has_filter(self, header: str, value: str) -> bool:
        return (header, value) in self._filters

    def remove_filter(self, header: str | None, value: str | None) -> None:
        self._filters = {
            (name, wanted): None
            for name, wanted in self._filters
            if header is not None and (name != header or value not in (None, wanted))
        }

    def commands(self) -> Iterator[tuple[str, bytes]]:
        """What to send on a new connection: how messages call it, and its bytes."""
        if self.everything:
            yield "event", commands.subscribe((), (), self.event_format)
        elif self._names or self._custom:
            yield "event", commands.subscribe(self._names, self._custom, self.event_format)
        for header, value in self._filters:
            yield "filter", commands.filter_events(header, value)
        if self.log_level is not None:
            yield "log", commands.line(f"log {self.log_level}")
