"""The reference page of the diagnostics, made from the codes and from broken scripts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

from troth.dsl.codes import CODES, Code
from troth.dsl.compile import check_source

EXPECT_MARK: Final = "# expect: "

_HEAD: Final = "\n".join(
    (
        "# Diagnostics",
        "",
        "`troth check` reports every mistake of a file in one run.",
        "Each diagnostic starts with `file:line:column`, has a stable code in brackets and a caret"
        " under the characters it is about.",
        "Then follow what was expected, what was found, other places that matter, and a fix.",
        "A mistake is reported once: what follows from it stays silent.",
        "Tools may rely on the codes; the words may change.",
        "",
        "This page is made from the list of codes and from a collection of broken scripts, and a"
        " test holds it against both.",
        "",
    )
)

_SECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "parse": ("Reading the text", "The file is not in the language's form."),
    "type": ("Types", "A type that is written somewhere does not mean one."),
    "protocol": ("Protocols", "A protocol does not make sense as a whole."),
    "project": ("Projection", "The local type of a role cannot be derived."),
    "check": ("Programs", "A program does not do what the types of its endpoints ask."),
}


def render(samples: Mapping[str, str]) -> str:
    """The page in Markdown; `samples` are broken scripts by name."""
    shown: dict[str, str] = {}
    for name in sorted(samples):
        text = _without_marks(samples[name])
        for item in check_source(text, f"{name}.troth").ordered():
            shown.setdefault(item.code, name)
    parts = [_HEAD]
    taken: dict[str, str] = {}
    for family, rows in groupby(CODES, key=lambda row: row.code.partition(".")[0]):
        title, words = _SECTIONS[family]
        parts.append(f"## {title}\n\n{words}\n")
        for row in rows:
            parts.append(_entry(row, shown.get(row.code), samples, taken))
    return "\n".join(parts)


def _entry(row: Code, name: str | None, samples: Mapping[str, str], taken: dict[str, str]) -> str:
    lines = [f"### {row.code}", "", f"**{row.title}.** {row.cause} {row.fix}", ""]
    if name is None:
        return "\n".join(lines)
    if name in taken:
        lines += [f"The script under [{taken[name]}](#{_anchor(taken[name])}) shows it.", ""]
        return "\n".join(lines)
    taken[name] = row.code
    text = _without_marks(samples[name])
    # Plain text: making this page has checked the script already.
    lines += ["```text", *_quoted(text), "```", ""]
    lines += ["```text", *_quoted(check_source(text, f"{name}.troth").render()), "```", ""]
    return "\n".join(lines)


def _quoted(text: str) -> list[str]:
    safe = "".join(
        character if character == "\n" or character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
    return safe.rstrip("\n").split("\n")


def _without_marks(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(line for line in lines if not line.startswith(EXPECT_MARK))


def _anchor(code: str) -> str:
    """The way a heading is turned into a link's target: the dots go."""
    return code.replace(".", "")
