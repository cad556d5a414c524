"""Builds protocols, images and machines by hand, for tests of the machine.

`load_unchecked` lays an image out as the loader does but checks nothing, so that a test can run
what the loader would refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from troth.vm import local_types
from troth.vm.events import Event, Faulted, Printed, Status, StatusChanged
from troth.vm.host_signer import HostSigner
from troth.vm.image import EdgeSettings, Effect, Image, Program, Protocol
from troth.vm.image_codec import encode_image, image_id
from troth.vm.instructions import (
    Close,
    Halt,
    Instruction,
    Jump,
    Op,
    Open,
    OpenOptions,
    Operator,
    Recv,
    Select,
    Send,
    Set,
    Spawn,
    Yield,
)
from troth.vm.keys import KeyPair, generate
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loaded import LoadedImage, ProtocolTables
from troth.vm.machine import Machine, MachineState, Overrides
from troth.vm.settings import NO_OVERRIDES
from troth.vm.step_tables import initial_states
from troth.vm.types import Branch as TypeBranch
from troth.vm.types import End, EndpointType, Field, Primitive, Term, ValueType
from troth.vm.types import Recv as TypeRecv
from troth.vm.types import Send as TypeSend
from troth.vm.values import RegisterValue, Value

INT: Final = Primitive.INT
STR: Final = Primitive.STR
END: Final = End()
SEED: Final = bytes(range(32))
HALT: Final[Instruction] = Halt()
YIELD: Final[Instruction] = Yield()


class _Source:
    def make(self, role: str) -> KeyPair:
        return generate(role, role.encode().ljust(32, b"."))


KEY_SOURCE: Final = _Source()


def make_signer() -> HostSigner:
    """Holds a key for every role, the same in every test."""
    return HostSigner({}, KEY_SOURCE)


def sends(peer: str, *branches: tuple[str, Sequence[ValueType], Term]) -> Term:
    """`sends("B", ("ask", [INT], END))`; fields are called `f0`, `f1`, …"""
    return TypeSend(peer, tuple(_branch(*branch) for branch in branches))


def receives(peer: str, *branches: tuple[str, Sequence[ValueType], Term]) -> Term:
    return TypeRecv(peer, tuple(_branch(*branch) for branch in branches))


def _branch(label: str, types: Sequence[ValueType], continuation: Term) -> TypeBranch:
    return TypeBranch(label, fields(*types), continuation)


def fields(*types: ValueType) -> tuple[Field, ...]:
    return tuple(Field(f"f{place}", kind) for place, kind in enumerate(types))


def protocol(name: str, types: Mapping[str, Term], *edges: EdgeSettings) -> Protocol:
    return Protocol(
        name,
        tuple(types),
        tuple(local_types.resolve(term) for term in types.values()),
        tuple(sorted(edges, key=lambda edge: (edge.sender, edge.receiver))),
    )


def program(
    name: str,
    code: Sequence[Instruction],
    *parameters: ValueType,
    registers: int = 8,
) -> Program:
    return Program(name, fields(*parameters), registers, tuple(code))


def image(
    protocols: Sequence[Protocol],
    programs: Sequence[Program],
    effects: Sequence[Effect] = (),
    guards: Sequence[str] = (),
) -> Image:
    """The first program is the entry."""
    return Image(tuple(protocols), tuple(effects), tuple(programs), 0, guards=tuple(guards))


def tables(protocol: Protocol) -> ProtocolTables:
    labels = local_types.labels(protocol.local_types)
    return ProtocolTables(
        protocol=protocol,
        id=local_types.protocol_id(protocol),
        role_index={role: index for index, role in enumerate(protocol.roles)},
        states=tuple(local.states for local in protocol.local_types),
        branches=tuple(
            tuple({t.label: t for t in state.transitions} for state in local.states)
            for local in protocol.local_types
        ),
        labels=labels,
        label_index={label: index for index, label in enumerate(labels)},
        edges=local_types.edges(protocol),
        edge_settings={(edge.sender, edge.receiver): edge for edge in protocol.edges},
        lossy=local_types.lossy_labels(protocol),
    )


def load_unchecked(built: Image) -> LoadedImage:
    all_tables = tuple(tables(item) for item in built.protocols)
    data = encode_image(built)
    return LoadedImage(
        image=built,
        data=data,
        id=image_id(data),
        protocol_ids=tuple(item.id for item in all_tables),
        protocols=all_tables,
        protocol_index={item.name: index for index, item in enumerate(built.protocols)},
        initial_states=tuple(map(initial_states, all_tables)),
    )


def make_machine(
    built: Image,
    *,
    limits: Limits = DEFAULT_LIMITS,
    quantum: int = 64,
    overrides: Overrides = NO_OVERRIDES,
    seed: bytes = SEED,
    signer: HostSigner | None = None,
    home: Collection[str] | None = None,
) -> Machine:
    """A started machine."""
    keys = signer or make_signer()
    machine = Machine(
        load_unchecked(built),
        seed=seed,
        signer=keys,
        roster=keys,
        limits=limits,
        quantum=quantum,
        overrides=overrides,
        home=home,
    )
    machine.start()
    return machine


def run(
    machine: Machine,
    effects: Mapping[str, Callable[..., RegisterValue]] | None = None,
    *,
    rounds_max: int = 10_000,
) -> list[Event]:
    """Runs until nothing can happen any more; time jumps to deadlines. Returns all events."""
    events: list[Event] = []
    now_ns = 0
    for _ in range(rounds_max):
        ran = machine.run_round(now_ns)
        events += machine.poll_events()
        requests = machine.poll_effects()
        for request in requests:
            function = (effects or {})[request.name]
            machine.complete(request.effect_id, function(*request.arguments))
        if ran or requests:
            continue
        deadline_ns = machine.deadline_ns()
        if machine.state is not MachineState.WAITING or deadline_ns is None:
            return events
        now_ns = deadline_ns
    raise AssertionError("the run does not end")


def duo(
    conversation: Protocol, a: Sequence[Instruction], b: Sequence[Instruction], **options: object
) -> Image:
    """A main that opens the protocol, `a` as its role A, `b` as B, endpoints in register 0."""
    main: list[Instruction] = [open_(0, 0, 1, **options), spawn(2, 1, 0), spawn(3, 2, 1), HALT]
    return image(
        [conversation],
        [
            program("main", main),
            program("a", a, endpoint(conversation.name, "A")),
            program("b", b, endpoint(conversation.name, "B")),
        ],
    )


def printed(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Printed)]


def faults(events: Sequence[Event]) -> list[str]:
    """The codes, in order."""
    return [event.code for event in events if isinstance(event, Faulted)]


def statuses(events: Sequence[Event]) -> list[Status]:
    return [event.status for event in events if isinstance(event, StatusChanged)]


def of_type(events: Sequence[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if type(event) is kind]


# --- instructions --------------------------------------------------------------------------


def open_(protocol: int, *targets: int, **options: object) -> Instruction:
    return Open(protocol, targets, OpenOptions(**options))  # type: ignore[arg-type]


def send(endpoint: int, peer: str, label: str, *arguments: int) -> Instruction:
    return Send(endpoint, peer, label, arguments)


def select(endpoint: int, peer: str, label: str, *arguments: int) -> Instruction:
    return Select(endpoint, peer, label, arguments)


def recv(endpoint: int, peer: str, label: str, *targets: int) -> Instruction:
    return Recv(endpoint, peer, label, targets)


def spawn(target: int, index: int, *arguments: int) -> Instruction:
    return Spawn(target, index, arguments)


def set_(target: int, value: Value) -> Instruction:
    return Set(target, value)


def print_(register: int) -> Instruction:
    return Op(Operator.PRINT, 7, (register,))


def fail(register: int) -> Instruction:
    return Op(Operator.FAIL, 7, (register,))


def op(operator: Operator, target: int, *arguments: int) -> Instruction:
    return Op(operator, target, arguments)


def jump(target: int) -> Instruction:
    return Jump(target)


def naps(count: int) -> list[Instruction]:
    """Lets `count` rounds pass."""
    return [YIELD] * count


def close(endpoint: int) -> Instruction:
    return Close(endpoint)


def endpoint(protocol: str, role: str) -> EndpointType:
    return EndpointType(protocol, role)
