"""The command `troth conformance`: runs the cases of a corpus and says which do not hold."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from troth.conformance.codes import EXIT_INVALID, EXIT_VALID
from troth.conformance.corpus import CASE_BYTES_MAX, keeps_its_verb, observe, read_case
from troth.conformance.shell_terminal import write
from troth.vm.errors import TrothError, Unusable
from troth.vm.escape import plain
from troth.vm.limits import IMAGE_BYTES_MAX

Subparsers = Any  # argparse does not export the type of add_subparsers()

_DIFFERENCES_MAX: Final = 4


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("conformance", help="run the cases of a conformance corpus")
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="a corpus, or cases of one"
    )
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.set_defaults(run=conformance_command)


def conformance_command(arguments: argparse.Namespace) -> int:
    """0 when every case holds, 2 when one does not.

    Raises:
        Unusable: `corpus.empty`, when there is no case.
        OSError: a file cannot be read.
    """
    verbs: Counter[str] = Counter()
    broken: dict[str, list[str]] = {}
    for folder in _cases(arguments.folders):
        verb, wrong = _judge(folder)
        verbs[verb] += 1
        if wrong:
            broken[folder.name] = wrong
    total = verbs.total()
    if arguments.json:
        write(json.dumps({"cases": total, "verbs": dict(sorted(verbs.items())), "broken": broken}))
    else:
        write("\n".join(_told(verbs, broken)))
    return EXIT_INVALID if broken else EXIT_VALID


def _cases(folders: list[Path]) -> Iterator[Path]:
    found = [
        path.parent
        for folder in folders
        for path in sorted([*folder.glob("case.json"), *folder.glob("*/case.json")])
    ]
    if not found:
        raise Unusable(
            "corpus.empty",
            "there is no case",
            expected="folders with a case.json, or a folder of such folders",
            advice="The corpus of the project is conformance/corpus of its repository",
        )
    yield from found


def _judge(folder: Path) -> tuple[str, list[str]]:
    """The verb, and what is not as it should be."""
    try:
        case = read_case(_read(folder / "case.json", CASE_BYTES_MAX))
        is_assembly = (folder / "image.asm").exists()
        name = "image.asm" if is_assembly else "image.bin"
        seen = observe(case, _read(folder / name, IMAGE_BYTES_MAX), assembly=is_assembly)
    except TrothError as error:
        return "unusable", [f"{error.message} [{error.code}]"]
    expected: dict[str, Any] = case["expect"]
    wrong = [
        f"{key}: expected {json.dumps(expected.get(key))}, found {json.dumps(seen.get(key))}"
        for key in sorted(expected.keys() | seen.keys())
        if expected.get(key) != seen.get(key)
    ]
    if not keeps_its_verb(case["verb"], seen):
        wrong.append(f"this is not what {case['verb']} is about")
    return case["verb"], wrong


def _read(path: Path, bytes_max: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(bytes_max + 1)


def _told(verbs: Counter[str], broken: dict[str, list[str]]) -> Iterator[str]:
    for name, wrong in broken.items():
        yield f"FAILED {plain(name)}"
        yield from (f"  {plain(line, characters_max=400)}" for line in wrong[:_DIFFERENCES_MAX])
    for verb, count in sorted(verbs.items()):
        yield f"{verb}: {count}"
    held = verbs.total() - len(broken)
    yield f"{held} of {verbs.total()} cases hold (exit {EXIT_INVALID if broken else EXIT_VALID})"
