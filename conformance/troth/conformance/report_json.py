"""The data of a page: one JSON object in ASCII, in pieces, safe inside of a script element.

Whatever could end the element or begin another one is written as an escape, so no text of an
artifact can leave it. It is read with `JSON.parse` and never executed.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final

from troth.conformance.render import shorten
from troth.conformance.report_model import (
    TEXT_CHARACTERS_MAX,
    Edge,
    LocalType,
    Picture,
    Protocol,
    Report,
    Rows,
    View,
)
from troth.conformance.verdict import Finding
from troth.vm.escape import escape

_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_SLICE_BYTES: Final = 3 << 14


def safe_json(value: object) -> str:
    """JSON without a character that HTML has a use for; those occur in its strings only."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def data_of(report: Report) -> Iterator[str]:
    """The object in pieces of moderate size."""
    yield '{"version":1,"views":['
    for number, view in enumerate(report.views):
        yield "," if number else ""
        yield from _view(view)
    yield "]}"


def _view(view: View) -> Iterator[str]:
    verdict = view.verdict
    yield "{"
    yield _field("name", view.name)
    yield _field("status", verdict.status.value)
    yield _field("complete", verdict.outcome_recorded is not None)
    yield _field("anchor", None if verdict.anchor_unix_ns is None else str(verdict.anchor_unix_ns))
    yield _field("principals", view.principals)
    yield _field("protocols", [_protocol(one) for one in view.protocols])
    yield _field("sessionsSeen", view.sessions_seen)
    yield from _list(
        "sessions",
        ([s.protocol, s.status, s.detail, s.id, s.signers, s.elsewhere] for s in view.sessions),
    )
    yield from _list("edges", map(_edge, view.edges))
    yield from _rows(view.rows)
    yield '"findings":'
    yield safe_json([_finding(finding) for finding in verdict.findings])
    yield "}"


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "record": finding.record,
        "code": finding.code,
        "message": shorten(_text(finding.message)),
        "expected": None if finding.expected is None else _text(finding.expected),
        "expectedSide": _text(finding.expected_side),
        "found": None if finding.actual is None else _text(finding.actual),
        "foundSide": _text(finding.actual_side),
    }


def _text(value: str) -> str:
    return escape(value, characters_max=TEXT_CHARACTERS_MAX)


def _field(name: str, value: object) -> str:
    return f'"{name}":{safe_json(value)},'


def _list(name: str, items: Iterable[object]) -> Iterator[str]:
    yield f'"{name}":['
    for number, item in enumerate(items):
        yield f"{',' if number else ''}{safe_json(item)}"
    yield "],"


def _edge(edge: Edge) -> list[int]:
    return [
        -1 if edge.session is None else edge.session,
        edge.protocol,
        edge.sender,
        edge.receiver,
        edge.sent,
        edge.received,
        edge.undelivered,
        edge.rejected,
        edge.overwritten,
        edge.discarded,
        edge.peak,
    ]


def _rows(rows: Rows) -> Iterator[str]:
    yield '"rows":{'
    yield _field("count", rows.count)
    yield _field("seen", rows.seen)
    yield _field("shapes", rows.shapes)
    yield _field("kinds", rows.kinds)
    yield _field("codes", rows.codes)
    yield from _list("texts", rows.texts)
    yield '"data":"'
    for start in range(0, len(rows.data), _SLICE_BYTES):
        yield b64encode(rows.data[start : start + _SLICE_BYTES]).decode("ascii")
    yield '"},'


def _protocol(protocol: Protocol) -> dict[str, object]:
    return {
        "name": protocol.name,
        "id": protocol.id,
        "roles": protocol.roles,
        "labels": protocol.labels,
        "types": [_local_type(local) for local in protocol.local_types],
    }


def _local_type(local: LocalType) -> dict[str, object]:
    return {
        "states": [
            [state.kind, state.peer, [[m.label, m.next, m.text] for m in state.moves]]
            for state in local.states
        ],
        "picture": None if local.picture is None else _picture(local.picture),
    }


def _picture(picture: Picture) -> dict[str, object]:
    return {
        "width": picture.width,
        "height": picture.height,
        "states": picture.states,
        "texts": picture.texts,
        "strokes": picture.strokes,
        "start": picture.start,
    }
