"""Takes pictures of pages, to be looked at: `python -m browser.take_pictures FOLDER`, in tests.

A valid, an invalid and a large artifact and a merged page of three records, at the width of a desk
and of a phone, light and dark: the top of each, and the sequence.
`--docs` makes only the picture of the documentation anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from benchmarks.workloads import ring_image, run_ring
from browser.chromium import Page, running
from page_samples import forged, page_of, two_buyer, view_of
from troth.conformance import report_views
from view_lies import talk, trust

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
READY: Final = "document.documentElement.dataset.ready === 'true'"
SIZES: Final = {"desktop": (1440, 1000), "phone": (390, 844)}
LARGE_ROUNDS: Final = 12_500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", action="store_true", help="only the picture of the documentation")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    keys = two_buyer().trust
    bad = folder / "invalid.html"
    bad.write_text(page_of(view_of(forged(), trust=keys, name="forged.replay")))
    if arguments.docs:
        _picture_for_docs(bad)
        return
    good = folder / "valid.html"
    good.write_text(page_of(view_of(two_buyer().data, trust=keys, name="book.replay")))
    run_ring(ring_image(LARGE_ROUNDS), record=folder / "ring.replay")
    large = folder / "large.html"
    large.write_text(page_of(view_of((folder / "ring.replay").read_bytes(), name="ring.replay")))
    merged = _merged(folder)
    with running() as browser:
        page = Page(browser)
        for file in (good, bad, merged, large):
            for name, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    page.scheme(scheme)
                    page.resize(width, height, mobile=name == "phone")
                    page.open(file)
                    page.wait(READY)
                    page.settle()
                    page.screenshot(folder / f"{file.stem}-{name}-{scheme}.png")
                    assert page.complaints() == []
                _look_at_sequence(page)
                page.screenshot(folder / f"{file.stem}-{name}-sequence.png")
                assert page.complaints() == []


def _merged(folder: Path) -> Path:
    """Two records of one session that do not fit together, and the page about them."""
    records = [folder / "a.replay", folder / "b.replay"]
    for file, party in zip(records, (talk(word=8)[0], talk()[1]), strict=True):
        file.write_bytes(party.data)
    report_views(records, folder / "merged.html", trust=trust("A", "B"))
    return folder / "merged.html"


def _look_at_sequence(page: Page) -> None:
    page.evaluate("document.getElementById('sequence').focus()")
    for _ in range(12):
        page.press("ArrowDown")
    page.evaluate("document.getElementById('explorer').scrollIntoView()")
    page.settle()


def _picture_for_docs(file: Path) -> None:
    with running() as browser:
        page = Page(browser)
        page.scheme("light")
        page.resize(1240, 820)
        page.open(file)
        page.wait(READY)
        page.settle()
        page.evaluate("document.getElementById('explorer').scrollIntoView()")
        page.settle()
        page.screenshot(DOCS / "report.png")


if __name__ == "__main__":
    main()
