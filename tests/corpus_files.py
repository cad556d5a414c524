"""Where the corpus is, how a case is written, and `python -m corpus_files` to bless it.

Blessing runs every case and writes what happened as what is expected; what other machines say in
a case is said anew. Look at the difference before you commit it: it is a change of what programs
mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from troth.conformance.corpus import CorpusKeys, keeps_its_verb, observe, read_case
from troth.conformance.reference import Setup, run_both
from troth.conformance.reference.compare import (
    Both,
    CancelSession,
    Disturb,
    EndSession,
    Failed,
    HostAct,
)
from troth.vm.assembly_read import assemble
from troth.vm.codec import decode
from troth.vm.host_signer import HostSigner
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.machine import Overrides
from troth.vm.trouble_kind import Trouble

CORPUS: Final = Path(__file__).parents[1] / "conformance" / "corpus"


def folders() -> list[Path]:
    return sorted(path for path in CORPUS.iterdir() if path.is_dir())


def image_of(folder: Path) -> tuple[bytes, bool]:
    """The image's bytes, and whether they are assembly."""
    assembly = folder / "image.asm"
    if assembly.exists():
        return assembly.read_bytes(), True
    return (folder / "image.bin").read_bytes(), False


def written(case: Mapping[str, Any]) -> str:
    """A case as its file has it: one key a line."""
    return "{\n" + ",\n".join(_rows(case, "  ")) + "\n}\n"


def _rows(part: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in part.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(_rows(value, indent + "  "))
            yield f'{indent}"{key}": {{\n{inner}\n{indent}}}'
        else:
            yield f'{indent}"{key}": {json.dumps(value)}'


def both_of(case: Mapping[str, Any], image: bytes) -> Both | None:
    """The machine and the reference on a case of which the reference knows everything; or None."""
    expect = case["expect"]
    never_started = "refused" in expect or (expect["stopped"] and not expect["rounds"])
    if case["home"] is not None or never_started:
        return None
    loaded = load(assemble(image.decode(), "image.asm"))
    keys = HostSigner({}, CorpusKeys(case["keyless"]))
    setup = Setup(
        image=loaded.image,
        seed=bytes.fromhex(case["seed"]),
        signer=keys,
        roster=keys,
        limits=replace(DEFAULT_LIMITS, **case["limits"]),
        quantum=case["quantum"],
        policy=case["policy"],
        overrides=Overrides(
            replay=case["replay"] and ReplayMode(case["replay"]),
            seal=case["seal"] and Seal(case["seal"]),
        ),
        seals_rounds=True,
    )
    answers = list(case["effects"])
    acts: dict[int, list[Any]] = {}
    for act in case["host"]:
        acts.setdefault(act["after"], []).append(_done(act))

    def answer(_: object) -> Any:
        given = answers.pop(0)
        return (
            Failed(given["failed"]) if "failed" in given else decode(bytes.fromhex(given["value"]))
        )

    return run_both(loaded, setup, effects=answer, acts=acts, round_ns=case["round_ns"])


def _done(act: Mapping[str, Any]) -> HostAct:
    if "trouble" in act:
        peer, until_ns = act.get("peer", ""), act.get("until_ns")
        trouble = Trouble[act["trouble"].upper()]
        return Disturb(act["session"], trouble, act["role"], peer, until_ns)
    return EndSession(act["end"]) if "end" in act else CancelSession(act["cancel"], "host")


def bless() -> int:
    changed = 0
    for folder in folders():
        path = folder / "case.json"
        given = json.loads(path.read_text())
        image, assembly = image_of(folder)
        given["expect"] = observe(read_case(path.read_bytes()), image, assembly=assembly)
        assert keeps_its_verb(given["verb"], given["expect"]), f"{folder.name} changes its verb"
        text = written(given)
        if text != path.read_text():
            path.write_text(text)
            changed += 1
            print(f"blessed {folder.name}")
    return changed


if __name__ == "__main__":
    from corpus_peers import main as write_peers  # It needs this module.

    write_peers()
    print(f"{bless()} of {len(folders())} cases changed")
    sys.exit(0)
