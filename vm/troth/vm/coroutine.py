"""A coroutine: one program's registers, position and the endpoints it owns."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from troth.vm.guards import Guard
    from troth.vm.session import Cell, Edge, EndpointState
    from troth.vm.speculation import Speculation
    from troth.vm.step_code import ProgramCode
    from troth.vm.timer import Timer


class CoroutineStatus(Enum):
    READY = "ready"
    BLOCKED = "blocked"
    ENDED = "ended"


class Blocked(Enum):
    """What a blocked coroutine waits for."""

    RECEIVE = "a message"
    SEND = "space in a full buffer"
    EFFECT = "an effect of the host"
    PEERS = "the other machines of a session"
    HOLES = "endpoints that its parent has yet to transfer"
    GUARD = "a guard that another coroutine holds"
    HOST = "what the host does next"


class Completion(NamedTuple):
    """How an effect ended: `failure` is why it failed, None when `value` is its result."""

    failure: str | None
    value: Cell


FIRST_PARENT: Final = b""


class Coroutine:
    """`pc` is the next instruction; a blocked instruction is executed again when woken.

    Attributes:
        owned: the endpoints it owns, in the order it got them (an ordered set).
        spent: instructions executed so far, out of the budget `instructions_max`.
        place: names its way down from the first coroutine, the same on every machine that runs
            the program; only known where sessions are spread over machines.
        children, opened, invoked, met: local counters that ids are derived from; `opened` counts
            sessions of this machine, `met` every `open`.
        parties: the other machines of the session that it opens, once they are known.
        birth: how many coroutines were spawned on this machine before it.
        waited: in how many rounds in a row it was ready and did not run.
        blocked: what it waits for, and on which edge, while BLOCKED.
        blocked_guard: the guard it waits for while `blocked` is GUARD; stale otherwise.
        guards: the guards it holds, in the order in which it got them.
        effect: the id of the effect it waits for.
        completion: that effect's result, until the instruction takes it.
        timer: the last clock that it started, whether it runs or not.
        speculation: what it has done speculatively, None when it does not speculate.
        holes: endpoint parameters that `transfer` has yet to fill.
    """

    __slots__ = (
        "birth",
        "blocked",
        "blocked_edge",
        "blocked_guard",
        "children",
        "code",
        "completion",
        "effect",
        "guards",
        "holes",
        "id",
        "invoked",
        "met",
        "opened",
        "owned",
        "parent",
        "parties",
        "pc",
        "place",
        "registers",
        "speculation",
        "spent",
        "status",
        "timer",
        "waited",
    )

    def __init__(
        self, identity: bytes, parent: bytes, code: ProgramCode, place: bytes = b""
    ) -> None:
        self.id = identity
        self.parent = parent
        self.place = place
        self.code = code
        self.registers: list[Cell] = [None] * code.register_count
        self.pc = 0
        self.birth = 0
        self.waited = 0
        self.status = CoroutineStatus.READY
        self.owned: dict[EndpointState, None] = {}
        self.spent = 0
        self.children = 0
        self.opened = 0
        self.invoked = 0
        self.met = 0
        self.parties: tuple[tuple[str, bytes, bytes], ...] | None = None
        self.blocked: Blocked | None = None
        self.blocked_edge: Edge | None = None
        self.blocked_guard: Guard | None = None
        self.guards: tuple[Guard, ...] = ()
        self.speculation: Speculation | None = None
        self.timer: Timer | None = None
        self.effect: bytes | None = None
        self.completion: Completion | None = None
        self.holes: list[int] = []
