"""The codes of the event-socket library are frozen, and its page names every one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
PACKAGE: Final = ROOT / "streaming" / "troth" / "streaming" / "eventsocket"

CODES: Final = (
    "esl.access",
    "esl.argument",
    "esl.authentication",
    "esl.backoff",
    "esl.ended",
    "esl.handler",
    "esl.hung_up",
    "esl.limit.applications_max",
    "esl.limit.events_queued_max",
    "esl.limit.pending_commands_max",
    "esl.limit.stray_replies_max",
    "esl.limit.{name}",
    "esl.limits",
    "esl.malformed.content_length",
    "esl.malformed.cut",
    "esl.malformed.nul",
    "esl.program",
    "esl.protocol",
    "esl.refused",
    "esl.silence",
    "esl.unreachable",
)


def test_codes_are_those_that_users_know() -> None:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        found |= set(re.findall(r'f?"(esl\.[a-z_.{}]+)"', path.read_text(encoding="utf-8")))
    assert tuple(sorted(found)) == CODES


def test_the_page_names_every_code() -> None:
    page = (ROOT / "docs" / "reference" / "event-socket.md").read_text(encoding="utf-8")
    for code in CODES:
        root = re.sub(r"^(esl\.(?:malformed|limit))\..*", r"\1.…", code)
        assert f"`{root}`" in page, code
