"""Every link inside the documentation leads somewhere, and every page is reachable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

TABLES: Final = ("diagnostics.md", "verdicts.md")
"""Pages written by programs, which keep the entries of a table together."""

_LINK: Final = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _targets(page: Path) -> list[str]:
    """The links of a page that stay inside the project."""
    return [link for link in _LINK.findall(_prose(page)) if "://" not in link]


def _anchors(page: Path) -> set[str]:
    """GitHub's anchors of headings, and those written out."""
    text = _prose(page)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in _targets(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            lost.append(link)
    assert not lost


def test_every_page_is_reachable_from_the_readme() -> None:
    seen: set[Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in _targets(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                pending.append(target)
    assert sorted(map(_name, set(PAGES) - seen)) == []


def _wordy(line: str) -> bool:
    """Whether a line of prose holds more than one sentence."""
    return re.search(r"[a-z)`”]\. [A-Z]", line) is not None


def test_one_sentence_per_line() -> None:
    found = []
    for page in (page for page in PAGES if page.name not in TABLES):
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith(("|", "    ", "$", "#")) and _wordy(line):
                found.append(f"{_name(page)}:{number}: {line}")
    assert not found, "\n".join(found)
