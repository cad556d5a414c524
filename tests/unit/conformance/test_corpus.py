"""The corpus holds, the reference agrees on it, and nothing that can happen is missing in it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from corpus_files import CORPUS, both_of, folders, image_of, written
from e2e.command_line import troth
from troth.conformance.corpus import (
    VERBS,
    keeps_its_verb,
    observe,
    read_case,
)
from troth.conformance.reference import step
from troth.vm import step_end
from troth.vm.errors import Malformed
from troth.vm.faults import FAULT_CODES
from troth.vm.instructions import Instruction, Op, Operator
from troth.vm.lifecycle import TRANSITIONS, next_status

CASES_MIN: Final = 150
REFUSED_BY_THE_LOADER: Final = {
    "vm.fault.acquire": "image.guard.held",
    "vm.fault.close": "image.endpoint.unfinished",
    "vm.fault.pc": "image.operand",
    "vm.fault.register": "image.register.unset",
    "vm.fault.timer": "image.timer.second",
}
"""No image that is loaded has these faults; the corpus has images that would."""


def _case(folder: Path) -> dict[str, Any]:
    return dict(read_case((folder / "case.json").read_bytes()))


CASES: Final = {folder.name: (_case(folder), *image_of(folder)) for folder in folders()}
RUNS: Final = [name for name, (case, _, _) in CASES.items() if "refused" not in case["expect"]]


def test_every_case_holds_and_everything_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    edges: set[object] = set()

    def watched_status(status: Any, event: Any) -> Any:
        found = next_status(status, event)
        if found is not None:
            edges.add((status, event))
        return found

    monkeypatch.setattr(step_end, "next_status", watched_status)
    for name, (case, image, assembly) in CASES.items():
        seen = observe(case, image, assembly=assembly)
        assert seen == case["expect"], name
        assert keeps_its_verb(case["verb"], seen), name
    assert edges == set(TRANSITIONS)


def test_every_replay_decision_is_in_it() -> None:
    decisions: set[tuple[str, str]] = set()
    for name, (case, image, _) in CASES.items():
        if name.startswith("replay-"):
            mode = image.decode().partition("replay = ")[2].split()[0].strip(",")
            decisions.update(
                (mode, code.rpartition(".")[2]) for code in case["expect"]["delivered"]
            )
    for mode in ("off", "sequence", "nullifier"):
        assert {(mode, ""), (mode, "verification")} & decisions
    refusals = ("sequence", "duplicate", "generation")
    assert {(mode, code) for mode in ("sequence", "nullifier") for code in refusals} <= decisions
    assert not [code for mode, code in decisions if mode == "off" and code in refusals]


def test_every_fault_is_in_it() -> None:
    found: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for case, _, _ in CASES.values():
        expect = case["expect"]
        refused[expect.get("refused", "")] += 1
        for key, place in (("faults", 0), ("rejected", 2)):
            found.update(row[place] for row in expect.get(key, ()))
        found.update(expect.get("delivered", ()))
    missing = [code for code in FAULT_CODES if not found[code]]
    assert missing == sorted(REFUSED_BY_THE_LOADER)
    assert all(refused[code] for code in REFUSED_BY_THE_LOADER.values())


def test_there_are_cases_of_every_kind() -> None:
    verbs = Counter(case["verb"] for case, _, _ in CASES.values())
    print(f"{len(CASES)} cases: {dict(verbs)}")
    assert len(CASES) >= CASES_MIN
    assert set(verbs) == set(VERBS)
    for folder in folders():
        text = (folder / "case.json").read_text()
        assert text == written(json.loads(text)), f"{folder.name}: python -m corpus_files"


# --- the reference -------------------------------------------------------------------------


def test_the_reference_agrees_and_executes_every_instruction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executed: set[object] = set()
    real = step._execute

    def watched(world: Any, me: Any, instruction: Instruction) -> Any:
        executed.add(instruction.operator if isinstance(instruction, Op) else type(instruction))
        return real(world, me, instruction)

    monkeypatch.setattr(step, "_execute", watched)
    count = 0
    for name in RUNS:
        case, image, _ = CASES[name]
        both = both_of(case, image)
        if both is None:
            continue
        assert both.difference is None, f"{name}: {both.difference}"
        count += 1
    assert count > CASES_MIN // 2
    assert executed == {*get_args(Instruction), *Operator} - {Op}


# --- the command ---------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    done = troth("conformance", CORPUS)
    assert done.code == 0, done.out
    assert f"{len(CASES)} of {len(CASES)} cases hold (exit 0)\n" in done.out
    name = RUNS[0]
    case, image, _ = CASES[name]
    wrong = tmp_path / name
    wrong.mkdir()
    (wrong / "image.asm").write_bytes(image)
    given = {key: case[key] for key in ("about", "verb", "expect")}
    given["expect"] = {**given["expect"], "rounds": 0}
    (wrong / "case.json").write_text(json.dumps(given))
    done = troth("conformance", tmp_path)
    assert done.code == 2
    assert f"FAILED {name}\n" in done.out
    assert "\n  rounds: expected 0, found " in done.out
    assert json.loads(troth("conformance", wrong, "--json").out)["broken"].keys() == {name}


def test_what_is_no_case(tmp_path: Path) -> None:
    assert "[corpus.empty]" in troth("conformance", tmp_path).err
    (tmp_path / "case.json").write_text("[" * 100_000)
    (tmp_path / "image.bin").write_bytes(b"")
    done = troth("conformance", tmp_path)
    assert (done.code, "[corpus.case]" in done.out) == (2, True)


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "assert_nothing"},
        {"colour": "red"},
        {"limits": {"speed_max": 1}},
        {"limits": []},
        {"seed": "xyz"},
        {"host": [{"cancel": 0}]},
        {"host": [7]},
        {"seal": "wax"},
        {"effects": 3},
    ],
)
def test_hostile_cases_are_refused(change: dict[str, Any]) -> None:
    _, image, assembly = CASES[next(name for name in RUNS if CASES[name][0]["effects"])]
    given = {"about": "", "verb": "assert_fragment", "expect": {}, **change}
    with pytest.raises(Malformed) as caught:
        observe(read_case(json.dumps(given).encode()), image, assembly=assembly)
    assert caught.value.code == "corpus.case"
