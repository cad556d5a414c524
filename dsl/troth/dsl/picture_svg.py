"""A local type as a picture: an SVG file that needs nothing else and suits light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from troth.dsl.picture_layout import (
    FONT_SIZE,
    LINE_HEIGHT,
    RADIUS,
    TEXT_PADDING,
    TITLE_SIZE,
    Drawing,
    StateBox,
    Text,
    layout,
)
from troth.dsl.picture_strokes import Stroke, number, start_of, strokes
from troth.vm.local_text import format_state
from troth.vm.types import LocalType

_MARGIN: Final = 20

_STYLE: Final = """\
  <style>
    text { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
    .ground { fill: #ffffff; }
    .title, .number { fill: #1f2328; }
    .state { fill: #f6f8fa; stroke: #59636e; }
    .start { fill: none; stroke: #1f2328; }
    .start-mark { fill: #1f2328; }
    .send { fill: none; stroke: #0550ae; }
    .receive { fill: none; stroke: #953800; }
    .send-mark { fill: #0550ae; }
    .receive-mark { fill: #953800; }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; }
      .title, .number { fill: #e6edf3; }
      .state { fill: #161b22; stroke: #9198a1; }
      .start { stroke: #e6edf3; }
      .start-mark { fill: #e6edf3; }
      .send { stroke: #79c0ff; }
      .receive { stroke: #ffa657; }
      .send-mark { fill: #79c0ff; }
      .receive-mark { fill: #ffa657; }
    }
  </style>"""


def to_svg(local: LocalType, title: str) -> str:
    """The picture. The end of a session has a double edge, the beginning an arrow from a dot.

    Raises:
        LimitExceeded: `project.picture`, for a type that is too large to draw.
    """
    drawing = layout(local, title)
    said = "\n".join([format_state(local, place) for place in range(len(local.states))])
    lines = [
        *_opening(drawing, title, said),
        *(_arc(stroke) for stroke in strokes(drawing)),
        *_start(drawing),
        *(line for state in drawing.states for line in _state(state)),
        *(line for text in drawing.texts for line in _text(text)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _opening(drawing: Drawing, title: str, said: str) -> Iterator[str]:
    width, height = number(drawing.width), number(drawing.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-size="{FONT_SIZE}">'
    )
    yield f"  <title>{_escape(title)}</title>"
    yield f"  <desc>{_escape(said)}</desc>"
    yield _STYLE
    yield f'  <rect class="ground" width="{width}" height="{height}"/>'
    yield (
        f'  <text class="title" x="{_MARGIN}" y="{_MARGIN + 12}" font-size="{TITLE_SIZE}" '
        f'font-weight="bold">{_escape(title)}</text>'
    )


# --- arcs ----------------------------------------------------------------------------------


def _arc(stroke: Stroke) -> str:
    kind = _kind(stroke.is_send)
    return (
        f'  <path class="{kind}" stroke-width="1.5" d="{stroke.path}"/>\n'
        f'  <polygon class="{kind}-mark" points="{stroke.head}"/>'
    )


def _kind(is_send: bool) -> str:
    return "send" if is_send else "receive"


# --- states and texts ----------------------------------------------------------------------


def _start(drawing: Drawing) -> Iterator[str]:
    for start in start_of(drawing):
        yield (
            f'  <circle class="start-mark" cx="{number(start.dot.x)}" '
            f'cy="{number(start.dot.y)}" r="4"/>'
        )
        yield f'  <path class="start" stroke-width="1.5" d="{start.path}"/>'
        yield f'  <polygon class="start-mark" points="{start.head}"/>'


def _state(state: StateBox) -> Iterator[str]:
    insets = (0, 4) if state.is_end else (0,)
    for inset in insets:
        radius = RADIUS - inset
        x, y = state.centre.x - state.flat / 2 - radius, state.centre.y - radius
        yield (
            f'  <rect class="state" stroke-width="1.5" x="{number(x)}" y="{number(y)}" '
            f'width="{number(state.flat + 2 * radius)}" height="{2 * radius}" rx="{radius}"/>'
        )
    y = state.centre.y + FONT_SIZE * 0.36
    yield (
        f'  <text class="number" x="{number(state.centre.x)}" y="{number(y)}" '
        f'text-anchor="middle">{state.number}</text>'
    )


def _text(text: Text) -> Iterator[str]:
    x, y = text.centre.x - text.width / 2, text.centre.y - text.height / 2
    yield (
        f'  <rect class="ground" x="{number(x)}" y="{number(y)}" '
        f'width="{number(text.width)}" height="{number(text.height)}"/>'
    )
    first = text.centre.y - (len(text.lines) - 1) * LINE_HEIGHT / 2 + FONT_SIZE * 0.36
    for place, line in enumerate(text.lines):
        y = first + place * LINE_HEIGHT
        yield (
            f'  <text class="{_kind(text.is_send)}-mark" x="{number(x + TEXT_PADDING)}" '
            f'y="{number(y)}" xml:space="preserve">{_escape(line)}</text>'
        )


# --- words ---------------------------------------------------------------------------------


_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def _escape(text: str) -> str:
    return "".join(
        [_ENTITIES.get(c, c) if _is_xml(c) else "\N{REPLACEMENT CHARACTER}" for c in text]
    )


def _is_xml(character: str) -> bool:
    """XML has no place for most control characters, not even as entities."""
    return character in "\t\n" or (
        character >= " "
        and not "\ud800" <= character <= "\udfff"
        and character not in "\ufffe\uffff"
    )
