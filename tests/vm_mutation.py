"""Does anything notice when the machine is changed? `python -m vm_mutation --seed 1`

Draws mutants of the machine's source and runs, against each, in a process of its own: the corpus,
then the reference interpreter on drawn machines, then the unit tests of the module that was
changed. The first that notices has killed it. Prints every survivor and the share that was killed.
With `--state FILE` it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from vm_mutants import Finder, Mutant, describe, draw

TESTS: Final = Path(__file__).parent
SECONDS_MAX: Final = 10
UNIT_SECONDS_MAX: Final = 100
"""Of processor time: what else the machine does must not kill anything."""
WAITED_MAX: Final = 40
"""Whoever waits for ever uses no processor time: so many times as long it may take by the clock."""
MEMBERS: Final = 30
MACHINE: Final = ("machine_messages", "machine_ownership", "machine_rounds", "machine_sessions")
UNIT_TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "admission": (*MACHINE, "bundles", "threaded_runner"),
    "buffer": ("buffer", "lossy_messages", "machine_messages"),
    "consumption": ("consumption", "speculation", "generations", "spread"),
    "guards": ("guards", "threaded_runner", "timed_choice"),
    "lanes": ("threaded_runner", "guards", "bundles"),
    "merkle_set": ("merkle_set", "consumption"),
    "operators": ("operators", "machine_rounds"),
    "scheduler": (
        *(*MACHINE, "session_lives", "guards", "round_seal", "spread", "timed_choice", "bundles"),
        *("effects_in_runs", "hosted", "snapshot"),
    ),
    "scheduling": ("scheduling", "machine_rounds"),
    "session": ("spread", *MACHINE, "session_lives", "generations", "bundles", "unsigned"),
    "settings": ("machine_sessions", "lossy_messages", "generations", "machine_messages"),
    "speculation": ("speculation", "generations"),
    "step_bundle": ("bundles", "machine_sessions"),
    "step_delegate": (*MACHINE, "session_lives", "bundles"),
    "step_end": ("spread", *MACHINE, "session_lives", "bundles", "timed_choice"),
    "step_guard": ("guards", "threaded_runner", "timed_choice"),
    "step_hold": ("speculation", "lossy_messages"),
    "step_invoke": (*MACHINE, "effects_in_runs", "speculation", "timed_choice"),
    "step_loss": ("lossy_messages", "spread"),
    "step_message": ("spread", *MACHINE, "lossy_messages", "speculation", "generations"),
    "step_receive": ("speculation", *MACHINE, "generations", "round_seal", "spread", "unsigned"),
    "step_speculate": ("speculation", "generations"),
    "step_timer": ("timed_choice",),
    "store": (*MACHINE, "session_lives", "bundles", "snapshot"),
    "timer": ("timed_choice",),
    "turn": (*MACHINE, "effects_in_runs", "timed_choice", "bundles", "threaded_runner", "unsigned"),
    "value_ops": ("operators", "host_values", "machine_rounds", "codec"),
}
"""Of `tests/unit/vm`, by module; of the others, `MACHINE`."""
NOTICED: Final = 3
NOBODY: Final = "nobody"


def _corpus() -> None:
    from corpus_files import folders, image_of  # noqa: PLC0415
    from troth.conformance.corpus import observe, read_case  # noqa: PLC0415

    for folder in folders():
        case = read_case((folder / "case.json").read_bytes())
        if "refused" not in case["expect"]:
            image, assembly = image_of(folder)
            assert observe(case, image, assembly=assembly) == case["expect"], folder.name


def _reference() -> None:
    from reference_samples import member  # noqa: PLC0415

    for number in range(MEMBERS):
        assert member(number).difference is None, f"member {number}"


def _child(mutant: Mutant) -> int:
    """Runs what is quick; ends with `NOTICED` and a word on standard output."""
    _limit_time(SECONDS_MAX)
    sys.meta_path.insert(0, Finder(mutant))
    for name, check in (("corpus", _corpus), ("reference", _reference)):
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong has noticed
            print(name, type(error).__name__)
            return NOTICED
    return 0


def _limit_time(seconds: int) -> None:
    """The process is ended by a signal once it has used so much processor time."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def judge_quickly(mutant: Mutant) -> str:
    """Who noticed of the corpus and the reference, or "" for nobody."""
    quick = [sys.executable, "-m", "vm_mutation", "--child", mutant.module, str(mutant.place)]
    try:
        done = subprocess.run(
            quick,
            cwd=TESTS,
            env=_ENVIRONMENT,
            capture_output=True,
            timeout=WAITED_MAX * SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the time"
    if done.returncode == -signal.SIGXCPU:
        return "the time"
    return (done.stdout.decode().split(" ")[0] or "the import") if done.returncode else ""


_ENVIRONMENT: Final = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def judge_by_unit_tests(mutant: Mutant) -> str:
    noticed = _unit_tests_notice([mutant.module, str(mutant.place)], _ENVIRONMENT)
    return "unit tests" if noticed else NOBODY


def _unit_tests_notice(place: list[str], environment: Mapping[str, str]) -> bool:
    files = [f"unit/vm/test_{name}.py" for name in UNIT_TESTS.get(place[0], MACHINE)]
    options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "vm_mutation"]
    mutated = {**environment, "TROTH_MUTANT": " ".join(place)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *files],
            cwd=TESTS,
            env=mutated,
            capture_output=True,
            timeout=WAITED_MAX * UNIT_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def _as_plugin() -> None:
    """As a plugin of pytest this module puts the mutant in before anything is imported."""
    named = os.environ.get("TROTH_MUTANT")
    if named and __name__ != "__main__":
        module, place = named.split()
        _limit_time(UNIT_SECONDS_MAX)
        sys.meta_path.insert(0, Finder(Mutant(module, int(place))))


class _State:
    """What is known about each mutant, kept in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, str] = {}
        if path is not None and path.exists():
            self.known = dict(json.loads(line) for line in path.read_text().splitlines())

    def learn(self, mutants: list[Mutant], judge: Callable[[Mutant], str], processes: int) -> None:
        with ThreadPoolExecutor(processes) as pool:
            for mutant, result in zip(mutants, pool.map(judge, mutants), strict=True):
                self.known[str(mutant)] = result
                if self.path is not None:
                    with self.path.open("a") as stream:
                        stream.write(json.dumps([str(mutant), result]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=220)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("MODULE", "PLACE"))
    arguments = parser.parse_args()
    if arguments.child:
        module, place = arguments.child
        sys.exit(_child(Mutant(module, int(place))))
    started = time.monotonic()
    tally: Counter[str] = Counter()
    mutants = draw(arguments.seed, arguments.mutants)
    state = _State(arguments.state)
    new = [mutant for mutant in mutants if str(mutant) not in state.known]
    state.learn(new, judge_quickly, arguments.processes)
    alive = [mutant for mutant in mutants if not state.known[str(mutant)]]
    print(f"{len(alive)} of {len(mutants)} survive the corpus and the reference", flush=True)
    state.learn(alive, judge_by_unit_tests, arguments.processes)
    for mutant in mutants:
        result = state.known[str(mutant)]
        tally[result] += 1
        if result == NOBODY:
            print(f"survivor: {describe(mutant)}")
    killed = tally.total() - tally[NOBODY]
    print(f"seed {arguments.seed}: {killed} of {tally.total()} killed", end=" ")
    print(f"({100 * killed / tally.total():.1f} %) in {time.monotonic() - started:.0f} s")
    print(f"noticed by: {dict(tally.most_common())}")


_as_plugin()

if __name__ == "__main__":
    main()
