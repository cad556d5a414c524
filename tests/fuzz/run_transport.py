"""Fuzzes the transport and the session above it for longer.

`cd tests && python -m fuzz.run_transport --minutes 60`
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from fuzz.fuzzer import Report, all_problems, fuzz
from fuzz.session_campaigns import ALL as SESSIONS
from fuzz.transport_campaigns import ALL as TRANSPORT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for all campaigns together")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    reports: list[Report] = []
    builders = [*TRANSPORT, *SESSIONS]
    for build in builders:
        deadline = time.monotonic() + 60 * arguments.minutes / len(builders)
        report = fuzz(build(), arguments.seed, _until(deadline))
        print(f"seed {arguments.seed}; {report.summary()}", flush=True)
        reports.append(report)
    problems = all_problems(reports)
    print("\n".join(problem[:2_000] for problem in problems), file=sys.stderr)
    return 1 if problems else 0


def _until(deadline: float) -> Callable[[Report], bool]:
    return lambda _report: time.monotonic() < deadline


if __name__ == "__main__":
    sys.exit(main())
