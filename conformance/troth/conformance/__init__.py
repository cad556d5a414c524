"""Verifying artifacts offline: from the file and the public keys alone.

The names are looked up when they are first used: the `troth` command lives in this package, and
must be able to say that it was interrupted before all of it is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from troth.conformance.batch import Bounds as Bounds
    from troth.conformance.batch import FileResult as FileResult
    from troth.conformance.image_pin import ImagePin as ImagePin
    from troth.conformance.json_form import to_json as to_json
    from troth.conformance.protocols import Pins as Pins
    from troth.conformance.render import to_prose as to_prose
    from troth.conformance.replay_meter import Budget as Budget
    from troth.conformance.shell_batch import verify_many as verify_many
    from troth.conformance.shell_files import load_image_pin as load_image_pin
    from troth.conformance.shell_files import load_pins as load_pins
    from troth.conformance.shell_files import verify as verify
    from troth.conformance.shell_report import report as report
    from troth.conformance.shell_report import report_views as report_views
    from troth.conformance.shell_testing import assert_replay_valid as assert_replay_valid
    from troth.conformance.shell_views import verify_views as verify_views
    from troth.conformance.verdict import Finding as Finding
    from troth.conformance.verdict import Verdict as Verdict
    from troth.conformance.verdict import Word as Word
    from troth.conformance.views_verdict import MergedVerdict as MergedVerdict
    from troth.conformance.views_verdict import MergeFinding as MergeFinding

__all__ = [
    "Bounds",
    "Budget",
    "FileResult",
    "Finding",
    "ImagePin",
    "MergeFinding",
    "MergedVerdict",
    "Pins",
    "Verdict",
    "Word",
    "assert_replay_valid",
    "load_image_pin",
    "load_pins",
    "report",
    "report_views",
    "to_json",
    "to_prose",
    "verify",
    "verify_many",
    "verify_views",
]

_HOME = {
    "Bounds": "batch",
    "FileResult": "batch",
    "assert_replay_valid": "shell_testing",
    "verify_many": "shell_batch",
    "Budget": "replay_meter",
    "Finding": "verdict",
    "ImagePin": "image_pin",
    "Pins": "protocols",
    "Verdict": "verdict",
    "Word": "verdict",
    "load_image_pin": "shell_files",
    "load_pins": "shell_files",
    "report": "shell_report",
    "report_views": "shell_report",
    "to_json": "json_form",
    "to_prose": "render",
    "verify": "shell_files",
    "verify_views": "shell_views",
    "MergeFinding": "views_verdict",
    "MergedVerdict": "views_verdict",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
