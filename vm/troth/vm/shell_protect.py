"""Files that a command is told to write to, and must not: what nobody could make again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from troth.vm.errors import Place, Unusable
from troth.vm.records import MAGIC

_KEY_SUFFIXES: Final = frozenset({".key", ".pub"})
_PRIVATE_KEY: Final = b"PRIVATE+KEY+"


def refuse_same_file(target: Path, sources: Iterable[Path]) -> None:
    """
    Raises:
        Unusable: code `output.source`, when `target` is one of the files a command reads.
    """
    for source in sources:
        if _same(target, source):
            raise Unusable(
                "output.source",
                "the result would replace what it is made of",
                place=Place(file=str(target)),
                expected="another file",
                actual=f"the same file as {source}",
                advice="Give it a name of its own",
            )


def refuse_precious(target: Path) -> None:
    """
    Raises:
        Unusable: code `output.precious`, when `target` is an artifact, a key or a script.
    """
    kind = _kind(target)
    if kind:
        raise Unusable(
            "output.precious",
            f"the result would replace {kind}",
            place=Place(file=str(target)),
            expected="a new file, or an earlier result",
            actual=kind,
            advice="Write to another file, or remove this one first",
        )


def _same(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except (OSError, ValueError):
        # One of them is not there, or cannot be reached: opening it will tell.
        return False


def _kind(target: Path) -> str:
    try:
        if not target.is_file():
            return ""
        with target.open("rb") as file:
            head = file.read(len(_PRIVATE_KEY))
    except (OSError, ValueError):
        # Whoever opens it for writing says what is wrong.
        return ""
    if head.startswith(MAGIC):
        return "a recorded artifact"
    if target.suffix in _KEY_SUFFIXES or head == _PRIVATE_KEY:
        return "a key file"
    return "a script" if target.suffix == ".troth" else ""
