"""The side of a handshake that begins it.

It sends its message until the answer is there, and its third message until the first packet
sealed by the responder is: that packet is the confirmation that both have the keys. So the loss
of any datagram costs one wait, and never the handshake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from troth.streaming.handshake import messages
from troth.streaming.handshake.cookie import NO_COOKIE
from troth.streaming.handshake.identity import (
    PROOF_BYTES,
    Entropy,
    Identity,
    IdentityRefused,
    Side,
    check_proof,
    proof,
)
from troth.streaming.handshake.noise import KEY_BYTES, HandshakeState, refused
from troth.streaming.transport_limits import (
    COOKIES_MAX,
    HANDSHAKE_NS,
    HANDSHAKE_RETRY_MAX_NS,
    HANDSHAKE_RETRY_NS,
)
from troth.streaming.wire import VERSION, Header, PacketKind
from troth.vm.errors import Unusable
from troth.vm.keys import VerifierKey


@dataclass(frozen=True, slots=True)
class Handshaken:
    """What a handshake gives to the link: keys, connections, and who the peer is."""

    side: Side
    peer: VerifierKey
    sending: bytes = field(repr=False)
    receiving: bytes = field(repr=False)
    local_connection: int
    remote_connection: int
    hash: bytes
    """Public: binds what is said elsewhere to this handshake. Never a key."""


class InitiatorPhase(Enum):
    INITIATING = "waits for the answer"
    COMPLETING = "waits for the confirmation"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class InitiatorEvent(Enum):
    ANSWERED = "a second message that holds"
    CONFIRMED = "a packet sealed by the responder"
    REFUSED = "a peer that is not who it has to be"
    EXPIRED = "the time is over"


_P, _E = InitiatorPhase, InitiatorEvent

INITIATOR_TRANSITIONS: Final[Mapping[tuple[InitiatorPhase, InitiatorEvent], InitiatorPhase]] = {
    (_P.INITIATING, _E.ANSWERED): _P.COMPLETING,
    (_P.INITIATING, _E.REFUSED): _P.FAILED,
    (_P.INITIATING, _E.EXPIRED): _P.FAILED,
    (_P.COMPLETING, _E.CONFIRMED): _P.CONFIRMED,
    (_P.COMPLETING, _E.EXPIRED): _P.FAILED,
}
"""What is not listed changes nothing."""


def draw_connection(entropy: Entropy) -> int:
    """A connection id that nobody can guess: from 1 to 2**32 - 1."""
    return int.from_bytes(entropy(8), "big") % (messages.CONNECTIONS - 1) + 1


def check_context(context: bytes) -> bytes:
    if len(context) > messages.CONTEXT_BYTES_MAX:
        raise Unusable(
            "transport.context",
            "the context of a handshake is too long",
            expected=f"at most {messages.CONTEXT_BYTES_MAX} bytes",
            actual=str(len(context)),
            advice="Hash it, and give the hash",
        )
    return context


class Initiator:
    """One attempt. `datagrams` are to be sent; a second message that holds gives `result`."""

    def __init__(
        self,
        *,
        identity: Identity,
        peers: tuple[VerifierKey, ...] | None,
        context: bytes,
        entropy: Entropy,
        now_ns: int,
    ) -> None:
        self._identity = identity
        self._peers = peers
        self.connection = draw_connection(entropy)
        start = messages.prologue(check_context(context), self.connection)
        state = HandshakeState.start(start, identity.static, entropy(KEY_BYTES))
        self._state, self._first = state.write_first()
        self._cookie = NO_COOKIE
        self._cookies = 0
        self._third = b""
        self._attempt = 0
        self.phase = InitiatorPhase.INITIATING
        self.result: Handshaken | None = None
        self.remote_versions: tuple[int, ...] = ()
        """What a datagram that nobody signed says about the other side's versions."""
        self._expires_ns = now_ns + HANDSHAKE_NS
        self._retry_ns = now_ns
        self._wait_ns = HANDSHAKE_RETRY_NS

    @property
    def deadline_ns(self) -> int | None:
        if self.phase in (InitiatorPhase.CONFIRMED, InitiatorPhase.FAILED):
            return None
        return min(self._retry_ns, self._expires_ns)

    def tick(self, now_ns: int) -> list[bytes]:
        """What is to be sent by now."""
        if now_ns >= self._expires_ns:
            self._signal(InitiatorEvent.EXPIRED)
        if self.deadline_ns is None or now_ns < self._retry_ns:
            return []
        self._retry_ns = now_ns + self._wait_ns
        self._wait_ns = min(2 * self._wait_ns, HANDSHAKE_RETRY_MAX_NS)
        return [self._current()]

    def confirmed(self) -> None:
        """The responder has sealed a packet that we could open."""
        self._signal(InitiatorEvent.CONFIRMED)

    def receive(self, header: Header, datagram: bytes, now_ns: int) -> list[bytes]:
        """A handshake datagram for our connection; gives what is to be sent at once.

        Raises:
            Malformed: it does not hold, and has changed nothing.
            IdentityRefused: the peer is not who it has to be; the handshake has failed.
        """
        if self.phase is InitiatorPhase.COMPLETING and header.kind is PacketKind.RESPOND:
            return []  # the answer to one of our repetitions
        if self.phase is not InitiatorPhase.INITIATING:
            return []
        if header.kind is PacketKind.RETRY:
            return self._take_cookie(datagram, now_ns)
        if header.kind is PacketKind.RESPOND:
            return self._answer(datagram, now_ns)
        if header.kind is PacketKind.VERSIONS:
            spoken = messages.read_versions(datagram)
            self.remote_versions = () if VERSION in spoken else spoken
            return []
        raise refused("a datagram", "an answer to the first message", header.kind.name)

    def _take_cookie(self, datagram: bytes, now_ns: int) -> list[bytes]:
        cookie = messages.body_of(datagram, messages.RETRY_BYTES)
        if self._cookies >= COOKIES_MAX or cookie == self._cookie:
            raise refused("a cookie", f"at most {COOKIES_MAX} different ones", "one more")
        self._cookies += 1
        self._cookie = cookie
        self._begin_again(now_ns)
        return [self._current()]

    def _answer(self, datagram: bytes, now_ns: int) -> list[bytes]:
        message = messages.body_of(datagram, messages.RESPOND_BYTES)
        state, sealed = self._state.read_second_keys(message)
        bound = state.hash
        state, payload = state.open_payload(sealed)
        remote = int.from_bytes(payload[: messages.CONNECTION_BYTES], "big")
        shown = payload[messages.CONNECTION_BYTES :]
        assert len(shown) == PROOF_BYTES, "the size of the datagram has been checked"
        try:
            peer = check_proof(shown, Side.RESPONDER, bound, self._peers)
        except IdentityRefused:
            self._signal(InitiatorEvent.REFUSED)
            raise
        state, keys = state.write_third_keys()
        state, payload = state.seal_payload(proof(self._identity, Side.INITIATOR, state.hash))
        self._state, self._third = state, keys + payload
        sending, receiving = state.split()
        self.result = Handshaken(
            Side.INITIATOR, peer, sending, receiving, self.connection, remote, state.hash
        )
        self._signal(InitiatorEvent.ANSWERED)
        self._begin_again(now_ns)
        return [self._current()]

    def _begin_again(self, now_ns: int) -> None:
        self._wait_ns = HANDSHAKE_RETRY_NS
        self._retry_ns = now_ns + self._wait_ns

    def _current(self) -> bytes:
        self._attempt += 1
        if self.result is None:
            return messages.initiate(self.connection, self._cookie, self._first, self._attempt)
        return messages.complete(self.result.remote_connection, self._third, self._attempt)

    def _signal(self, event: InitiatorEvent) -> None:
        self.phase = INITIATOR_TRANSITIONS.get((self.phase, event), self.phase)
