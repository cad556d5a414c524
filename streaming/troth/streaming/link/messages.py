"""The message lanes of a link: two reliable streams, and the newest state of the input."""

from __future__ import annotations

from typing import Final

from troth.streaming.link import chunks
from troth.streaming.link.chunks import ChunkKind
from troth.streaming.link.outputs import ControlMessage, Event, InputEdge, InputState
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.link.stream import StreamReceiver, StreamSender
from troth.streaming.transport_limits import INPUT_BYTES_MAX
from troth.streaming.wire import malformed
from troth.vm.errors import LimitExceeded

CONTROL: Final = 0
INPUT: Final = 1
STREAMS: Final = (CONTROL, INPUT)
FIRST_TO_LAST: Final = (INPUT, CONTROL)
"""What a user does goes out before what else is due."""

_NUMBERS: Final = 1 << 32


class Messages:
    """What a link has besides its frames and its paths."""

    def __init__(self, segment_bytes: int, rtt: RoundTrip) -> None:
        self._senders = [StreamSender(name, segment_bytes, rtt) for name in STREAMS]
        self._receivers = [StreamReceiver(name) for name in STREAMS]
        self._acknowledge = [False for _ in STREAMS]
        self._sent = self._seen = -1

    @property
    def idle(self) -> bool:
        """Whether the peer has acknowledged everything on both streams."""
        return all(sender.idle for sender in self._senders)

    @property
    def suspect(self) -> bool:
        """Whether something was repeated so often that the path is in doubt."""
        return any(sender.suspect for sender in self._senders)

    @property
    def deadline_ns(self) -> int | None:
        times = [sender.deadline_ns for sender in self._senders]
        return min((time for time in times if time is not None), default=None)

    def queued(self, stream: int) -> int:
        """How many segments of it there have been."""
        return self._senders[stream].queued

    def arrived(self, stream: int) -> int:
        """So many of the first of them are known to have arrived."""
        return self._senders[stream].arrived

    def backlog_ns(self, stream: int) -> int:
        """How long what waits to be sent on it will wait."""
        return self._senders[stream].backlog_ns

    def send(self, stream: int, message: bytes) -> None:
        if stream == INPUT:
            _check_input(message)
        self._senders[stream].send(message)

    def on_path_change(self) -> None:
        for sender in self._senders:
            sender.on_path_change()

    def input_state(self, state: bytes) -> bytes:
        """The chunk that carries it."""
        _check_input(state)
        self._sent = (self._sent + 1) % _NUMBERS
        return chunks.encode(ChunkKind.INPUT_STATE, chunks.INPUT_STATE.pack(self._sent) + state)

    def due(self, now_ns: int) -> list[bytes]:
        """Chunks to be sent now."""
        encoded = []
        for stream in FIRST_TO_LAST:
            bodies = self._senders[stream].due(now_ns)
            encoded += [chunks.encode(ChunkKind.SEGMENT, body) for body in bodies]
            if self._acknowledge[stream]:
                self._acknowledge[stream] = False
                body = self._receivers[stream].acknowledgement()
                encoded.append(chunks.encode(ChunkKind.ACKNOWLEDGEMENT, body))
        return encoded

    def on_segment(self, body: bytes) -> list[Event]:
        stream, number, flags = chunks.unpack(chunks.SEGMENT, body)
        _check_stream(stream)
        self._acknowledge[stream] = True
        messages = self._receivers[stream].receive(number, flags, body[chunks.SEGMENT.size :])
        event = ControlMessage if stream == CONTROL else InputEdge
        return [event(message) for message in messages]

    def on_acknowledgement(self, body: bytes, now_ns: int) -> None:
        stream = chunks.unpack(chunks.ACKNOWLEDGEMENT, body)[0]
        _check_stream(stream)
        self._senders[stream].acknowledged(body, now_ns)

    def on_input_state(self, body: bytes) -> list[Event]:
        (number,) = chunks.unpack(chunks.INPUT_STATE, body)
        if not 0 < (number - self._seen) % _NUMBERS < _NUMBERS // 2:
            return []
        self._seen = number
        return [InputState(number, body[chunks.INPUT_STATE.size :])]


def _check_stream(stream: int) -> None:
    if stream not in STREAMS:
        raise malformed("chunk", "a stream that there is", stream, 0)


def _check_input(data: bytes) -> None:
    if len(data) > INPUT_BYTES_MAX:
        raise LimitExceeded(
            "transport.input",
            "an input event is too long",
            expected=f"at most INPUT_BYTES_MAX={INPUT_BYTES_MAX} bytes",
            actual=str(len(data)),
            advice="Send what is long as a control message",
        )
