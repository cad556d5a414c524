"""Trouble as an input: crash, partition and heal, corruption after signing, and timeout.

A host says it between two rounds. It is recorded as one TROUBLE, and a re-execution says it
again, so a run with trouble is as much a function of its inputs as any other.

A crash ends the coroutine that plays the role, as a fault with the code `vm.fault.crash` that it
did not cause itself; everything it holds goes with it. A session whose protocol provides for the
crash goes on without the role (`step_crash`). A partition holds up what is in the buffers
between two roles, and loses nothing. A corrupted message is found by its receiver as anybody's
forgery is. Who is timed out gets no turn until that time.

Between machines each has the partition that it was told of: it takes nothing that comes from the
other role, until that heals. A message is corrupted where its buffer is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from troth.vm import step_crash, step_end
from troth.vm.buffer import Envelope
from troth.vm.coroutine import Coroutine, CoroutineStatus
from troth.vm.errors import Fault, Place, Unusable
from troth.vm.events import Troubled
from troth.vm.faults import FAULT_CODES
from troth.vm.session import Edge, EdgeTrouble, EndpointState, Session
from troth.vm.trouble_kind import Trouble

if TYPE_CHECKING:
    from troth.vm.scheduler import Scheduler

CRASHED: Final = "vm.fault.crash"


def crash(scheduler: Scheduler, session: Session, role: str) -> None:
    """
    Raises:
        Unusable: code `trouble.role`, when no coroutine of this machine plays the role.
    """
    endpoint, coroutine = _player(session, role)
    _withdraw(scheduler, coroutine)
    turn = scheduler.turn
    _say(scheduler, session, Trouble.CRASH, role)
    place = Place(
        session=session.id.hex(),
        role=role,
        position=endpoint.state.describe(),
        coroutine=coroutine.id.hex(),
        program=coroutine.code.name,
        pc=coroutine.pc,
        line=coroutine.code.line_of(coroutine.pc) or None,
    )
    error = Fault(
        CRASHED,
        f"{coroutine.code.name}, which plays {role} of {session.protocol}, has crashed",
        place=place,
        advice=FAULT_CODES[CRASHED].advice,
    )
    owned = step_end.end_coroutine(turn, coroutine, error, None)
    step_crash.leave(turn, endpoint, owned, error.code)
    del scheduler.coroutines[coroutine.id]
    scheduler.settle()


def partition(scheduler: Scheduler, session: Session, role: str, peer: str) -> None:
    """
    Raises:
        Unusable: codes `trouble.edge`, `trouble.elsewhere`, `trouble.parted`,
            `trouble.speculation`.
    """
    role, peer = _from_here(session, role, peer)
    edges = _edges_between(session, role, peer)
    if any(edge.parted for edge in edges):
        raise Unusable(
            "trouble.parted",
            f"{role} and {peer} are parted already",
            expected="two roles that hear each other",
            advice="Heal the partition before another one",
        )
    for edge in edges:
        _require_unread(edge)
    _say(scheduler, session, Trouble.PARTITION, role, peer)
    for edge in edges:
        edge.trouble = EdgeTrouble(parted=True, corrupted=_corrupted(edge))
    scheduler.settle()


def heal(scheduler: Scheduler, session: Session, role: str, peer: str) -> None:
    """
    Raises:
        Unusable: codes `trouble.edge`, `trouble.elsewhere`, `trouble.whole`.
    """
    role, peer = _from_here(session, role, peer)
    edges = _edges_between(session, role, peer)
    if not any(edge.parted for edge in edges):
        raise Unusable(
            "trouble.whole",
            f"{role} and {peer} are not parted",
            expected="a partition between them",
            advice="Heal what was parted before",
        )
    _say(scheduler, session, Trouble.HEAL, role, peer)
    turn = scheduler.turn
    for edge in edges:
        corrupted = _corrupted(edge)
        edge.trouble = EdgeTrouble(parted=False, corrupted=corrupted) if corrupted else None
        turn.wake_edge(edge)
    scheduler.settle()


def corrupt(scheduler: Scheduler, session: Session, sender: str, receiver: str) -> None:
    """Changes the last byte of the oldest message in flight, of which the signature stays.

    Raises:
        Unusable: codes `trouble.edge`, `trouble.elsewhere`, `trouble.nothing`,
            `trouble.corrupt`, `trouble.speculation`.
    """
    edge = _edge(session, sender, receiver)
    if not edge.buffer.messages:
        raise Unusable(
            "trouble.nothing",
            f"nothing is in flight from {sender} to {receiver}",
            expected="a message in its buffer",
            advice="Corrupt a message between the rounds of its sending and its receipt",
        )
    _require_unread(edge)
    envelope, corrupted = edge.buffer.messages[0], _corrupted(edge)
    if any(envelope is known for known in corrupted):
        raise Unusable(
            "trouble.corrupt",
            f"the oldest message from {sender} to {receiver} is corrupt already",
            expected="a message that is what was signed",
            advice="Corrupt a message once: twice might make it whole again",
        )
    _say(scheduler, session, Trouble.CORRUPT, sender, receiver)
    payload = envelope.payload[:-1] + bytes((envelope.payload[-1] ^ 1,))
    changed = envelope._replace(payload=payload, values=None)
    edge.buffer.messages[0] = changed
    edge.trouble = EdgeTrouble(parted=edge.parted, corrupted=(*corrupted, changed))
    scheduler.settle()


def time_out(scheduler: Scheduler, session: Session, role: str, until_ns: int) -> None:
    """
    Raises:
        Unusable: code `trouble.role`; `trouble.time` for a time that is over.
    """
    _, coroutine = _player(session, role)
    pauses = scheduler.pauses
    if until_ns <= max(scheduler.now_ns, pauses.until_ns.get(coroutine, 0)):
        raise Unusable(
            "trouble.time",
            f"{role} cannot be timed out until then",
            expected="a time that is to come, and after any other that it is timed out until",
            actual=f"{until_ns} ns",
            advice="Give a later time: timeouts are not added up, and none is taken back",
        )
    _say(scheduler, session, Trouble.TIMEOUT, role, until_ns=until_ns)
    pauses.until_ns[coroutine] = until_ns
    scheduler.settle()


# --- what is concerned ---------------------------------------------------------------------


def _player(session: Session, role: str) -> tuple[EndpointState, Coroutine]:
    endpoint = session.endpoints.get(role)
    if endpoint is None or endpoint.owner is None:
        raise Unusable(
            "trouble.role",
            "no program of this machine plays that role now",
            expected=f"a role of {session.protocol} that is held by a coroutine",
            actual=role if endpoint is None else f"{role}, {endpoint.custody.value}",
            advice="Name a role that goes on here",
        )
    return endpoint, endpoint.owner


def _edges_between(session: Session, role: str, peer: str) -> list[Edge]:
    found = [
        edge
        for edge in session.edges
        if (edge.sender.role, edge.receiver.role) in ((role, peer), (peer, role))
    ]
    if not found:
        raise _no_edge(session, role, peer)
    if role in session.peers:
        raise _elsewhere(
            f"{role} and {peer}",
            "an edge with one end at this machine",
            "Part them at the machine of one of them",
        )
    return found


def _from_here(session: Session, role: str, peer: str) -> tuple[str, str]:
    """The role that is at this machine comes first, if one is."""
    swap = role in session.peers and peer not in session.peers
    return (peer, role) if swap else (role, peer)


def _edge(session: Session, sender: str, receiver: str) -> Edge:
    endpoint = session.endpoints.get(sender)
    edge = None if endpoint is None else endpoint.outgoing.get(receiver)
    if edge is None:
        raise _no_edge(session, sender, receiver)
    if receiver in session.peers:
        raise _elsewhere(
            str(edge),
            "an edge whose receiver is at this machine",
            "Corrupt it at the machine of its receiver, once it is there",
        )
    return edge


def _no_edge(session: Session, role: str, peer: str) -> Unusable:
    return Unusable(
        "trouble.edge",
        "these roles do not send to each other",
        expected=", ".join(map(str, session.edges)) or "no edge",
        actual=f"{role} and {peer}",
        advice=f"Name two roles of {session.protocol} that share an edge",
    )


def _elsewhere(actual: str, expected: str, advice: str) -> Unusable:
    return Unusable(
        "trouble.elsewhere",
        "what the trouble is about is at another machine",
        expected=expected,
        actual=actual,
        advice=advice,
    )


def _require_unread(edge: Edge) -> None:
    """What was read speculatively has passed already, though nobody else can see it."""
    owner = edge.receiver.owner
    speculation = None if owner is None else owner.speculation
    if speculation is not None and speculation.read_count(edge):
        raise Unusable(
            "trouble.speculation",
            f"{edge.receiver.role} has read messages of this edge speculatively",
            expected="an edge whose receiver has read nothing that it has not committed",
            actual=str(edge),
            advice="Wait for its commit or its rollback",
        )


def _corrupted(edge: Edge) -> tuple[Envelope, ...]:
    """Of what is still in the buffer."""
    if edge.trouble is None:
        return ()
    messages = edge.buffer.messages
    return tuple(
        known for known in edge.trouble.corrupted if any(known is waiting for waiting in messages)
    )


# --- what is done --------------------------------------------------------------------------


def _say(
    scheduler: Scheduler,
    session: Session,
    trouble: Trouble,
    role: str,
    peer: str = "",
    until_ns: int | None = None,
) -> None:
    scheduler.turn.events.append(
        Troubled(session.id, trouble, role, peer, until_ns, scheduler.rounds)
    )


def _withdraw(scheduler: Scheduler, coroutine: Coroutine) -> None:
    """Nobody finds the coroutine where it waits, or among those that are to run."""
    edge, guard = coroutine.blocked_edge, coroutine.blocked_guard
    if coroutine.status is CoroutineStatus.BLOCKED:
        if edge is not None and edge.waiting_receiver is coroutine:
            edge.waiting_receiver = None
        if edge is not None and edge.waiting_sender is coroutine:
            edge.waiting_sender = None
        if guard is not None and coroutine in guard.waiting:
            guard.waiting.remove(coroutine)
    scheduler.pauses.forget(coroutine)
    scheduler.ready = [one for one in scheduler.ready if one is not coroutine]
    scheduler.answers = [one for one in scheduler.answers if one.coroutine is not coroutine]
    effect, identity = coroutine.effect, coroutine.id
    if effect is not None and scheduler.effects.pop(effect, None) is not None:
        scheduler.abandoned[effect] = None
    scheduler.meetings.pop(identity, None)
    scheduler.asked = [one for one in scheduler.asked if one.coroutine != identity]
    scheduler.requests = [one for one in scheduler.requests if one.coroutine != identity]
