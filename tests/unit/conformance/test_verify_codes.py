"""The table of codes: used, stable, and on its page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from troth.conformance import codes, codes_page
from troth.conformance.codes import BY_CODE, CODES, Category

ROOT: Final = Path(__file__).resolve().parents[3]
PACKAGE: Final = ROOT / "conformance" / "troth" / "conformance"

FROZEN: Final = """
artifact.limit artifact.magic artifact.record artifact.version consumption.duplicate
consumption.generation
consumption.lost consumption.order consumption.receipt consumption.root consumption.sent.capacity
consumption.sent.number consumption.unsealed consumption.unsent incomplete.end incomplete.seals
incomplete.torn integrity.cancel integrity.counts integrity.delegation integrity.fail
integrity.final integrity.head integrity.inclusion integrity.join integrity.key integrity.message
integrity.notice integrity.protocol integrity.receipt integrity.root
integrity.rotation integrity.seal
integrity.session protocol.account protocol.bundle protocol.close protocol.endpoint protocol.epoch
protocol.guard protocol.kind
protocol.label protocol.notice protocol.payload protocol.pinned protocol.receipt protocol.setting
protocol.timer
protocol.trouble
protocol.turn protocol.undelivered protocol.value replay.budget replay.divergence replay.memory
replay.pinned structure.count structure.duplicate structure.identity structure.image
structure.lifecycle structure.limit structure.order structure.reference structure.round
structure.setting structure.shape structure.surplus trust.contradicted
"""


def test_the_page_is_current() -> None:
    """When a code changes, write what `codes_page.render()` gives into the page again."""
    page = ROOT / "docs" / "reference" / "verdicts.md"
    assert page.read_text(encoding="utf-8") == codes_page.render()


def test_codes_are_frozen() -> None:
    """Tools match on codes: adding one is fine, changing one is not."""
    assert sorted(BY_CODE) == sorted(FROZEN.split())


def test_codes_are_distinct_and_placed() -> None:
    assert len(BY_CODE) == len(CODES)
    for entry in CODES:
        assert entry.level in (1, 2, 3, 4, 5)
        assert entry.exit_code in (2, 3, 4)
        assert entry.cause.endswith(".")
        assert not entry.advice.endswith(".")


def test_every_code_is_raised_somewhere() -> None:
    """By the verifier itself, or by the reader, whose codes are the same."""
    table = {PACKAGE / "codes.py"}
    sources = [path for path in PACKAGE.glob("*.py") if path not in table]
    sources += [ROOT / "vm" / "troth" / "vm" / f"{name}.py" for name in READER]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [entry.code for entry in CODES if f'"{entry.code}"' not in text] == []


READER: Final = ("reader", "record_codec", "record_frames")


def test_only_cut_and_unknown_files_are_not_wrong() -> None:
    lenient = {entry.code for entry in CODES if entry.exit_code != codes.EXIT_INVALID}
    assert lenient == {"artifact.version", "incomplete.end", "incomplete.seals", "incomplete.torn"}
    assert {entry.category for entry in CODES} <= set(Category)
