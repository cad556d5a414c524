"""From assembly text to an image.

What comes out is well formed: it has canonical bytes that decode to it again. Whether a machine
would load it is for the loader to say, so that any image can be written down and changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from troth.vm.assembly_cursor import Cursor, Reference, Spot, Token, refuse_at, shorten
from troth.vm.assembly_operands import (
    EDGE_SETTINGS,
    PROGRAM,
    PROTOCOL,
    read_settings,
)
from troth.vm.assembly_parts import (
    read_fields,
    read_label,
    read_name,
    read_text,
    read_type,
    read_word,
)
from troth.vm.assembly_syntax import read_instruction
from troth.vm.assembly_words import FIRST_WORD, VERSION
from troth.vm.image import (
    Bundle,
    BundleChild,
    EdgeSettings,
    Effect,
    Image,
    Program,
    Protocol,
)
from troth.vm.image_codec import ITEMS_MAX, encode_image
from troth.vm.instructions import (
    Acquire,
    Branch,
    Fork,
    Instruction,
    Invoke,
    Jump,
    JumpIf,
    Open,
    OpenBundle,
    Release,
    Spawn,
    Timer,
)
from troth.vm.limits import (
    BUNDLES_MAX,
    GUARDS_MAX,
    IMAGE_BYTES_MAX,
    INSTRUCTIONS_PER_PROGRAM_MAX,
    PROGRAMS_MAX,
    PROTOCOLS_MAX,
    STATES_MAX,
    WITHIN_NS_MAX,
)
from troth.vm.types import Field, LocalType, State, StateKind, Transition
from troth.vm.values import INT_MAX

ASSEMBLY_BYTES_MAX: Final = 8 * IMAGE_BYTES_MAX
"""No image has a longer text."""

_PEER_BYTES_MAX: Final = 255
_SOURCE_BYTES_MAX: Final = 4096
_KINDS: Final = {"!": StateKind.SEND, "?": StateKind.RECV, ".": StateKind.END}
_TIMED: Final = "within"
_END: Final = State(StateKind.END, "", ())


def assemble(text: str, file: str) -> Image:
    """The image that the text describes; `file` is what errors call the text.

    Raises:
        Malformed: `assembly.…`, for text that is not assembly, with line and column.
        Invalid: `assembly.…`, for assembly of something that no image can hold.
        LimitExceeded: `assembly.limit`.
    """
    _check_text(text, file)
    cursor = Cursor(text, file)
    for word in FIRST_WORD.partition("-"):
        cursor.expect(word)
    cursor.integer(VERSION, VERSION)
    cursor.end_line()
    reader = _Reader(cursor)
    while not cursor.is_at_end:
        reader.read_statement()
    image = reader.finish()
    size = len(encode_image(image))
    if size > IMAGE_BYTES_MAX:
        expected = f"at most {IMAGE_BYTES_MAX} bytes of image"
        cursor.refuse("assembly.limit", expected=expected, actual=str(size))
    return image


def _check_text(text: str, file: str) -> None:
    """The first line is right, and all of it is text of a bounded size."""
    start = Spot(1, 1)
    expected = f"{FIRST_WORD} {VERSION}"
    head = text.partition("\n")[0].partition(";")[0]
    if head.split() != expected.split():
        refuse_at(file, start, "assembly.version", f"the line `{expected}`", shorten(head))
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        line_start = text.rfind("\n", 0, error.start) + 1
        spot = Spot(text.count("\n", 0, line_start) + 1, error.start - line_start + 1)
        refuse_at(file, spot, "assembly.encoding", actual="a lone surrogate")
    if size > ASSEMBLY_BYTES_MAX:
        expected = f"at most {ASSEMBLY_BYTES_MAX} bytes of text"
        refuse_at(file, start, "assembly.limit", expected, str(size))


@dataclass(slots=True)
class _ProtocolDraft:
    name: str
    roles: tuple[str, ...]
    edges: list[EdgeSettings] = field(default_factory=list)
    types: list[list[State]] = field(default_factory=list)

    def finish(self) -> Protocol:
        local_types = tuple([LocalType(tuple(states)) for states in self.types])
        return Protocol(self.name, self.roles, local_types, tuple(self.edges))


@dataclass(slots=True)
class _BundleDraft:
    name: str
    roles: tuple[str, ...]
    children: list[BundleChild] = field(default_factory=list)

    def finish(self, resolved: Sequence[int]) -> Bundle:
        children = [
            replace(child, protocol=_number(child.protocol, resolved)) for child in self.children
        ]
        return Bundle(self.name, self.roles, tuple(children))


@dataclass(slots=True)
class _ProgramDraft:
    """`marks[pc]` is the source line, None as long as none was named."""

    name: str
    parameters: tuple[Field, ...]
    register_count: int
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    lines: tuple[int, ...] | None = None
    marks: list[int] = field(default_factory=list)
    mark: int | None = None
    """The line that was named last."""

    def finish(self, resolved: Sequence[int]) -> Program:
        code = tuple([_settle(instruction, resolved) for instruction in self.code])
        lines = self.lines or (tuple(self.marks) if self.mark is not None else ())
        return Program(self.name, self.parameters, self.register_count, code, lines)


class _Reader:
    """Collects what the statements say, one statement at a time."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._protocols: list[_ProtocolDraft] = []
        self._effects: list[Effect] = []
        self._guards: list[str] = []
        self._bundles: list[_BundleDraft] = []
        self._programs: list[_ProgramDraft] = []
        self._section: _ProtocolDraft | _ProgramDraft | _BundleDraft | None = None
        self._source: str | None = None
        self._entry: int | None = None
        self._statements: Mapping[str, Callable[[], None]] = {
            "source": self._read_source,
            "entry": self._read_entry,
            "protocol": self._read_protocol,
            "edge": self._read_edge,
            "type": self._read_type,
            "effect": self._read_effect,
            "guard": self._read_guard,
            "bundle": self._read_bundle,
            "child": self._read_child,
            "program": self._read_program,
            "lines": self._read_lines,
        }

    def read_statement(self) -> None:
        cursor = self._cursor
        statement = self._statements.get(cursor.text) if cursor.kind is Token.NAME else None
        if cursor.kind is Token.NUMBER:
            self._read_state()
        elif statement is None:
            self._read_code()
        else:
            statement()
        cursor.end_line()

    # --- the image as a whole ----------------------------------------------------------------

    def _read_source(self) -> None:
        if self._source is not None:
            self._cursor.refuse("assembly.repeated")
        self._cursor.advance()
        self._source = read_text(self._cursor, _SOURCE_BYTES_MAX)

    def _read_entry(self) -> None:
        if self._entry is not None:
            self._cursor.refuse("assembly.repeated")
        self._cursor.advance()
        entry = PROGRAM.read(self._cursor)
        assert isinstance(entry, int)
        self._entry = entry

    def _read_effect(self) -> None:
        cursor = self._cursor
        self._start(len(self._effects), ITEMS_MAX)
        name, parameters = read_name(cursor), read_fields(cursor)
        cursor.expect("->")
        result = read_type(cursor)
        self._effects.append(Effect(name, parameters, result, cursor.takes("revertible")))
        self._section = None

    def _read_guard(self) -> None:
        self._start(len(self._guards), GUARDS_MAX)
        self._guards.append(read_name(self._cursor))
        self._section = None

    def _start(self, count: int, count_max: int) -> None:
        """Goes behind the first word of something of which there can be only so many."""
        if count >= count_max:
            self._cursor.refuse("assembly.limit", expected=f"at most {count_max} of these")
        self._cursor.spend(2)
        self._cursor.advance()

    # --- protocols ---------------------------------------------------------------------------

    def _read_protocol(self) -> None:
        cursor = self._cursor
        self._start(len(self._protocols), PROTOCOLS_MAX)
        name = read_name(cursor)
        draft = _ProtocolDraft(name, cursor.list_of("(", ")", read_name, ITEMS_MAX))
        self._protocols.append(draft)
        self._section = draft

    def _protocol(self) -> _ProtocolDraft:
        if not isinstance(self._section, _ProtocolDraft):
            self._cursor.refuse("assembly.place", expected="a protocol before this line")
        return self._section

    def _read_edge(self) -> None:
        cursor, edges = self._cursor, self._protocol().edges
        self._start(len(edges), ITEMS_MAX)
        sender = read_name(cursor)
        cursor.expect("->")
        receiver = read_name(cursor)
        settings = read_settings(cursor, EDGE_SETTINGS) if cursor.takes(":") else {}
        edges.append(EdgeSettings(sender=sender, receiver=receiver, **settings))  # type: ignore[arg-type]

    def _read_type(self) -> None:
        cursor, draft = self._cursor, self._protocol()
        number = len(draft.types)
        self._start(number, ITEMS_MAX)
        spot = cursor.spot
        role = draft.roles[number] if number < len(draft.roles) else None
        if cursor.takes("#"):
            right = cursor.integer(0, ITEMS_MAX) == number
        else:
            right = read_name(cursor) == role
        if not right:
            expected = f"#{number}" if role is None else f"the type of {role}, number {number}"
            cursor.refuse("assembly.order", expected=expected, spot=spot)
        draft.types.append([])

    def _read_state(self) -> None:
        cursor, types = self._cursor, self._protocol().types
        if not types:
            cursor.refuse("assembly.place", expected="a line `type ROLE` before this line")
        states = types[-1]
        if len(states) >= STATES_MAX:
            cursor.refuse("assembly.limit", expected=f"at most {STATES_MAX} states")
        cursor.spend(4)
        spot, number = cursor.spot, cursor.integer(0, STATES_MAX)
        if number != len(states):
            expected = f"the state {len(states)}"
            cursor.refuse("assembly.order", expected=expected, actual=str(number), spot=spot)
        cursor.expect(":")
        states.append(_read_state(cursor))

    # --- bundles -----------------------------------------------------------------------------

    def _read_bundle(self) -> None:
        cursor = self._cursor
        self._start(len(self._bundles), BUNDLES_MAX)
        name = read_name(cursor)
        draft = _BundleDraft(name, cursor.list_of("(", ")", read_name, ITEMS_MAX))
        self._bundles.append(draft)
        self._section = draft

    def _read_child(self) -> None:
        cursor, draft = self._cursor, self._section
        if not isinstance(draft, _BundleDraft):
            cursor.refuse("assembly.place", expected="a bundle before this line")
        self._start(len(draft.children), ITEMS_MAX)
        name = read_name(cursor)
        cursor.expect("=")
        protocol = PROTOCOL.read(cursor)
        assert isinstance(protocol, int)
        players = cursor.list_of("(", ")", _read_player, ITEMS_MAX)
        draft.children.append(BundleChild(name, protocol, players))

    # --- programs ----------------------------------------------------------------------------

    def _read_program(self) -> None:
        cursor = self._cursor
        self._start(len(self._programs), PROGRAMS_MAX)
        cursor.program = len(self._programs)
        name, parameters = read_name(cursor), read_fields(cursor)
        cursor.expect("registers")
        draft = _ProgramDraft(name, parameters, cursor.integer(0, INT_MAX))
        self._programs.append(draft)
        self._section = draft

    def _program(self) -> _ProgramDraft:
        if not isinstance(self._section, _ProgramDraft):
            self._cursor.refuse("assembly.place", expected="a program before this line")
        return self._section

    def _read_lines(self) -> None:
        cursor, draft = self._cursor, self._program()
        if draft.lines is not None or draft.mark is not None:
            cursor.refuse("assembly.repeated", expected="the source lines once")
        cursor.advance()
        draft.lines = cursor.row_of(_read_line, INSTRUCTIONS_PER_PROGRAM_MAX)

    def _read_code(self) -> None:
        """A label, or an instruction and perhaps its source line."""
        cursor, draft = self._cursor, self._program()
        if cursor.sees("@"):
            if draft.lines is not None:
                cursor.refuse("assembly.repeated", expected="the source lines once")
            cursor.advance()
            draft.mark = _read_line(cursor)
        spot, word = cursor.spot, cursor.bare("an instruction or a label")
        if cursor.takes(":"):
            if word in draft.labels:
                cursor.refuse("assembly.label", actual=f"{shorten(word)} twice", spot=spot)
            cursor.spend(1)
            draft.labels[word] = len(draft.code)
            if len(draft.labels) > INSTRUCTIONS_PER_PROGRAM_MAX + 1:
                expected = f"at most {INSTRUCTIONS_PER_PROGRAM_MAX + 1} labels"
                cursor.refuse("assembly.limit", expected=expected, spot=spot)
            return
        if len(draft.code) >= INSTRUCTIONS_PER_PROGRAM_MAX:
            expected = f"at most {INSTRUCTIONS_PER_PROGRAM_MAX} instructions"
            cursor.refuse("assembly.limit", expected=expected, spot=spot)
        cursor.spend(2)
        draft.code.append(read_instruction(cursor, word, spot))
        draft.marks.append(draft.mark or 0)

    # --- putting together --------------------------------------------------------------------

    def finish(self) -> Image:
        resolved = self._resolve()
        entry = self._entry
        return Image(
            tuple([draft.finish() for draft in self._protocols]),
            tuple(self._effects),
            tuple([draft.finish(resolved) for draft in self._programs]),
            None if entry is None else _number(entry, resolved),
            self._source or "",
            tuple(self._guards),
            tuple([draft.finish(resolved) for draft in self._bundles]),
        )

    def _resolve(self) -> list[int]:
        """The number of whatever was called by its name, in the order of `cursor.references`."""
        known = {
            "protocol": _numbers([draft.name for draft in self._protocols]),
            "effect": _numbers([effect.name for effect in self._effects]),
            "program": _numbers([draft.name for draft in self._programs]),
            "guard": _numbers(self._guards),
            "bundle": _numbers([draft.name for draft in self._bundles]),
        }
        return [self._find(item, known) for item in self._cursor.references]

    def _find(self, item: Reference, known: Mapping[str, Mapping[str, Sequence[int]]]) -> int:
        if item.kind == "label":
            place = self._programs[item.program].labels.get(item.name)
            if place is not None:
                return place
            actual = f"{shorten(item.name)}, which is nowhere in the program"
            return self._cursor.refuse("assembly.label", actual=actual, spot=item.spot)
        numbers = known[item.kind].get(item.name, ())
        if len(numbers) == 1:
            return numbers[0]
        count = "several are" if numbers else "none is"
        return self._cursor.refuse(
            "assembly.reference",
            expected=f"the name of one {item.kind}",
            actual=f"{shorten(item.name)}: {count} called that",
            spot=item.spot,
        )


def _read_player(cursor: Cursor) -> int:
    return cursor.integer(0, ITEMS_MAX)


def _read_line(cursor: Cursor) -> int:
    return cursor.integer(0, INT_MAX)


def _read_state(cursor: Cursor) -> State:
    is_bare = cursor.kind is Token.NAME
    peer = read_word(cursor, _PEER_BYTES_MAX)
    if is_bare and peer == "end" and cursor.kind is Token.LINE_END:
        return _END
    if cursor.takes(_TIMED):
        within_ns = cursor.integer(0, WITHIN_NS_MAX)
        cursor.expect(":")
        return State(StateKind.TIMED, peer, cursor.offers(_read_transition), within_ns)
    kind = _KINDS.get(cursor.text) if cursor.kind is Token.SIGN else None
    if kind is None:
        cursor.refuse_token("`!` to send, `?` to receive, or `.` for an end")
    cursor.advance()
    return State(kind, peer, cursor.offers(_read_transition))


def _read_transition(cursor: Cursor) -> Transition:
    label, fields = read_label(cursor), read_fields(cursor)
    lossy = cursor.takes("lossy")
    cursor.expect("->")
    return Transition(label, fields, cursor.integer(0, STATES_MAX), lossy)


def _numbers(names: Sequence[str]) -> Mapping[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        found.setdefault(name, []).append(number)
    return found


def _number(given: int, resolved: Sequence[int]) -> int:
    """Undoes `Cursor.refer`."""
    return resolved[-given - 1] if given < 0 else given


def _settle(instruction: Instruction, resolved: Sequence[int]) -> Instruction:
    """The instruction with numbers for everything that it calls by its name."""
    if isinstance(instruction, Jump | JumpIf | Fork | Timer):
        return replace(instruction, target=_number(instruction.target, resolved))
    if isinstance(instruction, Open):
        return replace(instruction, protocol=_number(instruction.protocol, resolved))
    if isinstance(instruction, OpenBundle):
        return replace(instruction, bundle=_number(instruction.bundle, resolved))
    if isinstance(instruction, Invoke):
        return replace(instruction, effect=_number(instruction.effect, resolved))
    if isinstance(instruction, Spawn):
        return replace(instruction, program=_number(instruction.program, resolved))
    if isinstance(instruction, Acquire | Release):
        return replace(instruction, guard=_number(instruction.guard, resolved))
    if isinstance(instruction, Branch):
        cases = [replace(case, target=_number(case.target, resolved)) for case in instruction.cases]
        return replace(instruction, cases=tuple(cases))
    return instruction
