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
from troth.vm.statements import StepKind, child_nonce, payload_commitment, role_nonce
from troth.vm.trouble_kind import Trouble


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
    nonces: tuple[bytes, ...]
    """What each role has added to the session's nonce, where several machines hold it."""


class EventDecoder:
    """Call `decode` with every record of one artifact, in order."""

    def __init__(self) -> None:
        self._principals: list[_Principal] = []
        self._protocols: list[_Protocol] = []
        self._sessions: dict[int, _Session] = {}
        self._ended: dict[int, _Session] = {}
        self._coroutines: dict[int, bytes] = {}
        self._opened: dict[int, int] = {}
        self._met: dict[int, dict[str, bytes]] = {}
        self._awaited: dict[bytes, tuple[bytes, ...]] = {}
        self._seed = b""
        self._sessions_count = 0
        self._coroutines_count = 0
        self._place = Place()
        self._decoders: Final[dict[int, Callable[[Items], Event | None]]] = {
            Kind.HEADER: self._header,
            Kind.PRINCIPAL: self._principal,
            Kind.PROTOCOL: self._protocol,
            Kind.OPEN: self._open,
            Kind.BUNDLE: self._bundle,
            Kind.SEND: self._send,
            Kind.RECEIVE: self._receive,
            Kind.DELEGATE: self._delegate,
            Kind.NOTICE: self._notice,
            Kind.RECEIPT: self._receipt,
            Kind.ROTATE: self._rotate,
            Kind.RETIRE: self._retire,
            Kind.TIMER: self._timer,
            Kind.EXPIRE: self._expire,
            Kind.DEPART: self._depart,
            Kind.DETECT: self._detect,
            Kind.PEER_ROTATE: self._peer_rotate,
            Kind.STATUS: self._status,
            Kind.UNDELIVERED: self._undelivered,
            Kind.OVERWRITE: self._overwrite,
            Kind.DROP: self._drop,
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
            Kind.ASK_END: self._ask_end,
            Kind.TROUBLE: self._trouble,
            Kind.ACQUIRE: self._acquire,
            Kind.RELEASE: self._release,
            Kind.INCARNATION: self._incarnation,
            Kind.PEER: self._principal,
            Kind.MEET: self._meet,
            Kind.JOIN: self._join,
            Kind.FAIL: self._fail,
            Kind.ARRIVE: self._arrive,
            Kind.REFUSE: self._refuse,
            Kind.PEER_HEAD: self._peer_head,
            Kind.PEER_JOIN: self._peer_join,
            Kind.PEER_DELEGATE: self._peer_delegate,
            Kind.PEER_NOTICE: self._peer_notice,
            Kind.PEER_RECEIPT: self._peer_receipt,
            Kind.PEER_CANCEL: self._peer_cancel,
            Kind.PEER_FAIL: self._peer_fail,
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

    def _end_coroutine(self, number: int) -> bytes:
        coroutine = self._coroutine_at(number)
        del self._coroutines[number]
        self._opened.pop(number, None)
        return coroutine

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

    def _header(self, items: Items) -> None:
        self._seed = items[2]

    def _principal(self, items: Items) -> None:
        self._principals.append(_Principal(*items))

    def _protocol(self, items: Items) -> None:
        self._protocols.append(_Protocol(*items))

    def _open(self, items: Items) -> Event:
        session, number, principals, rows, seal, linger_ns, nonce, coroutine, observed = items
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
        nonces = self._awaited.pop(nonce, None)
        if nonces is None:
            nonces = self._nonces(coroutine, roles)
        self._sessions[self._sessions_count] = _Session(session, protocol, keys, nonces)
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
            tuple(self._text_at("role", roles, role) for role in observed),
        )

    def _bundle(self, items: Items) -> Event:
        bundle, name, roles, principals, rows, nonce, coroutine = items
        keys = tuple(self._key_at(principal) for principal in principals)
        shares = dict(zip(roles, self._nonces(coroutine, roles), strict=False))
        children = []
        self._awaited = {}
        for child, number, players in rows:
            if number >= len(self._protocols):
                raise self._missing("protocol", number)
            protocol = self._protocols[number]
            names = tuple(self._text_at("role", roles, player) for player in players)
            own = tuple(shares[player] for player in names) if shares else ()
            self._awaited[child_nonce(bundle, child)] = own
            facts = (protocol.id, protocol.name, protocol.roles, protocol.labels)
            children.append(ev.ChildRow(child, *facts, names))
        opener = self._coroutine_at(coroutine)
        return ev.BundleOpened(bundle, name, roles, keys, tuple(children), nonce, opener)

    def _nonces(self, coroutine: int, roles: tuple[str, ...]) -> tuple[bytes, ...]:
        index = self._opened.get(coroutine, 0)
        self._opened[coroutine] = index + 1
        met = self._met.pop(coroutine, None)
        if met is None:
            return ()
        opener = self._coroutine_at(coroutine)
        return tuple(met.get(role) or role_nonce(self._seed, opener, index, role) for role in roles)

    def _send(self, items: Items) -> Event:
        session = self._session_at(items[0])
        message = self._message(session, items)
        return ev.Sent(*message, items[10], session.signers[items[1]])

    def _message(
        self, session: _Session, items: Items
    ) -> tuple[bytes, str, str, StepKind, str, int, int, bytes, bytes, bytes]:
        _, sender, receiver, kind, label, generation, sequence, salt, payload, commitment, *_ = (
            items
        )
        return (
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
        number, role, sender, generation, consumed, reliable, discarded, root, signature = items
        session = self._session_at(number)
        return ev.Receipted(
            session.id,
            self._role(session, role),
            self._role(session, sender),
            generation,
            consumed,
            reliable,
            discarded,
            root,
            signature,
            session.signers[role],
        )

    def _rotate(self, items: Items) -> Event:
        number, sender, receiver, generation, count, signature = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.Rotated(session.id, *roles, generation, count, signature, session.signers[sender])

    def _retire(self, items: Items) -> Event:
        number, receiver, sender, generation, root = items
        session = self._session_at(number)
        roles = self._role(session, receiver), self._role(session, sender)
        return ev.Retired(session.id, *roles, generation, root, session.signers[receiver])

    def _peer_rotate(self, items: Items) -> Event:
        number, sender, receiver, *rest = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.PeerRotated(session.id, *roles, *rest)

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

    def _overwrite(self, items: Items) -> Event:
        number, sender, receiver, generation, sequence = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.Overwritten(session.id, *roles, generation, sequence)

    def _drop(self, items: Items) -> Event:
        number, sender, receiver, label = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.Dropped(
            session.id, *roles, self._text_at("label", session.protocol.labels, label)
        )

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
        coroutine = self._end_coroutine(number)
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
        return ev.Halted(self._end_coroutine(items[0]))

    def _print(self, items: Items) -> Event:
        return ev.Printed(self._coroutine_at(items[0]), items[1])

    def _invoke(self, items: Items) -> Event:
        number, effect, effect_id, arguments = items
        return ev.Invoked(self._coroutine_at(number), effect_id, effect, arguments)

    def _acquire(self, items: Items) -> Event:
        return ev.Acquired(self._coroutine_at(items[0]), items[1])

    def _release(self, items: Items) -> Event:
        return ev.Released(self._coroutine_at(items[0]), items[1])

    def _timer(self, items: Items) -> Event:
        number, role, now_ns, round_number = items
        session = self._session_at(number)
        name, signer = self._role(session, role), session.signers[role]
        return ev.TimerStarted(session.id, name, now_ns, round_number, signer)

    def _expire(self, items: Items) -> Event:
        number, role, coroutine = items
        session = self._session_at(number)
        name, signer = self._role(session, role), session.signers[role]
        return ev.TimerExpired(session.id, name, self._coroutine_at(coroutine), signer)

    def _depart(self, items: Items) -> Event:
        number, role = items
        session = self._session_at(number)
        return ev.Departed(session.id, self._role(session, role))

    def _detect(self, items: Items) -> Event:
        number, receiver, sender = items
        session = self._session_at(number)
        roles = self._role(session, receiver), self._role(session, sender)
        return ev.CrashDetected(session.id, *roles, session.signers[receiver])

    def _complete(self, items: Items) -> Event:
        return ev.Completed(*items)

    def _time(self, items: Items) -> Event:
        return ev.TimeSet(*items)

    def _ask_end(self, items: Items) -> Event:
        return ev.EndAsked(self._session_at(items[0]).id, *items[1:])

    def _trouble(self, items: Items) -> Event:
        number, trouble, role, peer, until_ns, round_number = items
        session = self._session_at(number)
        roles = self._role(session, role), "" if peer is None else self._role(session, peer)
        return ev.Troubled(session.id, Trouble(trouble), *roles, until_ns, round_number)

    def _incarnation(self, items: Items) -> Event:
        return ev.Resumed(*items)

    # --- sessions that several machines hold ------------------------------------------------

    def _meet(self, items: Items) -> Event:
        number, parties, round_number = items
        self._met[number] = {role: nonce for role, _, nonce in parties}
        return ev.Met(self._coroutine_at(number), parties, round_number)

    def _join(self, items: Items) -> Event:
        number, role, signature = items
        session = self._session_at(number)
        name = self._role(session, role)
        if not session.nonces:
            raise self._missing("session with peers", number)
        return ev.Joined(session.id, name, session.nonces[role], signature, session.signers[role])

    def _fail(self, items: Items) -> Event:
        number, role, code, reason, signature = items
        session = self._session_at(number)
        name = self._role(session, role)
        return ev.Failed(session.id, name, code, reason, signature, session.signers[role])

    def _arrive(self, items: Items) -> Event:
        session = self._session_at(items[0])
        message = self._message(session, items)
        signature, size, *place, round_number = items[10:]
        proof = None if size is None else ev.Proof(size, *place)
        return ev.Arrived(*message, signature, proof, round_number, session.signers[items[2]])

    def _refuse(self, items: Items) -> Event:
        number, sender, receiver, *rest = items
        session = self._session_at(number)
        roles = self._role(session, sender), self._role(session, receiver)
        return ev.Refused(session.id, *roles, *rest)

    def _peer_head(self, items: Items) -> Event:
        return ev.PeerHead(self._key_at(items[0]), *items[1:])

    def _peer_join(self, items: Items) -> Event:
        session = self._session_at(items[0])
        named = self._peer_role(items)
        if not session.nonces:
            raise self._missing("session with peers", items[0])
        signature, round_number = items[2:]
        return ev.PeerJoined(*named, signature, round_number, session.nonces[items[1]])

    def _peer_delegate(self, items: Items) -> Event:
        session_id, name = self._peer_role(items)
        signers = self._session_at(items[0]).signers
        old, new = signers[items[1]], self._key_at(items[2])
        signers[items[1]] = new
        return ev.PeerDelegated(session_id, name, old, new, *items[3:])

    def _peer_notice(self, items: Items) -> Event:
        session = self._session_at(items[0])
        finals = tuple((self._role(session, peer), *counts) for peer, *counts in items[2])
        return ev.PeerNoticed(*self._peer_role(items), finals, *items[3:])

    def _peer_receipt(self, items: Items) -> Event:
        sender = self._role(self._session_at(items[0]), items[2])
        return ev.PeerReceipted(*self._peer_role(items), sender, *items[3:])

    def _peer_cancel(self, items: Items) -> Event:
        return ev.PeerCancelled(*self._peer_role(items), *items[2:])

    def _peer_fail(self, items: Items) -> Event:
        return ev.PeerFailed(*self._peer_role(items), *items[2:])

    def _peer_role(self, items: Items) -> tuple[bytes, str]:
        session = self._session_at(items[0])
        return session.id, self._role(session, items[1])
