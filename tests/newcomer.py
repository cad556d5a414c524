"""What a newcomer does: a fresh clone, then copy and paste from the README to an answered call.

`python -m newcomer` in `tests` clones this repository into a folder of its own, pastes into one
shell what the README says on the way to its telephone application, compares what it prints, and
says how long each step took. It ends with 1 when a step prints something else, or all together
take longer than five minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from docs.snippet_blocks import Block, blocks_of
from docs.snippet_output import matches

ROOT: Final = Path(__file__).resolve().parents[1]
LIMIT_S: Final = 300
_ADDRESS: Final = "ADDRESS"
_MARK: Final = "--- pasted ---"


class Step(NamedTuple):
    """Commands to paste, and what they must print; None where the README does not say it."""

    commands: str
    expected: str | None


def steps(blocks: Sequence[Block], address: str) -> Iterator[Step]:
    """The blocks on the way: get and set up, put on the path, save the application, call it."""
    for block in blocks:
        if block.kind == "sh" and _ADDRESS in block.text:
            yield Step(block.text.replace(_ADDRESS, address), None)
        elif block.kind == "console" and "export PATH" in block.text:
            yield Step(_commands(block.text), None)
        elif block.file_name == "welcome.py":
            yield Step(f"cat > welcome.py <<'EOF'\n{block.text}\nEOF", "")
        elif block.kind == "console" and "troth esl call" in block.text:
            yield Step(_commands(block.text), _printed(block.text))


def _commands(text: str) -> str:
    return "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))


def _printed(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("$ "))


def paste(folder: Path, found: Sequence[Step]) -> Iterator[tuple[Step, str, float]]:
    """Each step in the same shell, with what it printed and the seconds it took."""
    kept = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "PIP_INDEX_URL", "PIP_CONFIG_FILE")
    clean = {name: os.environ[name] for name in kept if name in os.environ}
    with subprocess.Popen(
        ["sh", "-e"], cwd=folder, env=clean, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as shell:  # fmt: skip
        assert shell.stdin is not None
        assert shell.stdout is not None
        for step in found:
            began = time.monotonic()
            shell.stdin.write(f"{step.commands}\necho '{_MARK}'\n")
            shell.stdin.flush()
            lines = []
            while (line := shell.stdout.readline()) and line.strip() != _MARK:
                lines.append(line)
            yield step, "".join(lines), time.monotonic() - began
            if not line:
                raise SystemExit(f"the shell ended at: {step.commands.splitlines()[-1]}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m newcomer")
    parser.add_argument("--address", default=str(ROOT), help="what to clone")
    given = parser.parse_args(arguments)
    found = list(steps(list(blocks_of(ROOT / "README.md", "README.md")), given.address))
    assert len(found) == 4, "the README has another way now"
    together, odd = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for step, printed, seconds in paste(Path(folder), found):
            together += seconds
            right = step.expected is None or matches(step.expected, printed)
            odd += not right
            first = step.commands.strip().splitlines()[0]
            print(f"{seconds:6.1f} s  {first}{'' if right else '  PRINTED SOMETHING ELSE'}")
            if step.expected:
                print(printed.rstrip())
    print(f"{together:6.1f} s together, of {LIMIT_S}")
    return 1 if odd or together > LIMIT_S else 0


if __name__ == "__main__":
    sys.exit(main())
