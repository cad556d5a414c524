"""The page in a real browser: it asks for nothing, complains of nothing, and can be used.

A browser that is missing fails these tests; `sh tests/run.sh` installs one where it may.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import find, parse
from browser.chromium import Browser, Page, running
from crash_samples import farm
from crash_samples import host as crash_host
from page_samples import BREAKOUT, forged, hostile, hostile_names, page_of, two_buyer, view_of
from replay_samples import Host, record_run
from troth.conformance import report_views
from troth.conformance.reference.compare import Disturb
from troth.dsl import compile_source
from troth.vm.records import Kind
from troth.vm.trouble_kind import Trouble
from verify_samples import CANCELLED, sample
from view_lies import talk

READY: Final = "document.documentElement.dataset.ready === 'true'"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Page:
    opened = Page(chromium)
    opened.scheme("light")
    opened.resize(1440, 1000)
    return opened


def _show(page: Page, folder: Path, text: str) -> Path:
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    page.open(file)
    page.wait(READY)
    page.settle()
    return file


def _require_quiet(page: Page, file: Path) -> None:
    assert page.complaints() == []
    assert page.requests() == [file.resolve().as_uri()]


def _text(page: Page, selector: str) -> str:
    said = page.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
    assert isinstance(said, str)
    return said


def _selected(page: Page) -> int:
    """The record that a screen reader is told of in the list; -1 for none."""
    found = page.evaluate(
        "(document.getElementById('sequence').getAttribute('aria-activedescendant') || '')"
    )
    return int(found.removeprefix("row-")) if found else -1


def _focus_list(page: Page) -> None:
    page.evaluate("document.getElementById('sequence').focus()")


# --- quiet, whatever is shown ----------------------------------------------------------------


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("what", ["valid", "invalid", "incomplete", "cancelled", "nothing"])
def test_the_page_asks_for_nothing_and_complains_of_nothing(
    page: Page, tmp_path: Path, what: str, width: int
) -> None:
    data = {
        "valid": two_buyer().data,
        "invalid": forged(),
        "incomplete": two_buyer().data[:2500],
        "cancelled": record_run(compile_source(CANCELLED, "cancelled.troth"), Host()).data,
        "nothing": b"no artifact",
    }[what]
    page.resize(width, 900, mobile=width < 600)
    file = _show(page, tmp_path, page_of(view_of(data, trust=two_buyer().trust)))
    word = {"valid": "Valid", "incomplete": "Incomplete", "cancelled": "Self-consistent"}
    assert _text(page, "h1") == word.get(what, "Invalid")
    for key in ("End", "Home", "PageDown", "m", "+", "-", "-", "-", "0", "f", "t", "t", "t", "s"):
        _focus_list(page)
        page.press(key)
    too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert not too_wide, "the page itself does not scroll sideways"
    _require_quiet(page, file)


@pytest.mark.parametrize("data", [hostile, lambda: hostile_names().data], ids=["texts", "names"])
def test_hostile_text_does_nothing(page: Page, tmp_path: Path, data: Callable[[], bytes]) -> None:
    view = view_of(data(), name=BREAKOUT)
    assert view.rows.count == len(parse(data())), "the verifier has read all of it"
    file = _show(page, tmp_path, page_of(view))
    _focus_list(page)
    count = page.evaluate("JSON.parse(document.getElementById('data').textContent)"
                          ".views[0].rows.count")  # fmt: skip
    page.press("Home")
    for _ in range(count):
        page.press("ArrowDown")
    page.press("/")
    page.type("script")
    assert page.evaluate("typeof window.owned") == "undefined"
    assert page.evaluate("document.querySelectorAll('img, iframe, object, link').length") == 0
    assert "window.owned" in _text(page, "main")
    seen = page.evaluate("document.body.innerText + document.title")
    assert not {c for c in seen if not c.isprintable() and c not in "\n\t"}
    page.pdf()
    _require_quiet(page, file)


def test_the_policy_stops_what_should_not_be_there(page: Page, tmp_path: Path) -> None:
    """The net below the net: were markup ever to get out, it would still do nothing."""
    text = page_of(view_of(sample("hello").data))
    leak = "<script>window.owned = 1</script><img src='https://example.org/x.png'>"
    file = tmp_path / "page.html"
    file.write_text(text.replace("</main>", f"{leak}</main>"), encoding="utf-8")
    page.open(file)
    page.wait(READY)
    assert page.evaluate("typeof window.owned") == "undefined"
    assert any("Content Security Policy" in said for said in page.complaints())
    assert page.answered() == [file.resolve().as_uri()]


# --- the divergence in place -----------------------------------------------------------------


def test_the_divergence_is_shown_in_place(page: Page, tmp_path: Path) -> None:
    view = view_of(forged(), trust=two_buyer().trust)
    first = view.verdict.findings[0]
    assert first.record is not None
    _show(page, tmp_path, page_of(view))
    assert _selected(page) == first.record
    assert first.code in _text(page, ".callout.message")
    assert first.code in _text(page, "#detail")
    page.press("Home")
    page.click("[data-finding='0']")
    assert _selected(page) == first.record
    assert page.evaluate("document.activeElement.id") == "sequence"
    row, callout = (
        page.evaluate(f"document.querySelector('{one}').getBoundingClientRect().top")
        for one in (f"#row-{first.record}", ".callout.message")
    )
    assert callout > row


def test_a_finding_without_a_record_stands_at_the_end(page: Page, tmp_path: Path) -> None:
    view = view_of(two_buyer().data[:2500], trust=two_buyer().trust)
    _show(page, tmp_path, page_of(view))
    page.click("[data-finding='0']")
    assert "incomplete.torn" in _text(page, ".callout.message")


def test_roles_stand_where_their_local_types_say(page: Page, tmp_path: Path) -> None:
    """At each record the page's own steps agree with those of the verifier."""
    data = two_buyer().data
    _show(page, tmp_path, page_of(view_of(data)))
    records = parse(data)
    _focus_list(page)
    page.press("Home")
    assert _states(page) == {"Alice": 0, "Bob": 0, "Seller": 0}
    page.press("End")
    ends = _states(page)
    image = compile_source(
        (Path(__file__).parents[2] / "docs/examples/two_buyer.troth").read_text(), "two_buyer.troth"
    )
    protocol = image.protocols[0]
    for role, local in zip(protocol.roles, protocol.local_types, strict=True):
        assert local.states[ends[role]].transitions == ()
    assert page.evaluate("document.querySelectorAll('.picture .state.here').length") >= 3
    first_send = find(records, Kind.SEND)
    page.press("/")
    page.type("title")
    page.press("Enter")
    page.press("Escape")
    assert _selected(page) in (first_send, find(records, Kind.RECEIVE))


def test_roles_stand_where_clocks_and_crashes_have_brought_them(page: Page, tmp_path: Path) -> None:
    """A clock runs out, and another role goes on without one that has crashed."""
    crashes = [(1 + 2 * n, Disturb(0, Trouble.CRASH, f"Worker[{n}]")) for n in (0, 3)]
    image = compile_source(farm(4), "farm.troth")
    data = record_run(image, crash_host(*crashes)).data
    assert {record[0] for record in parse(data)} >= {Kind.EXPIRE, Kind.DETECT}
    _show(page, tmp_path, page_of(view_of(data)))
    _focus_list(page)
    page.press("End")
    protocol, ends = image.protocols[0], _states(page)
    for role in ("Hub", "Log", "Worker[1]", "Worker[2]"):
        local = protocol.local_types[protocol.roles.index(role)]
        assert local.states[ends[role]].transitions == ()
    assert ends["Worker[0]"] == 0
    assert page.evaluate("document.querySelectorAll('#types .astray').length") == 0


def _states(page: Page) -> dict[str, int]:
    found = page.evaluate(
        "[...document.querySelectorAll('#types .role summary')].map(s => "
        "[s.querySelector('strong').innerText, s.querySelector('span').innerText])"
    )
    return {role: int(said.split()[1].rstrip(",")) for role, said in found}


# --- the keyboard ----------------------------------------------------------------------------


def test_everything_is_reached_with_the_tab_key(page: Page, tmp_path: Path) -> None:
    """Whatever can be clicked can be focused, in an order, with a ring around it."""
    _show(page, tmp_path, page_of(view_of(forged(), trust=two_buyer().trust)))
    wanted = set(
        page.evaluate(
            "[...document.querySelectorAll('button, select, input, summary, [tabindex], a')]"
            ".filter(e => !e.disabled && e.checkVisibility() && !e.closest('dialog'))"
            ".map((e, i) => { e.dataset.probe = i; return String(i); })"
        )
    )
    page.evaluate("document.activeElement.blur()")
    reached = set[str]()
    for _ in range(len(wanted) + 5):
        page.press("Tab")
        found = page.evaluate(
            "(() => { const e = document.activeElement;"
            "return [e.dataset.probe || '', getComputedStyle(e).outlineStyle, e.tagName]; })()"
        )
        if found[2] == "BODY":
            continue
        assert found[1] != "none", f"no ring around {found[0]}"
        reached.add(found[0])
    assert wanted - reached == set()


def test_the_list_has_the_keys_of_a_list(page: Page, tmp_path: Path) -> None:
    records = parse(two_buyer().data)
    last = len(records) - 1
    _show(page, tmp_path, page_of(view_of(two_buyer().data)))
    _focus_list(page)
    for key, wanted in (
        ("Home", 0), ("ArrowDown", 1), ("j", 2), ("ArrowUp", 1), ("k", 0), ("k", 0),
        ("End", last), ("ArrowDown", last),
    ):  # fmt: skip
        page.press(key)
        assert _selected(page) == wanted, key
    send = find(records, Kind.SEND)
    page.press("Home")
    for _ in range(send):
        page.press("ArrowDown")
    label = page.evaluate(f"document.getElementById('row-{send}').getAttribute('aria-label')")
    assert label.startswith(f"record {send}, send, session 0: Alice to Seller: title(")
    page.press("m")
    received = _selected(page)
    assert records[received][0] == Kind.RECEIVE
    page.press("Enter")
    assert _selected(page) == send


def test_search_counts_and_goes_round(page: Page, tmp_path: Path) -> None:
    _show(page, tmp_path, page_of(view_of(two_buyer().data)))
    _focus_list(page)
    page.press("/")
    page.type("quote(120)")
    assert _text(page, "#matches") == "4 matches"
    seen = []
    for _ in range(5):
        page.press("Enter")
        seen.append(_selected(page))
    assert seen[:4] == sorted(seen[:4])
    assert seen[4] == seen[0]
    page.press("Enter", shift=True)
    assert _selected(page) == seen[3]
    page.click("#only")
    assert _text(page, "#counted").startswith("4 of ")
    page.press("Escape")
    assert "of" not in _text(page, "#counted")


def test_filters(page: Page, tmp_path: Path) -> None:
    data = sample("delegation").data
    records = parse(data)
    _show(page, tmp_path, page_of(view_of(data)))

    def shown() -> int:
        return int(_text(page, "#counted").split()[0].replace(",", ""))

    assert shown() == len(records)
    page.evaluate("document.getElementById('session').focus()")
    page.type("1")
    one = shown()
    assert 0 < one < len(records)
    page.press("Escape")
    assert shown() == len(records)
    _choose(page, "edge", 1)
    edge = shown()
    assert 0 < edge < len(records)
    assert _text(page, "#edges tr.chosen button") != ""
    page.click("#clear")
    _choose(page, "role", 1)
    assert 0 < shown() < len(records)
    page.click("#clear")
    sends = sum(record[0] == Kind.SEND for record in records)
    page.click("[data-group='messages']")
    assert shown() == len(records) - sends
    page.click("#clear")
    assert shown() == len(records)


def _choose(page: Page, control: str, option: int) -> None:
    page.evaluate(
        f"(() => {{ const s = document.getElementById('{control}'); s.selectedIndex = {option};"
        "s.dispatchEvent(new Event('change')); })()"
    )
    page.settle()


def test_a_filter_by_code(page: Page, tmp_path: Path) -> None:
    view = view_of(forged(), trust=two_buyer().trust)
    _show(page, tmp_path, page_of(view))
    _choose(page, "code", 1)
    assert _text(page, "#counted").startswith("1 of ")


def test_help_and_theme(page: Page, tmp_path: Path) -> None:
    _show(page, tmp_path, page_of(view_of(sample("hello").data)))
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.press("?")
    assert page.evaluate("document.getElementById('help').open")
    page.press("Escape")
    assert not page.evaluate("document.getElementById('help').open")
    page.press("t")
    page.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = page.evaluate(ground)
    assert dark != light
    page.press("t")
    assert page.evaluate(ground) == light
    page.scheme("dark")
    assert page.evaluate(ground) == dark


def test_several_views_can_be_chosen(page: Page, tmp_path: Path) -> None:
    one, other = view_of(sample("hello").data, name="one"), view_of(two_buyer().data, name="two")
    file = _show(page, tmp_path, page_of(one, other))
    before = _text(page, "#counted")
    _choose(page, "view", 1)
    assert _text(page, "#counted") != before
    assert "Seller" in _text(page, "#lanes")
    _require_quiet(page, file)


def test_records_of_several_machines(page: Page, tmp_path: Path) -> None:
    """What arrived is drawn as a message that its receiver takes, and who is elsewhere is said."""
    records = [tmp_path / f"{name}.replay" for name in "ab"]
    for record, party in zip(records, talk(), strict=True):
        record.write_bytes(party.data)
    file = tmp_path / "page.html"
    report_views(records, file)
    page.open(file)
    page.wait("document.documentElement.dataset.ready === 'true'")
    page.settle()
    assert "agree on 7 messages" in _text(page, "section.merged")
    assert "B is held by another machine" in _text(page, "#types")
    assert page.evaluate("document.querySelectorAll('path.arrow-head.in-flight').length") == 0
    assert "0" in _text(page, "#edges")
    _choose(page, "view", 1)
    assert "A is held by another machine" in _text(page, "#types")
    _require_quiet(page, file)


def test_undelivered_messages_are_listed(page: Page, tmp_path: Path) -> None:
    data = record_run(compile_source(CANCELLED, "cancelled.troth"), Host()).data
    lost = [record for record in parse(data) if record[0] == Kind.UNDELIVERED]
    assert lost
    _show(page, tmp_path, page_of(view_of(data)))
    assert page.evaluate("document.querySelectorAll('#undelivered li').length") == len(lost)
    page.click("#undelivered button")
    assert "undelivered" in _text(page, "#detail h2")


def test_print_has_the_records(page: Page, tmp_path: Path) -> None:
    _show(page, tmp_path, page_of(view_of(two_buyer().data)))
    paper = page.pdf()
    assert paper.startswith(b"%PDF")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    count = page.evaluate("document.querySelectorAll('#printed tr').length")
    assert count == len(parse(two_buyer().data))
    assert page.complaints() == []


def test_who_uses_a_button_stays_there(page: Page, tmp_path: Path) -> None:
    """Tables are made anew when a filter changes; the keyboard must not fall out of them."""
    _show(page, tmp_path, page_of(view_of(two_buyer().data)))
    page.evaluate("document.querySelectorAll('#edges button')[1].focus()")
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "false"
