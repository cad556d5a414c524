"""Brings machines together that open the same session, and envelopes to where they belong.

Sans-IO, between one `Machine` and the links to the others. It finds out who holds which role of
a session (their offers have the same meeting and terms, and the keys that were expected), routes
what the machine says, and keeps what comes for a session that is not open here yet, or finds no
place in its buffer yet.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from troth.vm.codec import unpack_canonical
from troth.vm.deliver import EARLY, FULL, REPEATED, STALE
from troth.vm.envelope import (
    Envelope,
    HeadEnvelope,
    MessageEnvelope,
    Outgoing,
    decode_envelope,
    encode_envelope,
)
from troth.vm.errors import Malformed
from troth.vm.events import BundleOpened, Event, Opened, Received, Sent, Status, StatusChanged
from troth.vm.link import Link
from troth.vm.link_frames import LINK_VERSION, Ack, Data, Frame, Hello, Offer, Ping
from troth.vm.machine import Machine, Meeting
from troth.vm.peer_history import Met, PeerHistory
from troth.vm.statements import child_nonce
from troth.vm.turned_away import Carried, TurnedAway
from troth.vm.unsent import Care

EARLY_MAX: Final = 1024
"""Envelopes that are kept for sessions which are not open here yet."""

ENDED_KEPT: Final = 10_000
"""Sessions that are over and may still be spoken of."""

EARLY_BYTES_MAX: Final = 32 << 20
"""How long they may be together."""

OFFERS_MAX: Final = 1024
"""Meetings that one other machine may have offered."""

OFFERS_BYTES_MAX: Final = 16 << 20
"""How long the terms of its offers may be together."""

STRANGERS_MAX: Final = 256
"""Other machines that have greeted and have no part in anything here."""

NOT_YET: Final = frozenset(
    {
        STALE,
        EARLY,
        FULL,
        "vm.fault.buffer",
        "vm.fault.replay.sequence",
        "vm.fault.transfer",
        "vm.fault.verification",
    }
)
"""What may be accepted when it comes again: it is not acknowledged."""


class Switchboard:
    """
    Attributes:
        codes: what became of the envelopes that came, by code ("" when accepted).
        notes: what a person may want to know, and nobody has taken.
    """

    def __init__(
        self,
        machine: Machine,
        party: bytes,
        incarnation: bytes,
        roles: Iterable[str],
        key_of: Callable[[str, str], bytes],
        expected_key: Callable[[str], bytes | None],
    ) -> None:
        """`party` is this machine's id of 16 bytes, `incarnation` a random one for this process.

        `key_of` says who stands behind a role of a protocol here; `expected_key` who has to
        stand behind a role elsewhere, None for whoever comes.
        """
        self.codes: dict[str, int] = {}
        self.notes: list[str] = []
        self.links: dict[bytes, Link] = {}
        self._machine = machine
        self._hello = Hello(LINK_VERSION, party, incarnation, tuple(roles))
        self._key_of = key_of
        self._expected_key = expected_key
        self._asked: dict[bytes, Meeting] = {}
        self._own_offers: dict[bytes, Offer] = {}
        self._offers: dict[bytes, OrderedDict[bytes, Offer]] = {}
        self._opening: dict[bytes, dict[str, bytes]] = {}
        self._children: dict[bytes, dict[str, bytes]] = {}
        self._routes: dict[bytes, dict[str, bytes]] = {}
        self._early: list[Carried] = []
        self._turned_away = TurnedAway()
        self._ended: OrderedDict[bytes, None] = OrderedDict()
        self._heads: dict[bytes, bytes] = {}
        self._opened: set[bytes] = set()
        self._told_offers: set[tuple[bytes, bytes]] = set()
        self._lost_sight: dict[bytes, Met] = {}
        self._unsent: list[tuple[Outgoing, bytes]] = []
        self._resumed_ns = 0

    # --- lines -----------------------------------------------------------------------------

    @property
    def hello(self) -> Hello:
        return self._hello

    def connected(self, hello: Hello, keys: frozenset[bytes]) -> Link:
        """Another machine is on the line, perhaps again; it has proved to hold `keys`.

        Raises:
            Malformed: code `link.party`, for somebody who greets as another.
        """
        link = self.links.get(hello.party)
        if link is not None and not link.keys <= keys:
            raise Malformed(
                "link.party",
                "somebody greets as another machine, whose keys it does not hold",
                expected="the keys with which the machine was met",
                actual="other keys",
                advice="Find out who connects",
            )
        if link is None:
            self._forget_strangers()
            link = Link(hello.party, hello.roles, hello.incarnation, keys)
            self.links[hello.party] = link
        elif link.incarnation != hello.incarnation:
            link.restart(hello.incarnation)
            self._forget_kept(hello.party)
        link.connected()
        self._heads.pop(hello.party, None)
        self._told_offers = {told for told in self._told_offers if told[0] != hello.party}
        return link

    def _forget_strangers(self) -> None:
        """Whoever greets, and goes, and has no part in anything leaves nothing behind."""
        known = {party for routes in self._routes.values() for party in routes.values()}
        known |= {party for routes in self._opening.values() for party in routes.values()}
        strangers = [p for p, link in self.links.items() if p not in known and not link.up]
        for party in strangers[: max(0, len(strangers) - STRANGERS_MAX + 1)]:
            del self.links[party]
            self._offers.pop(party, None)
            self._forget_kept(party)

    def _forget_kept(self, party: bytes) -> None:
        """What was not acknowledged comes again, by another number."""
        self._early = [came for came in self._early if came.party != party]
        self._turned_away.forget(party)

    def lost(self, party: bytes, now_ns: int) -> None:
        self.links[party].lost(now_ns)

    def take(self, party: bytes, frame: Frame) -> None:
        """What came on the line of a party."""
        link = self.links[party]
        match frame:
            case Data():
                self._deliver(Carried(party, frame.number, frame.envelope))
            case Ack():
                link.acknowledged(frame)
            case Offer():
                self._offered(party, frame)
            case Hello() | Ping():
                pass

    def frames(self, party: bytes, now_ns: int) -> list[Frame]:
        """What is to be sent to a party now. Only after the record is written."""
        link = self.links[party]
        if not link.up:
            return []
        frames: list[Frame] = []
        for meeting, offer in self._own_offers.items():
            if (party, meeting) not in self._told_offers:
                self._told_offers.add((party, meeting))
                frames.append(offer)
        return frames + link.frames(now_ns)

    def deadline_ns(self) -> int | None:
        deadlines = [link.deadline_ns() for link in self.links.values()]
        return min((d for d in deadlines if d is not None), default=None)

    @property
    def idle(self) -> bool:
        """Nothing that was said is still on its way."""
        return all(link.idle for link in self.links.values())

    # --- meetings --------------------------------------------------------------------------

    def waiting_for(self) -> tuple[str, ...]:
        """The roles whose machines have not come, of sessions that wait to be opened."""
        missing = {
            role
            for meeting in self._asked.values()
            for role in meeting.elsewhere
            if role not in self._found(meeting)
        }
        return tuple(sorted(missing))

    def give_up(self) -> None:
        """Nobody else is waited for: the sessions that wait to be opened fail."""
        for meeting in list(self._asked.values()):
            del self._asked[meeting.id]
            self._own_offers.pop(meeting.id, None)
            self._machine.meet(meeting.coroutine, ())

    def silent(self, now_ns: int, patience_ns: int) -> list[tuple[bytes, str]]:
        """Live sessions of which a party has been off the line for too long, and its roles."""
        found = []
        if now_ns - self._resumed_ns >= patience_ns:
            for session, met in self._lost_sight.items():
                away = met.roles - self._routes[session].keys()
                if session not in self._ended:
                    found.append((session, ", ".join(sorted(away))))
        for session, roles in self._routes.items():
            if session in self._ended:
                continue
            gone = [
                role
                for role, party in roles.items()
                if (since := self.links[party].down_since_ns) is not None
                and now_ns - since >= patience_ns
            ]
            if gone:
                found.append((session, ", ".join(gone)))
        return found

    def _ask(self, meeting: Meeting) -> None:
        self._asked[meeting.id] = meeting
        self._offer(meeting)

    def _offer(self, meeting: Meeting) -> None:
        here = tuple(
            (role, self._key_of(meeting.protocol, role), nonce) for role, nonce in meeting.here
        )
        self._own_offers[meeting.id] = Offer(meeting.id, meeting.terms, here)

    def _offered(self, party: bytes, offer: Offer) -> None:
        if not {key for _, key, _ in offer.here} <= self.links[party].keys:
            self._note("a machine offers a role with a key that it does not hold")
            return
        offers = self._offers.setdefault(party, OrderedDict())
        offers[offer.meeting] = offer
        size = sum(len(one.terms) for one in offers.values())
        while len(offers) > OFFERS_MAX or size > OFFERS_BYTES_MAX:
            _, oldest = offers.popitem(last=False)
            size -= len(oldest.terms)
        if self._lost_sight:
            self._see_again(party, offer)

    def _found(self, meeting: Meeting) -> dict[str, tuple[bytes, bytes, bytes]]:
        """By role who offers it, with key and nonce: the first whose key is acceptable."""
        found: dict[str, tuple[bytes, bytes, bytes]] = {}
        for party, offers in self._offers.items():
            offer = offers.get(meeting.id)
            if offer is None:
                continue
            if offer.terms != meeting.terms:
                self._note(f"a machine offers {meeting.protocol} on other terms{_terms(offer)}")
                continue
            for role, key, nonce in offer.here:
                wanted = self._expected_key(role)
                if wanted is not None and wanted != key:
                    self._note(f"a machine offers {role} with another key than expected")
                elif role in meeting.elsewhere:
                    found.setdefault(role, (party, key, nonce))
        return found

    def _introduce(self) -> None:
        """Answers every meeting for which all roles have been offered."""
        for meeting in list(self._asked.values()):
            found = self._found(meeting)
            if len(found) == len(meeting.elsewhere):
                del self._asked[meeting.id]
                self._opening[meeting.coroutine] = {role: found[role][0] for role in found}
                parties = [(role, *found[role][1:]) for role in meeting.elsewhere]
                self._machine.meet(meeting.coroutine, parties)

    # --- going on with a run ---------------------------------------------------------------

    def resume(self, history: PeerHistory, now_ns: int) -> None:
        """Before the stop this machine met others: who they are will be seen by their offers."""
        history.prune()
        self._resumed_ns = now_ns
        for meeting in history.asked.values():
            self._ask(meeting)
        for session, met in history.sessions.items():
            self._offer(met.meeting)
            self._routes[session] = {}
            self._lost_sight[session] = met
        for outgoing in history.said:
            self._unsent.append((outgoing, encode_envelope(outgoing.envelope)))

    def _see_again(self, party: bytes, offer: Offer) -> None:
        """Whoever offers the nonce that a role had before the stop is where that role is."""
        for session, met in list(self._lost_sight.items()):
            if met.meeting.id != offer.meeting:
                continue
            routes = self._routes[session]
            wanted = set(met.parties)
            seen = {row[0]: party for row in offer.here if row in wanted}
            routes.update(met.routes(seen))
            if len(routes) == len(met.roles):
                del self._lost_sight[session]
        self._send_unsent()

    def _send_unsent(self) -> None:
        unsent, self._unsent = self._unsent, []
        for outgoing, data in unsent:
            routes = self._routes.get(outgoing.session, {})
            missing = tuple(role for role in outgoing.roles if role not in routes)
            self._route(outgoing, data)
            if missing and outgoing.session in self._lost_sight:
                self._unsent.append((outgoing._replace(roles=missing), data))

    # --- envelopes -------------------------------------------------------------------------

    def collect(self, events: Iterable[Event]) -> None:
        """Takes what the machine wants to be told and found; `events` are what happened."""
        moved: dict[bytes, None] = {}
        for event in events:
            if isinstance(event, Sent | Received):
                moved[event.session] = None
            elif isinstance(event, BundleOpened) and event.coroutine in self._opening:
                self._found_bundle(event)
            elif isinstance(event, Opened) and event.nonce in self._children:
                self._routes[event.session] = self._children.pop(event.nonce)
                self._deliver_early()
            elif isinstance(event, Opened) and event.coroutine in self._opening:
                self._routes[event.session] = self._opening.pop(event.coroutine)
                self._deliver_early()
            elif isinstance(event, StatusChanged) and event.status >= Status.CLOSED:
                self._end(event.session)
                moved[event.session] = None
        for session in moved:
            self._offer_again(session)
        for meeting in self._machine.poll_meetings():
            self._ask(meeting)
        self._opened.clear()
        for outgoing in self._machine.poll_outgoing():
            data = encode_envelope(outgoing.envelope)
            self._route(outgoing, data)
            if outgoing.session in self._lost_sight and not outgoing.lossy:
                known = self._routes[outgoing.session]
                missing = tuple(role for role in outgoing.roles if role not in known)
                self._unsent.append((outgoing._replace(roles=missing), data))
        self._introduce()

    def _found_bundle(self, event: BundleOpened) -> None:
        """Its sessions are opened right after it."""
        found = self._opening.pop(event.coroutine)
        self._children = {}
        for child in event.children:
            pairs = zip(child.roles, child.players, strict=True)
            routes = {role: found[player] for role, player in pairs if player in found}
            if routes:
                self._children[child_nonce(event.bundle, child.name)] = routes

    def _route(self, outgoing: Outgoing, data: bytes) -> None:
        """To the parties that are known; a log's head goes to each of them once in a row.

        What leaves at once brings the heads that it needs, unless the first was just said.
        """
        care = Care.LOSSY if outgoing.lossy else Care.RELIABLE
        if isinstance(outgoing.envelope, HeadEnvelope):
            care = Care.HEAD
        routes = self._routes.get(outgoing.session, {})
        for party in sorted({routes[role] for role in outgoing.roles if role in routes}):
            opens = False
            if care is Care.HEAD:
                opens = party not in self._opened
                self._opened.add(party)
                if self._heads.get(party) == data:
                    continue
                self._heads[party] = data
            self.links[party].send(data, care, opens=opens)

    def lost_since_ns(self) -> int | None:
        """Since when a resumed machine waits for others to be seen again; None when it does not."""
        waits = any(session not in self._ended for session in self._lost_sight)
        return self._resumed_ns if waits else None

    def _end(self, session: bytes) -> None:
        """What its end makes the machine say still has to find its way."""
        self._ended[session] = None
        if len(self._ended) > ENDED_KEPT:
            self._routes.pop(self._ended.popitem(last=False)[0], None)

    def _deliver(self, came: Carried) -> str:
        """Returns what became of it: a code of `deliver`, "" when it was accepted."""
        link = self.links[came.party]
        try:
            envelope = decode_envelope(came.envelope)
        except Malformed as error:
            # Whoever sent it will not make it better by sending it again.
            self._count(error.code)
            link.received(came.number)
            return error.code
        message = envelope if isinstance(envelope, MessageEnvelope) else None
        behind = message is not None and self._turned_away.is_behind(came, message)
        code = FULL if behind else self._machine.deliver(envelope).code
        if message is not None and code == FULL:
            self._turned_away.keep(came, message)
        elif message is not None:
            self._turned_away.drop(came, message)
        if code == STALE and self._may_open(envelope):
            self._keep_early(came)
            return code
        self._count(code)
        if code == STALE or code not in NOT_YET:
            link.received(came.number)
        return code

    def _offer_again(self, session: bytes) -> None:
        """A place may be free, or the receiver wait for another message than before."""
        for edge in self._turned_away.edges(session):
            while (came := self._turned_away.first(session, edge)) is not None:
                if self._deliver(came) == FULL:
                    break

    def _keep_early(self, came: Carried) -> None:
        """What finds no place comes again: it is not acknowledged."""
        size = sum(len(one.envelope) for one in self._early) + len(came.envelope)
        if len(self._early) < EARLY_MAX and size <= EARLY_BYTES_MAX:
            self._early.append(came)

    def _deliver_early(self) -> None:
        early, self._early = self._early, []
        for came in early:
            self._deliver(came)

    def _may_open(self, envelope: Envelope) -> bool:
        """Whether what an envelope is about may still be opened here."""
        if isinstance(envelope, HeadEnvelope):
            return bool(self._asked or self._opening)
        return envelope.session not in self._routes and envelope.session not in self._ended

    def _count(self, code: str) -> None:
        if code != REPEATED:
            self.codes[code] = self.codes.get(code, 0) + 1

    def _note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < EARLY_MAX:
            self.notes.append(text)


def _terms(offer: Offer) -> str:
    """What the terms are about, as far as they can be read."""
    try:
        terms = unpack_canonical(offer.terms)
    except Malformed:
        return ""
    name = terms[1] if isinstance(terms, tuple) and len(terms) > 1 else ""
    return f": its protocol, edges, seal or linger time differ ({ascii(name)[:80]})"
