"""Several machines in one process that hold one session, and a courier between them.

The courier carries encoded envelopes and can do to them what a network does: lose the order,
repeat, delay. What a machine refuses for its order alone is carried to it again later.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from random import Random
from typing import Final

from artifact_surgery import key_pair
from troth.conformance import Verdict, verify
from troth.vm.deliver import EARLY, FULL, STALE
from troth.vm.envelope import Envelope, MessageEnvelope, decode_envelope, encode_envelope
from troth.vm.events import BundleOpened, Event, Opened, Printed
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.keys import TrustFile, parse_trust
from troth.vm.limits import Limits
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState, Meeting, Outcome, Overrides
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.statements import child_nonce
from troth.vm.values import RegisterValue

STEPS_MAX: Final = 100_000
_AGAIN: Final = (STALE, EARLY, FULL, "vm.fault.replay.sequence", "vm.fault.verification")
"""What is worth another try: the envelope came too early, or had no place yet."""


class Party:
    """One machine with its keys and its record."""

    def __init__(
        self,
        image: Image,
        home: Sequence[str],
        seed: bytes,
        *,
        replay: ReplayMode | None = None,
        seal: Seal | None = None,
        limits: Limits | None = None,
        effects: Mapping[str, Callable[..., RegisterValue]] | None = None,
    ) -> None:
        self.home = tuple(home)
        roles = {role.rpartition(".")[2] for role in home}
        self.keys = HostSigner({role: key_pair(role) for role in sorted(roles)})
        limits = limits or Limits()
        loaded = load(image)
        header = HeaderFacts(
            image_id=loaded.id,
            seed=seed,
            quantum=64,
            policy="cooperative",
            limits=tuple(getattr(limits, f.name) for f in fields(limits)),
            runner="cooperative",
            replay=replay,
            seal=seal,
            entry=image.entry or 0,
            anchor_unix_ns=1,
            home=self.home,
        )
        self.recorder = Recorder(header, encode_image(image), self.keys, self.keys)
        self.machine = Machine(
            loaded,
            seed=seed,
            signer=self.keys,
            roster=self.keys,
            limits=limits,
            overrides=Overrides(replay=replay, seal=seal),
            evidence=self.recorder,
            home=self.home,
        )
        self.effects = effects or {}
        self.events: list[Event] = []
        self.meetings: list[Meeting] = []
        self.children: dict[bytes, frozenset[str]] = {}
        self.bundled: dict[bytes, frozenset[str]] = {}
        self.now_ns = 0
        self.data = b""

    def step(self) -> bool:
        """Runs what can run; False when nothing could."""
        ran = self.machine.run_round(self.now_ns)
        events = self.machine.poll_events()
        self._note_bundles(events)
        self.events += events
        for request in self.machine.poll_effects():
            self.machine.complete(request.effect_id, self.effects[request.name](*request.arguments))
        self.meetings += self.machine.poll_meetings()
        return ran

    def _note_bundles(self, events: Sequence[Event]) -> None:
        """In a session of a bundle its roles have other names than at home."""
        home = {role.rpartition(".")[2] for role in self.home}
        for event in events:
            if isinstance(event, BundleOpened):
                self.children |= {
                    child_nonce(event.bundle, row.name): row.played_by(home)
                    for row in event.children
                }
            elif isinstance(event, Opened) and event.nonce in self.children:
                self.bundled[event.session] = self.children[event.nonce]

    def holds(self, session: bytes, roles: Sequence[str]) -> bool:
        held = self.bundled.get(session)
        if held is None:
            held = frozenset(role.rpartition(".")[2] for role in self.home)
        return not held.isdisjoint(roles)

    def finish(self) -> bytes:
        self.events += self.machine.poll_events()
        ok = self.machine.outcome() is Outcome.OK
        self.recorder.finish(self.machine.rounds, "ok" if ok else "failed")
        self.data = self.recorder.take_bytes()
        return self.data

    @property
    def printed(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Printed)]

    def verdict(self, trust: TrustFile | None = None) -> Verdict:
        return verify(io.BytesIO(self.data), trust=trust or trust_of(self))


def trust_of(*_: Party) -> TrustFile:
    """Trusts the keys of all roles that the tests use."""
    names = "Client Server Alice Bob Seller A B C D Dispatcher Worker Sender Receiver Producer"
    pairs = [key_pair(name) for name in (*names.split(), "Consumer", "Host", "Viewer")]
    return parse_trust("".join(pair.public_text + "\n" for pair in pairs), "trust")


@dataclass
class Courier:
    """Carries envelopes between parties.

    Attributes:
        shuffle, repeat: how often, out of 1, an envelope is not the oldest, or comes again.
        lose: says of a message whether it never comes.
        lost: how many did not.
        codes: what became of the deliveries, by code ("" when accepted).
    """

    parties: Sequence[Party]
    random: Random = field(default_factory=lambda: Random(1))
    shuffle: float = 0.0
    repeat: float = 0.0
    lose: Callable[[MessageEnvelope], bool] | None = None
    tamper: Callable[[bytes], bytes] | None = None
    codes: Counter[str] = field(default_factory=Counter)
    waiting: dict[int, list[bytes]] = field(default_factory=dict)
    lost: int = 0

    def run(self, steps_max: int = STEPS_MAX) -> None:
        for party in self.parties:
            party.machine.start()
        for _ in range(steps_max):
            stepped = [party.step() for party in self.parties]
            moved = any(stepped)
            self.introduce()
            self._collect()
            moved = self._carry() or moved
            if not moved and not self._advance():
                return
        raise AssertionError("the parties never come to an end")

    def _advance(self) -> bool:
        """Nothing moves: the clock jumps to a deadline, if there is one."""
        due = [p for p in self.parties if p.machine.deadline_ns() is not None]
        for party in due:
            deadline = party.machine.deadline_ns()
            assert deadline is not None
            party.now_ns = max(party.now_ns, deadline)
        return bool(due)

    def introduce(self) -> None:
        """Brings those together who open the same session."""
        by_id: dict[bytes, list[tuple[Party, Meeting]]] = {}
        for party in self.parties:
            for meeting in party.meetings:
                by_id.setdefault(meeting.id, []).append((party, meeting))
        for found in by_id.values():
            here = {
                role: (party.keys.principal(meeting.protocol, role), nonce)
                for party, meeting in found
                for role, nonce in meeting.here
            }
            if not all(role in here for _, meeting in found for role in meeting.elsewhere):
                continue
            assert len({meeting.terms for _, meeting in found}) == 1
            for party, meeting in found:
                parties = [(role, *here[role]) for role in meeting.elsewhere]
                party.meetings.remove(meeting)
                party.machine.meet(meeting.coroutine, parties)

    def _collect(self) -> None:
        for party in self.parties:
            for outgoing in party.machine.poll_outgoing():
                if self._loses(outgoing.envelope):
                    continue
                for number, other in enumerate(self.parties):
                    if other is not party and other.holds(outgoing.session, outgoing.roles):
                        self.waiting.setdefault(number, []).append(
                            encode_envelope(outgoing.envelope)
                        )

    def _loses(self, envelope: Envelope) -> bool:
        if self.lose is None or not isinstance(envelope, MessageEnvelope):
            return False
        loses = self.lose(envelope)
        self.lost += loses
        return loses

    def _carry(self) -> bool:
        """One envelope for each party; True when any of them changed something."""
        moved = False
        for number, party in enumerate(self.parties):
            queue = self.waiting.get(number, [])
            again: list[bytes] = []
            no_place: list[bytes] = []
            full: set[tuple[bytes, str, str] | None] = set()
            # Each is tried before one is tried again: none waits behind copies of others.
            while queue:
                place = 0
                if self.random.random() < self.shuffle:
                    place = self.random.randrange(len(queue))
                data = queue.pop(place)
                if self.random.random() < self.repeat:
                    again.append(data)
                if self.tamper is not None:
                    data = self.tamper(data)
                envelope = decode_envelope(data)
                edge = _edge_of(envelope)
                if edge in full:
                    # As at a switchboard, what was said later stays behind what has no place yet.
                    no_place.append(data)
                    continue
                code = party.machine.deliver(envelope).code
                self.codes[code] += 1
                if code == FULL and not self.shuffle and party.machine.state in _GOING_ON:
                    no_place.append(data)
                    full.add(edge)
                elif code in _AGAIN and self.tamper is None and party.machine.state in _GOING_ON:
                    again.append(data)
                if not code:
                    moved = True
                    break
            queue[:0] = no_place
            queue += again
        return moved


def _edge_of(envelope: Envelope) -> tuple[bytes, str, str] | None:
    if not isinstance(envelope, MessageEnvelope):
        return None
    return envelope.session, envelope.sender, envelope.receiver


_GOING_ON: Final = (MachineState.READY, MachineState.WAITING)


def run_spread(
    image: Image,
    homes: Sequence[Sequence[str]],
    *,
    replay: ReplayMode | None = None,
    seal: Seal | None = None,
    seed: int = 1,
    shuffle: float = 0.0,
    repeat: float = 0.0,
    lose: Callable[[MessageEnvelope], bool] | None = None,
    effects: Mapping[str, Callable[..., RegisterValue]] | None = None,
    limits: Limits | None = None,
    seeds: Sequence[int] | None = None,
) -> tuple[list[Party], Courier]:
    """Runs one image on a machine for each of `homes`, to the end, and finishes the records.

    `seeds` are those of the machines, 1, 2, … when not given.
    """
    parties = [
        Party(
            image,
            home,
            bytes([seeds[number] if seeds is not None else number + 1]) * 32,
            replay=replay,
            seal=seal,
            effects=effects,
            limits=limits,
        )
        for number, home in enumerate(homes)
    ]
    courier = Courier(parties, Random(seed), shuffle, repeat, lose)
    courier.run()
    for party in parties:
        party.finish()
    return parties, courier
