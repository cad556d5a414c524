"""Connectivity checks: STUN bindings between the parties, with a password from the rendezvous.

A request carries the names of both sides and a code under the receiver's password; the answer has
a code under the same. Requests are counted, and each is taken once: a copied one does nothing. Only
the controlling party chooses, and its requests on the path in use carry how often it has chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from troth.streaming.paths.addresses import Address
from troth.streaming.paths.stun import (
    BINDING,
    Attribute,
    MessageClass,
    StunMessage,
    encode,
    is_authentic,
    xor_address,
)
from troth.streaming.relay.lease import RandomBytes
from troth.streaming.relay.window import Window
from troth.vm.errors import Invalid

NAME_CHARACTERS: Final = (4, 32)
PASSWORD_CHARACTERS: Final = (22, 64)
_TIE_BYTES: Final = 8
_NUMBER_BYTES: Final = 8
_NAME_BYTES: Final = 6
_PASSWORD_BYTES: Final = 24


class Side(Enum):
    """Who chooses the path, and who follows."""

    CONTROLLING = "controlling"
    CONTROLLED = "controlled"


@dataclass(frozen=True, slots=True)
class Credential:
    """What one side tells the other through the gateway; good for one session."""

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        for what, text, (least, most) in (
            ("name", self.name, NAME_CHARACTERS),
            ("password", self.password, PASSWORD_CHARACTERS),
        ):
            if not (least <= len(text) <= most and text.isascii() and text.isalnum()):
                raise Invalid(
                    "path.credential",
                    f"this cannot be the {what} of a credential",
                    expected=f"{least} to {most} letters and digits",
                    actual=f"{len(text)} characters",
                    advice="Take it from new_credential",
                )


def new_credential(random: RandomBytes) -> Credential:
    return Credential(random(_NAME_BYTES).hex(), random(_PASSWORD_BYTES).hex())


class Request(NamedTuple):
    """An authentic request. `nomination` is 0 when it chooses nothing."""

    transaction: bytes
    number: int
    nomination: int


@dataclass(slots=True)
class CheckCounters:
    """What came as a check and was none."""

    unauthentic: int = 0
    wrong_name: int = 0
    same_side: int = 0
    repeated: int = 0
    unasked: int = 0


class Checker:
    """Makes and reads the checks of one session."""

    def __init__(self, side: Side, own: Credential, other: Credential) -> None:
        self.counters = CheckCounters()
        self._side = side
        self._number = 0
        self._window = Window()
        self._own_password = own.password.encode()
        self._other_password = other.password.encode()
        self._to_other = f"{other.name}:{own.name}".encode()
        self._to_us = f"{own.name}:{other.name}".encode()

    def request(self, transaction: bytes, nomination: int) -> bytes:
        self._number += 1
        attributes: list[tuple[int, bytes]] = [
            (Attribute.USERNAME, self._to_other),
            (Attribute.CHECK_NUMBER, self._number.to_bytes(_NUMBER_BYTES, "big")),
        ]
        if self._side is Side.CONTROLLING:
            attributes.append((Attribute.ICE_CONTROLLING, bytes(_TIE_BYTES)))
        else:
            attributes.append((Attribute.ICE_CONTROLLED, bytes(_TIE_BYTES)))
        if nomination:
            attributes.append((Attribute.USE_CANDIDATE, b""))
            attributes.append((Attribute.NOMINATION, nomination.to_bytes(4, "big")))
        message = _message(MessageClass.REQUEST, transaction, attributes)
        return encode(message, self._other_password)

    def answer(self, request: Request, source: Address) -> bytes:
        value = xor_address(source, request.transaction)
        attributes = [(int(Attribute.XOR_MAPPED_ADDRESS), value)]
        message = _message(MessageClass.SUCCESS, request.transaction, attributes)
        return encode(message, self._own_password)

    def read_request(self, message: StunMessage) -> Request | None:
        """The request, if it is the other party's."""
        if message.get(Attribute.USERNAME) != self._to_us:
            self.counters.wrong_name += 1
            return None
        if not is_authentic(message, self._own_password):
            self.counters.unauthentic += 1
            return None
        ours = (
            Attribute.ICE_CONTROLLING
            if self._side is Side.CONTROLLING
            else Attribute.ICE_CONTROLLED
        )
        if message.get(ours) is not None:
            self.counters.same_side += 1
            return None
        count = int.from_bytes((message.get(Attribute.CHECK_NUMBER) or b"")[:_NUMBER_BYTES], "big")
        if not self._window.fresh(count):
            self.counters.repeated += 1
            return None
        self._window.note(count)
        number = message.get(Attribute.NOMINATION) or b""
        chosen = message.get(Attribute.USE_CANDIDATE) is not None and len(number) == 4
        return Request(message.transaction, count, int.from_bytes(number, "big") if chosen else 0)

    def is_answer(self, message: StunMessage) -> bool:
        authentic = is_authentic(message, self._other_password)
        self.counters.unauthentic += not authentic
        return authentic and message.message_class is MessageClass.SUCCESS


def _message(
    message_class: MessageClass, transaction: bytes, attributes: list[tuple[int, bytes]]
) -> StunMessage:
    return StunMessage(
        message_class=message_class,
        method=BINDING,
        transaction=transaction,
        attributes=tuple(attributes),
    )
