"""Fuzzes for as long as one likes: `cd tests && python -m fuzz.run --minutes 10 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from fuzz import event_socket, network
from fuzz.campaigns import ALL as ARTIFACTS
from fuzz.campaigns import corpus
from fuzz.fuzzer import Report, all_problems, fuzz

CAMPAIGNS = {"artifacts": ARTIFACTS, "event socket": event_socket.ALL, "network": network.ALL}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for all campaigns together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, help="a folder for the inputs that were problems")
    parser.add_argument("--what", choices=sorted(CAMPAIGNS), action="append", help="else all")
    arguments = parser.parse_args()
    chosen = [one for what in arguments.what or sorted(CAMPAIGNS) for one in CAMPAIGNS[what]]
    seconds = 60 * arguments.minutes / len(chosen)
    samples, reports = corpus(), []
    print(f"seed {arguments.seed}, {len(samples)} artifacts, {seconds:.0f} seconds a campaign")
    for campaign in chosen:
        start = time.monotonic()
        report = fuzz(campaign(samples), arguments.seed, _until(start + seconds))
        rate = report.executions / (time.monotonic() - start)
        print(f"{report.summary()}; {rate:,.0f} executions a second", flush=True)
        reports.append(report)
        if arguments.save is not None:
            _save(arguments.save, report)
    problems = all_problems(reports)
    print("\n".join(problem[:300] for problem in problems), file=sys.stderr)
    return 1 if problems else 0


def _until(deadline: float) -> Callable[[Report], bool]:
    return lambda report: time.monotonic() < deadline  # noqa: ARG005 - the report has no clock


def _save(folder: Path, report: Report) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for what, data in report.problems:
        name = sha256(data).hexdigest()[:16]
        (folder / f"{name}.input").write_bytes(data)
        (folder / f"{name}.txt").write_text(f"{report.name}\n{what}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
