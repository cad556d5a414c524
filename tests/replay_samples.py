"""Records runs whose host does more than `troth run`: it is slow, cancels, tells odd times.

What a recorded run depends on besides its program comes from a `Host`, so a test can say what
happened outside, and level 5 has to find all of it in the file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

import builders as b
from artifact_surgery import Sample, key_pair
from troth.conformance import Budget, Verdict, verify
from troth.conformance.reference.compare import Disturb
from troth.conformance.replay_meter import DEFAULT_BUDGET
from troth.conformance.verdict import LevelResult
from troth.vm.errors import Unusable
from troth.vm.events import Troubled
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import Machine, MachineState, Outcome, Overrides
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.run_lanes import Workers
from troth.vm.values import RegisterValue

SEED: Final = bytes(range(32))
STEPS_MAX: Final = 20_000

Effect = Callable[..., RegisterValue]


class Refusal(Exception):
    """What an effect of a test raises to fail."""


@dataclass(slots=True, kw_only=True)
class Host:
    """What happens outside of the machine.

    Attributes:
        effects: by name; a `Refusal` is an effect that fails.
        delay: how many attempts to run a round pass before an effect is answered.
        now_ns: the time that is told before each round, by the number of rounds so far.
        cancel_after: the rounds after which the host cancels the oldest live session.
        end_after: the rounds after which it asks for the end of the oldest live session.
        keyless: roles for which it has no key.
        troubles: what comes over the oldest live session, each after so many rounds or, where
            nothing can go on, at once.
    """

    effects: Mapping[str, Effect] = field(default_factory=dict)
    delay: int = 0
    now_ns: Callable[[int], int] = lambda rounds: 0  # noqa: ARG005
    cancel_after: tuple[int, ...] = ()
    end_after: tuple[int, ...] = ()
    keyless: tuple[str, ...] = ()
    troubles: tuple[tuple[int, Disturb], ...] = ()


class _Keys(HostSigner):
    """Has no key for some roles."""

    __slots__ = ("keyless",)

    def __init__(self, roles: list[str], keyless: tuple[str, ...]) -> None:
        super().__init__({role: key_pair(role) for role in roles})
        self.keyless = keyless

    def principal(self, protocol: str, role: str) -> bytes:
        if role in self.keyless:
            raise Unusable("key.missing", f"the key of {role} was eaten by the dog")
        return super().principal(protocol, role)


def record_run(
    image: Image,
    host: Host | None = None,
    *,
    quantum: int = 64,
    limits: Limits = DEFAULT_LIMITS,
    replay: ReplayMode | None = None,
    seal: Seal | None = None,
    seal_every: int = 4096,
    with_image: bool = True,
    seed: bytes = SEED,
    steps_max: int | None = None,
    workers: Workers | None = None,
) -> Sample:
    """Runs the image to its end, however that is, and returns its artifact.

    With `steps_max` the artifact stops when the run takes longer.
    """
    host = host or Host()
    loaded = load(image)
    named = [one.roles for one in image.protocols] + [one.roles for one in image.bundles]
    roles = sorted({role for some in named for role in some})
    keys = _Keys(roles, host.keyless)
    header = HeaderFacts(
        image_id=loaded.id,
        seed=seed,
        quantum=quantum,
        policy="cooperative",
        limits=tuple(getattr(limits, one.name) for one in fields(Limits)),
        runner="cooperative",
        replay=replay,
        seal=seal,
        entry=image.entry or 0,
        anchor_unix_ns=0,
    )
    data = encode_image(image) if with_image else None
    recorder = Recorder(header, data, keys, keys, seal_every=seal_every)
    machine = Machine(
        loaded,
        seed=seed,
        signer=keys,
        roster=keys,
        limits=limits,
        quantum=quantum,
        overrides=Overrides(replay=replay, seal=seal),
        evidence=recorder,
        workers=workers,
    )
    machine.start()
    ended = drive(machine, host, steps_max or STEPS_MAX)
    machine.poll_events()
    if ended:
        recorder.finish(machine.rounds, "ok" if machine.outcome() is Outcome.OK else "failed")
    assert ended or steps_max is not None, "the run does not end"
    return Sample(recorder.take_bytes(), {role: key_pair(role) for role in roles})


def drive(machine: Machine, host: Host, steps_max: int) -> bool:
    """Whether the run has ended after so many attempts to run a round."""
    waiting: list[tuple[int, bytes, str, tuple[RegisterValue, ...]]] = []
    cancels = list(host.cancel_after)
    ends = list(host.end_after)
    troubles = list(host.troubles)
    now_ns = 0
    for step in range(steps_max):
        now_ns = max(now_ns, host.now_ns(machine.rounds))
        ran = machine.run_round(now_ns)
        for request in machine.poll_effects():
            due = step + host.delay
            waiting.append((due, request.effect_id, request.name, request.arguments))
        while cancels and cancels[0] <= machine.rounds:
            cancels.pop(0)
            oldest = next(iter(machine._scheduler.sessions.live), None)
            if oldest is not None:
                machine.cancel_session(oldest, "the host is tired")
        while ends and ends[0] <= machine.rounds:
            ends.pop(0)
            oldest = next(iter(machine._scheduler.sessions.live), None)
            if oldest is not None:
                machine.end_session(oldest, now_ns)
        stuck = not ran and not waiting and machine.deadline_ns() is None
        while troubles and (troubles[0][0] <= machine.rounds or stuck):
            stuck = False
            disturb(machine, troubles.pop(0)[1])
        while waiting and (waiting[0][0] <= step or not ran):
            answer(machine, host, *waiting.pop(0)[1:])
        if not ran and machine.state is not MachineState.READY:
            deadline_ns = machine.deadline_ns()
            if deadline_ns is None and troubles:
                continue
            if deadline_ns is None:
                return True
            now_ns = max(now_ns, deadline_ns)
    return False


def disturb(machine: Machine, what: Disturb) -> None:
    sessions = list(machine._scheduler.sessions.live)
    machine.apply_trouble(Troubled(sessions[what.session], *what[1:], machine.rounds))


def answer(
    machine: Machine, host: Host, effect_id: bytes, name: str, arguments: tuple[RegisterValue, ...]
) -> None:
    try:
        machine.complete(effect_id, host.effects[name](*arguments))
    except Refusal as refusal:
        machine.complete_failed(effect_id, str(refusal))


# --- verdicts ------------------------------------------------------------------------------


def level_5(verdict: Verdict) -> LevelResult:
    return verdict.levels[4]


def judged(sample: Sample, budget: Budget = DEFAULT_BUDGET) -> Verdict:
    return verify(io.BytesIO(sample.data), trust=sample.trust, replay=budget, fragment=True)


def require_reproduced(sample: Sample) -> Verdict:
    """Every level holds, and level 5 has compared the file to its end."""
    verdict = judged(sample)
    assert verdict.findings == (), verdict.findings[0]
    assert (level_5(verdict).ran, level_5(verdict).ok) == (True, True), level_5(verdict)
    assert verdict.fragment is not None
    return verdict


# --- programs ------------------------------------------------------------------------------

WAITING: Final = """
effect double(n: int) -> int

program clock():
    for i in range(300):
        yield

program asker():
    let x = call double(21)
    print x

main:
    spawn clock()
    spawn asker()
"""
"""A coroutine that does nothing for long while another waits for its effect."""

SURPLUS: Final = b.protocol(
    "Surplus",
    {
        "A": b.sends("B", ("m", [b.INT], b.sends("B", ("m", [b.INT], b.END)))),
        "B": b.receives("A", ("m", [b.INT], b.END)),
    },
)
"""A sends one message more than B's type takes: only time can end such a session."""


def surplus(linger_ns: int, *, naps: int = 0) -> Image:
    number = b.set_(1, 5)
    sender = [number, *[b.send(0, "B", "m", 1)] * 2, b.close(0), *b.naps(naps), b.HALT]
    receiver = [b.recv(0, "A", "m", 1), b.close(0), b.HALT]
    return b.duo(SURPLUS, sender, receiver, linger_ns=linger_ns)
