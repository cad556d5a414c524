"""The page as text: complete in itself, and no text of an artifact leaves its place in it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from artifact_surgery import find, join, parse, with_field
from page_samples import BREAKOUT, hostile, hostile_names, page_of, two_buyer, view_of
from troth.conformance.report_json import safe_json
from troth.conformance.report_markup import Html, tag
from troth.conformance.report_markup import join as joined
from troth.conformance.report_page import SCRIPTS, STYLES, part, styles
from troth.conformance.shell_report import report_views, shown_names
from troth.vm.records import Kind
from verify_samples import sample
from view_lies import talk


class _Outline(HTMLParser):
    """The elements of a page and what stands in its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._inside = ""
        if tag == "script":
            self._inside = "data" if attributes.get("type") == "application/json" else "script"
            if self._inside == "script":
                self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's own signature
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "data":
            self.data += data


_KNOWN: Final = """
    html head meta title style body header a span button kbd main section div h1 h2 p ol li dl dt
    dd details summary code ul strong label input select option datalist canvas aside noscript
    footer dialog form script
"""
KNOWN_TAGS: Final = frozenset(_KNOWN.split())


def _outline(page: str) -> _Outline:
    outline = _Outline(page)
    assert {name for name, _ in outline.tags} <= KNOWN_TAGS
    for name, attributes in outline.tags:
        for attribute in attributes:
            assert not attribute.startswith("on"), f"{name} has a handler {attribute}"
            assert attribute not in ("src", "srcset", "style", "action", "background"), name
        assert attributes.get("href", "#sequence") == "#sequence"
    return outline


def test_the_page_has_its_own_scripts_and_nothing_else() -> None:
    page = page_of(view_of(sample("hello").data))
    outline = _outline(page)
    assert outline.scripts == [part(name) for name in SCRIPTS]
    assert len(re.findall(r"https?://", page)) == page.count("http://www.w3.org/2000/svg")


def test_the_policy_allows_exactly_these_scripts_and_this_style() -> None:
    page = page_of(view_of(sample("hello").data))
    outline = _outline(page)
    (policy,) = [
        attributes["content"]
        for name, attributes in outline.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for script in outline.scripts:
        digest = b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.count("sha256-") == len(outline.scripts) + 1


def test_our_own_files_can_stand_in_a_page() -> None:
    for name in (*SCRIPTS, *STYLES):
        assert "</" not in part(name), name
        assert "<!--" not in part(name), name


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_scripts_make_no_markup_of_text(word: str) -> None:
    assert [name for name in SCRIPTS if word in part(name)] == []


def test_scripts_are_short() -> None:
    long = [name for name in (*SCRIPTS, *STYLES) if part(name).count("\n") > 300]
    assert long == []


HOSTILE: Final = pytest.mark.parametrize(
    "data", [hostile, lambda: hostile_names().data], ids=["texts", "names"]
)


# --- hostile text --------------------------------------------------------------------------


def _poisoned(value: Any) -> Any:
    """The same with every text replaced by a hostile one, but for what is the verifier's own."""
    if is_dataclass(value) and not isinstance(value, type):
        own = ("code", "docs", "id", "image", "fragment")
        changes = {
            field.name: _poisoned(getattr(value, field.name))
            for field in fields(value)
            if field.name not in own
        }
        return replace(value, **changes)
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return BREAKOUT
    if isinstance(value, tuple):
        return tuple(_poisoned(item) for item in value)
    return value


def _broken() -> bytes:
    records = parse(two_buyer().data)
    index = find(records, Kind.SEND, 1)
    records[index] = with_field(records[index], 5, 1)
    return join(records)


def test_a_hostile_verdict_stays_text() -> None:
    view = view_of(_broken(), trust=two_buyer().trust)
    assert view.verdict.findings
    plain = _outline(page_of(view))
    poisoned = _outline(page_of(replace(view, verdict=_poisoned(view.verdict))))
    assert poisoned.scripts == plain.scripts
    assert [name for name, _ in poisoned.tags].count("button") == [
        name for name, _ in plain.tags
    ].count("button")


def test_a_run_of_hostile_names_is_valid() -> None:
    """Nothing stops such an image from being run and recorded, so pages of it are ordinary."""
    run = hostile_names()
    view = view_of(run.data, trust=run.trust)
    assert view.verdict.exit_code == 0
    assert view.protocols[0].local_types[0].picture is not None


@HOSTILE
def test_a_hostile_artifact_stays_text(data: Callable[[], bytes]) -> None:
    view = view_of(data(), name=BREAKOUT)
    assert view.rows.count == len(parse(data())), "the verifier has read all of it"
    page = page_of(view)
    outline = _outline(page)
    assert outline.scripts == [part(name) for name in SCRIPTS]
    data = json.loads(outline.data)
    assert "owned" in str(data), "the hostile text is shown"
    assert page.count("window.owned") > 5


@HOSTILE
def test_nothing_that_cannot_be_seen_gets_onto_the_page(data: Callable[[], bytes]) -> None:
    page = page_of(view_of(data(), name=BREAKOUT))
    foreign = {c for c in page if not c.isprintable() and c != "\n"}
    assert foreign == set()
    outline = _outline(page)
    assert outline.data.isascii()
    unseen = {c for text in _texts(json.loads(outline.data)) for c in text if not c.isprintable()}
    assert unseen == set()


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []


def test_json_has_no_character_that_html_reads() -> None:
    written = safe_json([BREAKOUT, {"<": "&"}])
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == [BREAKOUT, {"<": "&"}]


def test_markup_escapes_what_is_not_markup() -> None:
    made = tag("p", "<b>", tag("i", '"'), title='"><script>', hidden=True, id=None)
    assert made == '<p title="&quot;&gt;&lt;script&gt;" hidden>&lt;b&gt;<i>&quot;</i></p>'
    assert joined("<", Html("<br>")) == "&lt;<br>"


# --- what is on it -------------------------------------------------------------------------


def test_the_verdict_is_there_without_a_script() -> None:
    view = view_of(sample("hello").data, trust=sample("hello").trust)
    before = page_of(view).split('<script type="application/json"')[0]
    for text in ("<h1>Valid</h1>", "Levels 1 to 5 hold", "Hello.Client", "What this does not say"):
        assert text in before


def test_a_finding_says_both_sides() -> None:
    view = view_of(_broken(), trust=two_buyer().trust)
    first = view.verdict.findings[0]
    before = page_of(view).split('<script type="application/json"')[0]
    assert first.code in before
    assert "Expected" in before
    assert "Found" in before
    assert f"record {first.record}" in before


def test_a_page_can_hold_several_views() -> None:
    one = view_of(sample("hello").data, name="one.replay")
    other = view_of(two_buyer().data, name="two.replay")
    page = page_of(one, other)
    outline = _outline(page)
    assert [view["name"] for view in json.loads(outline.data)["views"]] == [
        "one.replay",
        "two.replay",
    ]
    assert ("select", {"id": "view"}) in outline.tags
    assert page.count("<h1>") == 2


def test_edges_are_counted() -> None:
    view = view_of(sample("drain").data)
    for edge in view.edges:
        assert edge.sent == edge.received + edge.undelivered + edge.rejected + edge.in_flight
    counts = view.verdict.counts
    assert sum(edge.sent for edge in view.edges) == counts.messages
    assert sum(edge.received for edge in view.edges) == counts.received
    assert sum(edge.undelivered for edge in view.edges) == counts.undelivered


@pytest.mark.parametrize("data", [b"", b"not an artifact", b"\x89TROTH\r\n"])
def test_what_is_no_artifact_has_a_page(data: bytes) -> None:
    view = view_of(data)
    assert view.rows.count == 0
    assert "<h1>" in page_of(view)


def test_the_dark_palette_is_written_once_and_holds_twice() -> None:
    """For a reader who says dark, and for a system that does; the rest of the sheets stays."""
    ground = "--ground: #0f1215;"
    assert part("theme.css").count(ground) == 1
    style = styles()
    assert style.count(ground) == 2
    assert style.count("{") == style.count("}")
    assert len(style) > sum(len(part(name)) for name in STYLES)


def test_a_page_about_several_records_names_no_folders(tmp_path: Path) -> None:
    """It goes to others, and what this machine's folders are called is none of their business."""
    files = [tmp_path / "buyer" / "run.replay", tmp_path / "seller" / "run.replay"]
    for file, party in zip(files, (talk(word=8)[0], talk()[1]), strict=True):
        file.parent.mkdir()
        file.write_bytes(party.data)
    report_views(files, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert str(tmp_path) not in page
    assert "A by buyer/run.replay" in page


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/x/a.replay", "/y/b.replay"], ["a.replay", "b.replay"]),
        (["/x/a.replay", "/y/a.replay"], ["x/a.replay", "y/a.replay"]),
        (["a.replay", "/x/a.replay"], ["a.replay", "x/a.replay"]),
        (["/x/a.replay", "/x/a.replay"], ["a.replay", "a.replay"]),
    ],
)
def test_files_are_called_by_what_tells_them_apart(paths: list[str], names: list[str]) -> None:
    assert shown_names(paths) == names
