"""All diagnostic codes of the language, each with its cause and what to do about it.

A code is stable: tools and tests may rely on it. Rows are sorted into sections by the pass that
reports them; a row is `Code(code, title, cause, fix)`, with `cause` and `fix` one sentence each,
written so that a newcomer who never saw the code can act on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.dsl.code_rows_check import CHECK_ROWS
from troth.dsl.code_rows_parse import PARSE_ROWS
from troth.dsl.code_rows_protocol import PROTOCOL_ROWS


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    title: str
    cause: str
    fix: str


CODES: Final[tuple[Code, ...]] = (
    # --- parse: reading the text ---------------------------------------------------------
    *(Code(*row) for row in PARSE_ROWS),
    # --- type, protocol, project: types, protocols, what each role sees of them --------------
    *(Code(*row) for row in PROTOCOL_ROWS),
    # --- check: programs against the local types of their endpoints ------------------------
    *(Code(*row) for row in CHECK_ROWS),
)


def lookup(code: str) -> Code | None:
    """The row of `code`, or None when there is none."""
    return next((row for row in CODES if row.code == code), None)
