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
        self._newest: dict[Lane, int] = {}
        self._content: OrderedDict[tuple[Lane, int], bytes] = OrderedDict()

    def add(self, content: Content) -> None:
        key = (content.lane, content.number)
        if key in self._content:
            self.repeated += 1
            return
        self._content[key] = content.data
        self._newest[content.lane] = max(content.number, self._newest.get(content.lane, -1))
        while len(self._content) > CONTENTS_KEPT:
            self._content.popitem(last=False)

    def passed(self, lane: Lane, number: int) -> bool:
        """Whether a newer one has come: the way hands contents over in order, so it never will."""
        return self._newest.get(lane, -1) > number

    def take(self, lane: Lane, number: int) -> bytes | None:
        return self._content.pop((lane, number), None)


def is_content(data: bytes, digest: bytes) -> bool:
    """Whether `data` is what a message of the session has named."""
    return blake3(data).digest() == digest
