"""The loader on protocols: local types, duality, edge settings, and limits of roles."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from builders import (
    END,
    HALT,
    INT,
    STR,
    endpoint,
    fields,
    image,
    open_,
    program,
    protocol,
    receives,
    sends,
    set_,
)
from troth.vm.errors import Invalid
from troth.vm.image import EdgeSettings, Image, Protocol
from troth.vm.instructions import BufferMode, Cancel, Policy, ReplayMode
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.loader import load
from troth.vm.loader_protocols import check_protocol
from troth.vm.types import EndpointType, Field, LocalType, State, StateKind, Transition

JOB: Final = protocol(
    "Job",
    {
        "A": sends("B", ("ask", [INT], receives("B", ("answer", [STR], END)))),
        "B": receives("A", ("ask", [INT], sends("A", ("answer", [STR], END)))),
    },
)
HIRE: Final = protocol(
    "Hire",
    {
        "D": sends("W", ("take", [endpoint("Job", "B")], END)),
        "W": receives("D", ("take", [endpoint("Job", "B")], END)),
    },
)
MAIN: Final = program("main", [HALT])


def refused(built: Image) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load(built)
    return caught.value


ENDS: Final = State(StateKind.END, "", ())


def _ping(*states: State, other: LocalType | None = None) -> Image:
    """A protocol whose role A has these states."""
    heard = LocalType((State(StateKind.RECV, "A", (Transition("ping", (), 1),)), ENDS))
    return image([Protocol("P", ("A", "B"), (LocalType(states), other or heard))], [MAIN])


def _says(*moves: tuple[str, int], peer: str = "B") -> State:
    return State(
        StateKind.SEND, peer, tuple(Transition(label, (), number) for label, number in moves)
    )


PING: Final = _says(("ping", 1))


def test_a_protocol_by_hand() -> None:
    load(_ping(PING, ENDS))


@pytest.mark.parametrize(
    ("built", "code"),
    [
        (_ping(), "image.protocol.state"),
        (_ping(_says(), ENDS), "image.protocol.state"),
        (_ping(_says(("ping", 2)), ENDS), "image.protocol.state"),
        (_ping(PING, State(StateKind.END, "B", ())), "image.protocol.state"),
        (_ping(_says(("ping", 1), peer="C"), ENDS), "image.protocol.peer"),
        (_ping(_says(("ping", 1), peer="A"), ENDS), "image.protocol.peer"),
        (_ping(_says(("b", 1), ("a", 1)), ENDS), "image.protocol.label"),
        (_ping(_says(("a", 1), ("a", 1)), ENDS), "image.protocol.label"),
        # Two equal states, an unreachable one, and numbers in another order.
        (_ping(_says(("ping", 1)), ENDS, ENDS), "image.protocol.canonical"),
        (_ping(_says(("a", 1), ("b", 2)), ENDS, ENDS), "image.protocol.canonical"),
        (
            _ping(_says(("a", 2), ("b", 1)), ENDS, _says(("ping", 1))),
            "image.protocol.canonical",
        ),
        # Nobody hears ping; nobody says it; it is heard with another payload.
        (_ping(PING, ENDS, other=LocalType((ENDS,))), "image.protocol.duality"),
        (_ping(ENDS), "image.protocol.duality"),
        (
            _ping(
                State(StateKind.SEND, "B", (Transition("ping", fields(INT), 1),)),
                ENDS,
            ),
            "image.protocol.duality",
        ),
        (
            _ping(
                State(
                    StateKind.SEND,
                    "B",
                    (Transition("ping", (Field("x", INT), Field("x", INT)), 1),),
                ),
                ENDS,
            ),
            "image.name",
        ),
        (
            image([replace(JOB, roles=("A",), local_types=(LocalType((ENDS,)),))], [MAIN]),
            "image.protocol.roles",
        ),
        (image([replace(JOB, roles=("A", "A"))], [MAIN]), "image.name"),
        (image([replace(JOB, local_types=JOB.local_types[:1])], [MAIN]), "image.protocol.roles"),
    ],
)
def test_protocols_are_checked(built: Image, code: str) -> None:
    error = refused(built)
    assert error.code == code
    assert error.place.position is not None
    assert error.place.position.startswith("protocols")


def _many_roles(count: int) -> Image:
    roles = tuple(f"R{place}" for place in range(count))
    types = tuple(LocalType((ENDS,)) for _ in roles)
    return image([Protocol("P", roles, types)], [MAIN])


def test_roles_at_the_limit_and_one_past_it() -> None:
    load(_many_roles(DEFAULT_LIMITS.roles_max))
    assert refused(_many_roles(DEFAULT_LIMITS.roles_max + 1)).code == "image.protocol.roles"


def _edge(**settings: object) -> Image:
    edge = EdgeSettings(sender="A", receiver="B", **settings)  # type: ignore[arg-type]
    return image([replace(JOB, edges=(edge,))], [MAIN])


@pytest.mark.parametrize(
    ("built", "code"),
    [
        (_edge(capacity=0), "image.edge.settings"),
        (_edge(capacity=DEFAULT_LIMITS.buffer_capacity_max + 1), "image.edge.settings"),
        (_edge(resize_max=8), "image.edge.settings"),
        (_edge(resize_max=8, policy=Policy.RESIZE, capacity=9), "image.edge.settings"),
        (_edge(buffer=BufferMode.LATEST, replay=ReplayMode.OFF), "image.edge.settings"),
        (_edge(policy=Policy.DROP, replay=ReplayMode.OFF), "image.edge.settings"),
        (
            _edge(buffer=BufferMode.LATEST, replay=ReplayMode.SEQUENCE),
            "image.edge.settings",
        ),
        (
            image([replace(JOB, edges=(EdgeSettings(sender="A", receiver="C"),))], [MAIN]),
            "image.edge.unknown",
        ),
        (
            image([replace(HIRE, edges=(EdgeSettings(sender="W", receiver="D"),)), JOB], [MAIN]),
            "image.edge.unknown",
        ),
        (
            image([replace(JOB, edges=(EdgeSettings(sender="A", receiver="B"),) * 2)], [MAIN]),
            "image.edge.order",
        ),
    ],
)
def test_edge_settings_that_cannot_hold(built: Image, code: str) -> None:
    assert refused(built).code == code


def test_edge_settings_that_can_hold() -> None:
    load(_edge(capacity=1, policy=Policy.RESIZE, resize_max=DEFAULT_LIMITS.buffer_capacity_max))
    for edge in (
        EdgeSettings(sender="A", receiver="B", buffer=BufferMode.LATEST, replay=ReplayMode.OFF),
        EdgeSettings(sender="A", receiver="B", policy=Policy.DROP, replay=ReplayMode.NULLIFIER),
        EdgeSettings(sender="A", receiver="B", buffer=BufferMode.LATEST, policy=Policy.DROP),
    ):
        load(image([_lossy(edge)], [MAIN]))


def _frames(kind: StateKind, peer: str, *, leads: int = 0, lossy: bool = True) -> LocalType:
    moves = (Transition("done", (), 1), Transition("frame", (), leads, lossy))
    return LocalType((State(kind, peer, moves), ENDS))


def _lossy(*edges: EdgeSettings, leads: int = 0, heard: bool = True) -> Protocol:
    types = (
        _frames(StateKind.SEND, "B", leads=leads),
        _frames(StateKind.RECV, "A", leads=leads, lossy=heard),
    )
    return Protocol("Stream", ("A", "B"), types, edges)


def test_a_message_that_may_be_lost_leads_back_and_is_so_on_both_sides() -> None:
    load(image([_lossy()], [MAIN]))
    assert refused(image([_lossy(leads=1)], [MAIN])).code == "image.protocol.lossy"
    assert refused(image([_lossy(heard=False)], [MAIN])).code == "image.protocol.duality"


def test_a_message_that_may_be_lost_carries_no_endpoint() -> None:
    field = Field("s", EndpointType("Job", "A"))
    moves = (Transition("done", (), 1), Transition("frame", (field,), 0, lossy=True))
    types = tuple(
        LocalType((State(kind, peer, moves), ENDS))
        for kind, peer in ((StateKind.SEND, "B"), (StateKind.RECV, "A"))
    )
    built = image([Protocol("Stream", ("A", "B"), types), JOB], [MAIN])
    assert refused(built).code == "image.protocol.lossy"


def test_a_label_may_be_lost_wherever_it_is_sent_or_nowhere() -> None:
    def types(kind: StateKind, peer: str) -> LocalType:
        first = (Transition("frame", (), 1, lossy=False),)
        moves = (Transition("done", (), 2), Transition("frame", (), 1, lossy=True))
        return LocalType((State(kind, peer, first), State(kind, peer, moves), ENDS))

    built = Protocol("P", ("A", "B"), (types(StateKind.SEND, "B"), types(StateKind.RECV, "A")))
    assert refused(image([built], [MAIN])).code == "image.protocol.lossy"


@pytest.mark.parametrize(
    "edge",
    [
        EdgeSettings(sender="A", receiver="B", replay=ReplayMode.SEQUENCE),
        EdgeSettings(sender="A", receiver="B", buffer=BufferMode.LATEST, policy=Policy.RESIZE),
    ],
)
def test_an_edge_that_may_lose_cannot_have_these_settings(edge: EdgeSettings) -> None:
    assert refused(image([_lossy(edge)], [MAIN])).code == "image.edge.settings"


def test_messages_that_may_be_lost_and_a_session_in_sequence() -> None:
    latest = _lossy()

    def opens(replay: ReplayMode | None) -> Image:
        code = [
            open_(0, 0, 1, replay=replay),
            set_(2, "x"),
            Cancel(0, 2),
            Cancel(1, 2),
            HALT,
        ]
        return image([latest], [program("main", code)])

    load(opens(ReplayMode.OFF))
    assert refused(opens(ReplayMode.SEQUENCE)).code == "image.open.options"


class _Counted(str):
    """A name that counts how often it is looked at to be found in a set."""

    __slots__ = ()
    hashed = 0

    def __hash__(self) -> int:
        _Counted.hashed += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def _looks(count: int) -> int:
    """How many looks at names it takes to check a protocol of so many roles in pairs."""
    roles = tuple(_Counted(f"R{number:05}") for number in range(count))
    ping, ends = (Transition("ping", (), 1),), State(StateKind.END, "", ())
    types = tuple(
        LocalType((State(StateKind.SEND, roles[place + 1], ping), ends))
        if place % 2 == 0
        else LocalType((State(StateKind.RECV, roles[place - 1], ping), ends))
        for place in range(count)
    )
    _Counted.hashed = 0
    wide = replace(DEFAULT_LIMITS, roles_max=count)
    check_protocol(Protocol("Wide", roles, types, ()), frozenset(), wide, "protocols[0]")
    return _Counted.hashed


def test_checking_takes_as_long_as_there_are_roles() -> None:
    """An image may have thousands of roles: nothing may look at all of them for each of them."""
    assert _looks(800) < 5 * _looks(200)
