"""What each event becomes in an artifact: the items of its record, with names interned.

`records` says how names are interned. Where the records go is for the subclass: `recorder`
writes them to a file, a re-execution compares them with one. Memory grows with what is alive at
once and not with the length of the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from troth.vm import events as ev
from troth.vm.covered import arrival_cover
from troth.vm.errors import InternalError
from troth.vm.events import Event, Status
from troth.vm.instructions import PayloadForm, Seal
from troth.vm.records import Kind
from troth.vm.signer import Roster
from troth.vm.statements import child_nonce

Items: TypeAlias = tuple[object, ...]

ENDED_SESSIONS_KEPT: Final = 1 << 14
"""How many ended sessions a late event (a fault of somebody who waited) can still name."""

_FINAL: Final = frozenset({Status.CLOSED, Status.CANCELLED, Status.FAULTED})


class _ProtocolNames(NamedTuple):
    number: int
    roles: dict[str, int]
    labels: dict[str, int]


class SessionNames(NamedTuple):
    """A session's number and how its records name things."""

    number: int
    roles: dict[str, int]
    labels: dict[str, int]
    digest_edges: frozenset[tuple[str, str]]
    """Edges whose payloads stay out of the artifact."""
    round_sealed: bool
    """Its messages carry no signatures: the head at the end of the round covers them."""
    peers: frozenset[str]
    """Roles that other machines hold."""


class EventRecords(ABC):
    """Call `write` with every event of a run, in order."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._principals: dict[bytes, int] = {}
        self._peers: dict[bytes, int] = {}
        self._named_principals = 0
        self._protocols: dict[tuple[bytes, str], _ProtocolNames] = {}
        self._sessions: dict[bytes, SessionNames] = {}
        self._ended: dict[bytes, SessionNames] = {}
        self._coroutines: dict[bytes, int] = {}
        self._met: dict[bytes, frozenset[str]] = {}
        self._awaited: dict[bytes, frozenset[str]] = {}
        self._sessions_count = 0
        self._coroutines_count = 0
        self._writers = self._table()

    def write(self, event: Event) -> None:
        """Makes the event's record, after those of the names that it introduces."""
        self._writers[type(event)](event)

    # --- where records go --------------------------------------------------------------------

    @abstractmethod
    def _machine_owned(self, items: Items) -> None:
        """A record of what belongs to the machine."""

    @abstractmethod
    def _principal_owned(self, principal: bytes, items: Items) -> None:
        """A record of what a principal did without signing it by itself."""

    @abstractmethod
    def _stated(self, principal: bytes, session: SessionNames, items: Items, event: Event) -> None:
        """A record of what a principal stated, see `covered.statement_of`."""

    @abstractmethod
    def _covered(self, principal: bytes, items: Items, cover: bytes) -> None:
        """A record in a principal's log of which `cover` takes the place."""

    @abstractmethod
    def _introduce(self, principal: bytes, items: Items) -> None:
        """The record that introduces a principal: the first of its log."""

    # --- names -----------------------------------------------------------------------------

    def _principal(self, key: bytes) -> int:
        """The principal's index; names it in the file when it is new."""
        known = self._principals.get(key)
        if known is not None:
            return known
        index = self._principals[key] = self._named_principals
        self._named_principals += 1
        self._introduce(key, (Kind.PRINCIPAL, self._roster.name_of(key), key))
        return index

    def _peer(self, key: bytes) -> int:
        """The index of a principal whose log is kept at another machine."""
        known = self._principals.get(key, self._peers.get(key))
        if known is not None:
            return known
        index = self._peers[key] = self._named_principals
        self._named_principals += 1
        self._machine_owned((Kind.PEER, self._roster.name_of(key), key))
        return index

    def _protocol(self, event: ev.Opened | ev.ChildRow) -> _ProtocolNames:
        known = self._protocols.get((event.protocol_id, event.protocol))
        if known is not None:
            return known
        names = _ProtocolNames(
            len(self._protocols),
            {role: i for i, role in enumerate(event.roles)},
            {label: i for i, label in enumerate(event.labels)},
        )
        self._protocols[event.protocol_id, event.protocol] = names
        self._machine_owned(
            (Kind.PROTOCOL, event.protocol_id, event.protocol, event.roles, event.labels)
        )
        return names

    def _session(self, session: bytes) -> SessionNames:
        known = self._sessions.get(session) or self._ended.get(session)
        if known is None:
            raise InternalError("an event names a session that is not open")
        return known

    def _coroutine(self, coroutine: bytes) -> int:
        try:
            return self._coroutines[coroutine]
        except KeyError:
            raise InternalError("an event names a coroutine that does not run") from None

    # --- one method per event --------------------------------------------------------------

    def _table(self) -> dict[type, Callable[..., None]]:
        return {
            ev.Opened: self._opened,
            ev.BundleOpened: self._bundle_opened,
            ev.Sent: self._sent,
            ev.Received: self._received,
            ev.Delegated: self._delegated,
            ev.Noticed: self._noticed,
            ev.Receipted: self._receipted,
            ev.Rotated: self._rotated,
            ev.Retired: self._retired,
            ev.PeerRotated: self._peer_rotated,
            ev.TimerStarted: self._timer_started,
            ev.TimerExpired: self._timer_expired,
            ev.Departed: self._departed,
            ev.CrashDetected: self._crash_detected,
            ev.StatusChanged: self._status_changed,
            ev.Undelivered: self._undelivered,
            ev.Overwritten: self._overwritten,
            ev.Dropped: self._dropped,
            ev.Rejected: self._rejected,
            ev.Cancelled: self._cancelled,
            ev.Faulted: self._faulted,
            ev.Spawned: self._spawned,
            ev.Transferred: self._transferred,
            ev.Halted: self._halted,
            ev.Printed: self._printed,
            ev.Invoked: self._invoked,
            ev.Completed: self._completed,
            ev.TimeSet: self._time_set,
            ev.EndAsked: self._end_asked,
            ev.Troubled: self._troubled,
            ev.Acquired: self._acquired,
            ev.Released: self._released,
            ev.Resumed: self._resumed,
            ev.Met: self._met_parties,
            ev.Joined: self._joined,
            ev.Failed: self._failed,
            ev.Arrived: self._arrived,
            ev.Refused: self._refused,
            ev.PeerHead: self._peer_head,
            ev.PeerJoined: self._peer_joined,
            ev.PeerDelegated: self._peer_delegated,
            ev.PeerNoticed: self._peer_noticed,
            ev.PeerReceipted: self._peer_receipted,
            ev.PeerCancelled: self._peer_cancelled,
            ev.PeerFailed: self._peer_failed,
        }

    def _bundle_opened(self, event: ev.BundleOpened) -> None:
        peers = self._met.pop(event.coroutine, frozenset())
        principals = tuple(
            self._peer(key) if role in peers else self._principal(key)
            for role, key in zip(event.roles, event.principals, strict=True)
        )
        number = {role: place for place, role in enumerate(event.roles)}
        children = tuple(
            (
                child.name,
                self._protocol(child).number,
                tuple(number[player] for player in child.players),
            )
            for child in event.children
        )
        coroutine = self._coroutine(event.coroutine)
        head = (Kind.BUNDLE, event.bundle, event.name, event.roles, principals)
        self._machine_owned((*head, children, event.nonce, coroutine))
        self._awaited = {
            child_nonce(event.bundle, child.name): child.played_by(peers)
            for child in event.children
        }

    def _opened(self, event: ev.Opened) -> None:
        peers = self._awaited.pop(event.nonce, None)
        if peers is None:
            peers = self._met.pop(event.coroutine, frozenset())
        principals = tuple(
            self._peer(key) if role in peers else self._principal(key)
            for role, key in zip(event.roles, event.principals, strict=True)
        )
        protocol = self._protocol(event)
        roles = protocol.roles
        edges = tuple((roles[e.sender], roles[e.receiver], *e[2:]) for e in event.edges)
        self._machine_owned(
            (
                Kind.OPEN,
                event.session,
                protocol.number,
                principals,
                edges,
                event.seal,
                event.linger_ns,
                event.nonce,
                self._coroutine(event.coroutine),
                tuple(roles[role] for role in event.observed),
            )
        )
        hidden = frozenset(
            (e.sender, e.receiver) for e in event.edges if e.payload == PayloadForm.DIGEST
        )
        self._sessions[event.session] = SessionNames(
            self._sessions_count, roles, protocol.labels, hidden, event.seal == Seal.ROUND, peers
        )
        self._sessions_count += 1

    def _sent(self, event: ev.Sent) -> None:
        session = self._session(event.session)
        items = (Kind.SEND, *_message(session, event), event.signature)
        self._stated(event.signer, session, items, event)

    def _received(self, event: ev.Received) -> None:
        session = self._session(event.session)
        roles = session.roles
        self._principal_owned(
            event.signer,
            (
                Kind.RECEIVE,
                session.number,
                roles[event.receiver],
                roles[event.sender],
                event.generation,
                event.sequence,
                event.root,
            ),
        )

    def _delegated(self, event: ev.Delegated) -> None:
        session = self._session(event.session)
        new = self._principal(event.new)
        role = session.roles[event.role]
        self._stated(
            event.old,
            session,
            (Kind.DELEGATE, session.number, role, new, event.signature),
            event,
        )

    def _noticed(self, event: ev.Noticed) -> None:
        session = self._session(event.session)
        roles = session.roles
        finals = tuple((roles[peer], *counts) for peer, *counts in event.finals)
        role = roles[event.role]
        self._stated(
            event.signer,
            session,
            (Kind.NOTICE, session.number, role, finals, event.signature),
            event,
        )

    def _receipted(self, event: ev.Receipted) -> None:
        session = self._session(event.session)
        role, sender = session.roles[event.role], session.roles[event.sender]
        head = (Kind.RECEIPT, session.number, role, sender)
        self._stated(event.signer, session, head + tuple(event[3:9]), event)

    def _rotated(self, event: ev.Rotated) -> None:
        session = self._session(event.session)
        role, receiver = session.roles[event.role], session.roles[event.receiver]
        head = (Kind.ROTATE, session.number, role, receiver)
        self._stated(event.signer, session, head + tuple(event[3:6]), event)

    def _retired(self, event: ev.Retired) -> None:
        session = self._session(event.session)
        role, sender = session.roles[event.role], session.roles[event.sender]
        items = (Kind.RETIRE, session.number, role, sender, event.generation, event.root)
        self._principal_owned(event.signer, items)

    def _peer_rotated(self, event: ev.PeerRotated) -> None:
        session = self._session(event.session)
        role, receiver = session.roles[event.role], session.roles[event.receiver]
        self._machine_owned((Kind.PEER_ROTATE, session.number, role, receiver, *event[3:]))

    def _timer_started(self, event: ev.TimerStarted) -> None:
        session = self._session(event.session)
        role = session.roles[event.role]
        items = (Kind.TIMER, session.number, role, event.now_ns, event.round_number)
        self._principal_owned(event.signer, items)

    def _timer_expired(self, event: ev.TimerExpired) -> None:
        session = self._session(event.session)
        role, coroutine = session.roles[event.role], self._coroutine(event.coroutine)
        self._principal_owned(event.signer, (Kind.EXPIRE, session.number, role, coroutine))

    def _departed(self, event: ev.Departed) -> None:
        session = self._session(event.session)
        self._machine_owned((Kind.DEPART, session.number, session.roles[event.role]))

    def _crash_detected(self, event: ev.CrashDetected) -> None:
        session = self._session(event.session)
        roles = session.roles[event.receiver], session.roles[event.sender]
        self._principal_owned(event.signer, (Kind.DETECT, session.number, *roles))

    def _status_changed(self, event: ev.StatusChanged) -> None:
        session = self._session(event.session)
        status = event.status
        self._machine_owned((Kind.STATUS, session.number, status, event.epoch, event.detail))
        if status in _FINAL and self._sessions.pop(event.session, None) is not None:
            self._ended[event.session] = session
            if len(self._ended) > ENDED_SESSIONS_KEPT:
                del self._ended[next(iter(self._ended))]

    def _undelivered(self, event: ev.Undelivered) -> None:
        session = self._session(event.session)
        sender, receiver = session.roles[event.sender], session.roles[event.receiver]
        position = (event.generation, event.sequence)
        self._machine_owned((Kind.UNDELIVERED, session.number, sender, receiver, *position))

    def _overwritten(self, event: ev.Overwritten) -> None:
        session = self._session(event.session)
        sender, receiver = session.roles[event.sender], session.roles[event.receiver]
        position = (event.generation, event.sequence)
        self._machine_owned((Kind.OVERWRITE, session.number, sender, receiver, *position))

    def _dropped(self, event: ev.Dropped) -> None:
        session = self._session(event.session)
        sender, receiver = session.roles[event.sender], session.roles[event.receiver]
        label = session.labels[event.label]
        self._machine_owned((Kind.DROP, session.number, sender, receiver, label))

    def _rejected(self, event: ev.Rejected) -> None:
        session = self._session(event.session)
        sender, receiver = session.roles[event.sender], session.roles[event.receiver]
        self._machine_owned(
            (Kind.REJECT, session.number, sender, receiver, event.code, event.digest)
        )

    def _cancelled(self, event: ev.Cancelled) -> None:
        session = self._session(event.session)
        if not event.role:
            items = (Kind.CANCEL, session.number, None, event.reason, event.round_number, b"")
            self._machine_owned(items)
            return
        role = session.roles[event.role]
        self._stated(
            event.signer,
            session,
            (Kind.CANCEL, session.number, role, event.reason, None, event.signature),
            event,
        )

    def _faulted(self, event: ev.Faulted) -> None:
        session = self._sessions.get(event.session) or self._ended.get(event.session)
        place: tuple[int | None, int | None] = (None, None)
        if session is not None:
            place = (session.number, session.roles[event.role])
        coroutine = self._coroutine(event.coroutine)
        head = (Kind.FAULT, coroutine, event.code, event.message, event.program, event.pc)
        self._machine_owned((*head, *place))
        del self._coroutines[event.coroutine]

    def _spawned(self, event: ev.Spawned) -> None:
        parent = self._coroutine(event.parent) if event.parent else None
        self._machine_owned((Kind.SPAWN, parent, event.program, event.coroutine))
        self._coroutines[event.coroutine] = self._coroutines_count
        self._coroutines_count += 1

    def _transferred(self, event: ev.Transferred) -> None:
        session = self._session(event.session)
        source, target = self._coroutine(event.source), self._coroutine(event.target)
        role = session.roles[event.role]
        self._machine_owned((Kind.TRANSFER, session.number, role, source, target))

    def _halted(self, event: ev.Halted) -> None:
        self._machine_owned((Kind.HALT, self._coroutine(event.coroutine)))
        del self._coroutines[event.coroutine]

    def _printed(self, event: ev.Printed) -> None:
        self._machine_owned((Kind.PRINT, self._coroutine(event.coroutine), event.text))

    def _invoked(self, event: ev.Invoked) -> None:
        coroutine = self._coroutine(event.coroutine)
        arguments = event.arguments
        self._machine_owned((Kind.INVOKE, coroutine, event.effect, event.effect_id, arguments))

    def _acquired(self, event: ev.Acquired) -> None:
        self._machine_owned((Kind.ACQUIRE, self._coroutine(event.coroutine), event.guard))

    def _released(self, event: ev.Released) -> None:
        self._machine_owned((Kind.RELEASE, self._coroutine(event.coroutine), event.guard))

    def _completed(self, event: ev.Completed) -> None:
        self._machine_owned((Kind.COMPLETE, *event))

    def _troubled(self, event: ev.Troubled) -> None:
        session = self._session(event.session)
        peer = session.roles[event.peer] if event.peer else None
        role, trouble = session.roles[event.role], int(event.trouble)
        self._machine_owned(
            (Kind.TROUBLE, session.number, trouble, role, peer, event.until_ns, event.round_number)
        )

    def _end_asked(self, event: ev.EndAsked) -> None:
        self._machine_owned((Kind.ASK_END, self._session(event.session).number, *event[1:]))

    def _time_set(self, event: ev.TimeSet) -> None:
        self._machine_owned((Kind.TIME, *event))

    def _resumed(self, event: ev.Resumed) -> None:
        self._machine_owned((Kind.INCARNATION, *event))

    # --- sessions that several machines hold ------------------------------------------------

    def _met_parties(self, event: ev.Met) -> None:
        self._met[event.coroutine] = frozenset(role for role, _, _ in event.parties)
        coroutine = self._coroutine(event.coroutine)
        self._machine_owned((Kind.MEET, coroutine, event.parties, event.round_number))

    def _joined(self, event: ev.Joined) -> None:
        session = self._session(event.session)
        items = (Kind.JOIN, session.number, session.roles[event.role], event.signature)
        self._stated(event.signer, session, items, event)

    def _failed(self, event: ev.Failed) -> None:
        session = self._session(event.session)
        role = session.roles[event.role]
        items = (Kind.FAIL, session.number, role, event.code, event.reason, event.signature)
        self._stated(event.signer, session, items, event)

    def _arrived(self, event: ev.Arrived) -> None:
        session = self._session(event.session)
        proof = (None, None, None, None) if event.proof is None else tuple(event.proof)
        message = _message(session, event)
        items = (Kind.ARRIVE, *message, event.signature, *proof, event.round_number)
        self._covered(event.signer, items, arrival_cover(event))

    def _refused(self, event: ev.Refused) -> None:
        session = self._session(event.session)
        roles = session.roles[event.sender], session.roles[event.receiver]
        items = (Kind.REFUSE, session.number, *roles, event.code, event.digest, event.round_number)
        self._machine_owned(items)

    def _peer_head(self, event: ev.PeerHead) -> None:
        self._machine_owned((Kind.PEER_HEAD, self._peer(event.principal), *event[1:]))

    def _peer_joined(self, event: ev.PeerJoined) -> None:
        self._machine_owned((Kind.PEER_JOIN, *self._named(event), *event[2:4]))

    def _peer_delegated(self, event: ev.PeerDelegated) -> None:
        new = self._peer(event.new)
        named = self._named(event)
        self._machine_owned((Kind.PEER_DELEGATE, *named, new, *event[4:]))

    def _peer_noticed(self, event: ev.PeerNoticed) -> None:
        roles = self._session(event.session).roles
        finals = tuple((roles[peer], *counts) for peer, *counts in event.finals)
        self._machine_owned((Kind.PEER_NOTICE, *self._named(event), finals, *event[3:]))

    def _peer_receipted(self, event: ev.PeerReceipted) -> None:
        sender = self._session(event.session).roles[event.sender]
        self._machine_owned((Kind.PEER_RECEIPT, *self._named(event), sender, *event[3:]))

    def _peer_cancelled(self, event: ev.PeerCancelled) -> None:
        self._machine_owned((Kind.PEER_CANCEL, *self._named(event), *event[2:]))

    def _peer_failed(self, event: ev.PeerFailed) -> None:
        self._machine_owned((Kind.PEER_FAIL, *self._named(event), *event[2:]))

    def _named(
        self,
        event: ev.PeerJoined
        | ev.PeerDelegated
        | ev.PeerNoticed
        | ev.PeerReceipted
        | ev.PeerCancelled
        | ev.PeerFailed,
    ) -> tuple[int, int]:
        session = self._session(event.session)
        return session.number, session.roles[event.role]


def _message(session: SessionNames, event: ev.Sent | ev.Arrived) -> Items:
    """What a SEND and an ARRIVE say of a message, up to its signature."""
    roles = session.roles
    sender, receiver = event.sender, event.receiver
    form: tuple[bytes | None, bytes | None, bytes | None] = (event.salt, event.payload, None)
    if session.digest_edges and (sender, receiver) in session.digest_edges:
        form = (None, None, event.commitment)
    return (
        session.number,
        roles[sender],
        roles[receiver],
        event.kind,
        session.labels[event.label],
        event.generation,
        event.sequence,
        *form,
    )
