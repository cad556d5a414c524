"""Verifying artifacts offline: from the file and the public keys alone."""

from troth.conformance.json_form import to_json as to_json
from troth.conformance.protocols import Pins as Pins
from troth.conformance.render import to_prose as to_prose
from troth.conformance.shell_files import load_pins as load_pins
from troth.conformance.shell_files import verify as verify
from troth.conformance.verdict import Finding as Finding
from troth.conformance.verdict import Verdict as Verdict
from troth.conformance.verdict import Word as Word

__all__ = [
    "Finding",
    "Pins",
    "Verdict",
    "Word",
    "load_pins",
    "to_json",
    "to_prose",
    "verify",
]
