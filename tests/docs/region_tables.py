"""Tables of the reference pages that are made from tables of the code."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Final

from troth.vm import limits
from troth.vm.faults import FAULT_CODES
from troth.vm.lifecycle import TRANSITIONS, mermaid
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.records import Kind

_READING: Final = {
    "NESTING_DEPTH_MAX": "levels of lists and records inside each other in one value or record",
    "RECORD_BYTES_MAX": "bytes of one record of an artifact",
    "IMAGE_BYTES_MAX": "bytes of one image",
    "NAME_BYTES_MAX": "bytes of one name: role, label, field, protocol, program, effect, key",
    "STATES_MAX": "states of one local type",
    "INSTRUCTIONS_PER_PROGRAM_MAX": "instructions of one program",
    "PROGRAMS_MAX": "programs of one image",
    "PROTOCOLS_MAX": "protocols of one image",
}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines)


def faults(_: str) -> str:
    rows = [(f"`{code}`", info.title, info.advice) for code, info in FAULT_CODES.items()]
    return table(("code", "what happened", "what to do"), rows)


def lifecycle(_: str) -> str:
    rows = [
        (source.name.lower(), event.value, target.name.lower(), action.value)
        for (source, event), (target, action) in TRANSITIONS.items()
    ]
    head = ("status", "what happens", "status after", "what the machine does")
    return f"```text\n{mermaid()}```\n\n{table(head, rows)}"


def limits_of_running(_: str) -> str:
    meaning = _attributes(Limits)
    rows = [
        (f"`{field.name}`", f"{getattr(DEFAULT_LIMITS, field.name):,}", meaning[field.name])
        for field in fields(Limits)
    ]
    return table(("limit", "default", "counts"), rows)


def _attributes(described: type) -> dict[str, str]:
    """The `name: meaning` lines of a class's docstring."""
    text = inspect.getdoc(described) or ""
    lines = text.partition("Attributes:\n")[2].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): meaning.strip().removesuffix(".") for name, _, meaning in pairs}


def limits_of_reading(_: str) -> str:
    named = {name: value for name, value in vars(limits).items() if name.endswith("_MAX")}
    assert set(named) == set(_READING), "a limit of reading has no description, or no value"
    rows = [(f"`{name}`", f"{value:,}", _READING[name]) for name, value in named.items()]
    return table(("limit", "value", "counts"), rows)


def record_kinds(_: str) -> str:
    """The table in the docstring of `Kind`, with the number of each kind."""
    rows: list[tuple[str, ...]] = []
    for line in (inspect.getdoc(Kind) or "").splitlines():
        match = re.fullmatch(r"\| ([A-Z]+) \| (.*) \|", line.strip())
        if match is not None:
            rows.append((str(int(Kind[match[1]])), match[1], match[2]))
    assert [row[1] for row in rows] == [kind.name for kind in Kind]
    return table(("kind", "name", "fields after the kind"), rows)
