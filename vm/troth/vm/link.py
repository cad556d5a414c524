"""The line to one other machine: numbers what is sent, and sends it until it is acknowledged.

Sans-IO: it is told when the line is up or down, what came, and the time; it says what to send
and when it has to be asked again. It survives any number of broken connections. Order and
repetition are the business of the machine, which refuses what its replay modes do not take.
"""

from __future__ import annotations

from typing import Final

from troth.vm.link_frames import EXTRA_ACKS_MAX, Ack, Data
from troth.vm.unsent import Care, Said, Unsent

AGAIN_AFTER_NS: Final = 250_000_000
"""What is not acknowledged by then is sent again; each time after twice as long."""

AGAIN_AFTER_MAX_NS: Final = 5_000_000_000

WINDOW_MAX: Final = 4096
"""Numbers that are under way at once; what comes after them waits for its number."""

WINDOW_BYTES_MAX: Final = 32 << 20
"""How long what is under way may be together, if it is more than one."""

AHEAD_MAX: Final = 1 << 16
"""Numbers beyond the first missing one that are remembered as received."""


class _Waiting:
    """Data that nobody has acknowledged."""

    __slots__ = ("again_ns", "attempts", "said")

    def __init__(self, said: Said) -> None:
        self.said = said
        self.attempts = 0
        self.again_ns = 0


class Link:
    """One other party.

    Attributes:
        party: its id.
        incarnation: which life of it the numbers on the line belong to.
        keys: those that it has proved to hold.
        roles: those that it says it holds.
        up: whether there is a connection.
        down_since_ns: since when there is none; None while there is one.
    """

    __slots__ = (
        "_above",
        "_ack_due",
        "_below",
        "_next",
        "_outbox",
        "_outbox_bytes",
        "_unsent",
        "down_since_ns",
        "incarnation",
        "keys",
        "party",
        "roles",
    )

    def __init__(
        self,
        party: bytes,
        roles: tuple[str, ...],
        incarnation: bytes = b"",
        keys: frozenset[bytes] = frozenset(),
    ) -> None:
        self.party = party
        self.keys = keys
        self.incarnation = incarnation
        self.roles = roles
        self.down_since_ns: int | None = None
        self._outbox: dict[int, _Waiting] = {}
        self._outbox_bytes = 0
        self._unsent = Unsent()
        self._next = 0
        self._below = 0
        self._above: set[int] = set()
        self._ack_due = False

    @property
    def up(self) -> bool:
        return self.down_since_ns is None

    @property
    def idle(self) -> bool:
        """Everything that was sent has been acknowledged."""
        return not self._outbox and not self._unsent

    @property
    def kept(self) -> int:
        """How many envelopes it keeps: the ones under way, and those that wait for a number."""
        return len(self._outbox) + len(self._unsent)

    def connected(self) -> None:
        """A new connection: what was under way may be lost, so all of it goes out again."""
        self.down_since_ns = None
        self._ack_due = True
        for waiting in self._outbox.values():
            waiting.again_ns = 0
            waiting.attempts = 0

    def restart(self, incarnation: bytes) -> None:
        """The other side was resumed and counts anew: so does this one."""
        self.incarnation = incarnation
        waiting = [one.said for one in self._outbox.values()]
        while self._unsent:
            waiting.append(self._unsent.take())
        self._outbox.clear()
        self._outbox_bytes = 0
        self._next = self._below = 0
        self._above.clear()
        group = waiting[0].group if waiting else 0
        for said in waiting:
            self.send(said.envelope, said.care, opens=said.group != group)
            group = said.group

    def lost(self, now_ns: int) -> None:
        if self.down_since_ns is None:
            self.down_since_ns = now_ns

    def send(self, envelope: bytes, care: Care = Care.RELIABLE, *, opens: bool = False) -> None:
        """Takes responsibility for an envelope, as far as `care` says; `opens` as in `Unsent`."""
        self._unsent.add(envelope, care, opens=opens)

    def _number(self) -> None:
        """What has waited gets its number, while there is room on the line."""
        while self._unsent and self._has_room:
            said = self._unsent.take()
            self._outbox[self._next] = _Waiting(said)
            self._outbox_bytes += len(said.envelope)
            self._next += 1

    @property
    def _has_room(self) -> bool:
        """However long one envelope is, it goes alone."""
        return not self._outbox or (
            len(self._outbox) < WINDOW_MAX and self._outbox_bytes < WINDOW_BYTES_MAX
        )

    def _forget(self, number: int) -> None:
        waiting = self._outbox.pop(number, None)
        if waiting is not None:
            self._outbox_bytes -= len(waiting.said.envelope)

    def received(self, number: int) -> None:
        """Data has been dealt with and is to be acknowledged; more than once does no harm."""
        self._ack_due = True
        if number < self._below or number > self._below + AHEAD_MAX:
            return
        self._above.add(number)
        while self._below in self._above:
            self._above.remove(self._below)
            self._below += 1

    def acknowledged(self, ack: Ack) -> None:
        """Unsigned, and only spares repetitions: numbers that were never sent are passed over."""
        for number in [n for n in self._outbox if n < ack.below]:
            self._forget(number)
        for number in ack.extra:
            self._forget(number)

    def frames(self, now_ns: int) -> list[Ack | Data]:
        """What is to be sent now; nothing while the line is down."""
        if not self.up:
            return []
        frames: list[Ack | Data] = []
        if self._ack_due:
            self._ack_due = False
            frames.append(Ack(self._below, tuple(sorted(self._above)[:EXTRA_ACKS_MAX])))
        self._number()
        for number, waiting in self._outbox.items():
            if waiting.again_ns <= now_ns:
                after_ns = min(AGAIN_AFTER_NS << waiting.attempts, AGAIN_AFTER_MAX_NS)
                waiting.again_ns = now_ns + after_ns
                waiting.attempts = min(waiting.attempts + 1, 16)
                frames.append(Data(number, waiting.said.envelope))
        return frames

    def deadline_ns(self) -> int | None:
        """When `frames` will have something although nothing happens; None for never."""
        if not self.up:
            return None
        if self._unsent and self._has_room:
            return 0
        return min((waiting.again_ns for waiting in self._outbox.values()), default=None)
