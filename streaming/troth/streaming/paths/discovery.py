"""Finding hosts in the local network: a question to everybody there, and signed answers.

An answer is signed by the host's key over the question's nonce, so nobody can answer with another's
key, or with yesterday's answer. It is never longer than the question, so that nobody can be flooded
by questions in his name. A name proves nothing: keys do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nacl.bindings import crypto_sign

from troth.streaming.paths.addresses import Address
from troth.streaming.paths.limits import MILLISECOND_NS
from troth.streaming.relay.buckets import BucketTable, TokenBucket
from troth.streaming.relay.lease import RandomBytes
from troth.streaming.relay.outputs import Transmit
from troth.vm.errors import Malformed
from troth.vm.keys import KeyPair, valid_name
from troth.vm.signatures import acceptable_key, verify
from troth.vm.statements import PUBLIC_KEY_BYTES, SIGNATURE_BYTES

DISCOVERY_PORT: Final = 3_480
MAGIC: Final = b"TROTHLAN"
VERSION: Final = 1
QUESTION: Final = 1
ANSWER: Final = 2
NONCE_BYTES: Final = 16
NAME_BYTES_MAX: Final = 64
DATAGRAM_BYTES: Final = 256
STATEMENT_PREFIX: Final = b"\x00troth lan answer 1\n"
ASK_EVERY_NS: Final = 300 * MILLISECOND_NS
HOSTS_MAX: Final = 256
PER_SOURCE_S: Final = 5
ALL_S: Final = 50
SOURCES_MAX: Final = 1_024

_HEAD: Final = MAGIC + bytes([VERSION])
_HEAD_BYTES: Final = len(_HEAD) + 1
_NAME_AT: Final = _HEAD_BYTES + NONCE_BYTES + PUBLIC_KEY_BYTES + 2


@dataclass(frozen=True, slots=True)
class FoundHost:
    """A host that has answered, with the address of its media socket."""

    name: str
    key: bytes
    address: Address


class Responder:
    """A host's side: answers whoever asks, some of the time."""

    def __init__(self, key: KeyPair, media_port: int, now_ns: int) -> None:
        self._key = key
        self._port = media_port
        self._sources = BucketTable(PER_SOURCE_S, PER_SOURCE_S, SOURCES_MAX)
        self._all = TokenBucket(ALL_S, ALL_S, now_ns)

    def answer(self, datagram: bytes, source: Address, now_ns: int) -> bytes | None:
        """The answer to a question, or None for what is none. Never raises."""
        if len(datagram) != DATAGRAM_BYTES or datagram[:_HEAD_BYTES] != _HEAD + bytes([QUESTION]):
            return None
        if not self._sources.take(source.host, now_ns) or not self._all.take(1, now_ns):
            return None
        nonce = datagram[_HEAD_BYTES : _HEAD_BYTES + NONCE_BYTES]
        name = self._key.name.encode()[:NAME_BYTES_MAX]
        body = _HEAD + bytes([ANSWER]) + nonce + self._key.public_key
        body += self._port.to_bytes(2, "big") + bytes([len(name)]) + name
        signed = crypto_sign(STATEMENT_PREFIX + body, self._key.signing_key)
        return body + signed[:SIGNATURE_BYTES]


class Seeker:
    """Whoever looks for hosts: asks again and again, and keeps each key once."""

    def __init__(self, targets: tuple[Address, ...], random: RandomBytes, now_ns: int) -> None:
        self.hosts: dict[bytes, FoundHost] = {}
        self.refused = 0
        self._targets = targets
        self._nonce = random(NONCE_BYTES)
        self._next_ns = now_ns

    @property
    def deadline_ns(self) -> int:
        return self._next_ns

    def tick(self, now_ns: int) -> list[Transmit]:
        if now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + ASK_EVERY_NS
        question = (_HEAD + bytes([QUESTION]) + self._nonce).ljust(DATAGRAM_BYTES, b"\x00")
        return [Transmit(target, question) for target in self._targets]

    def receive(self, datagram: bytes, source: Address) -> FoundHost | None:
        """Takes an answer; returns a host that is new. What is no answer of now is counted."""
        try:
            host = read_answer(datagram, self._nonce, source)
        except Malformed:
            self.refused += 1
            return None
        if host.key in self.hosts or len(self.hosts) >= HOSTS_MAX:
            return None
        self.hosts[host.key] = host
        return host


def read_answer(datagram: bytes, nonce: bytes, source: Address) -> FoundHost:
    """Reads an answer to the question of that nonce.

    Raises:
        Malformed: code `path.discovery`.
    """
    body, signature = datagram[:-SIGNATURE_BYTES], datagram[-SIGNATURE_BYTES:]
    head = _HEAD + bytes([ANSWER]) + nonce
    if len(datagram) > DATAGRAM_BYTES or len(body) <= _NAME_AT or not body.startswith(head):
        raise _malformed("an answer to this question", f"{len(datagram)} other bytes")
    key = body[len(head) : len(head) + PUBLIC_KEY_BYTES]
    port = int.from_bytes(body[_NAME_AT - 2 : _NAME_AT], "big")
    name_bytes = body[_NAME_AT + 1 :]
    if body[_NAME_AT] != len(name_bytes) or port == 0:
        raise _malformed("a name of its length, and a port", "something else")
    if not acceptable_key(key) or not verify(key, STATEMENT_PREFIX + body, signature):
        raise _malformed("a signature of the key in it", "another")
    try:
        name = name_bytes.decode()
    except UnicodeDecodeError:
        raise _malformed("a name in UTF-8", name_bytes.hex()) from None
    if not valid_name(name):
        raise _malformed("the name of a key", ascii(name))
    return FoundHost(name, key, Address(source.host, port))


def _malformed(expected: str, actual: str) -> Malformed:
    return Malformed(
        "path.discovery",
        "this is not an answer of a host in the local network",
        expected=expected,
        actual=actual,
        advice="It is dropped; see that hosts have the same version",
    )
