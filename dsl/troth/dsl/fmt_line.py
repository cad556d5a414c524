"""One logical line in its one format: blanks between tokens, line breaks inside brackets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from lark import Token

from troth.dsl.build_nodes import Node, walk
from troth.dsl.layout import Line

COLUMNS_MAX: Final = 100
_INDENT: Final = "    "
_OPENING: Final = frozenset({"LPAR", "LSQB", "LBRACE"})
_CLOSING: Final = frozenset({"RPAR", "RSQB", "RBRACE"})
_TIGHT_BEFORE: Final = _CLOSING | {"COMMA", "COLON", "DOT"}
_TIGHT_AFTER: Final = _OPENING | {"DOT"}
# Nodes that begin with a bracket which stands directly behind the name before it.
_ATTACHED: Final = frozenset(
    {
        *("arguments", "names", "role_list", "parameters", "subscript", "list_item"),
        *("setting_size", "member"),
    }
)


class Marks(NamedTuple):
    """What the tokens alone do not tell, by offset in the text.

    `attached` are brackets that belong to the name before them, `signs` are minus signs.
    """

    attached: frozenset[int]
    signs: frozenset[int]


class _Piece(NamedTuple):
    """A token as it is written, with the comments that follow it.

    `own` says for each comment whether it has a line of its own.
    """

    token: Token
    comments: tuple[str, ...]
    own: tuple[bool, ...]


def marks_of(trees: Iterable[Node]) -> Marks:
    """The marks of all declarations of a script."""
    attached, signs = set(), set()
    for tree in trees:
        for node in walk(tree):
            if node.data in _ATTACHED:
                attached.add(node.meta.start_pos)
            elif node.data == "negative":
                signs.add(node.meta.start_pos)
    return Marks(frozenset(attached), frozenset(signs))


def format_line(line: Line, marks: Marks) -> tuple[str, ...]:
    """The physical lines of a logical line, without the indentation of its block."""
    pieces = _pieces(line.raw)
    joined = _join([piece.token for piece in pieces], marks)
    broken = _broken_pairs(pieces, marks, len(joined) + len(_INDENT) * line.depth)
    ends = frozenset(broken.values())
    writer = _Writer(marks)
    for index, piece in enumerate(pieces):
        writer.write(piece, opens=index in broken, closes=index in ends)
    return writer.finish()


def _pieces(raw: Sequence[Token]) -> list[_Piece]:
    pieces: list[_Piece] = []
    line = 0
    for token in raw:
        if token.type == "COMMENT":
            last = pieces[-1]
            own = token.line != line
            pieces[-1] = _Piece(last.token, (*last.comments, token.rstrip()), (*last.own, own))
        else:
            if token.type in _CLOSING and pieces[-1].token.type == "COMMA":
                comma = pieces.pop()
                last = pieces[-1]
                pieces[-1] = _Piece(
                    last.token, last.comments + comma.comments, last.own + comma.own
                )
            pieces.append(_Piece(token, (), ()))
        line = token.end_line or 0
    return pieces


def _broken_pairs(pieces: Sequence[_Piece], marks: Marks, width: int) -> dict[int, int]:
    """The outermost bracket pairs (indexes of both ends) that are written one item a line.

    These are the pairs with a comment inside, and if the line is too long its longest pair.
    """
    pairs = _outermost_pairs(pieces)
    broken = {
        start: end
        for start, end in pairs.items()
        if any(piece.comments for piece in pieces[start:end])
    }
    if width > COLUMNS_MAX and not broken and pairs:
        longest = max(pairs, key=lambda start: _width(pieces[start : pairs[start]], marks))
        broken[longest] = pairs[longest]
    return {
        start: end for start, end in broken.items() if end > start + 1 or pieces[start].comments
    }


def _outermost_pairs(pieces: Sequence[_Piece]) -> dict[int, int]:
    pairs: dict[int, int] = {}
    depth, start = 0, 0
    for index, piece in enumerate(pieces):
        if piece.token.type in _OPENING:
            if depth == 0:
                start = index
            depth += 1
        elif piece.token.type in _CLOSING:
            depth -= 1
            if depth == 0:
                pairs[start] = index
    return pairs


def _width(pieces: Sequence[_Piece], marks: Marks) -> int:
    return len(_join([piece.token for piece in pieces], marks))


def _join(tokens: Sequence[Token], marks: Marks) -> str:
    out = []
    previous: Token | None = None
    for token in tokens:
        if previous is not None and _blank(previous, token, marks):
            out.append(" ")
        out.append(_text(token))
        previous = token
    return "".join(out)


def _blank(previous: Token, token: Token, marks: Marks) -> bool:
    """Whether a blank stands between two tokens of one line."""
    if token.type in _TIGHT_BEFORE or previous.type in _TIGHT_AFTER:
        return False
    if previous.start_pos in marks.signs:
        return False
    return token.start_pos not in marks.attached


def _text(token: Token) -> str:
    if token.type in ("STRING", "BYTES") and token.endswith("'"):
        prefix, _, body = token[:-1].partition("'")
        if '"' not in body and "\\" not in body:
            return f'{prefix}"{body}"'
    return str(token)


class _Writer:
    """Writes pieces into lines; inside a broken pair each item begins a line."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._lines: list[str] = []
        self._line = ""
        self._previous: Token | None = None
        self._depth = 0  # of brackets inside the broken pair, 0 outside it

    def write(self, piece: _Piece, *, opens: bool, closes: bool) -> None:
        if closes:
            self._depth = 0
            self._end()
        self._append(piece.token)
        kind = piece.token.type
        if opens:
            self._depth = 1
        elif self._depth:
            self._depth += (kind in _OPENING) - (kind in _CLOSING)
        self._write_comments(piece)
        if opens or (kind == "COMMA" and self._depth == 1):
            self._end()

    def finish(self) -> tuple[str, ...]:
        self._end()
        return tuple(self._lines)

    def _append(self, token: Token) -> None:
        if not self._line:
            self._line = _INDENT if self._depth else ""
        elif self._previous is not None and _blank(self._previous, token, self._marks):
            self._line += " "
        self._line += _text(token)
        self._previous = token

    def _write_comments(self, piece: _Piece) -> None:
        for comment, own in zip(piece.comments, piece.own, strict=True):
            if own or not self._line:
                self._end()
                self._lines.append(_INDENT + comment)
            else:
                self._line += f"  {comment}"
                self._end()

    def _end(self) -> None:
        if self._line:
            self._lines.append(self._line)
        self._line = ""
