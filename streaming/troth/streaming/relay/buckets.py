"""Token buckets in whole numbers, and a bounded table of them by address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from troth.streaming.relay.limits import SECOND_NS


class TokenBucket:
    """So much a second, and at most `burst` at once.

    It counts in units of a token a nanosecond, so nothing is lost to rounding.
    """

    __slots__ = ("_burst", "_level", "_rate", "_then_ns")

    def __init__(self, rate_per_s: int, burst: int, now_ns: int) -> None:
        self._rate = rate_per_s
        self._burst = burst * SECOND_NS
        self._level = self._burst
        self._then_ns = now_ns

    def take(self, amount: int, now_ns: int) -> bool:
        """Takes all of it or nothing."""
        self._fill(now_ns)
        wanted = amount * SECOND_NS
        if wanted > self._level:
            return False
        self._level -= wanted
        return True

    def wait_ns(self, amount: int, now_ns: int) -> int:
        """How long until so much can be taken; for ever more than a burst holds, too."""
        self._fill(now_ns)
        missing = amount * SECOND_NS - self._level
        return max(0, -(-missing // self._rate))

    def _fill(self, now_ns: int) -> None:
        if now_ns > self._then_ns:
            self._level = min(self._burst, self._level + (now_ns - self._then_ns) * self._rate)
            self._then_ns = now_ns


class BucketTable:
    """A bucket for each of the last `entries_max` keys; the one used longest ago goes first."""

    __slots__ = ("_burst", "_entries", "_entries_max", "_rate")

    def __init__(self, rate_per_s: int, burst: int, entries_max: int) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._entries_max = entries_max
        self._entries: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: Hashable, now_ns: int, amount: int = 1) -> bool:
        return self._bucket(key, now_ns).take(amount, now_ns)

    def wait_ns(self, key: Hashable, now_ns: int, amount: int = 1) -> int:
        return self._bucket(key, now_ns).wait_ns(amount, now_ns)

    def _bucket(self, key: Hashable, now_ns: int) -> TokenBucket:
        bucket = self._entries.get(key)
        if bucket is None:
            while len(self._entries) >= self._entries_max:
                self._entries.popitem(last=False)
            bucket = self._entries[key] = TokenBucket(self._rate, self._burst, now_ns)
        else:
            self._entries.move_to_end(key)
        return bucket
