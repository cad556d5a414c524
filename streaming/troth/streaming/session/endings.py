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


@dataclass(frozen=True, slots=True)
class Bound:
    """One way to end: what each side has for it, and until when.

    Attributes:
        host: the word at the host; None when it has none, because it is gone or never had one.
        client: the same at the client.
        within_ns: from what happened to the end at both sides, on a way that carries the session.
        at_worst_ns: the same on a way that carries next to nothing, whatever our own queues hold;
            the network in between holds half a second of it.
    """

    what: str
    host: Ending | None
    client: Ending | None
    within_ns: int
    at_worst_ns: int


_MS: Final = 1_000_000
_SOON: Final = 500 * _MS
_CUT: Final = 3_500 * _MS
"""Programs have 1.5 s, the link's last word half a second, a silent machine a second; and way."""
_SILENCE: Final = 7_000 * _MS
"""Five seconds of silence, the link's last word, and a second until the session is cancelled."""

BOUNDS: Final = {
    "user": Bound("the user leaves", Ending.USER, Ending.USER, _SOON, _CUT),
    "time": Bound("the time is up", Ending.TIME, Ending.TIME, _SOON, _CUT),
    "client-exit": Bound("the client gets SIGTERM", Ending.EXIT, Ending.EXIT, _SOON, _CUT),
    "host-exit": Bound("the host gets SIGTERM", Ending.EXIT, Ending.EXIT, _SOON, _CUT),
    "host-order": Bound("the host takes it away", Ending.REVOKED, Ending.REVOKED, _SOON, _CUT),
    "revoked": Bound("an administrator revokes it", Ending.REVOKED, Ending.REVOKED, _SOON, _CUT),
    "client-fault": Bound("a client's program faults", Ending.FAULT, Ending.FAULT, _CUT, _CUT),
    "host-fault": Bound("a host's program faults", Ending.FAULT, Ending.FAULT, _CUT, _CUT),
    "no-media": Bound(
        "nothing new is shown",
        Ending.CONNECTION_LOST,
        Ending.CONNECTION_LOST,
        5_500 * _MS,
        5_000 * _MS + _CUT,
    ),
    "client-killed": Bound("the client is killed", Ending.PEER_LOST, None, _SILENCE, _SILENCE),
    "host-killed": Bound("the host is killed", None, Ending.PEER_LOST, _SILENCE, _SILENCE),
    "dark": Bound("nothing comes through", Ending.PEER_LOST, Ending.PEER_LOST, _SILENCE, _SILENCE),
    "identity": Bound("another channel", Ending.IDENTITY, Ending.IDENTITY, _SOON, _CUT),
    "version": Bound("another version", Ending.VERSION, Ending.VERSION, _SOON, _CUT),
    "codec": Bound("no common codec", Ending.CODEC, Ending.CODEC, _SOON, _CUT),
    "busy": Bound("the host has a viewer", Ending.BUSY, Ending.BUSY, _SOON, _CUT),
}
"""Every way in which a session ends, by a name. Tests and documentation are made of it."""


def label_of(reason: str) -> str:
    """The word as metrics have it: what the other side makes up is counted as one."""
    return reason if reason in tuple(Ending) else "other"


def meaning_of(reason: str) -> Meaning:
    """The meaning of a word, which may come from the other side and be none of ours."""
    for ending, meaning in MEANINGS.items():
        if ending.value == reason:
            return meaning
    return MEANINGS[Ending.FAULT]
