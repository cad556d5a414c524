"""The page: one HTML document that holds everything it needs and may ask for nothing.

A policy in its head forbids every request and every script but the page's own, by their hashes.
Data stands in a script element of another type, which browsers do not run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from troth.conformance.report_charts import curves_section
from troth.conformance.report_json import data_of
from troth.conformance.report_markup import Html, tag, text
from troth.conformance.report_merged import merged_section
from troth.conformance.report_model import Report
from troth.conformance.report_skeleton import explorer, masthead
from troth.conformance.report_verdict import verdict_section

STYLES: Final = ("theme.css", "verdict.css", "curves.css", "explorer.css", "print.css")
SCRIPTS: Final = (
    "dom.js",
    "data.js",
    "positions.js",
    "filter.js",
    "store.js",
    "lanes.js",
    "items.js",
    "strokes.js",
    "diagram.js",
    "timeline.js",
    "detail.js",
    "types.js",
    "counters.js",
    "controls.js",
    "keys.js",
    "main.js",
)
"""In the order in which they build on each other."""

_READER_SAYS_DARK: Final = ':root[data-theme="dark"]'
_SYSTEM_SAYS_DARK: Final = '@media (prefers-color-scheme: dark) { :root:not([data-theme="light"])'


@lru_cache(maxsize=64)
def part(name: str) -> str:
    """One of the page's own files."""
    return files("troth.conformance").joinpath("page", name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def styles() -> str:
    """All style sheets; the dark palette stands in them once, and counts in two cases."""
    style = "\n".join(map(part, STYLES))
    start = style.index(_READER_SAYS_DARK)
    end = style.index("}", start) + 1
    palette = style[start + len(_READER_SAYS_DARK) : end]
    return f"{style[:end]}\n\n{_SYSTEM_SAYS_DARK}{palette} }}{style[end:]}"


def page(report: Report) -> Iterator[str]:
    """The document in pieces of moderate size."""
    style = styles()
    yield "<!doctype html>\n"
    yield '<html lang="en">\n<head>\n'
    yield tag("meta", charset="utf-8")
    yield tag("meta", http_equiv="Content-Security-Policy", content=policy(style))
    yield tag("meta", name="referrer", content="no-referrer")
    yield tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    yield tag("meta", name="color-scheme", content="light dark")
    yield tag("title", f"{report.title}: {_words(report)}")
    yield f"\n<style>{style}</style>\n</head>\n<body>\n"
    yield masthead(report)
    yield '<main id="main">\n'
    if report.merged is not None:
        yield merged_section(report.merged, [view.name for view in report.views])
        yield "\n"
    for number, view in enumerate(report.views):
        yield verdict_section(view, number, named=len(report.views) > 1)
        yield "\n"
    for view in report.views:
        yield curves_section(view.curves, view.name if len(report.views) > 1 else "")
    yield explorer(report)
    yield "\n</main>\n"
    yield '<script type="application/json" id="data">'
    yield from data_of(report)
    yield "</script>\n"
    for name in SCRIPTS:
        yield f"<script>{part(name)}</script>\n"
    yield "</body>\n</html>\n"


def policy(style: str) -> str:
    """The content security policy: nothing from anywhere, and only what stands in the page."""
    scripts = " ".join(_hash(part(name)) for name in SCRIPTS)
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode('ascii')}'"


def _words(report: Report) -> Html:
    if report.merged is not None:
        return text(f"{report.merged.status.value} together")
    return text(", ".join(view.verdict.status.value for view in report.views))
