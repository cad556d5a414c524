"""Input on its way: moves may be put together, edges never, and no key stays down at the end."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from troth.streaming.media.interfaces import Act, ActKind, InputSink
from troth.vm.errors import LimitExceeded

QUEUE_ACTS_MAX: Final = 1024
KEYS_DOWN_MAX: Final = 256


class ActQueue:
    """What the user did and what has not been sent.

    A move replaces the move before it, unless something was pressed in between: a click belongs
    to the place where it was made.
    """

    def __init__(self) -> None:
        self.coalesced = 0
        self._acts: deque[Act] = deque()
        self._edges = 0

    def __len__(self) -> int:
        return len(self._acts)

    def add(self, act: Act) -> None:
        """
        Raises:
            LimitExceeded: code `media.limit.acts`, when nobody takes them.
        """
        acts = self._acts
        if act.kind is ActKind.MOVE and acts and acts[-1].kind is ActKind.MOVE:
            acts[-1] = act
            self.coalesced += 1
            return
        if len(acts) >= QUEUE_ACTS_MAX:
            raise LimitExceeded(
                "media.limit.acts",
                "the user does more than can be sent",
                expected=f"at most {QUEUE_ACTS_MAX} acts that wait",
                actual="one more",
            )
        if act.kind in (ActKind.PRESS, ActKind.RELEASE):
            act = replace(act, number=self._edges)
            self._edges += 1
        acts.append(act)

    def take(self, *, lone_moves: bool = True) -> Act | None:
        """The oldest. Without `lone_moves` a move waits for a newer one, or an edge behind it."""
        acts = self._acts
        if not acts or (not lone_moves and len(acts) == 1 and acts[0].kind is ActKind.MOVE):
            return None
        return acts.popleft()


class PressedKeys:
    """Hands acts to a sink, and knows what is down."""

    def __init__(self, sink: InputSink) -> None:
        self.injected = 0
        self._sink = sink
        self._down: dict[int, None] = {}

    @property
    def down(self) -> tuple[int, ...]:
        return tuple(self._down)

    def move(self, x: int, y: int) -> None:
        self._sink.move(x, y)
        self.injected += 1

    def press(self, code: int) -> None:
        """
        Raises:
            LimitExceeded: code `media.limit.keys`.
        """
        if len(self._down) >= KEYS_DOWN_MAX and code not in self._down:
            raise LimitExceeded(
                "media.limit.keys",
                "more keys are down than there are on a keyboard",
                expected=f"at most {KEYS_DOWN_MAX}",
                actual="one more",
            )
        self._down[code] = None
        self._sink.press(code)
        self.injected += 1

    def release(self, code: int) -> None:
        """A key that is not down is released all the same: it may have been down before."""
        self._down.pop(code, None)
        self._sink.release(code)
        self.injected += 1

    def release_all(self) -> int:
        """How many were down."""
        down = self.down
        for code in down:
            self.release(code)
        return len(down)


class RecordedInput:
    """A sink that keeps what came, the last `acts_max` of it."""

    def __init__(self, acts_max: int = QUEUE_ACTS_MAX) -> None:
        self.acts: deque[tuple[str, int, int]] = deque(maxlen=acts_max)

    def move(self, x: int, y: int) -> None:
        self.acts.append(("move", x, y))

    def press(self, code: int) -> None:
        self.acts.append(("press", code, 0))

    def release(self, code: int) -> None:
        self.acts.append(("release", code, 0))


class ScriptedUser:
    """Circles with the pointer and types: moves every 8 ms, a key every 250 ms, held for 100."""

    MOVE_EVERY_US: Final = 8_000
    KEY_EVERY_US: Final = 250_000
    KEY_HELD_US: Final = 100_000
    FIRST_CODE: Final = 30

    def __init__(self, began_at_us: int) -> None:
        self._next_move_us = began_at_us
        self._next_press_us = began_at_us + self.KEY_EVERY_US
        self._release_at_us: int | None = None
        self._moves = 0
        self._keys = 0

    def acts(self, now_us: int) -> tuple[Act, ...]:
        """Everything that was due until now."""
        found: list[Act] = []
        if self._next_move_us <= now_us:
            # Those that were missed are put together, as the queue would do it.
            passed = (now_us - self._next_move_us) // self.MOVE_EVERY_US + 1
            self._moves += passed
            self._next_move_us += passed * self.MOVE_EVERY_US
            at = self._moves % 100
            found.append(Act(ActKind.MOVE, now_us, x=at * 655, y=(99 - at) * 655))
        if self._release_at_us is not None and self._release_at_us <= now_us:
            found.append(Act(ActKind.RELEASE, now_us, code=self._code))
            self._release_at_us = None
            self._keys += 1
        if self._release_at_us is None and self._next_press_us <= now_us:
            found.append(Act(ActKind.PRESS, now_us, code=self._code))
            self._next_press_us = now_us + self.KEY_EVERY_US
            self._release_at_us = now_us + self.KEY_HELD_US
        return tuple(found)

    @property
    def _code(self) -> int:
        return self.FIRST_CODE + self._keys % 10
