"""A party's way through a relay, without a socket or a clock.

It presents the lease until the relay answers, wraps and unwraps datagrams, answers challenges to a
new address, asks for the next lease when most of this one is over, and says why it ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from hmac import compare_digest
from typing import Final

from troth.streaming.paths.addresses import Address
from troth.streaming.relay.lease import (
    Codes,
    ExchangeKey,
    Lease,
    RandomBytes,
    codes_of,
    read_unverified,
)
from troth.streaming.relay.limits import MILLISECOND_NS, SECOND_NS
from troth.streaming.relay.outputs import (
    LeaseWanted,
    LegBound,
    LegNoticed,
    LegOutput,
    LegRefused,
    LegSilent,
    Transmit,
)
from troth.streaming.relay.window import Window
from troth.streaming.relay.wire import (
    ENDING_NOTICES,
    NO_CHANNEL,
    NO_CODE,
    NOTICE_TEXTS,
    REFUSAL_TEXTS,
    Kind,
    Packet,
    Refusal,
    Refused,
    code_of,
    parse,
    read_bound,
    read_notice,
    read_refused,
    seal,
)
from troth.vm.errors import Malformed

PRESENT_FIRST_NS: Final = 200 * MILLISECOND_NS
PRESENT_LONGEST_NS: Final = SECOND_NS
PRESENT_TIME_NS: Final = 5 * SECOND_NS
"""After so long without an answer the relay is silent."""
RENEW_AT_PERCENT: Final = 80
RENEW_AGAIN_NS: Final = 5 * SECOND_NS
_START_BYTES: Final = 6


class LegState(Enum):
    NEW = "new"
    PRESENTING = "presenting"
    BOUND = "bound"
    RENEWING = "renewing"
    ENDED = "ended"


class LegSignal(Enum):
    START = "start"
    TAKEN = "the relay takes the lease"
    REFUSED = "the relay refuses it"
    PUT_OFF = "the relay asks to wait"
    FORGOTTEN = "the relay does not know us"
    SILENT = "the relay does not answer"
    NEXT_LEASE = "the gateway gave the next lease"
    ENDED_BY_RELAY = "the relay ends our place"
    CLOSE = "we are done"


class LegAction(Enum):
    NOTHING = "nothing"
    PRESENT = "present the lease"
    WAIT = "present it again later"
    USE = "use this lease"
    TELL = "say why"
    DROP_NEXT = "say why, and stay with the lease in use"
    RELEASE = "give the lease back"


_S, _E, _A = LegState, LegSignal, LegAction

LEG_TRANSITIONS: Final[Mapping[tuple[LegState, LegSignal], tuple[LegState, LegAction]]] = {
    (_S.NEW, _E.START): (_S.PRESENTING, _A.PRESENT),
    (_S.NEW, _E.CLOSE): (_S.ENDED, _A.NOTHING),
    (_S.PRESENTING, _E.TAKEN): (_S.BOUND, _A.USE),
    (_S.PRESENTING, _E.REFUSED): (_S.ENDED, _A.TELL),
    (_S.PRESENTING, _E.PUT_OFF): (_S.PRESENTING, _A.WAIT),
    (_S.PRESENTING, _E.SILENT): (_S.ENDED, _A.TELL),
    (_S.PRESENTING, _E.CLOSE): (_S.ENDED, _A.RELEASE),
    (_S.BOUND, _E.FORGOTTEN): (_S.PRESENTING, _A.PRESENT),
    (_S.BOUND, _E.NEXT_LEASE): (_S.RENEWING, _A.PRESENT),
    (_S.BOUND, _E.ENDED_BY_RELAY): (_S.ENDED, _A.TELL),
    (_S.BOUND, _E.CLOSE): (_S.ENDED, _A.RELEASE),
    (_S.RENEWING, _E.TAKEN): (_S.BOUND, _A.USE),
    (_S.RENEWING, _E.REFUSED): (_S.BOUND, _A.DROP_NEXT),
    (_S.RENEWING, _E.PUT_OFF): (_S.RENEWING, _A.WAIT),
    (_S.RENEWING, _E.FORGOTTEN): (_S.PRESENTING, _A.PRESENT),
    (_S.RENEWING, _E.SILENT): (_S.BOUND, _A.DROP_NEXT),
    (_S.RENEWING, _E.ENDED_BY_RELAY): (_S.ENDED, _A.TELL),
    (_S.RENEWING, _E.CLOSE): (_S.ENDED, _A.RELEASE),
}
"""What is not listed changes nothing."""

_PUT_OFF: Final = (Refusal.BUSY, Refusal.TOO_OFTEN)


@dataclass(slots=True, eq=False)
class _Grant:
    """A lease with what is needed to use it. `channel` is known when the relay has taken it."""

    token: bytes
    lease: Lease
    codes: Codes
    first: int
    sequence: int
    channel: int = NO_CHANNEL
    window: Window = field(default_factory=Window)

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    def said(self, echo: int) -> bool:
        """Whether we have used that sequence: who has not seen our packets cannot know one."""
        return self.first < echo <= self.sequence


class RelayLeg:
    """One party's leg of the way through one relay."""

    def __init__(
        self, *, relay: Address, token: bytes, key: ExchangeKey, random: RandomBytes
    ) -> None:
        """`key` is the pair whose public half the lease names.

        Raises:
            Malformed: code `relay.lease`.
        """
        self.relay = relay
        self.state = LegState.NEW
        self._key = key
        self._random = random
        self._out: list[LegOutput] = []
        self._current = self._grant(token)
        self._next: _Grant | None = None
        self._before: _Grant | None = None
        self._present_ns: int | None = None
        self._give_up_ns = 0
        self._pause_ns = PRESENT_FIRST_NS
        self._renew_ns: int | None = None
        self._why: LegOutput = LegSilent()

    @property
    def lease(self) -> Lease:
        return self._current.lease

    @property
    def usable(self) -> bool:
        """Whether datagrams can be sent through it now."""
        return self.state in (LegState.BOUND, LegState.RENEWING)

    @property
    def deadline_ns(self) -> int | None:
        times = [t for t in (self._present_ns, self._renew_ns) if t is not None]
        return min(times) if times and self.state is not LegState.ENDED else None

    def poll(self) -> list[LegOutput]:
        out, self._out = self._out, []
        return out

    # --- what its owner does ----------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        self._signal(LegSignal.START, now_ns)

    def renew(self, token: bytes, now_ns: int) -> None:
        """Presents the next lease; the one in use stays in use until the relay takes it.

        Raises:
            Malformed: code `relay.lease`.
        """
        grant = self._grant(token)
        if self.state is LegState.BOUND and grant.lease.generation > self.lease.generation:
            self._next = grant
            self._signal(LegSignal.NEXT_LEASE, now_ns)

    def send(self, datagram: bytes) -> bool:
        """Wraps a datagram for the other party; False when there is no way through now."""
        if not self.usable:
            return False
        self._transmit(self._current, Kind.FORWARD, datagram)
        return True

    def close(self, now_ns: int) -> None:
        self._signal(LegSignal.CLOSE, now_ns)

    def tick(self, now_ns: int) -> None:
        if self._present_ns is not None and now_ns >= self._present_ns:
            if now_ns >= self._give_up_ns:
                self._signal(LegSignal.SILENT, now_ns)
            else:
                self._present(now_ns)
        if self._renew_ns is not None and now_ns >= self._renew_ns and self.usable:
            self._renew_ns = now_ns + RENEW_AGAIN_NS
            self._out.append(LeaseWanted(self.lease.session, self.lease.generation))

    # --- what comes from the relay ----------------------------------------------------------

    def receive(self, datagram: bytes, now_ns: int) -> bytes | None:
        """Takes a datagram from the relay's address; returns what the other party sent in it.

        What is malformed, forged or repeated changes nothing.
        """
        try:
            packet = parse(datagram)
            if packet.kind is Kind.REFUSED:
                self._refused(packet, read_refused(packet.body), now_ns)
                return None
            grant = self._grant_of(packet)
            if grant is None or not grant.window.fresh(packet.sequence):
                return None
            grant.window.note(packet.sequence)
            return self._authentic(grant, packet, now_ns)
        except Malformed:
            return None

    def _grant_of(self, packet: Packet) -> _Grant | None:
        """The lease that the packet's code is of: the one in use, the next, or the one before."""
        for grant in (self._current, self._next, self._before):
            if grant is not None and grant.channel in (packet.channel, NO_CHANNEL):
                expected = code_of(grant.codes.from_relay, packet.signed)
                if compare_digest(expected, packet.code):
                    return grant
        return None

    def _authentic(self, grant: _Grant, packet: Packet, now_ns: int) -> bytes | None:
        if packet.kind is Kind.FORWARD:
            return packet.body if self.state is not LegState.ENDED else None
        if packet.kind is Kind.BOUND:
            self._bound(grant, packet, now_ns)
        elif packet.kind is Kind.CHALLENGE:
            grant.channel = packet.channel
            self._transmit(grant, Kind.CHALLENGE_REPLY, packet.body)
        elif packet.kind is Kind.NOTICE:
            self._noticed(grant, packet.body, now_ns)
        return None

    def _bound(self, grant: _Grant, packet: Packet, now_ns: int) -> None:
        bound = read_bound(packet.body)
        wanted = self._next or self._current
        if grant is not wanted or not grant.said(bound.echo):
            return
        if self.state not in (LegState.PRESENTING, LegState.RENEWING):
            return
        grant.channel = packet.channel
        self._renew_ns = now_ns + bound.lasts_s * SECOND_NS * RENEW_AT_PERCENT // 100
        self._signal(LegSignal.TAKEN, now_ns)
        self._out.append(LegBound(bound.lasts_s, bound.peer_bound))

    def _refused(self, packet: Packet, refused: Refused, now_ns: int) -> None:
        grant = self._next or self._current
        sealed = compare_digest(code_of(grant.codes.from_relay, packet.signed), packet.code)
        known = grant.said(refused.echo) or self._current.said(refused.echo)
        if not known or not (sealed or packet.code == NO_CODE):
            return
        if refused.refusal is Refusal.UNKNOWN_CHANNEL:
            self._signal(LegSignal.FORGOTTEN, now_ns)
        elif refused.refusal in _PUT_OFF:
            self._pause_ns = max(PRESENT_FIRST_NS, refused.wait_ms * MILLISECOND_NS)
            self._signal(LegSignal.PUT_OFF, now_ns)
        else:
            self._why = LegRefused(refused.refusal, REFUSAL_TEXTS[refused.refusal])
            self._signal(LegSignal.REFUSED, now_ns)

    def _noticed(self, grant: _Grant, body: bytes, now_ns: int) -> None:
        notice = read_notice(body)
        said = LegNoticed(notice, NOTICE_TEXTS[notice])
        if notice not in ENDING_NOTICES:
            self._out.append(said)
        elif grant is not self._before:
            self._why = said
            self._signal(LegSignal.ENDED_BY_RELAY, now_ns)

    # --- the table --------------------------------------------------------------------------

    def _signal(self, signal: LegSignal, now_ns: int) -> None:
        found = LEG_TRANSITIONS.get((self.state, signal))
        if found is None:
            return
        self.state, action = found
        if signal is LegSignal.SILENT:
            self._why = LegSilent()
        elif signal is LegSignal.FORGOTTEN:
            # The relay starts anew, with another channel and other sequences.
            self._current.channel, self._current.window = NO_CHANNEL, Window()
        if action is LegAction.PRESENT:
            self._give_up_ns, self._pause_ns = now_ns + PRESENT_TIME_NS, PRESENT_FIRST_NS
            self._present(now_ns)
        elif action is LegAction.WAIT:
            self._present_ns = now_ns + self._pause_ns
        elif action is LegAction.USE:
            self._use()
        elif action in (LegAction.TELL, LegAction.DROP_NEXT):
            self._present_ns, self._next = None, None
            self._out.append(self._why)
        elif action is LegAction.RELEASE:
            self._present_ns = None
            if self._current.channel != NO_CHANNEL:
                self._transmit(self._current, Kind.RELEASE, b"")

    def _use(self) -> None:
        self._present_ns = None
        if self._next is not None:
            self._before, self._current, self._next = self._current, self._next, None

    def _present(self, now_ns: int) -> None:
        grant = self._next or self._current
        self._transmit(grant, Kind.PRESENT, grant.token, NO_CHANNEL)
        self._present_ns = now_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, PRESENT_LONGEST_NS)

    def _transmit(
        self, grant: _Grant, kind: Kind, body: bytes, channel: int | None = None
    ) -> None:  # fmt: skip
        number = grant.channel if channel is None else channel
        data = seal(grant.codes.to_relay, kind, number, grant.next_sequence(), body)
        self._out.append(Transmit(self.relay, data))

    def _grant(self, token: bytes) -> _Grant:
        lease = read_unverified(token)
        start = int.from_bytes(self._random(_START_BYTES), "big")
        codes = codes_of(self._key, lease.relay_key, lease)
        return _Grant(token, lease, codes, start, start)
