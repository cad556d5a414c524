"""Why a session ends: each reason in one word, who can give it, and what an operator does next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Ending(StrEnum):
    """The words that both sides, the events and the records have for it."""

    USER = "user_disconnect"
    EXIT = "process_exit"
    TIME = "time_is_up"
    PEER_LOST = "peer_lost"
    CONNECTION_LOST = "connection_lost"
    REVOKED = "revoked"
    IDENTITY = "identity_mismatch"
    VERSION = "version_mismatch"
    CODEC = "no_common_codec"
    BUSY = "host_busy"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`plane` says where to look first; `failure` whether somebody has to act."""

    plane: str
    failure: bool
    text: str
    advice: str


MEANINGS: Final = {
    Ending.USER: Meaning("control", False, "a user ended the session", "Nothing has to be done"),
    Ending.EXIT: Meaning("control", False, "a process was asked to end", "Nothing has to be done"),
    Ending.TIME: Meaning("control", False, "the time that was asked for is over", "Nothing to do"),
    Ending.PEER_LOST: Meaning(
        "control",
        True,
        "the other side fell silent without a farewell",
        "See whether its process is there, and its own record",
    ),
    Ending.CONNECTION_LOST: Meaning(
        "media",
        True,
        "nothing new could be shown for longer than policy allows",
        "See the events of the path before the end",
    ),
    Ending.REVOKED: Meaning(
        "control", True, "an administrator took the session away", "Ask who revoked it, and why"
    ),
    Ending.IDENTITY: Meaning(
        "control",
        True,
        "the two sides do not see the same encrypted channel",
        "Somebody may sit in between: compare the fingerprints",
    ),
    Ending.VERSION: Meaning(
        "control", True, "the two sides speak different versions", "Update the older one"
    ),
    Ending.CODEC: Meaning(
        "control", True, "there is no codec that both sides have", "Install one on either side"
    ),
    Ending.BUSY: Meaning(
        "control", True, "the host has a viewer already", "Wait, or end the other session"
    ),
    Ending.FAULT: Meaning(
        "control", True, "a program of the session faulted", "Read the record: `troth report`"
    ),
}


def label_of(reason: str) -> str:
    """The word as metrics have it: what the other side makes up is counted as one."""
    return reason if reason in tuple(Ending) else "other"


def meaning_of(reason: str) -> Meaning:
    """The meaning of a word, which may come from the other side and be none of ours."""
    for ending, meaning in MEANINGS.items():
        if ending.value == reason:
            return meaning
    return MEANINGS[Ending.FAULT]
