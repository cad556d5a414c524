"""The divergences that level 1 raises in several places."""

from __future__ import annotations

from collections.abc import Collection

from troth.conformance.divergence import Divergence
from troth.conformance.world import Session
from troth.vm.errors import TrothError

FORMAT = "format"
EARLIER = "recorded before"


def no_reference(message: str, expected: str, actual: object) -> Divergence:
    """The record names something that is not there."""
    return Divergence(
        "structure.reference", message, expected=expected, expected_side=EARLIER, actual=str(actual)
    )


def no_edge(session: Session, sender: int, receiver: int) -> Divergence:
    return Divergence(
        "structure.reference",
        "the session has no such edge",
        expected=", ".join(map(str, session.edges.values())) or "no edge at all",
        expected_side="recorded at open",
        actual=f"role {sender} -> role {receiver}",
        session=session,
    )


def not_here(session: Session, role: int) -> Divergence:
    """The record says what only the machine that holds the role can say."""
    name = session.protocol.roles[role]
    return Divergence(
        "structure.reference",
        f"{name} is held by another machine and does nothing in this file",
        expected="a role that this machine holds",
        expected_side="recorded at open",
        actual=name,
        session=session,
        role=name,
    )


def not_elsewhere(session: Session, role: int) -> Divergence:
    """The record says that something came from a role which is held here."""
    name = session.protocol.roles[role]
    return Divergence(
        "structure.reference",
        f"{name} is held by this machine: nothing of it comes from another",
        expected="a role that another machine holds",
        expected_side="recorded at open",
        actual=name,
        session=session,
        role=name,
    )


def known_word(word: str, words: Collection[str]) -> None:
    """`word` is one of a closed list."""
    if word not in words:
        raise Divergence(
            "structure.shape",
            "a field has a word that it cannot have",
            expected=" or ".join(words),
            expected_side=FORMAT,
            actual=word,
        )


def wrong_id(what: str, expected: bytes, actual: bytes) -> Divergence:
    return Divergence(
        "structure.identity",
        f"the {what} does not derive from the seed and its place in the run",
        expected=expected.hex(),
        actual=actual.hex(),
    )


def wrong_setting(what: str, expected: str, actual: object) -> Divergence:
    return Divergence(
        "structure.setting",
        f"{what} cannot be as it is",
        expected=expected,
        expected_side=FORMAT,
        actual=str(actual),
    )


def duplicate(what: str, name: str) -> Divergence:
    return Divergence(
        "structure.duplicate",
        f"this {what} was introduced before",
        expected=f"another {what}",
        expected_side=EARLIER,
        actual=name,
    )


def out_of_order(what: str, expected: str, actual: object) -> Divergence:
    return Divergence(
        "structure.order",
        f"{what} stands in the wrong place",
        expected=expected,
        expected_side=FORMAT,
        actual=str(actual),
    )


def backwards(what: str, before: int, now: int) -> Divergence:
    return Divergence(
        "structure.round",
        f"{what} runs backwards",
        expected=f"at least {before}",
        expected_side=EARLIER,
        actual=str(now),
    )


def over_limit(what: str, name: str, value: int) -> Divergence:
    return Divergence(
        "structure.limit",
        f"more {what} are alive than the run's own limit allows",
        expected=f"at most {name} = {value}",
        expected_side="recorded in the header",
        actual=f"{value + 1}",
    )


def refused_image(error: TrothError) -> Divergence:
    """The image loads nowhere."""
    return Divergence(
        "structure.image",
        f"the image is refused: {error.message} [{error.code}]",
        expected=error.expected,
        expected_side="image rules",
        actual=error.actual,
    )
