"""What a speculating coroutine may do and what not, and how its sends find their places."""

from __future__ import annotations

from troth.vm.coroutine import Blocked, Coroutine
from troth.vm.errors import Fault
from troth.vm.faults import fault
from troth.vm.instructions import Policy
from troth.vm.session import Edge, EndpointState
from troth.vm.speculation import HeldSend, Speculation
from troth.vm.step_common import Step
from troth.vm.turn import Turn


def not_while_speculating(step: Step, what: str) -> Step:
    """The step of an instruction that cannot be taken back."""

    def checked(turn: Turn, coroutine: Coroutine) -> int:
        if coroutine.speculation is not None:
            raise cannot_be_undone(what)
        return step(turn, coroutine)

    return checked


def cannot_be_undone(what: str, endpoint: EndpointState | None = None) -> Fault:
    return fault(
        "vm.fault.speculation",
        f"{what} cannot be taken back, so it cannot be done while speculating",
        endpoint=endpoint,
        expected="sends, receives, computing, commit or rollback",
        actual=what,
    )


def hold_send(coroutine: Coroutine, speculation: Speculation, act: HeldSend) -> bool:
    """Holds a message back, if its buffer will have a place for it; False to wait for one.

    Only the speculator adds to this buffer, so a place that is free now is free at the join.

    Raises:
        Fault: `vm.fault.speculation` or `vm.fault.buffer`.
    """
    edge, endpoint = act.edge, act.endpoint
    buffer = edge.buffer
    places = buffer.resize_max if buffer.policy is Policy.RESIZE else buffer.capacity
    reserved = speculation.reserved_count(edge)
    if reserved >= places:
        raise fault(
            "vm.fault.speculation",
            f"more is sent on {edge} than its buffer can take at the commit",
            endpoint=endpoint,
            expected=f"at most {places} messages in one speculation",
            actual="one more",
            advice="Commit earlier, or raise the edge's capacity",
        )
    if (
        reserved
        and edge.outbound
        and edge.renews
        and not edge.config.position(edge.sent + reserved)[1]
    ):
        raise fault(
            "vm.fault.speculation",
            f"a generation of {edge} ends inside of a speculation",
            endpoint=endpoint,
            expected=f"at most {reserved} messages before the commit",
            actual="one more",
            advice="Commit before the generation ends, or let it have more messages",
        )
    waiting = places if edge.waits_to_rotate else edge.in_flight
    if waiting + reserved < places:
        speculation.hold_send(act)
        return True
    if buffer.policy is Policy.ERROR:
        raise fault(
            "vm.fault.buffer",
            f"the buffer of edge {edge} is full",
            endpoint=endpoint,
            expected=f"space among {places} messages",
            actual=f"{waiting} messages waiting, {reserved} held back",
        )
    edge.waiting_sender = coroutine
    coroutine.blocked = Blocked.SEND
    coroutine.blocked_edge = edge
    return False


def require_a_sender(speculation: Speculation, edge: Edge) -> None:
    """Before waiting for a message: refuses to wait for what cannot come before the join.

    Raises:
        Fault: `vm.fault.speculation`.
    """
    receiver = edge.receiver
    if speculation.reserved_count(edge):
        raise fault(
            "vm.fault.speculation",
            f"the next message of {edge} is held back by this speculation itself",
            endpoint=receiver,
            expected="a message that was sent before, or by somebody else",
            actual="one that nobody sees before the commit",
        )
    buffer = edge.buffer
    read = speculation.read_count(edge)
    places = buffer.resize_max if buffer.policy is Policy.RESIZE else buffer.capacity
    if read >= places:
        raise fault(
            "vm.fault.speculation",
            f"the buffer of edge {edge} has no place for another message before the commit",
            endpoint=receiver,
            expected=f"at most {places} messages read in one speculation",
            actual="one more",
            advice="Commit earlier, or raise the edge's capacity",
        )
