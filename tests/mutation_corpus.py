"""The artifacts whose changes are tried: every replay mode, seal, ending and way to be spread."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Final

import event_socket_records as calls
import verify_samples as written
from artifact_surgery import EXAMPLES, Sample, key_pair
from replay_samples import Host, record_run, surplus
from resume_samples import resume_in_memory
from spread_machines import run_spread
from troth.conformance.redaction import Redactor, Selection
from troth.dsl import compile_source
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from view_samples import EFFECTS, HOMES

Maker = Callable[[], Sample]

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
}
HOST: Final = Host(effects={"price_of": lambda name: 20 * len(str(name))})
SPREAD_KEYS: Final = (
    "Client Server Alice Bob Seller A B C D Dispatcher Worker Sender Receiver Producer Consumer"
)
RING_ROUNDS: Final = 3
"""A long artifact has no other changes than a short one, and takes a hundred times as long."""


@cache
def image(name: str) -> Image:
    path = EXAMPLES / f"{name}.troth"
    text = SCRIPTS[name] if name in SCRIPTS else path.read_text()
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
    yield "host_cancels", partial(_local, "ring", None, None, Host(cancel_after=(1,)))
    asked = Host(end_after=(1,), now_ns=lambda rounds: 3_000_000_000 * rounds)
    for name in ("ring", "drain"):
        make = partial(record_run, image(name), asked, quantum=2)
        yield f"host_asks-{name}", make
    yield "linger", partial(record_run, surplus(5), Host(now_ns=lambda rounds: rounds))
    yield "sealed_often", partial(written.sealed_often, "hello", 2)
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


CORPUS: Final = dict(_makers())


@cache
def artifact(name: str) -> Sample:
    return CORPUS[name]()
