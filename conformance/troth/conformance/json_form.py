"""The verdict as one JSON object: it carries everything the prose says."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Final

from troth.conformance.proof_verdict import ProofVerdict
from troth.conformance.verdict import Finding
from troth.conformance.views_verdict import MergeFinding

JSON_VERSION: Final = 1


def to_json(report: object) -> str:
    """One line of ASCII; `json_version` grows when a field changes its meaning."""
    return json.dumps({"json_version": JSON_VERSION, **_object(report)})


def _object(value: object) -> dict[str, object]:
    assert is_dataclass(value)
    plain = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Finding):
        plain |= {
            "category": value.category.value,
            "level": value.level,
            "advice": value.advice,
            "docs": value.docs,
        }
    if isinstance(value, MergeFinding):
        plain |= {
            "category": value.category.value,
            "advice": value.advice,
            "docs": value.docs,
        }
    if isinstance(value, ProofVerdict):
        plain |= {"advice": value.advice, "docs": value.docs}
    return plain


def _plain(value: object) -> object:
    if is_dataclass(value):
        return _object(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value
