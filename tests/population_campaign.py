"""Runs a population and its mutants: `python -m population_campaign --members 5000`.

Every member has to run to its end, without a fault; one in `--record-every` is recorded, and both
verifiers have to accept it, and its roles are spread over two machines, whose envelopes come out
of order and twice. Of every member some mutants are tried, in their text and in their
bytecode: each is refused, or faulted, or turns out to be right as well. It goes on from `--first`
until `--members` are done or `--minutes` are over, and prints what it has tried.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import builders
from population import Conversation, conversations
from population_mutants import code_mutants, text_mutants
from replay_samples import Host, drive, judged, record_run
from second_verifier import judge
from spread_machines import run_spread
from troth.dsl.compile import ScriptErrors, compile_source
from troth.vm.errors import TrothError
from troth.vm.events import Faulted, Overwritten, TimerExpired, TimerStarted
from troth.vm.image import Image
from troth.vm.instructions import Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Machine, Overrides
from troth.vm.types import StateKind

SEED: Final = 20240607
TEXT_MUTANTS: Final = 6
CODE_MUTANTS: Final = 4
RECORDED_EVERY: Final = 20
ROUNDS_MAX: Final = 5_000
"""Far more than any member needs: a run that does not end is found."""
ROUND_NS: Final = 1_000_000
HOST: Final = Host(now_ns=lambda rounds: rounds * ROUND_NS)
NO_LOGS: Final = Overrides(seal=Seal.MESSAGE)
"""Where nothing is recorded no round can be sealed."""
TOLD_EVERY: Final = 500
SHOWN_MAX: Final = 10
WORDS: Final = (
    *("choice", "rec", "loop at", "continue", "do", "foreach", "-> *", "[*]", "within", "lossy"),
    *("bundle", "edge", "[N]"),
)


@dataclass
class Tally:
    """What was tried so far, and what came of it; `problems` are scripts with what was wrong."""

    members: int = 0
    features: Counter[str] = field(default_factory=Counter)
    thrown_away: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    verified: int = 0
    spread: int = 0
    text_tried: Counter[str] = field(default_factory=Counter)
    text_refused: Counter[str] = field(default_factory=Counter)
    code: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        kinds = {
            kind: f"{self.text_refused[kind]}/{count}" for kind, count in self.text_tried.items()
        }
        return [
            f"{self.members} members run to their end, {self.verified} of them recorded and "
            f"judged by both verifiers, {self.spread} run on two machines; {dict(self.happened)}",
            f"with {dict(sorted(self.features.items()))}; thrown away {dict(self.thrown_away)}",
            f"{self.text_tried.total()} mutants of their text, {self.text_refused.total()} "
            f"refused, the others right as well: {dict(sorted(kinds.items()))}",
            f"{self.code['tried']} mutants of their bytecode: {dict(self.code)}",
            f"{len(self.problems)} problems",
        ]


def member(number: int, thrown_away: list[str], seed: int = SEED) -> Conversation:
    """The member of this number: it depends on nothing else."""
    return next(conversations(Random(f"{seed} {number}"), 1, thrown_away))


def image_of(script: str) -> Image:
    return compile_source(script, "population.troth")


def features(member: Conversation) -> set[str]:
    text = member.protocol
    found = {word for word in WORDS if word in text}
    if any(
        state.kind is StateKind.RECV and len(state.transitions) > 1
        for local in member.types.values()
        for state in local.states
    ):
        found.add("branch")
    if found & {"bundle"}:
        return found | {f"{len({name for name, _ in member.types})} sessions"}
    return found | {f"{len(member.types)} roles"}


# --- members ---------------------------------------------------------------------------------


def run_member(script: str, tally: Tally) -> Image:
    """Runs it to its end, which has to be a good one."""
    image = image_of(script)
    keys = builders.make_signer()
    limits = replace(DEFAULT_LIMITS, rounds_max=ROUNDS_MAX)
    machine = Machine(
        load(image),
        seed=builders.SEED,
        signer=keys,
        roster=keys,
        limits=limits,
        overrides=NO_LOGS,
    )
    machine.start()
    try:
        ended = drive(machine, HOST, 2 * ROUNDS_MAX)
    except TrothError as error:
        tally.problems.append(f"{error}\n{script}")
        return image
    events = machine.poll_events()
    for kind, name in _COUNTED.items():
        tally.happened[name] += sum(type(event) is kind for event in events)
    report = machine.report()
    faults = [event for event in events if isinstance(event, Faulted)]
    if not ended or not report.ok or faults:
        tally.problems.append(f"{report.describe()}\n{faults}\n{script}")
    return image


_COUNTED: Final[dict[type, str]] = {
    TimerStarted: "clocks started",
    TimerExpired: "clocks run out",
    Overwritten: "messages overwritten",
}


def verify_member(image: Image, number: int, tally: Tally) -> None:
    """Records it, and asks both verifiers; level 5 runs it again."""
    quantum = (64, 3, 1, 7)[number % 4]
    sample = record_run(image, HOST, quantum=quantum)
    verdict, other = judged(sample), judge(sample.data, {})
    if verdict.findings or not verdict.levels[4].ok or other.word != "valid":
        tally.problems.append(f"{verdict.findings[:1]} {other}")
    tally.verified += 1


def spread_member(member: Conversation, image: Image, number: int, tally: Tally) -> None:
    """Runs it on two machines, over a line that repeats and reorders; each has its own record."""
    if "replay = off" in member.script():
        return  # such an edge takes whatever comes, in the order in which it comes
    rng = Random(f"spread {number}")
    roles = list(image.bundles[0].roles) if image.bundles else member.roles
    rng.shuffle(roles)
    homes = roles[: len(roles) // 2], roles[len(roles) // 2 :]
    parties, _ = run_spread(image, homes, seed=number, shuffle=0.3, repeat=0.2)
    for party in parties:
        verdict = party.verdict()
        if verdict.findings or not party.machine.report().ok:
            said = verdict.findings[:1] or party.machine.report().describe()
            tally.problems.append(f"spread {homes}: {said}\n{member.script()}")
        other = judge(party.data, {})
        if other.word != "valid":
            tally.problems.append(f"spread {homes}: {other}\n{member.script()}")
    tally.spread += 1


# --- mutants ---------------------------------------------------------------------------------


def try_text(rng: Random, member: Conversation, count: int, tally: Tally) -> None:
    for mutant in text_mutants(rng, member, count):
        script = member.script({mutant.program: mutant.lines})
        tally.text_tried[mutant.kind] += 1
        try:
            image_of(script)
        except ScriptErrors:
            tally.text_refused[mutant.kind] += 1
            continue
        if mutant.is_wrong:
            tally.problems.append(f"{mutant.kind} was accepted\n{script}")
        # Another right program, by chance: it must be right.
        run_member(script, tally)


def try_code(rng: Random, image: Image, count: int, tally: Tally) -> None:
    """The loader refuses it; a machine that is made to run it all the same does not end well."""
    for mutant in code_mutants(rng, image, count):
        tally.code["tried"] += 1
        try:
            load(mutant.image)
        except TrothError:
            tally.code["refused"] += 1
        else:
            if mutant.kind != "nothing":
                tally.problems.append(f"the loader took another {mutant.kind}")
            tally.code["left out and still right"] += 1
            continue
        if not _ends_well(mutant.image):
            tally.code["did not end well"] += 1
        elif _ends_well(mutant.marked):
            tally.code["never reached"] += 1
        else:
            tally.problems.append(f"bytecode with another {mutant.kind} was accepted")


def _ends_well(image: Image) -> bool:
    limits = replace(DEFAULT_LIMITS, rounds_max=ROUNDS_MAX)
    machine = builders.make_machine(image, limits=limits, overrides=NO_LOGS)
    try:
        return drive(machine, HOST, 2 * ROUNDS_MAX) and machine.report().ok
    except TrothError:
        return False


# --- all of it -------------------------------------------------------------------------------


def try_member(
    number: int,
    tally: Tally,
    *,
    seed: int,
    mutants: tuple[int, int],
    recorded_every: int,
) -> None:
    thrown_away: list[str] = []
    drawn = member(number, thrown_away, seed)
    rng = Random(f"{seed} mutants of {number}")
    tally.members += 1
    tally.thrown_away.update(thrown_away)
    tally.features.update(features(drawn))
    known = len(tally.problems)
    image = run_member(drawn.script(), tally)
    if number % recorded_every == 0:
        verify_member(image, number, tally)
        spread_member(drawn, image, number, tally)
    try_text(rng, drawn, mutants[0], tally)
    try_code(rng, image, mutants[1], tally)
    tally.problems[known:] = [f"member {number}: {said}" for said in tally.problems[known:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=5_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--record-every", type=int, default=RECORDED_EVERY)
    parser.add_argument("--text-mutants", type=int, default=TEXT_MUTANTS)
    parser.add_argument("--code-mutants", type=int, default=CODE_MUTANTS)
    arguments = parser.parse_args()
    started = time.monotonic()
    tally = Tally()
    for number in range(arguments.first, arguments.first + arguments.members):
        try_member(
            number,
            tally,
            seed=arguments.seed,
            mutants=(arguments.text_mutants, arguments.code_mutants),
            recorded_every=arguments.record_every,
        )
        if tally.members % TOLD_EVERY == 0:
            print(*tally.lines(), sep="\n", flush=True)
        if time.monotonic() - started > 60 * arguments.minutes:
            break
    print(f"seed {arguments.seed}, from {arguments.first}, {time.monotonic() - started:.0f} s")
    print(*tally.lines(), *tally.problems[:SHOWN_MAX], sep="\n")
    sys.exit(bool(tally.problems))


if __name__ == "__main__":
    main()
