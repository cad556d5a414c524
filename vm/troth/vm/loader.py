"""The loader: an image becomes runnable only by passing every check here.

Nothing is believed of an image. Its form, its references, its protocols are checked first, then
every path of every program (`loader_flow`). What passes can still fail at run time (overflow, an
effect that fails, `fail`), but cannot use an endpoint twice, out of turn, or leave it unfinished.
"""

from __future__ import annotations

from typing import Final

from troth.vm.errors import Invalid, Place
from troth.vm.image import Image, Program
from troth.vm.image_codec import decode_image, encode_image, image_id
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
    Cancel,
    Close,
    Fork,
    Halt,
    Instruction,
    Invoke,
    Jump,
    JumpIf,
    Move,
    Op,
    Open,
    OpenBundle,
    Recv,
    Release,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
)
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loaded import LoadedImage
from troth.vm.loader_bundles import check_bundles
from troth.vm.loader_flow import Budget, check_program
from troth.vm.loader_frame import ImageView
from troth.vm.loader_protocols import (
    check_effects,
    check_fields,
    check_protocol,
    known_roles,
    refuse,
    require_distinct,
    tables,
)
from troth.vm.loader_steps import fails
from troth.vm.step_tables import initial_states


def load(image: Image, limits: Limits = DEFAULT_LIMITS) -> LoadedImage:
    """Checks an image and lays it out for the machine.

    Raises:
        Invalid: `image.…` with the program and program counter, or the position.
        Malformed: `image.shape` or `codec.…`, for an image that has no canonical form.
        LimitExceeded: for a protocol or program that is too large to check.
    """
    data = encode_image(image)
    # An image built by hand must obey what a decoder demands of one from outside.
    decode_image(data)
    return _load(image, data, limits)


def load_bytes(data: bytes, limits: Limits = DEFAULT_LIMITS) -> LoadedImage:
    """As `load`, from an image's canonical bytes.

    Raises:
        Malformed: for bytes that are no image, and all that `load` raises.
    """
    return _load(decode_image(data), data, limits)


def _load(image: Image, data: bytes, limits: Limits) -> LoadedImage:
    require_distinct([item.name for item in image.protocols], "protocols", "protocols")
    known = known_roles(image)
    for place, protocol in enumerate(image.protocols):
        check_protocol(protocol, known, limits, f"protocols[{place}]")
    check_effects(image.effects)
    check_bundles(image, limits)
    laid_out = tuple(tables(protocol) for protocol in image.protocols)
    index = {protocol.name: place for place, protocol in enumerate(image.protocols)}
    view = ImageView(image, laid_out, index, limits)
    _check_programs(view)
    return LoadedImage(
        image=image,
        data=data,
        id=image_id(data),
        protocol_ids=tuple(protocol.id for protocol in laid_out),
        protocols=laid_out,
        protocol_index=index,
        initial_states=tuple(map(initial_states, laid_out)),
    )


def _check_programs(view: ImageView) -> None:
    image = view.image
    require_distinct([program.name for program in image.programs], "programs", "programs")
    require_distinct(image.guards, "guards", "guards")
    known = known_roles(image)
    for place, program in enumerate(image.programs):
        check_fields(known, program.parameters, f"programs[{place}]")
        _check_head(view, program, f"programs[{place}]")
        for pc, instruction in enumerate(program.code):
            _check_operands(view, program, pc, instruction)
    _check_entry(image)
    budget = Budget()
    for program in image.programs:
        check_program(view, program, budget)


def _check_entry(image: Image) -> None:
    if image.entry is None:
        return
    if not 0 <= image.entry < len(image.programs):
        refuse("image.entry", "The entry is no program", "entry", actual=str(image.entry))
    parameters = image.programs[image.entry].parameters
    if parameters:
        refuse("image.entry", "The entry takes parameters", "entry", "none", str(len(parameters)))


def _check_head(view: ImageView, program: Program, position: str) -> None:
    largest = view.limits.registers_max
    if not len(program.parameters) <= program.register_count <= largest:
        refuse(
            "image.program.registers",
            f"{program.name} has an impossible number of registers",
            position,
            f"{len(program.parameters)} to registers_max = {largest}",
            str(program.register_count),
        )
    if program.lines and len(program.lines) != len(program.code):
        refuse(
            "image.program.lines",
            f"{program.name} does not have one line for each instruction",
            position,
            str(len(program.code)),
            str(len(program.lines)),
        )
    last = program.code[-1] if program.code else None
    if not isinstance(last, Halt | Jump | Branch | Abort) and (last is None or not fails(last)):
        refuse(
            "image.program.end",
            f"A path runs off the end of {program.name}",
            position,
            "halt, jump, branch, abort or fail as the last instruction",
            "no instruction" if last is None else type(last).__name__.lower(),
        )


# --- operands ------------------------------------------------------------------------------


def _check_operands(view: ImageView, program: Program, pc: int, instruction: Instruction) -> None:
    """Registers, jump targets and indices are in range; what is there is checked later."""
    for register in _registers(instruction):
        if not 0 <= register < program.register_count:
            _refuse_operand(program, pc, "register", program.register_count, register)
    for target in _targets(instruction):
        if not 0 <= target < len(program.code):
            _refuse_operand(program, pc, "jump target", len(program.code), target)
    image = view.image
    for kind, name, known in (
        (Open, "protocol", len(image.protocols)),
        (OpenBundle, "bundle", len(image.bundles)),
        (Invoke, "effect", len(image.effects)),
        (Spawn, "program", len(image.programs)),
        (Acquire, "guard", len(image.guards)),
        (Release, "guard", len(image.guards)),
    ):
        if isinstance(instruction, kind):
            index: int = getattr(instruction, name)
            if not 0 <= index < known:
                _refuse_operand(program, pc, name, known, index)


def _refuse_operand(program: Program, pc: int, what: str, count: int, actual: int) -> None:
    raise Invalid(
        "image.operand",
        f"A {what} is out of range",
        place=Place(program=program.name, pc=pc),
        expected=f"a number from 0 to {count - 1}" if count else "none, as there are none",
        actual=str(actual),
    )


_ONE_REGISTER: Final[dict[type, tuple[str, ...]]] = {
    Send: ("endpoint",),
    Select: ("endpoint",),
    Recv: ("endpoint",),
    Branch: ("endpoint",),
    Close: ("endpoint",),
    Timer: ("endpoint",),
    Cancel: ("endpoint", "reason"),
    Invoke: ("target",),
    Transfer: ("endpoint", "coroutine"),
    Set: ("target",),
    Move: ("target", "source"),
    Op: ("target",),
    JumpIf: ("condition",),
    Spawn: ("target",),
}

_MANY_REGISTERS: Final[dict[type, str]] = {
    Open: "targets",
    OpenBundle: "targets",
    Send: "arguments",
    Select: "arguments",
    Recv: "targets",
    Invoke: "arguments",
    Op: "arguments",
    Spawn: "arguments",
}


def _registers(instruction: Instruction) -> list[int]:
    kind = type(instruction)
    found: list[int] = [getattr(instruction, name) for name in _ONE_REGISTER.get(kind, ())]
    many = _MANY_REGISTERS.get(kind)
    if many is not None:
        found += [
            register
            for register in getattr(instruction, many)
            if kind is not Spawn or register != HOLE
        ]
    if isinstance(instruction, Branch):
        for case in instruction.cases:
            found += case.targets
    return found


def _targets(instruction: Instruction) -> list[int]:
    if isinstance(instruction, Jump | JumpIf | Fork | Timer):
        return [instruction.target]
    if isinstance(instruction, Branch):
        return [case.target for case in instruction.cases]
    return []
