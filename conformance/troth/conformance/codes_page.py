"""The docs page about verdicts, generated from the table of codes."""

from __future__ import annotations

from typing import Final

from troth.conformance.codes import CODES, LEVEL_NAMES, Code
from troth.conformance.merge_codes import MERGE_CODES, MergeCode
from troth.conformance.proof_codes import PROOF_CODES, ProofCode

_HEAD: Final = """\
# Verdicts

This page is generated from `troth.conformance.codes`; a test keeps it current.

`troth verify FILE` ends with one of these codes:

| exit | word | meaning |
|---|---|---|
| 0 | valid | Everything holds, and every acting principal is in the trust file. |
| 1 | | Wrong usage, or a file that cannot be read. |
| 2 | invalid | Something in the file is wrong, or the trust file contradicts a principal. |
| 3 | unsupported | The file has a format version that this verifier does not know. |
| 4 | incomplete | What is there holds, but the file stops before its final seals. |
| 5 | self-consistent | Everything holds, but some or all principals are not in the trust file. |

A contradiction always wins: an incomplete file with a wrong record in it is invalid.

## What a finding says

A finding is one divergence between what the file records and what follows from the rest of it.
It names the byte offset, the record number, the session, edge and role.
It says what was expected and what was found, and which side was recorded and which recomputed.
Where a local type was broken it shows the state with the offending branch marked by `>`.
The first finding in the file is the one to look at; later ones are at most twenty.

One file cannot show everything.
A recorder can leave out a whole session, or stop at a seal.
Only another party's record can show that; see [Several views](#several-views).

## Codes
"""


_VIEWS: Final = """\
## Several views

`troth verify A B …` judges each file by itself, and compares what they say of the same sessions.
It ends with 2 when one of these codes is found.
Otherwise it ends as the worst of the files does; the worst comes first here: 2, 1, 3, 4, 5, 0.
A finding comes with a proof when the signatures alone show it, whoever recorded what.
Of a record that level 1 or 2 refuses, only what comes before that place is compared.
Of a record that stops early nothing is missing: what it does not reach is in flight, or ahead.
"""

_PROOFS: Final = """\
## Proofs

`troth check-proof PROOF` ends with the same exit codes.
It is 0 when the proof holds and its signer is in the trust file.
When it is not 0, one of these codes says why.
"""


def render() -> str:
    """The whole page, in Markdown."""
    sections = [_HEAD]
    for level, name in enumerate(LEVEL_NAMES, start=1):
        entries = [entry for entry in CODES if entry.level == level]
        if entries:
            sections.append(f"### Level {level}: {name}\n")
            sections += [_entry(entry) for entry in entries]
    sections.append(_VIEWS)
    sections += [_entry(entry) for entry in MERGE_CODES]
    sections.append(_PROOFS)
    sections += [_proof(entry) for entry in PROOF_CODES]
    return "\n".join(sections).rstrip("\n") + "\n"


def _entry(entry: Code | MergeCode) -> str:
    return (
        f'<a id="{entry.anchor}"></a>\n'
        f"**`{entry.code}`** ({entry.category.value}, exit {entry.exit_code})\n"
        f"{entry.cause}\n"
        f"{entry.advice}.\n"
    )


def _proof(entry: ProofCode) -> str:
    return (
        f'<a id="{entry.anchor}"></a>\n'
        f"**`{entry.code}`** (exit {entry.exit_code})\n"
        f"{entry.cause}\n"
        f"{entry.advice}.\n"
    )
