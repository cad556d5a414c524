"""A party's side of its connection to a gateway, without a socket or a clock.

It proves who it is, checks who the gateway is, and beats; everything else it hands on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.codec import KEY_BYTES, VERSION, FrameReader, encode
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.proofs import is_bound_by, register_statement, sign
from troth.streaming.relay.lease import RandomBytes
from troth.vm.errors import Invalid, TrothError
from troth.vm.keys import KeyPair

BEAT_NS: Final = 5 * SECOND_NS
SILENCE_NS: Final = 3 * BEAT_NS
NO_SIGNATURE: Final = bytes(64)


class LinkState(Enum):
    WAITING = "waiting for the challenge"
    REGISTERING = "registering"
    BOUND = "bound"
    ENDED = "ended"


class LinkSignal(Enum):
    CHALLENGED = "the challenge comes"
    TAKEN = "the gateway knows us"
    END = "the connection is of no more use"


_S, _E = LinkState, LinkSignal

LINK_TRANSITIONS: Final[Mapping[tuple[LinkState, LinkSignal], LinkState]] = {
    (_S.WAITING, _E.CHALLENGED): _S.REGISTERING,
    (_S.WAITING, _E.END): _S.ENDED,
    (_S.REGISTERING, _E.TAKEN): _S.BOUND,
    (_S.REGISTERING, _E.END): _S.ENDED,
    (_S.BOUND, _E.END): _S.ENDED,
}
"""What is not listed changes nothing."""


@dataclass(frozen=True, slots=True)
class RelayPart:
    """What only a relay says of itself."""

    exchange_key: bytes
    host: str
    port: int


NO_RELAY_PART: Final = RelayPart(b"", "", 0)


class GatewayLink:
    """Feed it with `receive`; write what `to_write` gives."""

    def __init__(
        self,
        *,
        kind: PartyKind,
        key: KeyPair,
        random: RandomBytes,
        now_ns: int,
        gateway_key: bytes | None = None,
        relay: RelayPart = NO_RELAY_PART,
    ) -> None:
        """`gateway_key` is the key that the gateway must have; None takes any."""
        self.state = LinkState.WAITING
        self.gateway_key = gateway_key
        self._kind = kind
        self.key = key
        self._random = random
        self._relay = relay
        self._reader = FrameReader()
        self._out = bytearray()
        self._challenge: m.Challenge | None = None
        self._register: m.Register | None = None
        self._heard_ns = now_ns
        self._beat_ns = now_ns + BEAT_NS
        self._requests = 0

    @property
    def name(self) -> str:
        """Ours at the gateway."""
        return self.key.name

    @property
    def deadline_ns(self) -> int | None:
        return None if self.state is LinkState.ENDED else self._beat_ns

    def to_write(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_request(self) -> int:
        """A number for a request: what comes of it has the same."""
        self._requests += 1
        return self._requests

    def send(self, message: m.Message) -> None:
        self._out += encode(message)

    def receive(self, data: bytes, now_ns: int) -> list[m.Message]:
        """The messages for the link's owner.

        Raises:
            Malformed: what came is no message; the connection is of no more use.
            Invalid: code `gateway.identity`; it is not the gateway that it should be.
        """
        self._heard_ns = now_ns
        found: list[m.Message] = []
        try:
            for message in self._reader.feed(data):
                found += self._one(message)
        except TrothError:
            self.end()
            raise
        return found

    def tick(self, now_ns: int) -> bool:
        """Beats when it is time; False when the gateway has been silent for too long."""
        if now_ns >= self._beat_ns:
            self._beat_ns = now_ns + BEAT_NS
            if self.state is LinkState.BOUND:
                self.send(m.Beat())
        return now_ns - self._heard_ns < SILENCE_NS

    def end(self) -> None:
        self._signal(LinkSignal.END)

    def _one(self, message: m.Message) -> list[m.Message]:
        if isinstance(message, m.Challenge):
            if self.state is LinkState.WAITING:
                self._answer(message)
            return []
        if isinstance(message, m.Bound):
            self._bound(message)
        if isinstance(message, m.BeatBack):
            return []
        return [message]

    def _answer(self, challenge: m.Challenge) -> None:
        if challenge.version != VERSION:
            raise _wrong_gateway(f"version {VERSION}", f"version {challenge.version}")
        if self.gateway_key not in (None, challenge.gateway_key):
            expected = f"the gateway of key {(self.gateway_key or b'').hex()[:16]}…"
            raise _wrong_gateway(expected, f"key {challenge.gateway_key.hex()[:16]}…")
        unsigned = m.Register(
            self._kind.value, self.key.name, self.key.public_key, self._random(KEY_BYTES),
            NO_SIGNATURE, self._relay.exchange_key, self._relay.host, self._relay.port,
        )  # fmt: skip
        signature = sign(self.key.signing_key, register_statement(challenge, unsigned))
        self._challenge, self._register = challenge, unsigned
        self.gateway_key = challenge.gateway_key
        self.send(
            m.Register(
                unsigned.kind, unsigned.name, unsigned.key, unsigned.nonce, signature,
                unsigned.exchange_key, unsigned.host, unsigned.port,
            )
        )  # fmt: skip
        self._signal(LinkSignal.CHALLENGED)

    def _bound(self, message: m.Bound) -> None:
        known = self._challenge is not None and self._register is not None
        if not known or self.state is not LinkState.REGISTERING:
            raise _wrong_gateway("a registration before its answer", "an answer")
        assert self._challenge is not None
        assert self._register is not None
        if not is_bound_by(self._challenge, self._register, message.signature):
            raise _wrong_gateway("the signature of the gateway's key", "another")
        self._signal(LinkSignal.TAKEN)

    def _signal(self, signal: LinkSignal) -> None:
        self.state = LINK_TRANSITIONS.get((self.state, signal), self.state)


def _wrong_gateway(expected: str, actual: str) -> Invalid:
    return Invalid(
        "gateway.identity",
        "this is not the gateway that it should be",
        expected=expected,
        actual=actual,
        advice="Check the address and the gateway's public key",
    )
