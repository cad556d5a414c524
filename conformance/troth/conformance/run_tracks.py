"""An artifact taken apart into tracks: what each endpoint and each coroutine did, in its own order.

Sessions, coroutines and roles are named by their numbers, which two runs of one program share
whatever their seeds and keys are; ids, salts, signatures and roots are left out. How tracks
interleave does not matter to anybody who compares them. What a network decides is left out, too:
how often another machine signs for what it took, and what was refused when it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

import msgpack

from troth.conformance.describe import describe
from troth.conformance.walk import Walk
from troth.conformance.world import Header, Principal
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.records import Kind
from troth.vm.statements import payload_commitment

_ENDPOINT_EXTENSION: Final = 1
_EXTENSION_BYTES: Final = frozenset((0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8))
"""First bytes of msgpack's extension types; a payload without them carries no endpoint."""


class Track(NamedTuple):
    """Whose doing it is. `role` is "" for what happens to a session as a whole."""

    session: int | None = None
    role: str = ""
    protocol: str = ""
    coroutine: int | None = None

    @property
    def name(self) -> str:
        if self.session is not None:
            who = f", {self.role}" if self.role else ""
            return f"session {self.session} of {self.protocol}{who}"
        return "the run" if self.coroutine is None else f"coroutine {self.coroutine}"


class Action(NamedTuple):
    """One thing that was done.

    Attributes:
        shape: everything comparable but the content.
        content: the payload, result or text; None when it is not in the file.
        commitment: of a message, together with the id of its session.
        said: the record in one line.
    """

    shape: Items
    content: bytes | None
    commitment: tuple[bytes, bytes] | None
    said: str
    record: int
    offset: int


class Tracks:
    """Iterate over it for (track, action), in the order of the file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._walk = Walk(stream)
        self._calls: dict[bytes, int] = {}
        self._readers: dict[int, Callable[[Items], tuple[Track, Items]]] = {
            Kind.OPEN: self._open,
            Kind.BUNDLE: lambda items: (Track(coroutine=items[7]), items[2:4]),
            Kind.RECEIVE: self._acted(slice(1, 6)),
            Kind.DELEGATE: self._acted(slice(1, 4)),
            Kind.NOTICE: self._acted(slice(1, 4)),
            Kind.ROTATE: self._acted(slice(1, 6)),
            Kind.RETIRE: self._acted(slice(1, 6)),
            Kind.TIMER: self._acted(slice(1, 3)),
            Kind.EXPIRE: self._acted(slice(1, 3)),
            Kind.DEPART: self._acted(slice(1, 3)),
            Kind.DETECT: self._acted(slice(1, 4)),
            Kind.SEND: self._acted(slice(1, 8)),
            Kind.CANCEL: self._cancel,
            Kind.STATUS: self._session_wide(slice(1, 5)),
            Kind.ASK_END: self._session_wide(slice(1, 2)),
            Kind.TROUBLE: self._session_wide(slice(1, 6)),
            Kind.UNDELIVERED: self._session_wide(slice(1, 6)),
            Kind.OVERWRITE: self._session_wide(slice(1, 6)),
            Kind.DROP: self._acted(slice(1, 5)),
            Kind.REJECT: self._session_wide(slice(1, 5)),
            Kind.SPAWN: self._spawn,
            Kind.TRANSFER: self._transfer,
            Kind.HALT: self._by_coroutine(slice(1, 2)),
            Kind.FAULT: self._fault,
            Kind.PRINT: self._by_coroutine(slice(1, 2)),
            Kind.INVOKE: self._invoke,
            Kind.COMPLETE: self._complete,
            Kind.ACQUIRE: self._by_coroutine(slice(1, 3)),
            Kind.RELEASE: self._by_coroutine(slice(1, 3)),
            Kind.MEET: self._meet,
            Kind.JOIN: self._acted(slice(1, 3)),
            Kind.FAIL: self._acted(slice(1, 4)),
            Kind.ARRIVE: self._acted(slice(1, 8)),
            Kind.PEER_JOIN: self._acted(slice(1, 3)),
            Kind.PEER_NOTICE: self._acted(slice(1, 4)),
            Kind.PEER_CANCEL: self._acted(slice(1, 4)),
            Kind.PEER_FAIL: self._acted(slice(1, 4)),
            Kind.PEER_DELEGATE: self._acted(slice(1, 4)),
            Kind.END: lambda items: (Track(), items[3:4]),
        }

    @property
    def torn(self) -> bool:
        """Whether the file stops early, inside of a record or before its end."""
        return self._walk.torn or not self._walk.world.ended

    @property
    def header(self) -> Header | None:
        return self._walk.world.header

    @property
    def principals(self) -> list[Principal]:
        return self._walk.world.principals

    def __iter__(self) -> Iterator[tuple[Track, Action]]:
        """
        Raises:
            Malformed, LimitExceeded, Unusable: as `Walk`.
        """
        for record in self._walk:
            reader = self._readers.get(record.items[0])
            if reader is not None:
                track, shape = reader(record.items)
                yield track, self._action(record, shape)

    def _action(self, record: RawRecord, shape: Items) -> Action:
        content, commitment = self._content(record.items)
        said = describe(record, self._walk.world).removeprefix(f"{record.index} ")
        kind = record.items[0]
        return Action((kind, *shape), content, commitment, said, record.index, record.offset)

    # --- whose, and what of it can be compared ------------------------------------------

    def _acted(self, part: slice) -> Callable[[Items], tuple[Track, Items]]:
        """For records whose third item is the role that acts."""
        return lambda items: (self._track(items[1], items[2]), items[part])

    def _session_wide(self, part: slice) -> Callable[[Items], tuple[Track, Items]]:
        return lambda items: (self._track(items[1], None), items[part])

    def _by_coroutine(self, part: slice) -> Callable[[Items], tuple[Track, Items]]:
        return lambda items: (Track(coroutine=items[1]), items[part])

    def _track(self, number: int, role: int | None) -> Track:
        protocol = self._walk.world.sessions[number].protocol
        name = "" if role is None else protocol.roles[role]
        return Track(session=number, role=name, protocol=protocol.name)

    def _open(self, items: Items) -> tuple[Track, Items]:
        protocol = self._walk.world.protocols[items[2]]
        settings = (protocol.id, protocol.name, *items[3:7])
        return Track(coroutine=items[8]), settings

    def _cancel(self, items: Items) -> tuple[Track, Items]:
        return self._track(items[1], items[2]), items[1:4]

    def _meet(self, items: Items) -> tuple[Track, Items]:
        """Keys and nonces differ from run to run."""
        return Track(coroutine=items[1]), tuple(role for role, _, _ in items[2])

    def _spawn(self, items: Items) -> tuple[Track, Items]:
        return Track(coroutine=items[1]), items[1:3]

    def _transfer(self, items: Items) -> tuple[Track, Items]:
        return Track(coroutine=items[3]), items[1:5]

    def _fault(self, items: Items) -> tuple[Track, Items]:
        """The message may hold ids, which differ from run to run."""
        return Track(coroutine=items[1]), (items[1], items[2], *items[4:8])

    def _invoke(self, items: Items) -> tuple[Track, Items]:
        self._calls[items[3]] = items[1]
        return Track(coroutine=items[1]), items[1:3]

    def _complete(self, items: Items) -> tuple[Track, Items]:
        return Track(coroutine=self._calls.pop(items[1])), items[2:3]

    # --- content -------------------------------------------------------------------------------

    def _content(self, items: Items) -> tuple[bytes | None, tuple[bytes, bytes] | None]:
        kind = items[0]
        if kind in (Kind.SEND, Kind.ARRIVE):
            salt, payload, commitment = items[8:11]
            session = self._walk.world.sessions[items[1]].id
            if payload is None:
                return None, (session, commitment)
            return self._plain(payload), (session, payload_commitment(salt, payload))
        if kind == Kind.INVOKE:
            return self._plain(items[4]), None
        if kind == Kind.COMPLETE:
            return items[3], None
        if kind in (Kind.FAIL, Kind.PEER_FAIL):
            return items[4].encode(), None
        return (items[2].encode() if kind == Kind.PRINT else b""), None

    def _plain(self, payload: bytes) -> bytes:
        """The payload with endpoints named by the numbers of their sessions."""
        if _EXTENSION_BYTES.isdisjoint(payload):
            return payload
        try:
            values = msgpack.unpackb(payload, use_list=False, ext_hook=self._named)
            packed: bytes = msgpack.packb(values)
        except (ValueError, msgpack.UnpackException):
            # Level 4 says what is wrong with it; here its bytes are enough.
            return payload
        return packed

    def _named(self, code: int, data: bytes) -> object:
        if code != _ENDPOINT_EXTENSION:
            return msgpack.ExtType(code, data)
        session_id, role = msgpack.unpackb(data)
        session = self._walk.world.sessions_by_id.get(session_id)
        return ["endpoint", session_id if session is None else session.index, role]
