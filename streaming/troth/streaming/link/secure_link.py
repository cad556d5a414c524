"""An encrypted link to one peer, without a socket and without a clock.

Feed it with `receive` and `tick`; carry out `datagrams`, read `events`, and come back when
`deadline_ns` says so. `receive` only takes in; everything that is sent leaves through `tick`.

Whatever a datagram holds, `receive` raises nothing: what changes nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from troth.streaming.handshake.identity import Entropy, IdentityRefused, Side
from troth.streaming.handshake.initiator import Handshaken, Initiator, InitiatorPhase
from troth.streaming.link import chunks
from troth.streaming.link.chunks import CHUNK_HEADER_BYTES, ChunkKind
from troth.streaming.link.closing import Closing, read_close
from troth.streaming.link.counts import LinkCounts
from troth.streaming.link.fragments import check_frame, cut, shards_of
from troth.streaming.link.media import Media
from troth.streaming.link.messages import CONTROL, INPUT, Messages
from troth.streaming.link.options import LinkOptions
from troth.streaming.link.outputs import (
    Address,
    Closed,
    CloseReason,
    Datagram,
    Established,
    Event,
    Refused,
)
from troth.streaming.link.packets import PACKET_OVERHEAD_BYTES, Opened, SealedPackets
from troth.streaming.link.paths import Paths
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.link.sent import Sent
from troth.streaming.wire import SEALED_FIRST_BYTE, PacketKind, decode_header, malformed
from troth.vm.errors import LimitExceeded, TrothError, Unusable


class SecureLink:
    """One link. Make it with `connect`; a `Listener` makes those of the other side."""

    def __init__(
        self, options: LinkOptions, address: Address, *, entropy: Entropy, now_ns: int
    ) -> None:
        self.options = options
        self.counts = LinkCounts()
        self.rtt = RoundTrip()
        self.closed: Closed | None = None
        self.established: Established | None = None
        self._entropy = entropy
        self._initiator: Initiator | None = None
        self._done: Handshaken | None = None
        self._datagrams: list[Datagram] = []
        self._events: list[Event] = []
        room = options.datagram_bytes - PACKET_OVERHEAD_BYTES - CHUNK_HEADER_BYTES
        self._messages = Messages(room - chunks.SEGMENT.size, self.rtt)
        self._packets: SealedPackets | None = None
        self._small: list[bytes] = []
        self._frame_numbers: dict[int, int] = {}
        self._room = room - chunks.FRAGMENT.size
        self._closing: Closing | None = None
        self._soon = True
        self.on_wanted: Callable[[], None] = _nobody
        """Called when a user wants something of the link, so that its deadline is now."""
        self._deadline_ns: int | None = now_ns
        self.paths = Paths(address, self.rtt, now_ns)
        self.media = Media(options, self.rtt, self.counts, now_ns)
        self._handlers: dict[int, Callable[[bytes, int, Address], None]] = {
            ChunkKind.SEGMENT: self._on_segment,
            ChunkKind.ACKNOWLEDGEMENT: self._on_acknowledgement,
            ChunkKind.INPUT_STATE: self._on_input_state,
            ChunkKind.PING: self._on_ping,
            ChunkKind.PONG: self._on_pong,
            ChunkKind.CONFIRM: self._on_confirm,
            ChunkKind.CLOSE: self._on_close,
            ChunkKind.CLOSE_ACKNOWLEDGEMENT: self._on_close_acknowledged,
        }

    @classmethod
    def connect(
        cls, options: LinkOptions, address: Address, *, entropy: Entropy, now_ns: int
    ) -> SecureLink:
        """Begins a handshake with whoever listens at that address."""
        link = cls(options, address, entropy=entropy, now_ns=now_ns)
        link._initiator = Initiator(
            identity=options.identity,
            peers=options.peers,
            context=options.context,
            entropy=entropy,
            now_ns=now_ns,
        )
        return link

    @classmethod
    def accepted(
        cls,
        options: LinkOptions,
        address: Address,
        done: Handshaken,
        refusal: IdentityRefused | None,
        *,
        entropy: Entropy,
        now_ns: int,
    ) -> SecureLink:
        """The responder's link after its handshake; with a refusal it says so and closes."""
        link = cls(options, address, entropy=entropy, now_ns=now_ns)
        link._set_keys(done, now_ns)
        if refusal is None:
            link._establish(address)
            link._small.append(chunks.encode(ChunkKind.CONFIRM, b""))
        else:
            link._begin_close(CloseReason.IDENTITY_REFUSED, refusal.message, now_ns, error=refusal)
        return link

    # --- what the shell does ----------------------------------------------------------------

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` has something to do; a time that has passed means now."""
        return 0 if self._soon else self._deadline_ns

    @property
    def local_connection(self) -> int:
        """The number that datagrams for us carry."""
        if self._initiator is not None:
            return self._initiator.connection
        return 0 if self._done is None else self._done.local_connection

    def datagrams(self) -> list[Datagram]:
        """What is to be sent, once."""
        found, self._datagrams = self._datagrams, []
        return found

    def events(self) -> list[Event]:
        """What has happened, once, in order."""
        found, self._events = self._events, []
        return found

    def receive(self, datagram: bytes, address: Address, now_ns: int) -> None:
        """A datagram that came from that address. Raises nothing, whatever it is."""
        if self._packets is not None and datagram[:1] == _SEALED_FIRST_BYTE:
            opened = self._packets.open(datagram, now_ns)
            if opened is not None:
                self._take(opened, len(datagram), address, now_ns)
            return
        try:
            header = decode_header(datagram)
        except TrothError:
            self.counts.bad_header += 1
            return
        if header.connection != self.local_connection:
            self.counts.wrong_connection += 1
        elif header.kind is PacketKind.SEALED:
            self.counts.premature += 1
        elif self._initiator is None or self.closed is not None:
            self.counts.bad_handshake += 1
        else:
            self._receive_handshake(datagram, address, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time has passed, or something was received or is to be sent."""
        self._soon = False
        if self._initiator is not None:
            self._tick_handshake(now_ns)
        if self._packets is not None:
            self._tick_link(now_ns)
        self._deadline_ns = self._next_deadline_ns(now_ns)

    # --- what the user does -----------------------------------------------------------------

    def send_control(self, message: bytes) -> None:
        """A message for the reliable ordered control stream.

        Raises:
            LimitExceeded: codes `transport.message`, `transport.buffer`: nothing was taken.
            Unusable: code `transport.closed`.
        """
        self._send_on(CONTROL, message)

    def send_input_edge(self, message: bytes) -> None:
        """A key or a button: reliable, in order, and not behind control messages."""
        self._send_on(INPUT, message)

    def send_input_state(self, state: bytes) -> None:
        """The newest state, such as where the pointer is: sent once, older ones are dropped."""
        self._check_established()
        self._small.append(self._messages.input_state(state))
        self._hurry()

    def send_frame(
        self,
        lane: int,
        data: bytes,
        *,
        key: bool,
        now_ns: int,
        captured_ns: int | None = None,
        parity: int | None = None,
    ) -> int:
        """A frame of that lane; gives its number. `key` frames need no other frame.

        Raises:
            LimitExceeded: codes `transport.frame`, `transport.queue`: nothing was taken.
            Unusable: code `transport.closed`: the handshake is not done, or the link is over.
        """
        self._check_established()
        check_frame(data)
        number = self._frame_numbers.get(lane, 0)
        captured_ns = now_ns if captured_ns is None else captured_ns
        if parity is None:
            shards, _ = shards_of(len(data), self._room)
            parity = self.media.parity(lane, shards)
        bodies = cut(
            lane, number, data, key=key, captured_ns=captured_ns, parity=parity, room=self._room
        )
        self.media.pacer.add(bodies, now_ns + self.options.playout_ns)
        self._frame_numbers[lane] = number + 1
        self._hurry()
        return number

    def probe(self, address: Address, path: int, now_ns: int) -> None:
        """Asks whether the peer can be reached at that address: `PathProbed` is the answer."""
        self._check_established()
        self.paths.probe(address, path, self._entropy, now_ns)
        self._hurry()

    def use_path(self, address: Address, path: int, now_ns: int) -> None:
        """Sends to that address from now on. Keys, streams and frames go on as they are."""
        self.paths.use(address, path, now_ns)
        self._on_path_change(now_ns)

    def _on_path_change(self, now_ns: int) -> None:
        self.media.on_path_change(now_ns)
        self._messages.on_path_change()
        self._hurry()

    def rekey(self, now_ns: int) -> None:
        """Goes to a new key for what we send, before it is time."""
        if self._packets is not None:
            self._packets.rekey(now_ns)

    def close(self, reason: CloseReason, text: str, now_ns: int) -> None:
        """Tells the peer, until it has heard it or half a second is over."""
        if self.closed is not None or self._closing is not None:
            return
        if self._packets is None or self.established is None:
            self._finish(Closed(reason, text, by_peer=False))
        else:
            self._begin_close(reason, text, now_ns)

    # --- handshake --------------------------------------------------------------------------

    def _set_keys(self, done: Handshaken, now_ns: int) -> None:
        self._done = done
        self._packets = SealedPackets(done, self.counts, now_ns)

    def _establish(self, address: Address) -> None:
        assert self._done is not None, "there are keys before a link is established"
        self.established = Established(self._done.peer, self._done.hash, address)
        self._events.append(self.established)

    def _receive_handshake(self, datagram: bytes, address: Address, now_ns: int) -> None:
        assert self._initiator is not None, "only initiators get here"
        try:
            answers = self._initiator.receive(decode_header(datagram), datagram, now_ns)
        except IdentityRefused as error:
            reason = CloseReason.IDENTITY_REFUSED
            self._finish(Closed(reason, error.message, by_peer=False, error=error))
            return
        except TrothError:
            self.counts.bad_handshake += 1
            return
        self._send_all(answers)
        if self._initiator.result is not None and self._done is None:
            self._set_keys(self._initiator.result, now_ns)
            self.paths.heard(address, now_ns)
        self._soon = True

    def _tick_handshake(self, now_ns: int) -> None:
        assert self._initiator is not None, "only initiators get here"
        self._send_all(self._initiator.tick(now_ns))
        if self._initiator.phase is InitiatorPhase.FAILED and self.closed is None:
            versions = self._initiator.remote_versions
            if versions:
                text = "the other side speaks other versions: " + ", ".join(map(str, versions))
                self._finish(Closed(CloseReason.VERSION_MISMATCH, text, by_peer=False))
            else:
                text = "no answer that holds, in the time of a handshake"
                self._finish(Closed(CloseReason.HANDSHAKE_TIMEOUT, text, by_peer=False))

    def _send_all(self, datagrams: list[bytes]) -> None:
        self._datagrams += [Datagram(self.paths.address, data) for data in datagrams]

    def confirm_again(self) -> None:
        """The peer repeats its last handshake message: it has not heard that we have it."""
        if self.closed is None and self.established is not None:
            self._small.append(chunks.encode(ChunkKind.CONFIRM, b""))
            self._soon = True

    # --- sealed packets in ------------------------------------------------------------------

    def _take(self, opened: Opened, size: int, address: Address, now_ns: int) -> None:
        self.paths.heard(address, now_ns)
        if opened.newest and address != self.paths.address:
            self.paths.moved(address, opened.path, self._entropy, now_ns)
            self._soon = True
        try:
            found = chunks.decode(opened.plain)
            if self._initiator is not None:
                self._confirmed(found, address)
            self.media.arrived(found, opened.number, size, now_ns)
            for kind, body in found:
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(body, now_ns, address)
                elif self.closed is None and self._closing is None:
                    self._soon |= self.media.on_chunk(kind, body, now_ns)
        except LimitExceeded as error:
            self.counts.bad_chunk += 1
            self._begin_close(CloseReason.LIMIT, error.message, now_ns, error=error)
        except TrothError as error:
            self.counts.bad_chunk += 1
            self._events.append(Refused(error))
        self._events += self.media.take_events()
        soonest_ns = self.media.soonest_ns(now_ns)
        if self._deadline_ns is None or soonest_ns < self._deadline_ns:
            self._deadline_ns = soonest_ns

    def _confirmed(self, found: list[tuple[int, bytes]], address: Address) -> None:
        """The first packet that the responder sealed. It may say that it does not want us."""
        assert self._initiator is not None, "only initiators wait for it"
        self._initiator.confirmed()
        self._initiator = None
        self._soon = True
        if not any(kind == ChunkKind.CLOSE for kind, _ in found):
            self._establish(address)

    def _on_confirm(self, body: bytes, _now_ns: int, _address: Address) -> None:
        """That it could be opened was the confirmation."""
        if body:
            raise malformed("chunk", "no body", len(body), 0)

    def _on_segment(self, body: bytes, _now_ns: int, _address: Address) -> None:
        self._soon = True
        events = self._messages.on_segment(body)
        if self.closed is None:
            self._events += events

    def _on_acknowledgement(self, body: bytes, now_ns: int, _address: Address) -> None:
        self._messages.on_acknowledgement(body, now_ns)
        self._soon = True

    def _on_input_state(self, body: bytes, _now_ns: int, _address: Address) -> None:
        self._events += self._messages.on_input_state(body)

    def _on_ping(self, body: bytes, now_ns: int, address: Address) -> None:
        _, path = chunks.unpack_exactly(chunks.PROBE, body)
        self._seal([chunks.encode(ChunkKind.PONG, body)], now_ns, address=address, path=path)

    def _on_pong(self, body: bytes, now_ns: int, address: Address) -> None:
        nonce, _ = chunks.unpack_exactly(chunks.PROBE, body)
        before = self.paths.address
        self._events += self.paths.answered(nonce, address, now_ns)
        if self.paths.address != before:
            self._on_path_change(now_ns)

    # --- sealed packets out -----------------------------------------------------------------

    def _seal(
        self,
        encoded: list[bytes],
        now_ns: int,
        *,
        fragment: bytes | None = None,
        expires_ns: int = 0,
        address: Address | None = None,
        path: int | None = None,
    ) -> None:
        assert self._packets is not None, "there are keys before anything is sealed"
        path = self.paths.path if path is None else path
        number, data = self._packets.seal(b"".join(encoded), path, now_ns)
        self._datagrams.append(Datagram(address or self.paths.address, data))
        self.media.sent.add(number, Sent(now_ns, len(data), fragment, expires_ns))
        self.paths.sent_ns = now_ns

    def _tick_link(self, now_ns: int) -> None:
        self._events += self.paths.tick(now_ns)
        if self.paths.ended and self.closed is None:
            self._finish(Closed(CloseReason.CONNECTION_LOST, "nothing came", by_peer=False))
        if self.closed is None and self._closing is None:
            self._events += self.media.tick(now_ns)
            self._collect(now_ns)
        self._repeat_close(now_ns)
        if self.established is not None or self._closing is not None:
            self._flush_small(now_ns)
        if self.closed is None and self._closing is None and self.established is not None:
            self._send_media(now_ns)

    def _collect(self, now_ns: int) -> None:
        if self.established is None:
            return
        self._small += self._messages.due(now_ns)
        self.paths.suspect = self.paths.suspect or self._messages.suspect
        self._small += self.media.collect(now_ns)
        for probe in self.paths.due(self._entropy, now_ns):
            body = chunks.PROBE.pack(probe.nonce, probe.path)
            encoded = [chunks.encode(ChunkKind.PING, body)]
            self._seal(encoded, now_ns, address=probe.address, path=probe.path)

    def _flush_small(self, now_ns: int) -> None:
        room = self.options.datagram_bytes - PACKET_OVERHEAD_BYTES
        batch: list[bytes] = []
        size = 0
        for encoded in self._small:
            if batch and (size + len(encoded) > room or len(batch) >= chunks.CHUNKS_MAX):
                self._seal(batch, now_ns)
                batch, size = [], 0
            batch.append(encoded)
            size += len(encoded)
        if batch:
            self._seal(batch, now_ns)
        self._small = []

    def _send_media(self, now_ns: int) -> None:
        pacer = self.media.pacer
        while (waiting := pacer.take(now_ns)) is not None:
            encoded = chunks.encode(ChunkKind.FRAGMENT, waiting.body)
            fragment = waiting.body if waiting.repeatable else None
            self._seal([encoded], now_ns, fragment=fragment, expires_ns=waiting.expires_ns)

    # --- the end ----------------------------------------------------------------------------

    def _begin_close(
        self, reason: CloseReason, text: str, now_ns: int, *, error: TrothError | None = None
    ) -> None:
        if self.closed is not None or self._closing is not None:
            return
        self._closing = Closing(Closed(reason, text, by_peer=False, error=error), now_ns)
        self._hurry()

    def _repeat_close(self, now_ns: int) -> None:
        if self._closing is None or self.closed is not None:
            return
        if self._closing.is_over(now_ns):
            self._finish(self._closing.closed)
            return
        chunk = self._closing.due(now_ns)
        if chunk is not None:
            self._small.append(chunk)

    def _on_close(self, body: bytes, now_ns: int, address: Address) -> None:
        closed = read_close(body)
        encoded = [chunks.encode(ChunkKind.CLOSE_ACKNOWLEDGEMENT, b"")]
        self._seal(encoded, now_ns, address=address)
        self._finish(closed)

    def _on_close_acknowledged(self, _body: bytes, _now_ns: int, _address: Address) -> None:
        if self._closing is not None:
            self._finish(self._closing.closed)

    def _finish(self, closed: Closed) -> None:
        if self.closed is None:
            self.closed = closed
            self._events.append(closed)
            self.media.pacer.clear()
            self.on_wanted()

    # --- helpers ----------------------------------------------------------------------------

    def _hurry(self) -> None:
        self._soon = True
        self.on_wanted()

    def _send_on(self, stream: int, message: bytes) -> None:
        self._check_open()
        self._messages.send(stream, message)
        self._hurry()

    @property
    def control_idle(self) -> bool:
        """Whether the peer has acknowledged everything on both streams."""
        return self._messages.idle

    def queued(self, stream: int) -> int:
        """A mark in a reliable stream: where what is said next begins."""
        return self._messages.queued(stream)

    def arrived(self, stream: int) -> int:
        """What was said on it before this mark is known to have arrived."""
        return self._messages.arrived(stream)

    def backlog_ns(self, stream: int) -> int:
        """How long what is said next on it will wait before it is sent."""
        return self._messages.backlog_ns(stream)

    def _check_open(self) -> None:
        if self.closed is not None or self._closing is not None:
            raise _closed("the link is over")

    def _check_established(self) -> None:
        self._check_open()
        if self.established is None:
            raise _closed("the handshake is not done yet")

    def _next_deadline_ns(self, now_ns: int) -> int | None:
        if self.closed is not None:
            return None
        times: list[int | None] = []
        if self._initiator is not None:
            times.append(self._initiator.deadline_ns)
        if self._closing is not None:
            times.append(self._closing.deadline_ns)
        if self.established is not None and self._closing is None:
            times += [self._messages.deadline_ns, self.media.deadline_ns(now_ns)]
            times.append(self.paths.deadline_ns)
        return min((time for time in times if time is not None), default=None)

    @property
    def side(self) -> Side:
        return Side.INITIATOR if self._done is None else self._done.side


_SEALED_FIRST_BYTE: Final = bytes([SEALED_FIRST_BYTE])


def _nobody() -> None:
    """Whoever drives this link looks at its deadline anyway."""


def _closed(what: str) -> Unusable:
    return Unusable(
        "transport.closed",
        what,
        expected="an established link that is not closed",
        actual=what,
        advice="Wait for Established, and stop after Closed",
    )
