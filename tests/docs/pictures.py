"""The pictures of the documentation, which are made from the examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from troth.dsl import load
from troth.dsl.picture_svg import to_svg

ROOT: Final = Path(__file__).resolve().parent.parent.parent

PICTURES: Final[Mapping[str, tuple[str, str, str]]] = {
    "docs/reference/two_buyer_bob.svg": ("two_buyer", "TwoBuyer", "Bob"),
}
"""By file: the example, the protocol, the role."""


def draw(file: str) -> str:
    example, protocol, role = PICTURES[file]
    module = load(ROOT / "docs" / "examples" / f"{example}.troth")
    view = module.protocol(protocol).role(role)
    return to_svg(view.local_type, f"{protocol}.{role}")
