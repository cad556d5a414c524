"""HTML that cannot be broken out of: every text is escaped here unless it is markup already."""

from __future__ import annotations

from html import escape
from typing import Final

_EMPTY: Final = frozenset({"meta", "link", "input", "br", "hr", "col"})


class Html(str):
    """Markup. Only `tag` and `join` make it; anything else that is text becomes text."""

    __slots__ = ()


def text(value: str) -> Html:
    return Html(escape(value))


def join(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def tag(element: str, /, *children: str, **attributes: str | bool | None) -> Html:
    """An element. `class_` is `class`, other underscores are dashes; True is a bare attribute.

    An attribute that is None or False is left out.
    """
    written = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        said = key.rstrip("_").replace("_", "-")
        written.append(said if value is True else f'{said}="{escape(value)}"')
    head = f"<{' '.join(written)}>"
    return Html(head) if element in _EMPTY else Html(f"{head}{join(*children)}</{element}>")
