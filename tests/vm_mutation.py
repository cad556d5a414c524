"""Does anything notice when the machine is changed? `python -m vm_mutation --seed 1`

Draws mutants of the machine's source and runs, against each, in processes of its own, the cheapest
tests first: the corpus and the reference interpreter on drawn machines, the unit tests of the
module that was changed, and at last all unit tests of the machine, the tests of the reference and
those of the runners' parity. The first that notices has killed it. A survivor has survived all of
these and no others. Prints every survivor, what `vm_mutation_survivors` says about it, and the
share that was killed. With `--state FILE` it goes on where it was stopped; verdicts on another
source of the module are not used.
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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from vm_mutants import Finder, Mutant, change_of, draw, key
from vm_mutation_survivors import EXPLAINED

TESTS: Final = Path(__file__).parent
SECONDS_MAX: Final = 10
UNIT_SECONDS_MAX: Final = 100
ALL_SECONDS_MAX: Final = 900
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
    "step_bundle": ("bundles", "spread", "machine_sessions"),
    "step_delegate": (*MACHINE, "session_lives", "bundles"),
    "step_end": ("spread", *MACHINE, "session_lives", "bundles", "timed_choice"),
    "step_guard": ("guards", "threaded_runner", "timed_choice"),
    "step_hold": ("speculation", "lossy_messages"),
    "step_invoke": (*MACHINE, "effects_in_runs", "speculation", "timed_choice"),
    "step_loss": ("lossy_messages", "spread"),
    "step_message": ("spread", *MACHINE, "lossy_messages", "speculation", "generations"),
    "step_data": ("machine_rounds", "effects_in_runs", "operators"),
    "step_open": ("spread", *MACHINE),
    "step_receive": ("speculation", *MACHINE, "generations", "round_seal", "spread", "unsigned"),
    "step_session": ("machine_sessions", "session_lives", "speculation"),
    "step_spawn": ("machine_ownership", "spread", "machine_rounds", "machine_sessions"),
    "step_speculate": ("speculation", "generations"),
    "step_timer": ("timed_choice",),
    "store": (*MACHINE, "session_lives", "bundles", "snapshot"),
    "timer": ("timed_choice",),
    "turn": (*MACHINE, "effects_in_runs", "timed_choice", "bundles", "threaded_runner", "unsigned"),
    "value_ops": ("codec", "operators", "host_values", "machine_rounds"),
}
"""Of `tests/unit/vm`, by module; of the others, `MACHINE`."""
ALL_TESTS: Final = ("unit/vm", "property/test_reference.py", "property/test_runner_parity.py")
"""What a survivor has survived, besides the corpus and the first drawn machines."""
PARITY_MEMBERS: Final = 60
NOTICED: Final = 3
QUICK: Final = "survived the corpus and the reference"
MODULE: Final = "survived the tests of its module"
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
    """Who noticed of the corpus and the reference."""
    quick = [sys.executable, "-m", "vm_mutation", "--child", mutant.module, str(mutant.place)]
    done = _run(quick, _ENVIRONMENT, SECONDS_MAX)
    if done is None or done.returncode == -signal.SIGXCPU:
        return "the time"
    return (done.stdout.decode().split(" ")[0] or "the import") if done.returncode else QUICK


_ENVIRONMENT: Final = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "1",
    "TROTH_PARITY_MEMBERS": str(PARITY_MEMBERS),
}


def judge_by_unit_tests(mutant: Mutant) -> str:
    files = [f"unit/vm/test_{name}.py" for name in UNIT_TESTS.get(mutant.module, MACHINE)]
    noticed = _who_notices(mutant, files, UNIT_SECONDS_MAX)
    return f"unit tests: {noticed}" if noticed else MODULE


def judge_by_all_tests(mutant: Mutant) -> str:
    noticed = _who_notices(mutant, ALL_TESTS, ALL_SECONDS_MAX)
    return f"all tests: {noticed}" if noticed else NOBODY


def _who_notices(mutant: Mutant | None, tests: Sequence[str], seconds: int) -> str:
    """The first test that fails, or "" when all pass."""
    environment = dict(_ENVIRONMENT)
    if mutant is not None:
        environment["TROTH_MUTANT"] = f"{mutant.module} {mutant.place} {seconds}"
    options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "vm_mutation"]
    pytest = [sys.executable, "-m", "pytest", *options, *tests]
    done = _run(pytest, environment, seconds)
    if done is None or done.returncode == -signal.SIGXCPU:
        return "the time"
    if not done.returncode:
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    named = [line.split(" ")[1] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return named[0] if named else "the import"


def _run(
    command: Sequence[str], environment: Mapping[str, str], seconds: int
) -> subprocess.CompletedProcess[bytes] | None:
    """None when it did not end; the child limits its processor time itself."""
    try:
        return subprocess.run(
            command,
            cwd=TESTS,
            env=environment,
            capture_output=True,
            timeout=WAITED_MAX * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _as_plugin() -> None:
    """As a plugin of pytest this module puts the mutant in before anything is imported."""
    named = os.environ.get("TROTH_MUTANT")
    if named and __name__ != "__main__":
        module, place, seconds = named.split()
        _limit_time(int(seconds))
        sys.meta_path.insert(0, Finder(Mutant(module, int(place))))


class _State:
    """What is known about each mutant, kept in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, str] = {}
        if path is not None and path.exists():
            self.known = dict(json.loads(line) for line in path.read_text().splitlines())

    def of(self, mutant: Mutant) -> str:
        return self.known.get(key(mutant), "")

    def learn(self, mutants: list[Mutant], judge: Callable[[Mutant], str], processes: int) -> None:
        """Each verdict is kept as soon as it is known."""
        with ThreadPoolExecutor(processes) as pool:
            judged = {pool.submit(judge, mutant): mutant for mutant in mutants}
            for done in as_completed(judged):
                self.keep(key(judged[done]), done.result())

    def keep(self, name: str, verdict: str) -> None:
        self.known[name] = verdict
        if self.path is not None:
            with self.path.open("a") as stream:
                stream.write(json.dumps([name, verdict]) + "\n")


_TIERS: Final = (
    ("", judge_quickly, QUICK),
    (QUICK, judge_by_unit_tests, MODULE),
    (MODULE, judge_by_all_tests, NOBODY),
)
"""Whom each judges, and what it says when nobody noticed."""


def _judge(state: _State, mutants: list[Mutant], processes: int) -> None:
    for before, judge, after in _TIERS:
        waiting = [mutant for mutant in mutants if state.of(mutant) == before]
        if before == MODULE and waiting:
            # Tests that fail anyway would kill everything.
            failed = _who_notices(None, ALL_TESTS, ALL_SECONDS_MAX)
            assert not failed, f"{failed} fails without any mutant"
        state.learn(waiting, judge, processes)
        left = sum(state.of(mutant) == after for mutant in mutants)
        print(f"{judge.__name__}: {len(waiting)} tried, {left} of {len(mutants)} left", flush=True)


def _report(state: _State, mutants: list[Mutant], seed: int) -> None:
    tally = Counter(state.of(mutant).partition(":")[0] for mutant in mutants)
    for mutant in mutants:
        if state.of(mutant) == NOBODY:
            line, function, words = change_of(mutant)
            print(f"survivor: {mutant.module} line {line}, in {function}: {words}")
            print(f"    {EXPLAINED.get((mutant.module, function, words), 'not explained')}")
    killed = tally.total() - tally[NOBODY]
    print(f"seed {seed}: {killed} of {tally.total()} killed", end=" ")
    print(f"({100 * killed / tally.total():.1f} %)")
    print(f"noticed by: {dict(tally.most_common())}")


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
    mutants = draw(arguments.seed, arguments.mutants)
    state = _State(arguments.state)
    _judge(state, mutants, arguments.processes)
    _report(state, mutants, arguments.seed)
    print(f"in {time.monotonic() - started:.0f} s")


_as_plugin()

if __name__ == "__main__":
    main()
