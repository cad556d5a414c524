"""A page with 100,000 records: it opens at once, stays usable, and its size is stated.

The times are printed, `pytest -s` shows them. What is asserted is no time of this machine but
what makes a page fast: that only what is in sight is in the document, however much there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workloads import ring_image, run_ring
from browser.chromium import Browser, Page, running
from troth.conformance import report

RECORDS_MIN = 100_000
MESSAGES_PER_ROUND = 4
BYTES_PER_RECORD_MAX = 24
ELEMENTS_MAX = 2_500


@pytest.fixture(scope="module", name="large")
def _large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    artifact = folder / "ring.replay"
    run_ring(ring_image(RECORDS_MIN // (2 * MESSAGES_PER_ROUND)), record=artifact)
    report(artifact, folder / "ring.html", replay=None)
    return folder / "ring.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running() as browser:
        yield browser


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_a_large_page_is_usable(chromium: Browser, large: Path, width: int) -> None:
    page = Page(chromium)
    page.resize(width, 900, mobile=width < 600)
    page.open(large)
    page.wait("document.documentElement.dataset.ready === 'true'")
    count = page.evaluate(
        "JSON.parse(document.getElementById('data').textContent).views[0].rows.count"
    )
    assert count >= RECORDS_MIN
    assert large.stat().st_size / count < BYTES_PER_RECORD_MAX
    _require_small(page)
    page.evaluate("document.getElementById('sequence').focus()")
    page.press("End")
    assert _selected(page) == count - 1
    page.press("Home")
    for _ in range(4):
        page.press("-")
    _require_small(page)
    page.press("0")
    page.evaluate("document.getElementById('sequence').scrollTop = 1e9")
    page.settle()
    assert page.evaluate(f"document.getElementById('row-{count - 1}') !== null")
    search = _milliseconds(page, "s.value = 'token(40000)'; s.dispatchEvent(new Event('input'))")
    assert page.evaluate("document.getElementById('matches').innerText") == "2 matches"
    page.evaluate("document.getElementById('search').focus()")
    page.press("Enter")
    assert "token" in page.evaluate("document.getElementById('detail').innerText")
    assert page.complaints() == []
    assert page.requests() == [large.resolve().as_uri()]
    times = _times(page)
    size = large.stat().st_size / count
    print(
        f"\n{count:,} records at {width} pixels: {size:.1f} bytes a record, first"
        f" paint after {times['first-paint']:.0f} ms, ready after "
        f"{times['troth-ready']:.0f} ms, a search takes {search:.0f} ms"
    )


def _require_small(page: Page) -> None:
    assert page.evaluate("document.querySelectorAll('*').length") < ELEMENTS_MAX


def _selected(page: Page) -> int:
    found = page.evaluate(
        "document.getElementById('sequence').getAttribute('aria-activedescendant')"
    )
    return int(found.removeprefix("row-"))


def _times(page: Page) -> Any:
    page.wait("performance.getEntriesByType('paint').length > 0")
    return page.evaluate(
        "Object.fromEntries([...performance.getEntriesByType('paint'),"
        "...performance.getEntriesByName('troth-ready')].map(e => [e.name, e.startTime]))"
    )


def _milliseconds(page: Page, does: str) -> float:
    spent = page.evaluate(
        "(async () => { const s = document.getElementById('search'); const t = performance.now();"
        f"{does}; await new Promise(r => requestAnimationFrame(r));"
        "return performance.now() - t; })()"
    )
    assert isinstance(spent, float | int)
    return float(spent)
