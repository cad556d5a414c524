"""The state of a machine at a point of its record: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """One endpoint.

    Attributes:
        signer: the name of the principal that signs for it.
        holder: the number of the coroutine that has it; None when nobody has.
        in_message: it travels inside of a message.
        noticed: it has given notice, or has crashed.
        crashed: its program has crashed, and the session goes on.
        elsewhere: another machine holds it.
        position: the state of its local type, one line a branch; None when nobody can tell.
    """

    role: str
    signer: str
    holder: int | None
    in_message: bool
    noticed: bool
    crashed: bool
    position: str | None
    elsewhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeState:
    """One edge and its buffer. `in_flight` are the oldest messages, of `waiting` in all.

    Of an edge to another machine, `received` is what that has signed for.
    """

    edge: str
    sent: int
    received: int
    waiting: int
    capacity: int
    in_flight: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """One live session."""

    number: int
    id: str
    protocol: str
    status: str
    endpoints: tuple[EndpointState, ...]
    edges: tuple[EdgeState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoroutineState:
    """One live coroutine.

    Attributes:
        endpoints: what it holds, as `session.role`.
        guards: the guards it holds.
        waits_for: the effects that it has asked for and got no answer to.
    """

    number: int
    program: str
    endpoints: tuple[str, ...]
    guards: tuple[str, ...]
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """What is alive after a record, by the file's own word.

    Attributes:
        said: the record in one line.
        contradicted: the first thing in the file up to here that does not hold; None without one.
        ended: sessions that have ended, by how.
        sessions_more, coroutines_more: how many there are besides those listed.
    """

    file: str
    record: int
    offset: int
    said: str
    contradicted: str | None
    now_ns: int
    ended: tuple[tuple[str, int], ...]
    sessions: tuple[SessionState, ...]
    sessions_more: int
    coroutines: tuple[CoroutineState, ...]
    coroutines_more: int
