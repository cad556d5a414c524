"""Delegation: an endpoint that travels inside a message.

Only an endpoint that was never used can travel: its new holder then has the whole of its
history. When somebody else signs for the receiving endpoint, the old signer certifies the new
one. While in transit the endpoint belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from troth.vm import statements
from troth.vm.coroutine import Coroutine
from troth.vm.envelope import DelegateEnvelope, Outgoing
from troth.vm.errors import Fault
from troth.vm.events import Delegated
from troth.vm.faults import fault
from troth.vm.lifecycle import LIVE
from troth.vm.session import Cell, Custody, Edge, EndpointState
from troth.vm.step_common import cell_name, not_usable, session_over, sign
from troth.vm.step_tables import TransitionTable
from troth.vm.turn import Turn
from troth.vm.types import EndpointType, ValueType


class Delegation(NamedTuple):
    """`certificates` are for those of `endpoints` whose signer changes, in the same order."""

    endpoints: tuple[EndpointState, ...]
    certificates: tuple[tuple[EndpointState, Delegated], ...]


def prepare_delegation(
    turn: Turn,
    coroutine: Coroutine,
    carrier: EndpointState,
    edge: Edge,
    transition: TransitionTable,
    values: Sequence[Cell],
) -> Delegation:
    """Checks every endpoint among a message's values and signs its certificate.

    Raises:
        Fault: `vm.fault.transfer`, `.type`, `.register`, `.channel` or `.key`.
    """
    endpoints: list[EndpointState] = []
    for position in transition.carried:
        if position >= len(values):
            break  # The check of the payload reports the missing argument.
        endpoint = values[position]
        if not isinstance(endpoint, EndpointState) or endpoint.owner is not coroutine:
            raise not_usable(endpoint, coroutine)
        require_type(endpoint, transition.fields[position].type)
        if endpoint.session.status not in LIVE:
            raise session_over(endpoint)
        if endpoint is carrier or endpoint is edge.receiver or endpoint in endpoints:
            raise fault(
                "vm.fault.transfer",
                "an endpoint cannot travel through itself, to itself, or twice at once",
                endpoint=endpoint,
                expected="another endpoint",
                actual=f"{endpoint.role} of {endpoint.session.protocol}",
            )
        if not endpoint.fresh:
            raise used_before(endpoint)
        endpoints.append(endpoint)
    new = edge.receiver.signer
    certificates = tuple(
        (endpoint, _certify(turn, endpoint, new))
        for endpoint in endpoints
        if endpoint.signer != new
    )
    return Delegation(tuple(endpoints), certificates)


def require_type(cell: Cell, expected: ValueType) -> None:
    """Checks that an endpoint belongs to the protocol and role that a field or parameter names.

    Raises:
        Fault: `vm.fault.type`.
    """
    assert isinstance(expected, EndpointType)
    if isinstance(cell, EndpointState):
        actual = f"{cell.session.protocol}.{cell.role}"
        if actual == str(expected):
            return
    else:
        actual = cell_name(cell)
    raise fault(
        "vm.fault.type",
        "this is not the endpoint that is expected here",
        endpoint=cell if isinstance(cell, EndpointState) else None,
        expected=str(expected),
        actual=actual,
    )


def used_before(endpoint: EndpointState) -> Fault:
    return fault(
        "vm.fault.transfer",
        f"{endpoint.role} of {endpoint.session.protocol} is not in its initial type",
        endpoint=endpoint,
        expected="an endpoint that was never used",
        actual=f"state {endpoint.state.number}, {'unused' if endpoint.fresh else 'used'}",
    )


def _certify(turn: Turn, endpoint: EndpointState, new: bytes) -> Delegated:
    session, old = endpoint.session.id, endpoint.signer
    statement = statements.delegation_statement(session, endpoint.role, old, new)
    return Delegated(session, endpoint.role, old, new, sign(turn, endpoint, statement))


def commit_delegation(turn: Turn, coroutine: Coroutine, edge: Edge, delegation: Delegation) -> None:
    """The endpoints leave their owner and are in transit on `edge`."""
    for endpoint in delegation.endpoints:
        del coroutine.owned[endpoint]
        endpoint.owner = None
        endpoint.custody = Custody.IN_TRANSIT
        endpoint.carrier = edge
        edge.sender.session.cargo[endpoint] = None
    for endpoint, certificate in delegation.certificates:
        endpoint.signer = certificate.new
        turn.events.append(certificate)
        if endpoint.session.peers:
            session, envelope = endpoint.session, DelegateEnvelope(*certificate)
            turn.tell(Outgoing(session.id, session.peers, envelope))


def arrive(coroutine: Coroutine, endpoint: Cell) -> None:
    """A delegated endpoint has reached its new owner."""
    assert isinstance(endpoint, EndpointState), "a carried field holds an endpoint"
    assert endpoint.carrier is not None, "it was in transit"
    del endpoint.carrier.sender.session.cargo[endpoint]
    endpoint.owner = coroutine
    endpoint.custody = Custody.HELD
    endpoint.carrier = None
    coroutine.owned[endpoint] = None
