"""Campaigns over bytes whose every refusal has to be a typed error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fuzz.edges import Edges
from fuzz.fuzzer import Campaign
from fuzz.mutations import changed_bytes
from troth.vm.errors import TrothError


def typed(run: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """`run`, or the code of the error that it raises, and whether that says nothing."""

    def answered(data: bytes) -> str:
        try:
            return run(data)
        except TrothError as error:
            return f"{error.code}{'' if str(error) else ' without a word'}"

    return answered


def byte_campaign(
    name: str,
    run: Callable[[bytes], str],
    corpus: Sequence[bytes],
    *,
    lines_max: int,
    memory_bytes_max: int,
    watched: tuple[str, ...],
) -> Campaign:
    """A campaign that changes bytes anyhow; `watched` are the folders whose edges count."""
    return Campaign(
        name=name,
        run=run,
        change=changed_bytes,
        corpus=tuple(corpus),
        lines_max=lines_max,
        memory_bytes_max=memory_bytes_max,
        edges=lambda most: Edges(most, watched),
    )
