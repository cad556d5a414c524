"""The codes of gateway, relay and paths are frozen, and their page names every one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
PACKAGE: Final = ROOT / "streaming" / "troth" / "streaming"

CODES: Final = (
    "gateway.address",
    "gateway.argument",
    "gateway.ended",
    "gateway.identity",
    "gateway.introduction",
    "gateway.limits",
    "gateway.message",
    "gateway.peer",
    "gateway.refused",
    "gateway.store",
    "gateway.unreachable",
    "path.address",
    "path.candidate",
    "path.credential",
    "path.discovery",
    "path.limits",
    "path.stun",
    "relay.datagram",
    "relay.lease",
    "relay.limits",
)


def test_codes_are_those_that_users_know() -> None:
    found: set[str] = set()
    for folder in ("gateway", "relay", "paths"):
        for path in (PACKAGE / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r'"((?:gateway|relay|path)\.[a-z_]+)"', text))
    assert tuple(sorted(found)) == CODES


def test_the_page_names_every_code() -> None:
    page = ROOT / "docs" / "reference" / "gateway-and-relay.md"
    text = page.read_text(encoding="utf-8")
    for code in CODES:
        assert f"`{code}`" in text, code
