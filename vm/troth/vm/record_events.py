"""Turns the records of an artifact back into the events they were made from.

The inverse of `recorder`, for readers that want the facts and not the evidence: `troth canon`,
`inspect`, re-execution. It resolves every index and refuses one that leads nowhere, but it
checks no hash, no signature and no meaning; that is the verifier's work. Memory grows with
what is alive at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from troth.vm import events as ev
from troth.vm.errors import Malformed, Place
from troth.vm.events import EdgeConfig, Event, Status
from troth.vm.lifecycle import LIVE
from troth.vm.reader import RawRecord
from troth.vm.record_codec import Items
from troth.vm.record_items import ENDED_SESSIONS_KEPT
from troth.vm.records import Kind
from troth.vm.statements import StepKind, payload_commitment


class _Principal(NamedTuple):
    name: str
    key: bytes


class _Protocol(NamedTuple):
    id: bytes
    name: str
    roles: tuple[str, ...]
    labels: tuple[str, ...]


class _Session(NamedTuple):
    id: bytes
    protocol: _Protocol
    signers: list[bytes]
    """The key that signs for each role now."""


class EventDecoder:
    """Call `decode` with every record of one artifact, in order."""

    def __init__(self) -> None:
        self._principals: list[_Principal] = []
        self._protocols: list[_Protocol] = []
        self._sessions: dict[int, _Session] = {}
        self._ended: dict[int, _Session] = {}
        self._coroutines: dict[int, bytes] = {}
        self._sessions_count = 0
        self._coroutines_count = 0
        self._place = Place()
        self._decoders: Final[dict[int, Callable[[Items], Event | None]]] = {
            Kind.PRINCIPAL: self._principal,
            Kind.PROTOCOL: self._protocol,
            Kind.OPEN: self._open,
            Kind.SEND: self._send,
            Kind.RECEIVE: self._receive,
            Kind.DELEGATE: self._delegate,
            Kind.NOTICE: self._notice,
            Kind.RECEIPT: self._receipt,
            Kind.STATUS: self._status,
            Kind.UNDELIVERED: self._undelivered,
            Kind.REJECT: self._reject,
            Kind.CANCEL: self._cancel,
            Kind.FAULT: self._fault,
            Kind.SPAWN: self._spawn,
            Kind.TRANSFER: self._transfer,
            Kind.HALT: self._halt,
            Kind.PRINT: self._print,
            Kind.INVOKE: self._invoke,
            Kind.COMPLETE: self._complete,
            Kind.TIME: self._time,
            Kind.ACQUIRE: self._acquire,
            Kind.RELEASE: self._release,
            Kind.INCARNATION: self._incarnation,
        }

    def decode(self, record: RawRecord) -> Event | None:
        """The record's event; None for records that are about the file itself.

        Raises:
            Malformed: code `structure.reference`.
        """
        decoder = self._decoders.get(record.items[0])
        if decoder is None:
            return None
        self._place = Place(offset=record.offset, record=record.index)
        return decoder(record.items[1:])

    # --- references ------------------------------------------------------------------------

    def _missing(self, what: str, number: int) -> Malformed:
        return Malformed(
            "structure.reference",
            f"this record names a {what} that is not there",
            place=self._place,
            expected=f"a {what} that an earlier record introduced and that has not ended",
            actual=f"number {number}",
            advice="Look for a dropped or moved record before this one",
        )

    def _session_at(self, number: int) -> _Session:
        session = self._sessions.get(number) or self._ended.get(number)
        if session is None:
            raise self._missing("session", number)
        return session

    def _coroutine_at(self, number: int) -> bytes:
        if number not in self._coroutines:
            raise self._missing("coroutine", number)
        return self._coroutines[number]

    def _key_at(self, number: int) -> bytes:
        if number >= len(self._principals):
            raise self._missing("principal", number)
        return self._principals[number].key

    def _text_at(self, what: str, texts: tuple[str, ...], number: int) -> str:
        if number >= len(texts):
            raise self._missing(what, number)
        return texts[number]

    def _role(self, session: _Session, number: int) -> str:
        return self._text_at("role", session.protocol.roles, number)

    # --- one method per kind, with the items after the kind ----------------------------------

    def _principal(self, items: Items) -> None:
        self._principals.append(_Principal(*items))

    def _protocol(self, items: Items) -> None:
        self._protocols.append(_Protocol(*items))

    def _open(self, items: Items) -> Event:
        session, number, principals, rows, seal, linger_ns, nonce, coroutine = items
        if number >= len(self._protocols):
            raise self._missing("protocol", number)
        protocol = self._protocols[number]
        keys = [self._key_at(principal) for principal in principals]
        if len(keys) != len(protocol.roles):
            raise self._missing("principal for each role; roles", len(keys))
        roles = protocol.roles
        edges = tuple(
            EdgeConfig(
                self._text_at("role", roles, sender), self._text_at("role", roles, receiver), *rest
            )
            for sender, receiver, *rest in rows
        )
        self._sessions[self._sessions_count] = _Session(session, protocol, keys)
        self._sessions_count += 1
        return ev.Opened(
            session,
            protocol.id,
            protocol.name,
            roles,
            protocol.labels,
            tuple(keys),
            edges,
            seal,
            linger_ns,
            nonce,
            self._coroutine_at(coroutine),
        )

    def _send(self, items: Items) -> Event:
        number, sender, receiver, kind, label, generation, sequence, *rest = items
        salt, payload, commitment, signature = rest
        session = self._session_at(number)
        return ev.Sent(
            session.id,
            self._role(session, sender),
            self._role(session, receiver),
            StepKind(kind),
            self._text_at("label", session.protocol.labels, label),
            generation,
            sequence,
            salt or b"",
            payload or b"",
            payload_commitment(salt, payload) if commitment is None else commitment,
            signature,
            session.signers[sender],
        )

    def _receive(self, items: Items) -> Event:
        number, receiver, sender, generation, sequence, root = items
        session = self._session_at(number)
        roles = self._role(session, receiver), self._role(session, sender)
        signer = session.signers[receiver]
        return ev.Received(session.id, *roles, generation, sequence, root, signer)

    def _delegate(self, items: Items) -> Event:
        number, role, principal, signature = items
        session = self._session_at(number)
        name = self._role(session, role)
        old, new = session.signers[role], self._key_at(principal)
        session.signers[role] = new
        return ev.Delegated(session.id, name, old, new, signature)

    def _notice(self, items: Items) -> Event:
        number, role, rows, signature = items
        session = self._session_at(number)
        finals = tuple((self._role(session, peer), *counts) for peer, *counts in rows)
        name = self._role(session, role)
        return ev.Noticed(session.id, name, finals, signature, session.signers[role])

    def _receipt(self, items: Items) -> Event:
        number, role, sender, generation, consumed, discarded, root, signature = items
        session = self._session_at(number)
        return ev.Receipted(
            session.id,
            self._role(session, role),
            self._role(session, sender),
            generation,
            consumed,
            discarded,
            root,
            signature,
            session.signers[role],
        )

    def _status(self, items: Items) -> Event:
        number, status, epoch, detail = items
        session = self._session_at(number)
        if Status(status) not in LIVE and self._sessions.pop(number, None) is not None:
            self._ended[number] = session
            if len(self._ended) > ENDED_SESSIONS_KEPT:
                del self._ended[next(iter(self._ended))]
        return ev.StatusChanged(session.id, Status(status), epoch, detail)

    def _undelivered(self, items: Items) -> Event:
        number, sender, receiver, generation, sequence = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.Undelivered(session.id, *roles, generation, sequence)

    def _reject(self, items: Items) -> Event:
        number, sender, receiver, code, digest = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.Rejected(session.id, *roles, code, digest)

    def _cancel(self, items: Items) -> Event:
        number, role, reason, round_number, signature = items
        session = self._session_at(number)
        if role is None:
            return ev.Cancelled(session.id, "", reason, round_number, b"", b"")
        name = self._role(session, role)
        return ev.Cancelled(session.id, name, reason, None, signature, session.signers[role])

    def _fault(self, items: Items) -> Event:
        number, code, message, program, pc, session_number, role = items
        coroutine = self._coroutine_at(number)
        del self._coroutines[number]
        session, name = b"", ""
        if session_number is not None:
            found = self._session_at(session_number)
            session, name = found.id, self._role(found, role)
        return ev.Faulted(coroutine, code, message, program, pc, session, name)

    def _spawn(self, items: Items) -> Event:
        parent, program, coroutine = items
        parent_id = b"" if parent is None else self._coroutine_at(parent)
        self._coroutines[self._coroutines_count] = coroutine
        self._coroutines_count += 1
        return ev.Spawned(coroutine, parent_id, program)

    def _transfer(self, items: Items) -> Event:
        number, role, source, target = items
        session = self._session_at(number)
        ends = self._coroutine_at(source), self._coroutine_at(target)
        return ev.Transferred(session.id, self._role(session, role), *ends)

    def _halt(self, items: Items) -> Event:
        coroutine = self._coroutine_at(items[0])
        del self._coroutines[items[0]]
        return ev.Halted(coroutine)

    def _print(self, items: Items) -> Event:
        return ev.Printed(self._coroutine_at(items[0]), items[1])

    def _invoke(self, items: Items) -> Event:
        number, effect, effect_id, arguments = items
        return ev.Invoked(self._coroutine_at(number), effect_id, effect, arguments)

    def _acquire(self, items: Items) -> Event:
        return ev.Acquired(self._coroutine_at(items[0]), items[1])

    def _release(self, items: Items) -> Event:
        return ev.Released(self._coroutine_at(items[0]), items[1])

    def _complete(self, items: Items) -> Event:
        return ev.Completed(*items)

    def _time(self, items: Items) -> Event:
        return ev.TimeSet(*items)

    def _incarnation(self, items: Items) -> Event:
        return ev.Resumed(*items)
