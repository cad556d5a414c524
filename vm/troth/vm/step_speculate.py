"""`fork`, `join` and `abort`: doing things that can be taken back, all at once or not at all."""

from __future__ import annotations

from troth.vm.coroutine import Coroutine
from troth.vm.errors import Fault
from troth.vm.faults import fault
from troth.vm.instructions import Fork
from troth.vm.lifecycle import LIVE
from troth.vm.session import Edge
from troth.vm.speculation import Act, HeldReceive, HeldSend, Speculation, roll_back
from troth.vm.step_common import Step, session_over
from troth.vm.step_message import Sealed, commit_sealed, peer_gone, seal_message
from troth.vm.step_receive import commit_receive
from troth.vm.turn import Turn


def decode_fork(instruction: Fork, following: int) -> Step:
    """From here on, nobody sees what the coroutine does until its join."""
    target = instruction.target

    def step(turn: Turn, coroutine: Coroutine) -> int:
        outer = coroutine.speculation
        depth_max = turn.context.limits.speculation_depth_max
        if outer is not None and outer.depth >= depth_max:
            raise fault(
                "vm.fault.limit",
                "speculations are nested too deeply",
                expected=f"at most speculation_depth_max = {depth_max} levels",
                actual="one more",
            )
        if coroutine.timer is not None and not coroutine.timer.void:
            raise fault(
                "vm.fault.speculation",
                "a speculation begins while the clock of a timed choice runs",
                endpoint=coroutine.timer.endpoint,
                expected="the choice made before",
                actual="fork",
            )
        coroutine.speculation = Speculation(outer, coroutine.registers, target)
        return following

    return step


def abort(turn: Turn, coroutine: Coroutine) -> int:  # noqa: ARG001 - the shape of a step
    """Gives back what is the speculator's own, as it was at the fork, and goes on there."""
    if coroutine.speculation is None:
        raise _nothing_begun("abort")
    return roll_back(coroutine)


def decode_join(following: int) -> Step:
    """Does what was held back. All that can fail comes before the first of it becomes visible."""

    def step(turn: Turn, coroutine: Coroutine) -> int:
        speculation = coroutine.speculation
        if speculation is None:
            raise _nothing_begun("join")
        if speculation.outer is not None:
            speculation.merge_into_outer()
        else:
            _require_all(speculation.acts)
            _commit(turn, speculation.acts, _seal_all(turn, speculation.acts))
        coroutine.speculation = speculation.outer
        return following

    return step


def _nothing_begun(what: str) -> Fault:
    return fault(
        "vm.fault.speculation",
        f"there is no speculation to {what}",
        expected="a fork before",
        actual=what,
        advice="Load the image through the loader, which refuses such programs",
    )


def _require_all(acts: list[Act]) -> None:
    """The sessions go on, and the receivers still receive.

    Raises:
        Fault: `vm.fault.channel`.
    """
    for act in acts:
        if act.endpoint.session.status not in LIVE:
            raise session_over(act.endpoint)
        edge = act.edge
        if isinstance(act, HeldSend) and edge.receiver.noticed and not edge.abandoned:
            raise peer_gone(act.endpoint, edge.receiver.role)


def _seal_all(turn: Turn, acts: list[Act]) -> list[Sealed]:
    """Signs every message that was held back, in order. Changes nothing.

    Raises:
        Fault: `vm.fault.key`. It names no endpoint: which of the keys is asked for first is not
            the program's doing.
    """
    ahead: dict[Edge, int] = {}
    sealed = []
    for act in acts:
        if isinstance(act, HeldSend):
            before = ahead.get(act.edge, 0)
            ahead[act.edge] = before + 1
            try:
                sealed.append(seal_message(turn, act, before))
            except Fault as error:
                raise fault(
                    error.code,
                    error.message,
                    expected=error.expected,
                    actual=error.actual,
                    advice=error.advice,
                ) from error
    return sealed


def _commit(turn: Turn, acts: list[Act], sealed: list[Sealed]) -> None:
    following = iter(sealed)
    for act in acts:
        if isinstance(act, HeldReceive):
            assert act.edge.buffer.messages[0] is act.envelope, "what was read is still there"
            commit_receive(turn, act.edge, act.envelope, act.statement, act.transition)
        else:
            commit_sealed(turn, act, next(following))
