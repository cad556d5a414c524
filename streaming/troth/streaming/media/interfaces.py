"""What a device has to do to be a source or a sink of a session. Nothing here waits.

The session asks a source for the next piece when it is due, and hands a sink what has arrived.
Times are microseconds of the host's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Picture:
    """The size of a picture and how often it changes."""

    width: int
    height: int
    frames_per_second: int


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame, as it travels. A frame that is no key frame needs the one before it."""

    number: int
    key: bool
    captured_at_us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SoundGroup:
    """Sound of `GROUP_MS` milliseconds."""

    number: int
    captured_at_us: int
    data: bytes


class ActKind(StrEnum):
    """What a user does; the words are those of the session's programs."""

    MOVE = "move"
    PRESS = "press"
    RELEASE = "release"
    END = "end"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a user did. `number` counts the edges, so that none can be missing unseen."""

    kind: ActKind
    at_us: int
    x: int = 0
    y: int = 0
    code: int = 0
    number: int = 0


class VideoSource(Protocol):
    """Captures and encodes."""

    @property
    def monitors(self) -> tuple[str, ...]: ...

    def start(self, picture: Picture, bitrate_kbps: int) -> None: ...

    def adapt(self, bitrate_kbps: int, frames_per_second: int) -> None:
        """The next frame is made for this bitrate."""

    def resize(self, width: int, height: int) -> None:
        """The next frame is of this size, and is a key frame if that is another one."""

    def select(self, monitor: int) -> None:
        """The next frame shows another monitor, and is a key frame."""

    def force_key_frame(self) -> int:
        """The next frame is a key frame; its number."""

    def capture(self, now_us: int) -> EncodedFrame: ...

    def stop(self) -> None: ...


class VideoSink(Protocol):
    """Decodes and presents."""

    def present(self, data: bytes) -> int:
        """Shows a frame; the number that can be read from the picture itself.

        Raises:
            Malformed: code `media.frame`, or `media.reference` when the frame before is missing.
        """


class SoundSource(Protocol):
    def capture(self, now_us: int) -> SoundGroup: ...

    def stop(self) -> None: ...


class SoundSink(Protocol):
    def play(self, data: bytes) -> int:
        """Plays a group; which tone it is.

        Raises:
            Malformed: code `media.sound`.
        """


class InputSource(Protocol):
    def acts(self, now_us: int) -> tuple[Act, ...]:
        """What the user has done since the last call."""


class InputSink(Protocol):
    def move(self, x: int, y: int) -> None: ...

    def press(self, code: int) -> None: ...

    def release(self, code: int) -> None: ...
