"""A video source and a sink without devices: numbered pictures, read back from their pixels."""

from __future__ import annotations

from typing import Final

from troth.streaming.media.frame_codec import FrameHead, pack, restore, unpack
from troth.streaming.media.interfaces import EncodedFrame, Picture
from troth.streaming.media.pixels import HEIGHT_MIN, WIDTH_MIN, draw, read_number
from troth.vm.errors import Malformed, Unusable

KEY_FRAME_WEIGHT: Final = 3
"""A key frame may take as many bytes as so many others."""
KEY_FRAME_MS_MAX: Final = 100
"""And as many as the bitrate gives in so long: on a slow way it would come too late to be shown."""
MONITORS: Final = ("synthetic:0", "synthetic:1")


def _check_size(width: int, height: int) -> None:
    if width < WIDTH_MIN or height < HEIGHT_MIN:
        raise Unusable(
            "media.picture",
            "the picture is too small for its number",
            expected=f"at least {WIDTH_MIN} by {HEIGHT_MIN}",
            actual=f"{width} by {height}",
        )


class SyntheticVideo:
    """Draws the number of each frame into its picture."""

    def __init__(self) -> None:
        self.capturing = False
        self._picture = Picture(WIDTH_MIN, HEIGHT_MIN, 1)
        self._bitrate_kbps = 0
        self._next = 0
        self._key_wanted = True
        self._monitor = 0
        self._previous = b""

    @property
    def monitors(self) -> tuple[str, ...]:
        return MONITORS

    def start(self, picture: Picture, bitrate_kbps: int) -> None:
        """
        Raises:
            Unusable: code `media.picture`, when the cells would not fit.
        """
        _check_size(picture.width, picture.height)
        self._picture = picture
        self._bitrate_kbps = bitrate_kbps
        self._key_wanted = True
        self.capturing = True

    def adapt(self, bitrate_kbps: int, frames_per_second: int) -> None:
        size = self._picture
        self._picture = Picture(size.width, size.height, frames_per_second)
        self._bitrate_kbps = bitrate_kbps

    def resize(self, width: int, height: int) -> None:
        """
        Raises:
            Unusable: code `media.picture`, when the cells would not fit.
        """
        _check_size(width, height)
        rate = self._picture.frames_per_second
        before, self._picture = self._picture, Picture(width, height, rate)
        self._key_wanted = self._key_wanted or before != self._picture

    def select(self, monitor: int) -> None:
        """
        Raises:
            Unusable: code `media.monitor`.
        """
        if not 0 <= monitor < len(MONITORS):
            raise Unusable(
                "media.monitor",
                "there is no such monitor",
                expected=f"a number from 0 to {len(MONITORS) - 1}",
                actual=str(monitor),
            )
        self._monitor = monitor
        self._key_wanted = True

    def force_key_frame(self) -> int:
        self._key_wanted = True
        return self._next

    def capture(self, now_us: int) -> EncodedFrame:
        number, key = self._next, self._key_wanted
        picture = self._picture
        pixels = draw(number, picture.width, picture.height, self._monitor)
        size = self._bitrate_kbps * 125 // picture.frames_per_second
        head = FrameHead(number, key, max(0, number - 1), picture.width, picture.height)
        if key:
            most = self._bitrate_kbps * KEY_FRAME_MS_MAX // 8
            size = max(size, min(size * KEY_FRAME_WEIGHT, most))
        data = pack(head, pixels, self._previous, size)
        self._previous = pixels
        self._next = number + 1
        self._key_wanted = False
        return EncodedFrame(number, key, now_us, data)

    def stop(self) -> None:
        self.capturing = False
        self._previous = b""


class SyntheticScreen:
    """Decodes frames, and reads from the pixels which one it shows."""

    def __init__(self) -> None:
        self.last = -1
        self._pixels = b""
        self._size = (0, 0)

    def present(self, data: bytes) -> int:
        """
        Raises:
            Malformed: code `media.frame` or `media.reference`.
        """
        head, plane = unpack(data)
        size = (head.width, head.height)
        if head.key:
            pixels = plane
        elif head.reference != self.last or size != self._size:
            raise Malformed(
                "media.reference",
                "the frame before this one was not shown",
                expected=f"frame {head.reference} on the screen",
                actual=f"frame {self.last}" if self.last >= 0 else "none",
                advice="Ask for a key frame",
            )
        else:
            pixels = restore(plane, self._pixels)
        number = read_number(pixels, head.width, head.height)
        if number != head.number:
            raise Malformed(
                "media.frame",
                "the picture is not the frame that it says",
                expected=str(head.number),
                actual=str(number),
            )
        self._pixels, self._size, self.last = pixels, size, number
        return number
