"""The curves of a page: what epochs say of themselves, drawn without a script."""

from __future__ import annotations

import re
from typing import Any

import pytest

from troth.conformance.report_charts import HEIGHT, POINTS_MAX, WIDTH, curves_section
from troth.conformance.report_curves import CurveCollector, Curves
from troth.vm.codec import encode
from troth.vm.values import Record


def said(**facts: Any) -> bytes:
    return encode((Record(tuple(sorted(facts.items()))),))


def report(epoch: int, **facts: int) -> bytes:
    values = {"lost_before_repair_ppm": 0, "latency_us": 5_000, **facts}
    return said(epoch=epoch, span_ms=250, **values)


def collected(*payloads: bytes | None, **options: int) -> Curves:
    collector = CurveCollector(**options)
    for payload in payloads:
        collector.take(payload)
    return collector.curves()


def test_reports_and_decisions_of_an_epoch_come_together() -> None:
    found = collected(
        report(0, lost_before_repair_ppm=30_000),
        said(epoch=0, bitrate_kbps=4_000, frames_per_second=60, cause="clear"),
        report(1),
        said(epoch=1, bitrate_kbps=3_400, frames_per_second=60, cause="loss"),
    )
    assert found.ends_ms == (250, 500)
    assert found.values["bitrate_kbps"] == (4_000, 3_400)
    assert found.values["lost_before_repair_ppm"] == (30_000, 0)
    assert found.values["jitter_us"] == (None, None)
    page = curves_section(found, "")
    assert page.count("<figure>") == 4
    assert "decided: 3,400 to 4,000 kbit/s" in page
    assert "before repair: 0 to 3 %" in page
    assert "<script" not in page
    assert "style=" not in page, "the page's policy forbids it"


def test_points_stay_inside_of_the_picture_and_are_not_too_many() -> None:
    found = collected(*(report(n, latency_us=1_000 * (n % 77)) for n in range(3 * POINTS_MAX)))
    page = curves_section(found, "a")
    for points in re.findall(r'points="([^"]*)"', page):
        pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
        assert len(pairs) <= POINTS_MAX
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in pairs)
        assert [x for x, _ in pairs] == sorted(x for x, _ in pairs)


def test_a_gap_is_a_gap() -> None:
    payloads = [report(n, bitrate_kbps=n + 1) if n % 10 < 5 else report(n) for n in range(20)]
    page = curves_section(collected(*payloads), "")
    bitrate = page.split("<figure>")[1]
    assert bitrate.count("<polyline") == 2


@pytest.mark.parametrize(
    "payload",
    [
        None,
        b"",
        b"epoch",
        b"epoch" * 10_000,
        said(epoch=-1, span_ms=3),
        said(epoch="1", span_ms=3),
        said(epoch=1, span_ms=1 << 50),
        said(epoch=1, words="none"),
        encode(("epoch",)),
    ],
)
def test_what_is_no_report_is_left_out(payload: bytes | None) -> None:
    assert collected(report(7), payload, report(8)).ends_ms == (250, 500)


def test_a_record_without_epochs_has_no_section() -> None:
    assert curves_section(collected(), "") == ""
    assert curves_section(collected(report(0)), "") == "", "one point is no curve"


def test_there_is_an_end_to_what_is_kept() -> None:
    found = collected(*(report(n) for n in range(9)), epochs_max=4)
    assert len(found.ends_ms) == 4
    assert "Later ones are not drawn." in curves_section(found, "")


def test_a_name_cannot_break_out() -> None:
    page = curves_section(collected(report(0), report(1)), "<script>x</script>")
    assert "<script" not in page
