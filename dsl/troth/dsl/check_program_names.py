"""The length of names: whatever a script names stands in its image, which bounds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Final

from troth.dsl.ast import Name, Script
from troth.dsl.diag import Diagnostic, Diagnostics
from troth.vm.limits import NAME_BYTES_MAX

_SUSPECT: Final = re.compile(f"[A-Za-z0-9_]{{{NAME_BYTES_MAX + 1}}}", re.ASCII)


def check_names(script: Script, diagnostics: Diagnostics) -> None:
    """Reports every name of a script that is too long for an image, each where it stands."""
    # Few scripts have so long a word at all; the others are not walked.
    if _SUSPECT.search(script.text) is None:
        return
    for name in _names(script):
        length = len(name.text.encode("utf-8"))
        if length > NAME_BYTES_MAX:
            diagnostics.add(
                Diagnostic(
                    code="check.limit.name",
                    message="this name is too long",
                    span=name.span,
                    expected=f"at most {NAME_BYTES_MAX} bytes",
                    found=f"{length} bytes",
                    fix="choose a shorter name",
                )
            )


def _names(script: Script) -> Iterator[Name]:
    pending: list[object] = list(script.declarations)
    while pending:
        item = pending.pop()
        if isinstance(item, Name):
            yield item
        elif isinstance(item, tuple):
            pending.extend(item)
        elif is_dataclass(item):
            pending.extend(getattr(item, field.name) for field in fields(item))
