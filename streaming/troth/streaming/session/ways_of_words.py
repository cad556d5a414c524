"""Which of a link's streams the frames between two machines take.

What a user does goes on the stream of the input, where nothing that is long or lost stands in
front of it; all else goes on the control stream. A message that is sealed by round is of no use
before the head of its round, so a head goes wherever one of the messages under it goes: twice
does no harm, since each frame has a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from troth.vm.envelope import HeadEnvelope, beginning
from troth.vm.link_frames import Data, Frame


class Stream(IntEnum):
    """The link's reliable streams, by their numbers."""

    CONTROL = 0
    INPUT = 1


_HEAD: Final = beginning(HeadEnvelope)
_CONTROL: Final[tuple[Stream, ...]] = (Stream.CONTROL,)
_INPUT: Final[tuple[Stream, ...]] = (Stream.INPUT,)


def streams_of(
    frames: Sequence[Frame], urgent: tuple[bytes, ...]
) -> list[tuple[Frame, tuple[Stream, ...]]]:
    """Each frame with its streams, in order; envelopes of input begin with one of `urgent`."""
    found: list[tuple[Frame, tuple[Stream, ...]]] = []
    under: set[Stream] = set()
    for frame in reversed(frames):
        streams = _CONTROL
        if isinstance(frame, Data) and frame.envelope.startswith(_HEAD):
            streams = tuple(sorted(under)) or _CONTROL
            under = set()
        elif isinstance(frame, Data):
            if frame.envelope.startswith(urgent):
                streams = _INPUT
            under.add(streams[0])
        found.append((frame, streams))
    found.reverse()
    return found
