"""The places of the page that scripts fill: landmarks, controls and their names."""

from __future__ import annotations

from typing import Final

from troth.conformance.report_markup import Html, join, tag
from troth.conformance.report_model import Report
from troth.conformance.report_rows import GROUPS

_KEYS: Final = (
    ("↑ ↓ or k j", "the record before, the next one"),
    ("Page Up, Page Down", "a screen up or down"),
    ("Home, End", "the first, the last record"),
    ("m or Enter", "to the other end of a message"),
    ("[ ]", "the record before, the next one in the same session"),
    ("f", "the next finding"),
    ("s", "only the session of the selected record, or all again"),
    ("/", "search; then Enter and Shift+Enter, or n and N"),
    ("+ - 0", "zoom in, zoom out, as at first"),
    ("Escape", "all filters off"),
    ("t", "light, dark, or as the system has it"),
    ("?", "this list"),
)


def masthead(report: Report) -> Html:
    return tag(
        "header",
        tag("a", "To the sequence of records", href="#sequence", class_="skip"),
        tag("span", "troth", class_="wordmark"),
        tag("span", report.title, class_="subject"),
        tag("span", class_="stretch"),
        tag("button", "Theme: auto", type="button", id="theme", hidden=True),
        tag(
            "button",
            "Keys",
            tag("kbd", "?", aria_hidden="true"),
            type="button",
            id="help-open",
            hidden=True,
        ),
        class_="masthead",
    )


def explorer(report: Report) -> Html:
    """Empty, and hidden until the scripts have filled it."""
    return join(
        tag(
            "noscript",
            tag("p", "The records are shown by a script, which is switched off.", class_="note"),
        ),
        tag(
            "div",
            _sequence(report),
            _aside(),
            id="explorer",
            hidden=True,
        ),
        tag(
            "div",
            tag("section", tag("h2", "Edges"), tag("div", id="edges"), aria_label="Edges"),
            tag(
                "section",
                tag("h2", "Undelivered"),
                tag("div", id="undelivered"),
                aria_label="Undelivered messages",
            ),
            tag("section", tag("h2", "Sessions"), tag("div", id="sessions"), aria_label="Sessions"),
            id="tables",
            hidden=True,
        ),
        tag("section", id="printed", aria_label="Records in print", hidden=True),
        _footer(report),
        _help(),
    )


def _sequence(report: Report) -> Html:
    return tag(
        "section",
        tag(
            "div",
            tag("h2", "Sequence"),
            tag("span", id="counted", class_="note", role="status", aria_live="polite"),
            class_="titled",
        ),
        _toolbar(report),
        tag(
            "div",
            tag("canvas", id="timeline", tabindex="0", role="slider", aria_label="Timeline"),
            tag("div", id="timeline-legend", class_="legend"),
            class_="timeline",
        ),
        tag(
            "div",
            tag(
                "div",
                tag("div", id="lanes", class_="lanes", aria_hidden="true"),
                tag("div", id="rows", class_="rows", role="presentation"),
                id="layer",
                role="presentation",
            ),
            tag("div", id="spacer", role="presentation"),
            id="sequence",
            tabindex="0",
            role="listbox",
            aria_label="Records in the order of the file",
        ),
        class_="sequence",
        aria_label="Sequence",
    )


def _toolbar(report: Report) -> Html:
    views = [
        tag("option", view.name, value=str(number)) for number, view in enumerate(report.views)
    ]
    return tag(
        "div",
        _labelled("View", tag("select", *views, id="view")) if len(views) > 1 else join(),
        tag(
            "div",
            tag("input", id="search", type="search", placeholder="Search", autocomplete="off",
                spellcheck="false", aria_label="Search labels, values and kinds"),
            tag("span", id="matches", class_="note", role="status", aria_live="polite"),
            tag("label", tag("input", type="checkbox", id="only"), "only matches"),
            class_="search",
        ),
        _labelled("Session", tag("input", id="session", type="search", list="session-list",
                                 placeholder="all", autocomplete="off", spellcheck="false")),
        tag("datalist", id="session-list"),
        _labelled("Edge", tag("select", id="edge")),
        _labelled("Role", tag("select", id="role")),
        _labelled("Code", tag("select", id="code")),
        tag("div", *map(_group, GROUPS), class_="groups", role="group", aria_label="Kinds shown"),
        tag(
            "div",
            tag("button", "−", type="button", id="zoom-out", aria_label="Zoom out"),
            tag("button", "+", type="button", id="zoom-in", aria_label="Zoom in"),
            class_="zoom",
            role="group",
            aria_label="Zoom",
        ),
        tag("button", "Clear", type="button", id="clear"),
        class_="toolbar",
        role="toolbar",
        aria_label="Search and filters",
    )  # fmt: skip


def _labelled(name: str, control: Html) -> Html:
    return tag("label", tag("span", name), control, class_="choice")


def _group(name: str) -> Html:
    box = tag("input", type="checkbox", checked=True, data_group=name)
    return tag("label", box, tag("span", name), class_=f"group {name}")


def _aside() -> Html:
    return tag(
        "aside",
        tag("section", id="detail", aria_label="Selected record", aria_live="polite"),
        tag("section", id="types", aria_label="Local types and positions"),
        class_="aside",
    )


def _footer(report: Report) -> Html:
    made = f"Made by troth {report.version}. " if report.version else ""
    return tag(
        "footer",
        f"{made}This page is complete in itself and asks for nothing over a network. ",
        "It shows what the file says and what the verifier found; ",
        "only the verifier's own word, run by yourself, is a proof.",
    )


def _help() -> Html:
    rows = [tag("div", tag("dt", keys), tag("dd", does)) for keys, does in _KEYS]
    return tag(
        "dialog",
        tag("h2", "Keys"),
        tag("dl", *rows),
        tag(
            "form",
            tag("button", "Close", autofocus=True, id="help-close", type="button"),
        ),
        id="help",
        aria_label="Keys",
    )
