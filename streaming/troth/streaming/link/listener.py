"""Where links begin: one address at which anybody may ask for a handshake.

A first message costs two key exchanges and some memory, so they are bounded: beyond a few
half-open handshakes an initiator has to show that it gets what is sent to its address, and beyond
a limit nothing new begins. Everything is found by the connection in the header; the address of a
peer may change at any time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from troth.streaming.handshake import messages
from troth.streaming.handshake.cookie import SECRET_BYTES, CookieJar
from troth.streaming.handshake.identity import Entropy
from troth.streaming.handshake.responder import Responder
from troth.streaming.link.deadlines import Deadlines
from troth.streaming.link.options import LinkOptions
from troth.streaming.link.outputs import Address, Datagram
from troth.streaming.link.secure_link import SecureLink
from troth.streaming.transport_limits import (
    HALF_OPEN_FREE,
    HALF_OPEN_MAX,
    LINKS_MAX,
    SECOND_NS,
)
from troth.streaming.wire import (
    HEADER_BYTES,
    SEALED_FIRST_BYTE,
    VERSION,
    Header,
    PacketKind,
    decode_header,
    unpack_header,
    version_of,
)
from troth.vm.errors import TrothError

KEPT_CLOSED_NS = SECOND_NS
"""How long a closed link still answers its peer's last words."""


@dataclass(slots=True)
class ListenerCounts:
    """Datagrams that began nothing, by why."""

    bad_header: int = 0
    bad_handshake: int = 0
    wrong_connection: int = 0
    other_version: int = 0
    cookies_sent: int = 0
    half_open_full: int = 0
    not_completed: int = 0
    """Handshakes that were answered, and of which nothing more was heard."""

    links_full: int = 0


class Listener:
    """Makes links out of handshakes, and hands every datagram to the link that it is for."""

    def __init__(self, options: LinkOptions, *, entropy: Entropy) -> None:
        self.options = options
        self.counts = ListenerCounts()
        self._entropy = entropy
        self._cookies = CookieJar(entropy(SECRET_BYTES))
        self._half_open: dict[int, Responder] = {}
        self._by_first: dict[bytes, int] = {}
        self._links: dict[int, SecureLink] = {}
        self._thirds: dict[int, bytes] = {}
        """The digest of the third message of every link, to know it when it is repeated."""
        self._closed_ns: dict[int, int] = {}
        self._due = Deadlines()
        self._touched: dict[int, None] = {}
        """Links whose deadlines may have changed."""
        self._speaking: dict[int, None] = {}
        """Links that may have something to send."""
        self._datagrams: list[Datagram] = []
        self._accepted: list[SecureLink] = []

    @property
    def links(self) -> tuple[SecureLink, ...]:
        return tuple(self._links.values())

    def accepted(self) -> list[SecureLink]:
        """Links that are new since the last time."""
        found, self._accepted = self._accepted, []
        return found

    def receive(self, datagram: bytes, address: Address, now_ns: int) -> None:
        """A datagram that came from that address. Raises nothing, whatever it is."""
        if len(datagram) >= HEADER_BYTES and datagram[0] == SEALED_FIRST_BYTE:
            link = self._links.get(unpack_header(datagram)[3])
            if link is None:
                self.counts.wrong_connection += 1
            else:
                link.receive(datagram, address, now_ns)
                self._touched[link.local_connection] = None
                self._speaking[link.local_connection] = None
            return
        try:
            self._receive_handshake(datagram, address, now_ns)
        except TrothError:
            self.counts.bad_handshake += 1

    def _receive_handshake(self, datagram: bytes, address: Address, now_ns: int) -> None:
        version = version_of(datagram)
        if version is not None and version != VERSION and len(datagram) >= messages.INITIATE_BYTES:
            # Shorter than what it answers; the connection is where every version has it.
            self.counts.other_version += 1
            body = datagram[HEADER_BYTES : HEADER_BYTES + messages.CONNECTION_BYTES]
            answer = messages.versions(int.from_bytes(body, "big"))
            self._datagrams.append(Datagram(address, answer))
            return
        try:
            header = decode_header(datagram)
        except TrothError:
            self.counts.bad_header += 1
            return
        if header.kind is PacketKind.INITIATE:
            self._initiate(datagram, address, now_ns)
        elif header.kind is PacketKind.COMPLETE:
            self._complete(header, datagram, address, now_ns)
        else:
            self.counts.bad_handshake += 1

    def _initiate(self, datagram: bytes, address: Address, now_ns: int) -> None:
        connection, cookie, first = messages.read_initiate(datagram)
        message = connection.to_bytes(4, "big") + first
        known = self._by_first.get(message)
        if known is not None and known in self._half_open:
            # Its answer was lost, or somebody repeats it: the answer is the same.
            self._datagrams.append(Datagram(address, self._half_open[known].answer))
            return
        self._expire(now_ns)
        if len(self._half_open) >= HALF_OPEN_FREE and not self._cookies.check(
            cookie, address, message, now_ns
        ):
            self.counts.cookies_sent += 1
            made = self._cookies.make(address, message, now_ns)
            self._datagrams.append(Datagram(address, messages.retry(connection, made)))
            return
        if len(self._half_open) >= HALF_OPEN_MAX:
            self.counts.half_open_full += 1
            return
        responder = Responder(
            identity=self.options.identity,
            peers=self.options.peers,
            context=self.options.context,
            remote_connection=connection,
            first=first,
            entropy=self._entropy,
            now_ns=now_ns,
        )
        if responder.connection in self._half_open or responder.connection in self._links:
            return  # one in four thousand million: the initiator asks again
        self._half_open[responder.connection] = responder
        self._by_first[message] = responder.connection
        self._datagrams.append(Datagram(address, responder.answer))

    def _complete(self, header: Header, datagram: bytes, address: Address, now_ns: int) -> None:
        connection = header.connection
        digest = hashlib.blake2s(datagram[HEADER_BYTES:]).digest()
        if connection in self._links:
            if self._thirds.get(connection) == digest:
                self._links[connection].confirm_again()
                self._touched[connection] = None
            else:
                self.counts.bad_handshake += 1
            return
        responder = self._half_open.get(connection)
        if responder is None:
            self.counts.wrong_connection += 1
            return
        done, refusal = responder.complete(datagram)
        if len(self._links) >= LINKS_MAX:
            self.counts.links_full += 1
            return
        self._forget(connection)
        link = SecureLink.accepted(
            self.options, address, done, refusal, entropy=self._entropy, now_ns=now_ns
        )
        self._links[connection] = link
        self._thirds[connection] = digest
        self._touched[connection] = None
        link.on_wanted = lambda: self._touched.update({connection: None})
        self._accepted.append(link)

    def _forget(self, connection: int) -> None:
        del self._half_open[connection]
        self._by_first = {m: c for m, c in self._by_first.items() if c != connection}

    def _expire(self, now_ns: int) -> None:
        for connection, responder in list(self._half_open.items()):
            if responder.expires_ns > now_ns:
                return  # those behind it began later
            self.counts.not_completed += 1
            self._forget(connection)

    def tick(self, now_ns: int) -> None:
        self._expire(now_ns)
        self._settle()
        for connection in self._due.take(now_ns):
            link = self._links[connection]
            deadline_ns = link.deadline_ns
            if deadline_ns is not None and deadline_ns <= now_ns:
                link.tick(now_ns)
            self._touched[connection] = self._speaking[connection] = None
            if link.closed is not None:
                since_ns = self._closed_ns.setdefault(connection, now_ns)
                if now_ns - since_ns >= KEPT_CLOSED_NS:
                    self._drop(connection)

    def _drop(self, connection: int) -> None:
        self._datagrams += self._links[connection].datagrams()
        del self._links[connection], self._thirds[connection], self._closed_ns[connection]
        self._touched.pop(connection, None)
        self._speaking.pop(connection, None)
        self._due.set(connection, None)

    def _settle(self) -> None:
        """Finds the deadlines of the links that something has happened to."""
        for connection in self._touched:
            link = self._links.get(connection)
            if link is not None:
                self._due.set(connection, self._due_ns(connection, link))
        self._touched.clear()

    def _due_ns(self, connection: int, link: SecureLink) -> int | None:
        if link.closed is None:
            return link.deadline_ns
        since_ns = self._closed_ns.get(connection)
        return 0 if since_ns is None else since_ns + KEPT_CLOSED_NS

    @property
    def deadline_ns(self) -> int | None:
        self._settle()
        soonest_ns = self._due.soonest_ns
        if not self._half_open:
            return soonest_ns
        expires_ns = next(iter(self._half_open.values())).expires_ns
        return expires_ns if soonest_ns is None else min(soonest_ns, expires_ns)

    def datagrams(self) -> list[Datagram]:
        """What is to be sent, once: our own, and that of every link."""
        found, self._datagrams = self._datagrams, []
        for connection in self._speaking:
            found += self._links[connection].datagrams()
        self._speaking.clear()
        return found
