"""A party proves its key to a gateway, and the gateway its own: what is said, and the party's side.

`proofs` has what is signed, `registration` the gateway's side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypedDict

from troth.streaming.gateway.codec import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    TEXT_CHARACTERS_MAX,
    VERSION,
    malformed,
)
from troth.streaming.gateway.failures import gateway_ended, refused
from troth.streaming.gateway.introductions import RefusalRecord, refusal_of
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.proofs import (
    Challenge,
    Registration,
    is_bound_by,
    register_statement,
    sign,
)
from troth.streaming.relay.lease import RandomBytes
from troth.vm.errors import Invalid, TrothError
from troth.vm.keys import KeyPair, valid_name

PORT_MAX: Final = 65_535
WRONG_GATEWAY: Final = "wrong_gateway"
"""What a party says that leaves a gateway that is not the one that it should be."""


class ChallengeRecord(TypedDict):
    version: int
    gateway_key: bytes
    nonce: bytes


class RegistrationRecord(TypedDict):
    kind: str
    name: str
    key: bytes
    nonce: bytes
    signature: bytes
    exchange_key: bytes
    host: str
    port: int


class AnswerRecord(TypedDict):
    """What a party answers; the refusal is "" when it registers."""

    refusal: str
    registration: RegistrationRecord


def challenge_record(challenge: Challenge) -> ChallengeRecord:
    return {
        "version": challenge.version,
        "gateway_key": challenge.gateway_key,
        "nonce": challenge.nonce,
    }


def registration_record(registration: Registration) -> RegistrationRecord:
    return {
        "kind": registration.kind,
        "name": registration.name,
        "key": registration.key,
        "nonce": registration.nonce,
        "signature": registration.signature,
        "exchange_key": registration.exchange_key,
        "host": registration.host,
        "port": registration.port,
    }


NO_REGISTRATION: Final = registration_record(Registration("", "", b"", b"", b"", b"", "", 0))


def registration_of(record: RegistrationRecord) -> Registration:
    """
    Raises:
        Malformed: code `gateway.message`.
    """
    found = Registration(**record)
    if not valid_name(found.name):
        raise malformed("the name of a key", ascii(found.name[:40]))
    lengths = len(found.key), len(found.nonce), len(found.signature)
    if lengths != (KEY_BYTES, KEY_BYTES, SIGNATURE_BYTES) or len(found.exchange_key) > KEY_BYTES:
        raise malformed("keys and a signature of their lengths", str(lengths))
    if max(len(found.kind), len(found.host)) > TEXT_CHARACTERS_MAX:
        raise malformed(f"texts of at most {TEXT_CHARACTERS_MAX} characters", "longer ones")
    if not 0 <= found.port <= PORT_MAX:
        raise malformed("a port", str(found.port)[:20])
    return found


@dataclass(frozen=True, slots=True)
class RelayPart:
    """What only a relay says of itself."""

    exchange_key: bytes
    host: str
    port: int


NO_RELAY_PART: Final = RelayPart(b"", "", 0)


class PartyBinding(LegOwner):
    """The party's effects when it registers.

    Attributes:
        gateway_key: the key that the gateway must have; None takes any, until it has proved one.
        done: the gateway knows us, and has proved its key.
        problem: why it does not, or is not the one that it should be.
        on_settled: is called when either is known.
    """

    def __init__(
        self,
        *,
        kind: PartyKind,
        key: KeyPair,
        random: RandomBytes,
        gateway_key: bytes | None = None,
        relay: RelayPart = NO_RELAY_PART,
    ) -> None:
        self.kind = kind
        self.key = key
        self.gateway_key = gateway_key
        self.done = False
        self.problem: TrothError | None = None
        self.on_settled: Callable[[], None] = lambda: None
        self._random = random
        self._relay = relay
        self._said: tuple[Challenge, Registration] | None = None

    def over(self, ok: bool) -> None:
        if not ok and not self.done and self.problem is None:
            self._settle(gateway_ended("to be registered"))

    def _settle(self, problem: TrothError | None) -> None:
        self.done, self.problem = problem is None, problem
        self.on_settled()

    # --- effects -----------------------------------------------------------------------------

    def answer_challenge(self, challenge: ChallengeRecord) -> AnswerRecord:
        asked = Challenge(**challenge)
        wrong = self._why_wrong(asked)
        if wrong is not None:
            self._settle(wrong)
            return {"refusal": WRONG_GATEWAY, "registration": NO_REGISTRATION}
        unsigned = Registration(
            self.kind.value, self.key.name, self.key.public_key, self._random(KEY_BYTES), b"",
            self._relay.exchange_key, self._relay.host, self._relay.port,
        )  # fmt: skip
        signature = sign(self.key.signing_key, register_statement(asked, unsigned))
        self._said = asked, unsigned
        self.gateway_key = asked.gateway_key
        registration = registration_record(replace(unsigned, signature=signature))
        return {"refusal": "", "registration": registration}

    def bound(self, signature: bytes) -> None:
        """
        Raises:
            Invalid: code `gateway.identity`.
        """
        assert self._said is not None, "its program has answered"
        if not is_bound_by(*self._said, signature):
            self._settle(_wrong_gateway("the signature of the gateway's key", "another"))
            assert self.problem is not None
            raise self.problem
        self._settle(None)

    def not_bound(self, refusal: RefusalRecord) -> None:
        self._settle(refused(refusal_of(refusal)))

    def _why_wrong(self, challenge: Challenge) -> Invalid | None:
        if challenge.version != VERSION:
            return _wrong_gateway(f"version {VERSION}", f"version {challenge.version}")
        if self.gateway_key not in (None, challenge.gateway_key):
            expected = f"the gateway of key {(self.gateway_key or b'').hex()[:16]}…"
            return _wrong_gateway(expected, f"key {challenge.gateway_key.hex()[:16]}…")
        if challenge.gateway_key not in self.peer_keys():
            return _wrong_gateway("a machine that has the gateway's key", "another machine")
        return None


def _wrong_gateway(expected: str, actual: str) -> Invalid:
    return Invalid(
        "gateway.identity",
        "this is not the gateway that it should be",
        expected=expected,
        actual=actual,
        advice="Check the address and the gateway's public key",
    )
