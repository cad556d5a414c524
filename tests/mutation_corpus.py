"""The artifacts whose changes are tried: every replay mode, seal, ending and way to be spread."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache, partial
from random import Random
from typing import Final, NamedTuple

import bundle_scripts as bundles
import crash_samples as crashes
import event_socket_records as calls
import timed_scripts as timed
import trouble_samples as troubles
import verify_samples as written
from artifact_surgery import EXAMPLES, Sample, key_pair
from replay_samples import Host, record_run, surplus
from resume_samples import resume_in_memory
from spread_machines import run_spread
from troth.conformance.redaction import Redactor, Selection
from troth.dsl import compile_source
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from view_lies import told
from view_samples import EFFECTS, HOMES

Maker = Callable[[], Sample]
Views = tuple[bytes, ...]
Retell = Callable[[Random], Views]

SCRIPTS: Final = {
    "cancelled": written.CANCELLED,
    "faulted": written.FAULTED,
    "guarded": written.GUARDED,
    "speculative": written.SPECULATIVE,
    "hidden": written.HIDDEN,
    "late_fault": written.LATE_FAULT,
    "hidden_delegation": written.HIDDEN_DELEGATION,
    "undone": written.UNDONE,
    "latest": written.LATEST,
    "drops": written.DROPS,
    "rotates": written.ROTATES,
    "desktop": bundles.DESKTOP,
    "triangle": bundles.TRIANGLE,
    "bundle_cancelled": bundles.leaving('cancel d "enough"'),
    "bundle_faulted": bundles.leaving('fail "broken"'),
}
TIMED: Final = {"timed_effect": timed.WAITS_FOR_EFFECT, "timed_loop": timed.LOOPS}
MILLISECOND: Final = 1_000_000
CLOCKED: Final = Host(
    effects={"decide": lambda n: n > 0, "next": lambda n: 0 if n > 4 else n},
    delay=6,
    now_ns=lambda rounds: rounds * MILLISECOND,
)
"""Answers so late that some clocks run out."""
HOST: Final = Host(effects={"price_of": lambda name: 20 * len(str(name))})
WRITTEN: Final = {**SCRIPTS, **TIMED}
BUNDLED: Final = {"desktop": (("Host",), ("Client",)), "triangle": (("A", "C"), ("B",))}
SPREAD_KEYS: Final = (
    "Client Server Alice Bob Seller A B C D Dispatcher Worker Sender Receiver Producer Consumer"
    " Host"
)
RING_ROUNDS: Final = 3
"""A long artifact has no other changes than a short one, and takes a hundred times as long."""


@cache
def image(name: str) -> Image:
    path = EXAMPLES / f"{name}.troth"
    text = WRITTEN[name] if name in WRITTEN else path.read_text()
    text = text.replace("spawn a(sa, 1000)", f"spawn a(sa, {RING_ROUNDS})")
    return compile_source(text, f"{name}.troth")


def _local(name: str, replay: ReplayMode | None, seal: Seal | None, host: Host) -> Sample:
    return record_run(image(name), host, replay=replay, seal=seal)


def _redacted(name: str, seal: Seal) -> Sample:
    whole = _local(name, None, seal, HOST)
    return Sample(b"".join(Redactor(io.BytesIO(whole.data), Selection())), whole.keys)


def _resumed(name: str, seal: Seal) -> Sample:
    whole = record_run(image(name), HOST, quantum=2, seal=seal)
    again = resume_in_memory(whole, len(whole.data) * 2 // 3, seal_every=4096)
    return Sample(again.go_on(HOST, 1000).data, whole.keys)


def _spread(name: str, party: int, replay: ReplayMode | None, seal: Seal | None) -> Sample:
    data = _spread_run(name, replay, seal)[party]
    return Sample(data, {role: key_pair(role) for role in SPREAD_KEYS.split()})


@cache
def _spread_run(name: str, replay: ReplayMode | None, seal: Seal | None) -> tuple[bytes, ...]:
    parties, _ = run_spread(
        image(name), HOMES[name], replay=replay, seal=seal, repeat=0.2, effects=EFFECTS
    )
    return tuple(party.data for party in parties)


def _spread_ending(name: str, party: int, seal: Seal) -> Sample:
    parties, _ = run_spread(image(name), [["A"], ["B"]], seal=seal)
    return Sample(parties[party].data, {role: key_pair(role) for role in "AB"})


def _makers() -> Iterator[tuple[str, Maker]]:
    for name in ("hello", "drain", "delegation", "two_buyer"):
        for replay in ReplayMode:
            for seal in Seal:
                yield f"{name}-{replay}-{seal}", partial(_local, name, replay, seal, HOST)
    for name in ("nested_recursion", "ring", *SCRIPTS):
        for seal in Seal:
            yield f"{name}-{seal}", partial(_local, name, None, seal, HOST)
    for name in ("hello", "delegation", "two_buyer"):
        for seal in Seal:
            yield f"redacted-{name}-{seal}", partial(_redacted, name, seal)
            yield f"resumed-{name}-{seal}", partial(_resumed, name, seal)
    for name in TIMED:
        for seal in Seal:
            yield f"{name}-{seal}", partial(_local, name, None, seal, CLOCKED)
    yield "host_cancels", partial(_local, "ring", None, None, Host(cancel_after=(1,)))
    asked = Host(end_after=(1,), now_ns=lambda rounds: 3_000_000_000 * rounds)
    for name in ("ring", "drain"):
        make = partial(record_run, image(name), asked, quantum=2)
        yield f"host_asks-{name}", make
    yield "linger", partial(record_run, surplus(5), Host(now_ns=lambda rounds: rounds))
    yield "sealed_often", partial(written.sealed_often, "hello", 2)
    for name in troubles.TROUBLES:
        for seal in Seal:
            suffix = "-round" if seal is Seal.ROUND else ""
            yield f"trouble-{name}{suffix}", partial(troubles.recorded, name, seal=seal)
    for name in crashes.CRASHES:
        for seal in Seal:
            suffix = "-round" if seal is Seal.ROUND else ""
            yield f"crash-{name}{suffix}", partial(crashes.recorded, name, seal=seal)
    for name, homes in HOMES.items():
        for party in range(len(homes)):
            for seal in Seal:
                yield f"spread-{name}-{party}-{seal}", partial(_spread, name, party, None, seal)
    for replay in (ReplayMode.NULLIFIER, ReplayMode.OFF):
        for party in range(2):
            yield f"spread-drain-{party}-{replay}", partial(_spread, "drain", party, replay, None)
    for name in ("cancelled", "faulted", "late_fault", "undone"):
        for party in range(2):
            for seal in Seal:
                make = partial(_spread_ending, name, party, seal)
                yield f"spread-{name}-{party}-{seal}", make
    for name in calls.STORIES:
        yield f"call-{name}", partial(calls.sample, name)


# --- several records of one session ----------------------------------------------------------


class Together(NamedTuple):
    """Records that are judged together, of which the one in `place` is changed.

    `retell` runs the session again with other inputs, when there are any: each record of that is
    as good as the first by itself, and tells another story than the others.
    """

    place: int
    views: Callable[[], Views]
    retell: Retell | None = None


def _ending_run(name: str, seal: Seal) -> Views:
    parties, _ = run_spread(image(name), BUNDLED.get(name, [["A"], ["B"]]), seal=seal)
    return tuple(party.data for party in parties)


def _redacted_run(name: str, seal: Seal) -> Views:
    views = _spread_run(name, None, seal)
    return tuple(b"".join(Redactor(io.BytesIO(one), Selection())) for one in views)


def _talk(seal: Seal, replay: ReplayMode) -> Views:
    return tuple(party.data for party in told(seal=seal, replay=replay))


def _other_talk(place: int, seal: Seal, replay: ReplayMode, random: Random) -> Views:
    """Another story of the machine in that place; the other one only hears it."""
    number = random.randrange(8, 2**31)
    other = {"word": number}
    if place == 1:
        other = {"answer": number}
    elif random.random() < 0.5:
        other = random.choice([{"count": count} for count in (0, 1, 2, 4, 5, 6)] + [{"bored": 1}])
        other["word"] = random.choice([7, number])
    return tuple(party.data for party in told(seal=seal, replay=replay, **other))


def _together() -> Iterator[tuple[str, Together]]:
    for seal in Seal:
        for name, homes in HOMES.items():
            for place in range(len(homes)):
                run = partial(_spread_run, name, None, seal)
                yield f"merged-{name}-{place}-{seal}", Together(place, run)
        for name in ("hello", "two_buyer"):
            run = partial(_redacted_run, name, seal)
            yield f"merged-redacted-{name}-{seal}", Together(0, run)
        for name in ("cancelled", "late_fault"):
            yield f"merged-{name}-{seal}", Together(0, partial(_ending_run, name, seal))
        for name in BUNDLED:
            for place in (0, 1):
                run = partial(_ending_run, name, seal)
                yield f"merged-{name}-{place}-{seal}", Together(place, run)
        for replay in ReplayMode:
            for place in (0, 1):
                run = partial(_talk, seal, replay)
                retell = partial(_other_talk, place, seal, replay)
                yield f"merged-talk-{place}-{seal}-{replay}", Together(place, run, retell)


TOGETHER: Final = dict(_together())


def _changed_view(one: Together) -> Sample:
    return Sample(one.views()[one.place], {role: key_pair(role) for role in SPREAD_KEYS.split()})


CORPUS: Final[dict[str, Maker]] = {
    **dict(_makers()),
    **{name: partial(_changed_view, one) for name, one in TOGETHER.items()},
}


@cache
def artifact(name: str) -> Sample:
    return CORPUS[name]()
