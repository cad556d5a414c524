"""What a fake switch is to do: how its applications behave, how its call ends, what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class EndOrder(Enum):
    """In which order the two facts of a call's end are told."""

    NATURAL = "CHANNEL_HANGUP_COMPLETE, then the notice"
    NOTICE_FIRST = "the notice, then CHANNEL_HANGUP_COMPLETE"
    NOTICE_TWICE = "the notice, again, then CHANNEL_HANGUP_COMPLETE"
    OTHER_LEG_FIRST = "CHANNEL_HANGUP_COMPLETE of another leg, the notice, then our own"
    NO_COMPLETE = "only the notice, as on a synchronous socket"
    NO_NOTICE = "only CHANNEL_HANGUP_COMPLETE"
    BURST_LOST = "only CHANNEL_HANGUP, the notice and the end"


class Fault(Enum):
    """What goes wrong."""

    RESET = "the connection is reset"
    KILL = "the switch is killed: the connection ends without a word"
    HALF_CLOSE = "the switch closes its side and still listens"
    SHUTDOWN = "the switch shuts down"
    SILENCE = "the switch says nothing any more"
    GARBAGE = "the switch sends what is no message"


class SetUp(Enum):
    """How the switch answers `connect`."""

    UP = "with the call's data"
    BARE = "with a bare +OK"
    HUNG_UP = "not at all: the call is hung up"
    SILENT = "never"
    REJECTED = "it rejects us"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """How an application goes: how long it takes, what it says, which variables it sets."""

    seconds: float = 0.0
    response: str = "_none_"
    variables: Mapping[str, str] = field(default_factory=dict)
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One call. The caller presses `digits`, one text for each prompt, then nothing more.

    The caller hangs up `hang_up_after_s` after the set-up, or half-way through the first
    application named `hang_up_in`. `fault` strikes `fault_after_s` after the connection, or when
    the first application named `fault_in` begins.
    """

    uuid: str = "b0000000-0000-4000-8000-000000000001"
    caller: str = "1000"
    destination: str = "5000"
    variables: Mapping[str, str] = field(default_factory=dict)
    applications: Mapping[str, App] = field(default_factory=dict)
    api: Mapping[str, str] = field(default_factory=dict)
    digits: tuple[str, ...] = ()
    full: bool = True
    synchronous: bool = False
    set_up: SetUp = SetUp.UP
    hang_up_after_s: float | None = None
    hang_up_in: str | None = None
    hang_up_cause: str = "NORMAL_CLEARING"
    end: EndOrder = EndOrder.NATURAL
    end_gap_s: float = 0.0
    fault: Fault | None = None
    fault_after_s: float = 0.0
    fault_in: str | None = None


DEFAULT_APPLICATIONS: Mapping[str, App] = {
    "playback": App(seconds=0.02, response="FILE PLAYED"),
    "play_and_get_digits": App(seconds=0.02),
    "read": App(seconds=0.02),
    "record": App(seconds=0.02),
    "bridge": App(seconds=0.02, variables={"bridge_result": "SUCCESS"}),
    "echo": App(seconds=3600.0),
    "park": App(seconds=3600.0),
}
