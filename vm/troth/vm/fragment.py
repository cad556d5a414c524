"""The canonical fragment: what a run means, whatever order its parts happened to run in.

A fragment is a set of sessions. Of each session it holds what was agreed (the descriptor), what
each endpoint did, in that endpoint's own order, and how it ended. It holds no signatures, seals,
round numbers, coroutines, prints or effects. Two runs with the same seed and keys mean the same
if and only if their fragments are the same bytes.

A session that several machines hold is in the fragment of each, which holds what the endpoints
of that machine did; the others are there without actions.

All parts are canonical msgpack arrays; texts are names.

* fragment: `[1, [session, …]]`, sorted by session id.
* session: `[session id, protocol id, protocol, roles, principals, edges, seal, linger ns, nonce,
  endpoints, receipts, status, epoch, detail, host's cancel reason or nil, undelivered,
  rejected]`; `edges` as in the descriptor; `status` the last one reached.
* endpoint: `[role, [action, …]]`, in the order of `roles`.
* action: `["send", receiver, step kind, label, generation, sequence, commitment]`,
  `["recv", sender, step kind, label, generation, sequence, commitment, root after]`,
  `["delegate", old key, new key]`, `["notice", [[receiver, generation, count], …]]`,
  `["cancel", reason]`, `["fail", code, reason]`.
* receipts: `[role, sender, generation, consumed, discarded, root]`, only the last one of each
  role, sender and generation (earlier ones depend on when seals were made), sorted.
* undelivered: `[sender, receiver, generation, sequence]`, sorted.
* rejected: `[sender, receiver, code, digest]`, sorted.

The digest is built from the leaves up, so that it can be computed while a run goes on and
keeps 64 bytes of a session that has ended (all are BLAKE3 in derive-key mode):

* endpoint: starts as 32 zero bytes; each action makes it
  "troth/v1 fragment action" of (endpoint digest ‖ action).
* session: "troth/v1 fragment session" of the session with `[role, endpoint digest]` for each
  endpoint.
* fragment: "troth/v1 fragment" of (session id ‖ session digest) of all sessions, sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgpack

from troth.vm import events as ev
from troth.vm.errors import Malformed, Place
from troth.vm.events import Event, Status
from troth.vm.lifecycle import LIVE
from troth.vm.statements import DIGEST_BYTES, child_nonce, derived_hash, pack_array

FRAGMENT_VERSION: Final = 1

_ACTION_CONTEXT: Final = "troth/v1 fragment action"
_SESSION_CONTEXT: Final = "troth/v1 fragment session"
_FRAGMENT_CONTEXT: Final = "troth/v1 fragment"
_NO_ACTIONS: Final = bytes(DIGEST_BYTES)
_ENDPOINTS_ITEM: Final = 9
"""Where the endpoints are among a session's items."""


def _action_step(digest: bytes, action: bytes) -> bytes:
    return derived_hash(_ACTION_CONTEXT, digest + action)


class _Endpoint:
    """What one role did: its digest, and the actions themselves when they are kept."""

    __slots__ = ("actions", "digest")

    def __init__(self, *, keep: bool) -> None:
        self.digest = _NO_ACTIONS
        self.actions: list[bytes] | None = [] if keep else None

    def act(self, *action: object) -> None:
        packed = pack_array(action)
        self.digest = _action_step(self.digest, packed)
        if self.actions is not None:
            self.actions.append(packed)


class _Session:
    """One session that has not ended."""

    __slots__ = (
        "detail",
        "endpoints",
        "epoch",
        "host_cancel",
        "in_flight",
        "opened",
        "overwritten",
        "peers",
        "receipts",
        "rejected",
        "status",
        "undelivered",
    )

    def __init__(self, opened: ev.Opened, peers: frozenset[str], *, keep: bool) -> None:
        self.opened = opened
        self.peers = peers
        self.endpoints = {role: _Endpoint(keep=keep) for role in opened.roles}
        self.in_flight: dict[tuple[str, str, int, int], tuple[int, str, bytes]] = {}
        self.receipts: dict[tuple[str, str, int], tuple[int, int, bytes | None]] = {}
        self.undelivered: list[tuple[str, str, int, int]] = []
        self.overwritten: list[tuple[str, str, int, int]] = []
        self.rejected: list[tuple[str, str, str, bytes]] = []
        self.status = Status.ACTIVE
        self.epoch = 0
        self.detail = ""
        self.host_cancel: str | None = None

    def pack(self, endpoint: Callable[[str, _Endpoint], bytes]) -> bytes:
        """The session's array, with each endpoint as `endpoint` gives it."""
        opened = self.opened
        receipts = [(*key, *counts) for key, counts in sorted(self.receipts.items())]
        before = (
            opened.session,
            opened.protocol_id,
            opened.protocol,
            opened.roles,
            opened.principals,
            [tuple(edge) for edge in opened.edges],
            opened.seal,
            opened.linger_ns,
            opened.nonce,
        )
        endpoints = [endpoint(role, self.endpoints[role]) for role in opened.roles]
        after = (
            receipts,
            int(self.status),
            self.epoch,
            self.detail,
            self.host_cancel,
            sorted(self.undelivered),
            sorted(self.overwritten),
            sorted(self.rejected),
        )
        assert len(before) == _ENDPOINTS_ITEM
        items = [pack_item(item) for item in before]
        items += [_pack_list(endpoints)]
        items += [pack_item(item) for item in after]
        return _pack_list(items)

    @property
    def digest(self) -> bytes:
        return derived_hash(_SESSION_CONTEXT, self.pack(_digest_form))


def _digest_form(role: str, endpoint: _Endpoint) -> bytes:
    return pack_array((role, endpoint.digest))


def _full_form(role: str, endpoint: _Endpoint) -> bytes:
    assert endpoint.actions is not None, "the builder was not told to keep actions"
    return _pack_list((pack_item(role), _pack_list(endpoint.actions)))


def pack_item(item: object) -> bytes:
    """The canonical bytes of one plain item."""
    packed: bytes = msgpack.packb(item)
    return packed


def _pack_list(packed_items: Iterable[bytes]) -> bytes:
    """An array of items that are packed already."""
    items = tuple(packed_items)
    header: bytes = msgpack.Packer().pack_array_header(len(items))
    return header + b"".join(items)


class FragmentBuilder:
    """Feed it every event of a run with `add`; ask at any time.

    A session's last status ends it; what happens to its endpoints later is not part of its
    meaning.
    """

    def __init__(self, *, keep: bool = False) -> None:
        """`keep` holds every action in memory, which `encode` needs and `digest` does not."""
        self._keep = keep
        self._live: dict[bytes, _Session] = {}
        self._ended: dict[bytes, bytes] = {}
        self._kept: dict[bytes, bytes] = {}
        self._met: dict[bytes, frozenset[str]] = {}
        self._awaited: dict[bytes, frozenset[str]] = {}
        self._adders: dict[type, Callable[..., None]] = {
            ev.Opened: self._opened,
            ev.BundleOpened: self._bundle_opened,
            ev.Sent: self._sent,
            ev.Received: self._received,
            ev.Delegated: self._delegated,
            ev.Noticed: self._noticed,
            ev.Receipted: self._receipted,
            ev.Rotated: self._rotated,
            ev.Retired: self._retired,
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
            ev.Met: self._parties,
            ev.Arrived: self._arrived,
            ev.Failed: self._failed,
        }

    def add(self, event: Event) -> None:
        """Takes the next event. Kinds that are not part of a fragment are passed over.

        Raises:
            Malformed: code `fragment.event`, for an event that cannot come here.
        """
        adder = self._adders.get(type(event))
        if adder is not None:
            adder(event)

    def digest(self) -> bytes:
        """The digest of everything so far."""
        digests = self._ended | {session: live.digest for session, live in self._live.items()}
        return _fragment_digest(digests)

    def encode(self) -> bytes:
        """The canonical bytes of everything so far; needs `keep=True`."""
        if not self._keep:
            raise ValueError("this builder does not keep actions")
        live = {session: live.pack(_full_form) for session, live in self._live.items()}
        sessions = sorted((self._kept | live).items())
        body = _pack_list(packed for _, packed in sessions)
        return _pack_list((pack_item(FRAGMENT_VERSION), body))

    # --- one method per event --------------------------------------------------------------

    def _session(self, event: Any) -> _Session:
        session = self._live.get(event.session)
        if session is None:
            raise _unexpected(event, "a session that is open")
        return session

    def _endpoint(self, event: Any, role: str) -> _Endpoint:
        endpoint = self._session(event).endpoints.get(role)
        if endpoint is None:
            raise _unexpected(event, "a role of the session")
        return endpoint

    def _bundle_opened(self, event: ev.BundleOpened) -> None:
        """Its children say by their nonces that they are of this bundle."""
        peers = self._met.pop(event.coroutine, frozenset())
        self._awaited = {
            child_nonce(event.bundle, child.name): child.played_by(peers)
            for child in event.children
        }

    def _opened(self, event: ev.Opened) -> None:
        if event.session in self._live or event.session in self._ended:
            raise _unexpected(event, "a session that was never open")
        peers = self._awaited.pop(event.nonce, None)
        if peers is None:
            peers = self._met.pop(event.coroutine, frozenset())
        self._live[event.session] = _Session(event, peers, keep=self._keep)

    def _sent(self, event: ev.Sent) -> None:
        endpoint = self._endpoint(event, event.sender)
        message = (int(event.kind), event.label, event.commitment)
        position = (event.sender, event.receiver, event.generation, event.sequence)
        session = self._live[event.session]
        if event.receiver not in session.peers:
            session.in_flight[position] = message
        kind, label, commitment = message
        endpoint.act("send", event.receiver, kind, label, *position[2:], commitment)

    def _received(self, event: ev.Received) -> None:
        endpoint = self._endpoint(event, event.receiver)
        position = (event.sender, event.receiver, event.generation, event.sequence)
        message = self._live[event.session].in_flight.pop(position, None)
        if message is None:
            raise _unexpected(event, "a message that was sent and not received yet")
        kind, label, commitment = message
        endpoint.act("recv", event.sender, kind, label, *position[2:], commitment, event.root)

    def _delegated(self, event: ev.Delegated) -> None:
        if event.session not in self._ended:
            self._endpoint(event, event.role).act("delegate", event.old, event.new)

    def _noticed(self, event: ev.Noticed) -> None:
        self._endpoint(event, event.role).act("notice", event.finals)

    def _receipted(self, event: ev.Receipted) -> None:
        key = (event.role, event.sender, event.generation)
        counts = (event.consumed, event.discarded, event.root)
        self._session(event).receipts[key] = counts

    def _rotated(self, event: ev.Rotated) -> None:
        endpoint = self._endpoint(event, event.role)
        endpoint.act("rotate", event.receiver, event.generation, event.messages)

    def _retired(self, event: ev.Retired) -> None:
        endpoint = self._endpoint(event, event.role)
        endpoint.act("retire", event.sender, event.generation, event.root)

    def _timer_started(self, event: ev.TimerStarted) -> None:
        self._endpoint(event, event.role).act("timer")

    def _timer_expired(self, event: ev.TimerExpired) -> None:
        self._endpoint(event, event.role).act("expire")

    def _departed(self, event: ev.Departed) -> None:
        self._endpoint(event, event.role).act("depart")

    def _crash_detected(self, event: ev.CrashDetected) -> None:
        self._endpoint(event, event.receiver).act("detect", event.sender)

    def _status_changed(self, event: ev.StatusChanged) -> None:
        session = self._session(event)
        session.status = event.status
        session.epoch = event.epoch
        session.detail = event.detail
        if event.status not in LIVE:
            self._ended[event.session] = session.digest
            if self._keep:
                self._kept[event.session] = session.pack(_full_form)
            del self._live[event.session]

    def _undelivered(self, event: ev.Undelivered) -> None:
        session = self._session(event)
        position = (event.sender, event.receiver, event.generation, event.sequence)
        session.in_flight.pop(position, None)
        session.undelivered.append(position)

    def _overwritten(self, event: ev.Overwritten) -> None:
        session = self._session(event)
        position = (event.sender, event.receiver, event.generation, event.sequence)
        if session.in_flight.pop(position, None) is None:
            raise _unexpected(event, "a message that was sent and not received yet")
        session.overwritten.append(position)

    def _dropped(self, event: ev.Dropped) -> None:
        self._endpoint(event, event.sender).act("drop", event.receiver, event.label)

    def _rejected(self, event: ev.Rejected) -> None:
        row = (event.sender, event.receiver, event.code, event.digest)
        self._session(event).rejected.append(row)

    def _parties(self, event: ev.Met) -> None:
        self._met[event.coroutine] = frozenset(role for role, _, _ in event.parties)

    def _arrived(self, event: ev.Arrived) -> None:
        position = (event.sender, event.receiver, event.generation, event.sequence)
        message = (int(event.kind), event.label, event.commitment)
        self._session(event).in_flight[position] = message

    def _failed(self, event: ev.Failed) -> None:
        self._endpoint(event, event.role).act("fail", event.code, event.reason)

    def _cancelled(self, event: ev.Cancelled) -> None:
        if event.role:
            self._endpoint(event, event.role).act("cancel", event.reason)
        else:
            self._session(event).host_cancel = event.reason


def _fragment_digest(digests: Mapping[bytes, bytes]) -> bytes:
    joined = b"".join(session + digest for session, digest in sorted(digests.items()))
    return derived_hash(_FRAGMENT_CONTEXT, joined)


def _unexpected(event: Any, expected: str) -> Malformed:
    return Malformed(
        "fragment.event",
        f"this event cannot come here: {type(event).__name__}",
        place=Place(session=event.session.hex()),
        expected=expected,
        advice="Verify the artifact: its records do not follow from one another",
    )
