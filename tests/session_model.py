"""A tiny model of sessions and their buffers, to be held against the machine.

It knows nothing of the machine's code: lists, sets and a few rules. A world is two sessions and
three puppets: the first sends to the middle one, and that to the third. The two may be a bundle,
and each choice of what to send may have a clock. The host may say that a puppet is gone, that
nothing passes in a session, that a message was changed, and that a puppet gets no turn until some
time. A puppet does one act at a time, when it is told to, and may block in it. The model says what
happens, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

Happening: TypeAlias = tuple[object, ...]

SENDS: Final = ("item", "stop", "last")
ACTS: Final = (
    *("item", "take", "stop", "last", "close out", "close in"),
    *("cancel out", "cancel in", "fail", "halt", "clock"),
)
"""`out` is the puppet's sending end, `in` its receiving end; `clock` starts that of a choice."""

LATE: Final = "late"
"""What a puppet does when its clock has run out."""

LINGER_OVER: Final = "linger time is over"
GONE: Final = "vm.fault.channel"


class _Trap(Exception):
    """The act is a fault: its code."""


@dataclass(eq=False, slots=True)
class Talk:
    """A session: A sends items; `stop` ends B alone, `last` ends both.

    Attributes:
        ends: the roles whose type is at its end.
        owners: who may use each role's endpoint; a role that is done has none.
        together: itself and the others of its bundle.
        within_ns: how long A has for each choice, 0 where it has no clock.
        receiver, sender: who is blocked here. In a partition both may be.
        corrupted: the numbers of messages that were changed in flight.
        choosing: whether A's clock runs, or has run out while nothing could be done about it.
        chosen_by_ns: when it runs out; `order` tells clocks of the same time apart.
    """

    name: int
    policy: str
    capacity: int
    most: int
    linger_ns: int
    owners: dict[str, Puppet]
    within_ns: int = 0
    together: list[Talk] = field(default_factory=list)
    choosing: bool = False
    chosen_by_ns: int = 0
    order: int = 0
    status: str = "ACTIVE"
    epoch: int = 0
    buffer: list[tuple[int, str]] = field(default_factory=list)
    sent: int = 0
    taken: int = 0
    discarded: int = 0
    ends: set[str] = field(default_factory=set)
    noticed: set[str] = field(default_factory=set)
    running: bool = False
    deadline_ns: int = 0
    receiver: Puppet | None = None
    sender: Puppet | None = None
    parted: bool = False
    corrupted: set[int] = field(default_factory=set)

    @property
    def live(self) -> bool:
        return self.status in ("ACTIVE", "DRAINING")


@dataclass(frozen=True, slots=True)
class Setting:
    """How the two sessions of a world are opened."""

    policy: str
    capacity: int
    most: int
    linger_ns: int
    bundled: bool
    within_ns: int


@dataclass(eq=False, slots=True)
class Puppet:
    """`own` are its endpoints, in the order in which it got them; `stuck` is what blocks it."""

    name: int
    incoming: Talk | None = None
    outgoing: Talk | None = None
    own: list[tuple[Talk, str]] = field(default_factory=list)
    stuck: str | None = None
    ended: bool = False


class Model:
    """Set `clock_ns`, call a door, then `settle`; `happened` grows until somebody clears it."""

    def __init__(self) -> None:
        self.clock_ns = 0
        self.happened: list[Happening] = []
        self.talks: list[Talk] = []
        self.puppets: list[Puppet] = []
        self.answered: list[Puppet] = []
        self.ready: list[Puppet] = []
        self.clocks: list[Talk] = []
        self.started = 0
        self.paused: dict[Puppet, int] = {}
        self.aside: list[Puppet] = []

    # --- doors -----------------------------------------------------------------------------

    def open_world(self, setting: Setting) -> list[Puppet]:
        first, middle, third = (Puppet(len(self.puppets) + n) for n in range(3))
        pairs = ((first, middle), (middle, third))
        made: list[Talk] = []
        for number, (sender, receiver) in enumerate(pairs, len(self.talks)):
            talk = Talk(
                number,
                setting.policy,
                setting.capacity,
                setting.most,
                setting.linger_ns,
                {"A": sender, "B": receiver},
                setting.within_ns,
            )
            sender.outgoing, receiver.incoming = talk, talk
            made.append(talk)
        for talk in made:
            talk.together = made if setting.bundled else [talk]
        self.talks += made
        for puppet in (first, middle, third):
            if puppet.incoming is not None:
                puppet.own.append((puppet.incoming, "B"))
            if puppet.outgoing is not None:
                puppet.own.append((puppet.outgoing, "A"))
        self.puppets += (first, middle, third)
        return [first, middle, third]

    def act(self, puppet: Puppet, act: str) -> None:
        puppet.stuck = act
        self.answered.append(puppet)

    def settle(self) -> None:
        """Rounds: what is due ends, then whoever is ready has a turn, in order."""
        while self._hold() or self.answered or self._due() or self._run_out() or self._back():
            late = {talk.owners["A"] for talk in self._run_out()}
            self.ready += [puppet for puppet in self.answered if puppet not in late]
            self.answered = [puppet for puppet in self.answered if puppet in late]
            for talk in self._due():
                self._end_together(talk, "CLOSED", LINGER_OVER)
            for talk in self._run_out():
                self._interrupt(talk)
            # With its session the clock of a choice is gone: then it was not too late.
            self.answered = [puppet for puppet in self.answered if puppet.stuck != LATE]
            for puppet in self._back():
                del self.paused[puppet]
            self.ready += [puppet for puppet in self.aside if puppet not in self.paused]
            self.aside = [puppet for puppet in self.aside if puppet in self.paused]
            self._hold()
            batch, self.ready = self.ready, []
            for puppet in batch:
                assert puppet.stuck is not None
                act, puppet.stuck = puppet.stuck, None
                self._turn(puppet, act)

    def _hold(self) -> bool:
        """Who is timed out gets no turn; says whether anybody else does."""
        self.aside += [puppet for puppet in self.ready if puppet in self.paused]
        self.ready = [puppet for puppet in self.ready if puppet not in self.paused]
        return bool(self.ready)

    def _back(self) -> list[Puppet]:
        """Whose timeout is over."""
        return [puppet for puppet, at in self.paused.items() if at <= self.clock_ns]

    def _run_out(self) -> list[Talk]:
        """Those whose time to choose is over, while their sender waits and can be interrupted."""
        over = [
            talk
            for talk in self.talks
            if self._clock_runs(talk)
            and talk.chosen_by_ns <= self.clock_ns
            and self._waits(talk.owners["A"])
        ]
        return sorted(over, key=lambda talk: (talk.chosen_by_ns, talk.order))

    def _clock_runs(self, talk: Talk) -> bool:
        return talk.choosing and talk.live and "A" in talk.owners

    def _waits(self, puppet: Puppet) -> bool:
        """For its host, or for a message."""
        if puppet.ended or puppet in self.ready or puppet in self.aside:
            return False
        if puppet.stuck is None or puppet in self.answered:
            return True
        return puppet.incoming is not None and puppet.incoming.receiver is puppet

    def _interrupt(self, talk: Talk) -> None:
        puppet = talk.owners["A"]
        if puppet.incoming is not None and puppet.incoming.receiver is puppet:
            puppet.incoming.receiver = None
        self.happened.append(("late", talk.name))
        talk.choosing = False
        puppet.stuck = LATE
        self.ready.append(puppet)

    def _due(self) -> list[Talk]:
        due = [talk for talk in self.clocks if talk.live and talk.deadline_ns <= self.clock_ns]
        return sorted(due, key=lambda talk: (talk.deadline_ns, self.clocks.index(talk)))

    def host_cancels(self, talk: Talk) -> None:
        self.happened.append(("cancelled", talk.name, "", "host"))
        self._end_together(talk, "CANCELLED", "host")

    def host_asks(self, talk: Talk) -> None:
        if talk.running:
            return
        self.happened.append(("asked", talk.name))
        for one in talk.together:
            if one.status == "ACTIVE":
                one.status = "DRAINING"
                self.happened.append(("status", one.name, "DRAINING", 0, ""))
        self._linger(talk)

    def crashes(self, talk: Talk, role: str) -> None:
        puppet = talk.owners[role]
        self.happened.append(("trouble", talk.name, "CRASH", role, ""))
        for one in self.talks:
            one.receiver = None if one.receiver is puppet else one.receiver
            one.sender = None if one.sender is puppet else one.sender
        self.paused.pop(puppet, None)
        self.aside = [one for one in self.aside if one is not puppet]
        self._fault(puppet, "vm.fault.crash", (talk, role))

    def times_out(self, talk: Talk, role: str, until_ns: int) -> None:
        self.happened.append(("trouble", talk.name, "TIMEOUT", role, ""))
        self.paused[talk.owners[role]] = until_ns

    def parts(self, talk: Talk) -> None:
        self.happened.append(("trouble", talk.name, "PARTITION", "A", "B"))
        talk.parted = True

    def heals(self, talk: Talk) -> None:
        self.happened.append(("trouble", talk.name, "HEAL", "A", "B"))
        talk.parted = False
        self._wake(talk)

    def corrupts(self, talk: Talk) -> None:
        """The oldest message in flight."""
        self.happened.append(("trouble", talk.name, "CORRUPT", "A", "B"))
        talk.corrupted.add(talk.buffer[0][0])

    @property
    def next_deadline_ns(self) -> int | None:
        linger = [talk.deadline_ns for talk in self.clocks if talk.live]
        choices = [talk.chosen_by_ns for talk in self.talks if self._clock_runs(talk)]
        later = [at for at in choices if at > self.clock_ns]
        return min([*linger, *later, *self.paused.values()], default=None)

    # --- rules -----------------------------------------------------------------------------

    def _turn(self, puppet: Puppet, act: str) -> None:
        try:
            if not self._do(puppet, act):
                puppet.stuck = act
                return
        except _Trap as trap:
            self._fault(puppet, str(trap))
        if not puppet.ended:
            self.happened.append(("asks", puppet.name))

    def _do(self, puppet: Puppet, act: str) -> bool:
        if act == "fail":
            raise _Trap("vm.fault.fail")
        if act == "halt":
            return self._halt(puppet)
        outward = act in (*SENDS, LATE, "clock") or act.endswith("out")
        talk, role = (puppet.outgoing, "A") if outward else (puppet.incoming, "B")
        if talk is None:
            raise _Trap("vm.fault.register")
        owned = talk.owners.get(role) is puppet
        if act.startswith("close"):
            if owned:
                self._close(talk, role)
            elif role not in talk.noticed:
                raise _Trap(GONE)
            return True
        if not owned:
            raise _Trap(GONE)
        if act.startswith("cancel"):
            self._release(talk, role)
            if talk.live:
                self.happened.append(("cancelled", talk.name, role, "enough"))
                self._end_together(talk, "CANCELLED", "enough")
            return True
        if not talk.live:
            raise _Trap(GONE)
        if role in talk.ends:
            raise _Trap("vm.fault.type")
        if act == "clock":
            return self._start(talk)
        return self._send(talk, puppet, act) if outward else self._take(talk, puppet)

    def _start(self, talk: Talk) -> bool:
        if talk.within_ns == 0 or talk.choosing:
            raise _Trap("vm.fault.type")
        talk.choosing = True
        talk.chosen_by_ns = self.clock_ns + talk.within_ns
        self.started += 1
        talk.order = self.started
        self.happened.append(("clock", talk.name, self.clock_ns))
        return True

    def _send(self, talk: Talk, puppet: Puppet, label: str) -> bool:
        if talk.within_ns and label != LATE and not talk.choosing:
            raise _Trap("vm.fault.type")
        if "B" in talk.noticed:
            raise _Trap(GONE)
        if len(talk.buffer) >= talk.capacity:
            if talk.policy == "error":
                raise _Trap("vm.fault.buffer")
            if talk.policy == "block" or talk.capacity >= talk.most:
                talk.sender = puppet
                return False
            talk.capacity = min(2 * talk.capacity, talk.most)
        self.happened.append(("sent", talk.name, label, talk.sent))
        talk.buffer.append((talk.sent, label))
        talk.sent += 1
        talk.choosing = False
        if label == "last":
            talk.ends.add("A")
        self._wake(talk)
        return True

    def _take(self, talk: Talk, puppet: Puppet) -> bool:
        if talk.parted or not talk.buffer:
            if "A" in talk.noticed and not talk.parted:
                raise _Trap(GONE)
            talk.receiver = puppet
            return False
        number, label = talk.buffer.pop(0)
        if number in talk.corrupted:
            talk.discarded += 1
            self.happened.append(("rejected", talk.name, "vm.fault.verification"))
            raise _Trap("vm.fault.verification")
        self.happened.append(("received", talk.name, number))
        talk.taken += 1
        if label in ("stop", "last"):
            talk.ends.add("B")
        self._wake(talk)
        return True

    def _close(self, talk: Talk, role: str) -> None:
        if not talk.live and role not in talk.ends:
            raise _Trap(GONE)
        if talk.live and role not in talk.ends:
            raise _Trap("vm.fault.close")
        self._release(talk, role)
        if talk.live:
            self._notice(talk, role)

    def _notice(self, talk: Talk, role: str) -> None:
        if role == "B":
            self.happened.append(("receipt", talk.name, talk.taken, talk.discarded))
        finals = talk.sent if role == "A" else None
        self.happened.append(("notice", talk.name, role, finals))
        talk.noticed.add(role)
        if talk.status == "ACTIVE":
            talk.status = "DRAINING"
            self.happened.append(("status", talk.name, "DRAINING", 0, ""))
        if role == "B" or not talk.buffer:
            self._wake(talk)
        if all(one.noticed == {"A", "B"} for one in talk.together):
            if any(one.buffer for one in talk.together):
                self._linger(talk)
            else:
                self._end_together(talk, "CLOSED", "")

    def _halt(self, puppet: Puppet) -> bool:
        own = tuple(puppet.own)
        if any(talk.live and role not in talk.ends for talk, role in own):
            raise _Trap("vm.fault.close")
        for talk, role in own:
            if not talk.live:
                self._release(talk, role)
        for talk, role in own:
            if talk.live:
                self._release(talk, role)
                self._notice(talk, role)
        self.happened.append(("halted", puppet.name))
        puppet.ended = True
        return True

    def _fault(self, puppet: Puppet, code: str, first: tuple[Talk, str] | None = None) -> None:
        """`first` is the end of which the crash was said: its session hears of it first."""
        self.happened.append(("faulted", puppet.name, code))
        puppet.ended = True
        own = sorted(puppet.own, key=lambda one: one != first)
        for talk, role in own:
            self._release(talk, role)
        for talk, _ in own:
            if talk.live:
                self._end_together(talk, "FAULTED", code)

    def _end_together(self, talk: Talk, status: str, detail: str) -> None:
        """First itself, then the others of its bundle; each says who of its roles was silent."""
        for one in [talk, *(other for other in talk.together if other is not talk)]:
            silent = [role for role in "AB" if role not in one.noticed]
            lingered = detail == LINGER_OVER and silent
            if one.live:
                names = f"; no notice of {', '.join(silent)}" if lingered else ""
                self._end(one, status, detail + names)

    def _end(self, talk: Talk, status: str, detail: str) -> None:
        for number, _ in talk.buffer:
            self.happened.append(("undelivered", talk.name, number))
        talk.discarded += len(talk.buffer)
        talk.buffer.clear()
        self._wake(talk)
        talk.status = status
        talk.epoch = int(status == "CLOSED")
        self.happened.append(("status", talk.name, status, talk.epoch, detail))

    def _linger(self, talk: Talk) -> None:
        if not talk.running:
            for one in talk.together:
                one.running = True
                one.deadline_ns = self.clock_ns + talk.linger_ns
            self.clocks.append(talk)

    def _wake(self, talk: Talk) -> None:
        self.ready += [one for one in (talk.receiver, talk.sender) if one is not None]
        talk.receiver = talk.sender = None

    def _release(self, talk: Talk, role: str) -> None:
        puppet = talk.owners.pop(role)
        puppet.own.remove((talk, role))
