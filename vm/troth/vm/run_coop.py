"""Executes one turn: the interpreter's inner loop, and what a fault does.

A fault ends its coroutine and the sessions in which it owns endpoints, and nothing else. The
faulting instruction has changed nothing: each step makes all its checks, and signs all it has
to sign, before it writes anything. Only instructions that make progress are charged to the
budget.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from troth.vm.coroutine import Coroutine, CoroutineStatus
from troth.vm.errors import Fault, TrothError
from troth.vm.faults import MessageRefused, fault, trap
from troth.vm.limits import Limits
from troth.vm.step_end import end_by_fault
from troth.vm.turn import BLOCKED, DEFERRED, ENDED, YIELDED, Turn


class TurnEnd(Enum):
    """Why a turn ended."""

    READY = "its quantum is used up, or it yielded"
    BLOCKED = "it waits"
    ENDED = "it halted or faulted"
    DEFERRED = "its next instruction needs the machine's exact headroom"


_END_OF: Final = {
    BLOCKED: TurnEnd.BLOCKED,
    YIELDED: TurnEnd.READY,
    ENDED: TurnEnd.ENDED,
    DEFERRED: TurnEnd.DEFERRED,
}
_READY: Final = TurnEnd.READY
_STATUS_BLOCKED: Final = CoroutineStatus.BLOCKED


def take_turn(turn: Turn, coroutine: Coroutine, quantum: int) -> TurnEnd:
    """Runs the coroutine until it blocks, yields, ends, or has used `quantum` instructions."""
    steps = coroutine.code.steps
    left = turn.context.limits.instructions_max - coroutine.spent
    allowed = min(quantum, left)
    pc = coroutine.pc
    done = 0
    end = _READY
    try:
        while done < allowed:
            outcome = steps[pc](turn, coroutine)
            if outcome >= 0:
                pc = outcome
                done += 1
                continue
            if outcome == BLOCKED:
                coroutine.status = _STATUS_BLOCKED
            elif outcome != DEFERRED:
                done += 1
                pc += 1
            end = _END_OF[outcome]
            break
        else:
            if left < quantum:
                raise _spent(turn.context.limits)
    except TrothError as error:
        _trap(turn, coroutine, pc, error)
        end = TurnEnd.ENDED
    finally:
        # A re-execution may stop in the middle, and then says at which instruction.
        coroutine.pc = pc
        coroutine.spent += done
    return end


def _trap(turn: Turn, coroutine: Coroutine, pc: int, error: TrothError) -> None:
    code = coroutine.code
    located = trap(error, coroutine=coroutine.id, program=code.name, pc=pc, line=code.line_of(pc))
    refused = (error.edge, error.behind) if isinstance(error, MessageRefused) else None
    end_by_fault(turn, coroutine, located, refused)


def _spent(limits: Limits) -> Fault:
    return fault(
        "vm.fault.credits",
        "the coroutine has spent its instruction budget",
        expected=f"at most instructions_max = {limits.instructions_max} instructions",
        actual="one more",
    )
