"""The closed taxonomy of run-time faults.

Every `Fault` of a run has one of these codes; tools match on them, so they never change meaning.
A fault says what happened, where, what was expected and found, and what to do about it: the
advice is here unless the place that raises it knows better.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from troth.vm.errors import Fault, Place, TrothError

if TYPE_CHECKING:
    from troth.vm.session import Edge, EndpointState


class FaultInfo(NamedTuple):
    """`title` names the kind of fault in a few words, `advice` is one sentence."""

    title: str
    advice: str


FAULT_CODES: Final[dict[str, FaultInfo]] = {
    "vm.fault.acquire": FaultInfo(
        "a guard cannot be acquired or released",
        "Acquire a guard before releasing it, and release it before the program ends",
    ),
    "vm.fault.arithmetic": FaultInfo(
        "an arithmetic result does not exist",
        "Check the operands first: integers have 64 bits and nothing divides by zero",
    ),
    "vm.fault.buffer": FaultInfo(
        "an edge's buffer is full",
        "Raise the edge's capacity, or use policy = block so that the sender waits",
    ),
    "vm.fault.channel": FaultInfo(
        "the other end of the channel is gone",
        "Look for the first fault, cancel or close of the session: it says why the peer left",
    ),
    "vm.fault.close": FaultInfo(
        "an endpoint is left before its protocol is over",
        "Follow the protocol to its end before close, or leave early with cancel",
    ),
    "vm.fault.crash": FaultInfo(
        "who played a role is gone",
        "Look for why it crashed: of its sessions those go on that say what follows a crash",
    ),
    "vm.fault.credits": FaultInfo(
        "a coroutine has spent its instruction budget",
        "Look for a loop that never ends, or raise the limit instructions_max",
    ),
    "vm.fault.elsewhere": FaultInfo(
        "an endpoint that another machine holds is used here",
        "Let main only open sessions and spawn programs, or run this role on this machine too",
    ),
    "vm.fault.fail": FaultInfo(
        "the program failed on purpose",
        "The message is the program's own: look at the fail statement that raised it",
    ),
    "vm.fault.index": FaultInfo(
        "an index is outside its list",
        "Compare the index with len() first; the first item has index 0",
    ),
    "vm.fault.invoke": FaultInfo(
        "an effect failed",
        "Look at the host function that provides the effect, and at the type it is declared with",
    ),
    "vm.fault.key": FaultInfo(
        "a principal's key is not held here",
        "Provide the private key of every role that this machine plays",
    ),
    "vm.fault.label": FaultInfo(
        "a label is not offered at this point of the protocol",
        "Use one of the labels that the protocol offers here",
    ),
    "vm.fault.limit": FaultInfo(
        "a named limit is reached",
        "Use less of what the limit counts, or run with a higher limit",
    ),
    "vm.fault.open": FaultInfo(
        "a session cannot be opened",
        "Change the session's settings to something that this machine can carry",
    ),
    "vm.fault.pc": FaultInfo(
        "the program counter left the program",
        "Load the image through the loader, which refuses such programs",
    ),
    "vm.fault.register": FaultInfo(
        "a register does not hold what the instruction needs",
        "Load the image through the loader, which refuses such programs",
    ),
    "vm.fault.replay.duplicate": FaultInfo(
        "a message was delivered before",
        "Somebody delivered a recorded message again: find out who can write to the edge",
    ),
    "vm.fault.replay.generation": FaultInfo(
        "a message belongs to another generation of its edge",
        "Somebody delivered an old message: find out who can write to the edge",
    ),
    "vm.fault.replay.sequence": FaultInfo(
        "a message is not the next one of its edge",
        "Somebody dropped, repeated or reordered messages: find out who can write to the edge",
    ),
    "vm.fault.speculation": FaultInfo(
        "speculation is used outside its rules",
        "Commit or roll back before doing what cannot be undone",
    ),
    "vm.fault.timer": FaultInfo(
        "a second clock of a timed choice is started",
        "Load the image through the loader, which refuses such programs",
    ),
    "vm.fault.transfer": FaultInfo(
        "an endpoint cannot be handed over",
        "Hand an endpoint over before its first use, and only to where its type is expected",
    ),
    "vm.fault.type": FaultInfo(
        "an action or value does not have the type that the protocol requires here",
        "Do what the endpoint's local type asks for at this position",
    ),
    "vm.fault.verification": FaultInfo(
        "a message is not what its sender signed",
        "Somebody forged or damaged the message: do not trust this channel",
    ),
}

MESSAGE_CHARACTERS_MAX: Final = 2000
"""What a fault says goes into the evidence, so a hostile `fail` must not fill it."""


def fault(
    code: str,
    message: str,
    *,
    endpoint: EndpointState | None = None,
    expected: str | None = None,
    actual: str | None = None,
    advice: str | None = None,
) -> Fault:
    """Builds a fault about `endpoint`, if one is concerned.

    The machine adds the coroutine, program and program counter when it traps.
    """
    place = Place()
    if endpoint is not None:
        place = Place(
            session=endpoint.session.id.hex(),
            role=endpoint.role,
            position=endpoint.state.describe(),
        )
    return Fault(
        code,
        message,
        place=place,
        expected=expected,
        actual=actual,
        advice=advice or FAULT_CODES[code].advice,
    )


class MessageRefused(Fault):
    """A message of `edge` failed a check of its receiver, for the reason of the fault.

    `behind` is how many messages of the buffer are before it.
    """

    behind: int = 0

    def __init__(self, cause: Fault, edge: Edge) -> None:
        super().__init__(
            cause.code,
            cause.message,
            place=cause.place,
            expected=cause.expected,
            actual=cause.actual,
            advice=cause.advice,
        )
        self.edge = edge


def behind_others(refused: MessageRefused) -> Fault:
    """The fault of a refused message that is not the oldest of its edge, so that stays there."""
    return Fault(
        refused.code,
        refused.message,
        place=refused.place,
        expected=refused.expected,
        actual=refused.actual,
        advice=refused.advice,
    )


def trap(error: TrothError, *, coroutine: bytes, program: str, pc: int, line: int) -> Fault:
    """The fault that ends a coroutine because of `error`, with its full place."""
    code = error.code if error.code in FAULT_CODES else _CODE_OF_ERROR.get(error.code)
    if code is None:
        code = "vm.fault.limit" if error.code.startswith("limit.") else "vm.fault.type"
    located = replace(
        error.place, coroutine=coroutine.hex(), program=program, pc=pc, line=line or None
    )
    return Fault(
        code,
        error.message,
        place=located,
        expected=error.expected,
        actual=error.actual,
        advice=error.advice or FAULT_CODES[code].advice,
    )


_CODE_OF_ERROR: Final = {"key.missing": "vm.fault.key"}


def summary(error: Fault) -> str:
    """What the evidence keeps of a fault: the message, what was expected and what was found."""
    text = error.message
    if error.expected is not None:
        text += f"; expected {error.expected}"
    if error.actual is not None:
        text += f"; found {error.actual}"
    if len(text) > MESSAGE_CHARACTERS_MAX:
        text = text[: MESSAGE_CHARACTERS_MAX - 1] + "…"
    return text
