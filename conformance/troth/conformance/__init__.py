"""Verifying artifacts offline: from the file and the public keys alone."""

from troth.conformance.image_pin import ImagePin as ImagePin
from troth.conformance.json_form import to_json as to_json
from troth.conformance.protocols import Pins as Pins
from troth.conformance.render import to_prose as to_prose
from troth.conformance.replay_meter import Budget as Budget
from troth.conformance.shell_files import load_image_pin as load_image_pin
from troth.conformance.shell_files import load_pins as load_pins
from troth.conformance.shell_files import verify as verify
from troth.conformance.verdict import Finding as Finding
from troth.conformance.verdict import Verdict as Verdict
from troth.conformance.verdict import Word as Word

__all__ = [
    "Budget",
    "Finding",
    "ImagePin",
    "Pins",
    "Verdict",
    "Word",
    "load_image_pin",
    "load_pins",
    "to_json",
    "to_prose",
    "verify",
]
