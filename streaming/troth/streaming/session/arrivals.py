"""Contents that have come and not been asked for yet; the oldest go when there are too many."""

from __future__ import annotations

from collections import OrderedDict

from blake3 import blake3

from troth.streaming.lane import Content, Lane
from troth.streaming.session.limits import CONTENTS_KEPT


class Arrivals:
    """What came, by lane and number. A second content of one number replaces nothing."""

    def __init__(self) -> None:
        self.repeated = 0
        self._content: OrderedDict[tuple[Lane, int], bytes] = OrderedDict()

    def add(self, content: Content) -> None:
        key = (content.lane, content.number)
        if key in self._content:
            self.repeated += 1
            return
        self._content[key] = content.data
        while len(self._content) > CONTENTS_KEPT:
            self._content.popitem(last=False)

    def take(self, lane: Lane, number: int) -> bytes | None:
        return self._content.pop((lane, number), None)


def is_content(data: bytes, digest: bytes) -> bool:
    """Whether `data` is what a message of the session has named."""
    return blake3(data).digest() == digest
