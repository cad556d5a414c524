"""Where the protocols come from by which sessions are judged: the file's image, or your pins."""

from __future__ import annotations

from collections.abc import Iterable

from troth.conformance.tables import TraceTables, build_tables
from troth.vm.loaded import LoadedImage, ProtocolTables


class Pins:
    """The protocols that sessions may follow, by content id.

    `loaded` are whole protocols, such as those of a script; `ids` are known by their id only,
    and then the file must bring the protocol itself.
    """

    def __init__(self, *, loaded: Iterable[LoadedImage] = (), ids: Iterable[bytes] = ()) -> None:
        self.protocols: dict[bytes, ProtocolTables] = {
            tables.id: tables for image in loaded for tables in image.protocols
        }
        self.ids = frozenset(ids) | frozenset(self.protocols)

    def describe(self) -> str:
        """The pinned ids, with names where they are known."""
        named = [
            f"{tables.protocol.name} {content_id.hex()}"
            for content_id, tables in self.protocols.items()
        ]
        bare = sorted(content_id.hex() for content_id in self.ids - set(self.protocols))
        return ", ".join(named + bare)


class ProtocolSource:
    """Finds the tables of a protocol by its content id; a pin comes before the file's image."""

    def __init__(self, pins: Pins | None) -> None:
        self.pins = pins
        self.has_image = False
        self._known: dict[bytes, ProtocolTables] = dict(pins.protocols) if pins else {}
        self._built: dict[bytes, TraceTables] = {}

    def add_image(self, image: LoadedImage) -> None:
        self.has_image = True
        for tables in image.protocols:
            self._known.setdefault(tables.id, tables)

    def tables(self, content_id: bytes) -> TraceTables | None:
        """The protocol with this id; None when nobody provides it."""
        if content_id not in self._known:
            return None
        if content_id not in self._built:
            self._built[content_id] = build_tables(self._known[content_id])
        return self._built[content_id]

    def is_pinned(self, content_id: bytes) -> bool:
        return self.pins is not None and content_id in self.pins.ids
