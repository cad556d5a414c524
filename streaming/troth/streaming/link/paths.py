"""Where the peer is: the address in use, probes of others, and how long nothing has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.streaming.handshake.identity import Entropy
from troth.streaming.link.outputs import (
    Address,
    Event,
    PathProbed,
    PathState,
    PathSuspect,
    PeerMoved,
)
from troth.streaming.link.rtt import RoundTrip
from troth.streaming.liveness import Liveness, LivenessCore, Patience
from troth.streaming.transport_limits import (
    DEGRADED_NS,
    ENDED_NS,
    KEEPALIVE_NS,
    LOST_NS,
    MILLISECOND_NS,
    PROBES_MAX,
)
from troth.vm.errors import LimitExceeded

PATIENCE: Final = Patience(DEGRADED_NS, LOST_NS, ENDED_NS)
STATES: Final = {
    Liveness.ALIVE: PathState.GOOD,
    Liveness.DEGRADED: PathState.DEGRADED,
    Liveness.LOST: PathState.LOST,
    Liveness.ENDED: PathState.LOST,
}
PROBE_RETRY_NS: Final = 100 * MILLISECOND_NS
PROBE_TRIES: Final = 5
NONCE_BYTES: Final = 8


@dataclass(slots=True)
class Probe:
    """A question to an address that only who gets it can answer."""

    address: Address
    path: int
    nonce: int
    next_ns: int
    sent_ns: int = 0
    tries: int = 0
    follow: bool = False
    """The peer has spoken from there: go there when it answers."""

    keepalive: bool = False


class Paths:
    """The address in use and the others. Addresses are believed when a probe was answered."""

    def __init__(self, address: Address, rtt: RoundTrip, now_ns: int) -> None:
        self.address = address
        self.path = 0
        self.state = PathState.GOOD
        self.suspect = False
        self.liveness = LivenessCore(PATIENCE, now_ns)
        self.sent_ns = now_ns
        self._rtt = rtt
        self._told_suspect = False
        self._probes: list[Probe] = []

    def heard(self, address: Address, now_ns: int) -> None:
        """Something authentic came."""
        del address  # whoever has the keys is the peer, wherever it is
        self.liveness.heard(now_ns)
        self.suspect = self._told_suspect = False

    def moved(self, address: Address, path: int, entropy: Entropy, now_ns: int) -> None:
        """The newest packet came from another address: ask there before anything is sent there."""
        if any(probe.follow and probe.address == address for probe in self._probes):
            return
        if len(self._probes) < PROBES_MAX:
            self._add(address, path, entropy, now_ns, follow=True)

    def probe(self, address: Address, path: int, entropy: Entropy, now_ns: int) -> None:
        if len(self._probes) >= PROBES_MAX:
            raise LimitExceeded(
                "transport.probes",
                "too many addresses are being probed",
                expected=f"at most PROBES_MAX={PROBES_MAX}",
                actual=str(len(self._probes) + 1),
                advice="Wait for half a second: a probe ends then, with or without an answer",
            )
        self._add(address, path, entropy, now_ns)

    def _add(
        self,
        address: Address,
        path: int,
        entropy: Entropy,
        now_ns: int,
        *,
        follow: bool = False,
        keepalive: bool = False,
    ) -> None:
        nonce = int.from_bytes(entropy(NONCE_BYTES), "big")
        probe = Probe(address, path, nonce, now_ns, follow=follow, keepalive=keepalive)
        self._probes.append(probe)

    def use(self, address: Address, path: int, now_ns: int) -> None:
        self.address, self.path = address, path
        self.liveness.heard(now_ns)
        self._rtt.reset()

    def answered(self, nonce: int, address: Address, now_ns: int) -> list[Event]:
        """A probe came back, from that address."""
        for probe in self._probes:
            if probe.nonce == nonce:
                break
        else:
            return []
        self._probes.remove(probe)
        rtt_ns = now_ns - probe.sent_ns
        if probe.keepalive:
            if probe.tries == 1:
                self._rtt.add(rtt_ns)
            return []
        if address != probe.address:
            return []  # it was answered over another way, and proves nothing about this one
        if probe.follow:
            self.use(probe.address, probe.path, now_ns)
            return [PeerMoved(probe.address, probe.path)]
        return [PathProbed(probe.address, probe.path, rtt_ns)]

    def due(self, entropy: Entropy, now_ns: int) -> list[Probe]:
        """Probes to send now."""
        self._probes = [p for p in self._probes if p.tries < PROBE_TRIES or now_ns < p.next_ns]
        if now_ns >= self.sent_ns + KEEPALIVE_NS and not any(p.keepalive for p in self._probes):
            self._add(self.address, self.path, entropy, now_ns, keepalive=True)
        found = []
        for probe in self._probes:
            if now_ns >= probe.next_ns:
                probe.tries += 1
                probe.sent_ns, probe.next_ns = now_ns, now_ns + PROBE_RETRY_NS
                found.append(probe)
        return found

    @property
    def ended(self) -> bool:
        return self.liveness.state is Liveness.ENDED

    def tick(self, now_ns: int) -> list[Event]:
        self.liveness.tick(now_ns)
        state = STATES[self.liveness.state]
        changed = state is not self.state
        self.state = state
        if changed or (self.suspect and not self._told_suspect):
            self._told_suspect = self.suspect
            return [PathSuspect(state, now_ns - self.liveness.heard_ns)]
        return []

    @property
    def deadline_ns(self) -> int:
        times = [self.sent_ns + KEEPALIVE_NS]
        if any(probe.keepalive for probe in self._probes):
            times = []
        times += [probe.next_ns for probe in self._probes]
        silent_ns = self.liveness.deadline_ns
        times += [] if silent_ns is None else [silent_ns]
        return min(times)
