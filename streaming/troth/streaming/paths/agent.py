"""The paths of one party in one session, without a socket or a clock.

It stands between the media socket and the secure link: checks and a relay's own datagrams stay
here, everything else passes through, over whichever path is in use. The secure link sees one way to
the other party, and its keys are the same before and after a path is changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from troth.streaming.liveness import Liveness, LivenessCore
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.candidates import (
    Candidate,
    CandidateKind,
    RefusedCandidate,
    sort_out,
)
from troth.streaming.paths.checks import Checker, Credential, Request, Side
from troth.streaming.paths.limits import MILLISECOND_NS, PathLimits
from troth.streaming.paths.migration import ChoiceSignal, Chooser
from troth.streaming.paths.outputs import (
    CandidateMet,
    Inbound,
    LivenessChanged,
    PathChanged,
    PathOutput,
    PathTaken,
)
from troth.streaming.paths.path import Check, Path, PathState
from troth.streaming.paths.stun import (
    TRANSACTION_BYTES,
    MessageClass,
    StunMessage,
    decode,
    is_stun,
)
from troth.streaming.relay.lease import RandomBytes
from troth.streaming.relay.leg import RelayLeg
from troth.streaming.relay.outputs import LegBound, Transmit
from troth.streaming.relay.wire import is_relayed
from troth.vm.errors import Malformed

TRIGGERED_EVERY_NS: Final = 50 * MILLISECOND_NS
JITTER_PARTS: Final = 1_280
"""An interval is up to a fifth longer by chance: checks must not keep step with an interruption."""

TOO_MANY: Final = "there are too many"

_REASONS: Final = {
    ChoiceSignal.DIRECT_READY: "it answers",
    ChoiceSignal.RELAY_READY: "no direct path answers",
    ChoiceSignal.PROVEN: "it has been good for long enough",
}


class PathAgent:
    """Feed it with `receive`, `send` and `tick`; carry out `poll`."""

    def __init__(
        self,
        *,
        side: Side,
        own: Credential,
        other: Credential,
        random: RandomBytes,
        now_ns: int,
        own_addresses: Sequence[Address] = (),
        limits: PathLimits | None = None,
    ) -> None:
        self.limits = limits or PathLimits()
        self.checker = Checker(side, own, other)
        self.paths: list[Path] = []
        self.in_use: Path | None = None
        self.refused: list[RefusedCandidate] = []
        self._side = side
        self._own_addresses = tuple(own_addresses)
        self._random = random
        self._numbers = 0
        self._nomination = 0
        self._followed = 0
        self._wanted: Path | None = None
        self._in_use_since_ns = now_ns
        self._chooser = Chooser(self.limits, now_ns)
        self._liveness = LivenessCore(self.limits.patience, now_ns)
        self._entered = self._liveness.watch()
        self._follows = False
        self._out: list[PathOutput] = []

    # --- what it knows ----------------------------------------------------------------------

    @property
    def liveness(self) -> Liveness:
        return self._liveness.state

    @property
    def returns_after_ns(self) -> int:
        """For how long a direct path must be good now before it is taken again."""
        return self._chooser.returns_after_ns

    @property
    def ended(self) -> bool:
        return self._liveness.state is Liveness.ENDED

    @property
    def choice(self) -> int:
        """The number of the choice that is in use, the same at both parties; 0 when none is."""
        if self.in_use is None:
            return 0
        followed = self._side is Side.CONTROLLING or self._wanted is self.in_use
        return self._nomination if followed else 0

    @property
    def deadline_ns(self) -> int | None:
        if self.ended:
            return None
        times = [path.next_check_ns for path in self.paths if self._can_check(path)]
        times += [p.leg.deadline_ns for p in self.paths if p.leg and p.leg.deadline_ns is not None]
        times += [t] if (t := self._liveness.deadline_ns) is not None else []
        return min(times, default=None)

    def poll(self) -> list[PathOutput]:
        out, self._out = self._out, []
        return out

    # --- what its owner does ----------------------------------------------------------------

    def add_candidates(self, candidates: Sequence[Candidate], now_ns: int) -> None:
        """Paths to the other party's candidates; what is of no use is kept in `refused`."""
        good, refused = sort_out(candidates, self._own_addresses)
        most = self.limits.candidates_max
        refused += [RefusedCandidate(candidate, TOO_MANY) for candidate in good[most:]]
        for candidate in good[:most]:
            known = self._path_to(candidate.address) is not None
            if not known and self._add(candidate.kind, candidate.address, None, now_ns) is None:
                refused.append(RefusedCandidate(candidate, TOO_MANY))
        for one in refused[: most - len(self.refused)]:
            self.refused.append(one)
            self._out.append(CandidateMet(one.candidate.kind, one.candidate.address, one.reason))
        self.tick(now_ns)

    def add_relay(self, leg: RelayLeg, now_ns: int) -> None:
        """A path through a relay; a newer leg through the same relay takes the place of an older.

        Presents the lease at once.
        """
        old = next((p for p in self.paths if p.leg is not None and p.address == leg.relay), None)
        if old is not None and old.leg is not None:
            old.leg.close(now_ns)
            self._take_leg_outputs(old)
            old.leg = leg
        else:
            self._add(CandidateKind.RELAY, leg.relay, leg, now_ns)
        leg.start(now_ns)
        self.tick(now_ns)

    def send(self, datagram: bytes, now_ns: int) -> bool:
        """Sends the secure link's datagram over the path in use; False when there is none."""
        path = self.in_use
        if path is None or self.ended:
            return False
        path.use.sent_packets += 1
        path.use.sent_bytes += len(datagram)
        self._transmit(path, datagram, now_ns)
        return True

    def follow(self, liveness: LivenessCore) -> None:
        """There is a secure link: whether the other party is there is the link's to say from now.

        A check that holds proves only that somebody has the passwords, which the gateway has, too.
        """
        self._liveness, self._follows = liveness, True
        self._entered = liveness.watch()

    def heard(self, now_ns: int) -> None:
        """Something authentic came, a check too; counts as long as there is no link to say so."""
        if not self._follows:
            self._liveness.heard(now_ns)
            self._say_liveness()

    def close(self, now_ns: int) -> None:
        """Gives the leases back. Nothing is sent after this."""
        self._count_use(now_ns)
        for path in self.paths:
            if path.leg is not None:
                path.leg.close(now_ns)
                self._take_leg_outputs(path)
        self._chooser.end(now_ns)
        self.paths.clear()
        self.in_use = None

    def tick(self, now_ns: int) -> None:
        """Checks, judges and chooses, as it is time to."""
        self._liveness.tick(now_ns)
        self._say_liveness()
        if self.ended:
            return
        for path in self.paths:
            if path.leg is not None:
                path.leg.tick(now_ns)
                self._take_leg_outputs(path)
            interval_ns = self._interval_ns(path)
            if self._can_check(path) and now_ns >= path.next_check_ns:
                path.next_check_ns = now_ns + interval_ns + self._jitter_ns(interval_ns)
                self._check(path, now_ns)
            if path.judge(now_ns, interval_ns, self.limits):
                self._say_path(path)
        self._choose(now_ns)

    # --- what comes from the socket ---------------------------------------------------------

    def receive(self, datagram: bytes, source: Address, now_ns: int) -> None:
        """Takes one datagram, whatever it is. Never raises."""
        path = self._path_to(source)
        if path is not None and path.leg is not None and is_relayed(datagram):
            inner = path.leg.receive(datagram, now_ns)
            self._take_leg_outputs(path)
            if inner is not None:
                self._inner(inner, source, path, now_ns)
        else:
            relayed = path is not None and path.leg is not None
            self._inner(datagram, source, None if relayed else path, now_ns)

    def _inner(self, data: bytes, source: Address, path: Path | None, now_ns: int) -> None:
        if not is_stun(data):
            if path is not None:
                path.use.received_packets += 1
                path.use.received_bytes += len(data)
            self._out.append(Inbound(data, 0 if path is None else path.number))
            return
        try:
            message = decode(data)
        except Malformed:
            self.checker.counters.unauthentic += 1
            return
        if message.message_class is MessageClass.REQUEST:
            self._requested(message, source, path, now_ns)
        elif path is not None:
            self._answered(message, path, now_ns)
        else:
            self.checker.counters.unasked += 1

    def _requested(
        self, message: StunMessage, source: Address, path: Path | None, now_ns: int
    ) -> None:
        request = self.checker.read_request(message)
        if request is None or self.ended:
            return
        self.heard(now_ns)
        if path is None:
            # The other party is where no candidate said: its network gave it another address.
            path = self._add(CandidateKind.PEER_REFLEXIVE, source, None, now_ns)
            if path is None:
                return
        self._transmit(path, self.checker.answer(request, source), now_ns)
        self._follow(request, path)
        due_ns = (path.triggered_ns or 0) + TRIGGERED_EVERY_NS
        if path.state is not PathState.VALID and (path.triggered_ns is None or now_ns >= due_ns):
            path.triggered_ns = now_ns
            self._check(path, now_ns)
        self._choose(now_ns)

    def _follow(self, request: Request, path: Path) -> None:
        """The newest choice counts; the same one over another path is a change of address."""
        newest = request.nomination >= self._nomination and request.number > self._followed
        if self._side is Side.CONTROLLED and request.nomination and newest:
            self._nomination, self._followed = request.nomination, request.number
            self._wanted = path

    def _answered(self, message: StunMessage, path: Path, now_ns: int) -> None:
        if not self.checker.is_answer(message):
            return
        changed = path.answered(message.transaction, now_ns, self.limits)
        if changed is None:
            self.checker.counters.unasked += 1
            return
        self.heard(now_ns)
        if changed:
            self._say_path(path)
        self._choose(now_ns)

    # --- choosing ---------------------------------------------------------------------------

    def _choose(self, now_ns: int) -> None:
        if self._side is Side.CONTROLLED:
            wanted = self._wanted
            if wanted is not None and wanted is not self.in_use and wanted.answered_ns is not None:
                self._use(wanted, "the other party chose it", now_ns)
            return
        signal = self._chooser.look(self.paths, now_ns)
        if signal is ChoiceSignal.TROUBLE:
            for path in self.paths:
                path.next_check_ns = now_ns
            self.tick(now_ns)
        chosen = self._chooser.in_use
        if chosen is not None and chosen is not self.in_use and signal in _REASONS:
            self._nomination += 1
            self._use(chosen, _REASONS[signal], now_ns)
            self._check(chosen, now_ns)

    def _use(self, path: Path, reason: str, now_ns: int) -> None:
        old = self.in_use
        gap_ns = 0 if old is None or old.answered_ns is None else now_ns - old.answered_ns
        self._count_use(now_ns)
        self.in_use = path
        self._out.append(PathTaken(path.number, path.kind, path.address, reason, gap_ns))

    def _count_use(self, now_ns: int) -> None:
        if self.in_use is not None:
            self.in_use.use.used_ns += now_ns - self._in_use_since_ns
        self._in_use_since_ns = now_ns

    # --- checking ---------------------------------------------------------------------------

    def _interval_ns(self, path: Path) -> int:
        limits = self.limits
        if self._side is Side.CONTROLLING:
            hurried = self._chooser.hurried
        else:
            used = self.in_use
            hurried = used is None or used.state is not PathState.VALID
        if hurried and not (self.in_use is None and path.state is PathState.FAILED):
            return limits.urgent_ns
        if path is self.in_use:
            return limits.keepalive_ns
        return limits.slow_ns if path.state is PathState.FAILED else limits.standby_ns

    def _jitter_ns(self, interval_ns: int) -> int:
        return interval_ns * self._random(1)[0] // JITTER_PARTS

    def _can_check(self, path: Path) -> bool:
        return path.leg is None or path.leg.usable

    def _check(self, path: Path, now_ns: int) -> None:
        if not self._can_check(path):
            return
        transaction = self._random(TRANSACTION_BYTES)
        chosen = self._side is Side.CONTROLLING and path is self.in_use
        data = self.checker.request(transaction, self._nomination if chosen else 0)
        if path.sent(transaction, now_ns):
            self._say_path(path)
        self._transmit(path, data, now_ns)

    def _transmit(self, path: Path, data: bytes, now_ns: int) -> None:
        if path.leg is None:
            self._out.append(Transmit(path.address, data))
        else:
            path.leg.send(data)
            self._take_leg_outputs(path, now_ns)

    # --- paths ------------------------------------------------------------------------------

    def _path_to(self, address: Address) -> Path | None:
        return next((path for path in self.paths if path.address == address), None)

    def _add(
        self, kind: CandidateKind, address: Address, leg: RelayLeg | None, now_ns: int
    ) -> Path | None:
        if len(self.paths) >= self.limits.paths_max and not self._drop_failed():
            return None
        self._numbers += 1
        checks: deque[Check] = deque(maxlen=self.limits.checks_kept)
        path = Path(self._numbers, kind, address, leg, checks, next_check_ns=now_ns)
        self.paths.append(path)
        self._out.append(CandidateMet(kind, address, ""))
        return path

    def _drop_failed(self) -> bool:
        """Room for a new path is made by the oldest that does not work."""
        for path in self.paths:
            unused = path not in (self.in_use, self._wanted) and path.leg is None
            if unused and path.state is PathState.FAILED:
                self.paths.remove(path)
                return True
        return False

    def _take_leg_outputs(self, path: Path, now_ns: int | None = None) -> None:
        assert path.leg is not None
        for output in path.leg.poll():
            self._out.append(output)
            if isinstance(output, LegBound):
                path.next_check_ns = now_ns or path.next_check_ns

    # --- telling ----------------------------------------------------------------------------

    def _say_path(self, path: Path) -> None:
        self._out.append(PathChanged(path.number, path.kind, path.state, path.rtt_ns))

    def _say_liveness(self) -> None:
        while self._entered:
            state = self._entered.popleft()
            self._out.append(LivenessChanged(state))
            if state is Liveness.ENDED:
                self._chooser.end(self._liveness.heard_ns)
