"""The canonical bytes of an image and of a protocol, and the image's content id.

An image is a canonical msgpack array of arrays. The tables below are the format: each row lists
the fields of one class in the order in which they are written. Enumerations that a person may
meet are written by name, kinds of states, types and instructions by number.
The version comes first; a decoder refuses any other.
"""

from __future__ import annotations

from typing import Final

from blake3 import blake3

from troth.vm import codec
from troth.vm.errors import Invalid, Malformed, Place
from troth.vm.image import (
    Bundle,
    BundleChild,
    EdgeSettings,
    Effect,
    Image,
    Program,
    Protocol,
)
from troth.vm.instructions import (
    HOLE,
    Abort,
    Acquire,
    Branch,
    BufferMode,
    Cancel,
    Case,
    Close,
    Fork,
    Halt,
    Invoke,
    Join,
    Jump,
    JumpIf,
    Move,
    Op,
    Open,
    OpenBundle,
    OpenOptions,
    Operator,
    PayloadForm,
    Policy,
    Recv,
    Release,
    ReplayMode,
    Seal,
    Select,
    Send,
    Set,
    Spawn,
    Timer,
    Transfer,
    Yield,
)
from troth.vm.limits import (
    BUNDLES_MAX,
    GUARDS_MAX,
    IMAGE_BYTES_MAX,
    INSTRUCTIONS_PER_PROGRAM_MAX,
    NESTING_DEPTH_MAX,
    PROGRAMS_MAX,
    PROTOCOLS_MAX,
    STATES_MAX,
    WITHIN_NS_MAX,
)
from troth.vm.shapes import (
    FLAG,
    NAME,
    Path,
    Shape,
    array_of,
    enumeration,
    integer,
    numbered,
    optional,
    refuse,
    row_of,
    tagged,
    text,
    tuple_of,
)
from troth.vm.types import (
    CRASH,
    EndpointType,
    Field,
    ListType,
    LocalType,
    Primitive,
    RecordType,
    State,
    StateKind,
    Transition,
    ValueType,
)
from troth.vm.value_ops import kind_name
from troth.vm.value_types import TYPE_NODES_MAX, is_small
from troth.vm.values import INT_MAX

IMAGE_VERSION: Final = 1

ITEMS_MAX: Final = 65_535
"""Registers, fields, branches, roles, edges and handlers: more than this nothing has."""

IMAGE_INSTRUCTIONS_MAX: Final = 1_000_000
"""Instructions of all programs together; an instruction takes far more memory than bytes."""

_ARRAY_DEPTH_MAX: Final = 16 + 4 * NESTING_DEPTH_MAX
"""Arrays around a type, and the arrays of a type that is nested as deep as may be."""

_ROOT: Final[Path] = (None, "")
_COUNT = integer(0, INT_MAX)
_INDEX = integer(0, ITEMS_MAX)
_TARGET = integer(0, INSTRUCTIONS_PER_PROGRAM_MAX)
_REGISTERS = array_of(_INDEX, ITEMS_MAX, "registers")

# --- types ---------------------------------------------------------------------------------

_PRIMITIVES: Final = tuple(Primitive)
_LIST_TAG, _RECORD_TAG, _ENDPOINT_TAG = range(3)


def _write_type(value: object) -> object:
    return _write_inner_type(value, NESTING_DEPTH_MAX)


def _write_inner_type(value: object, depth_max: int) -> object:
    if isinstance(value, Primitive):
        return _PRIMITIVES.index(value)
    if depth_max == 0:
        raise Invalid(
            "image.type.depth",
            "A type is nested too deeply",
            expected=f"at most {NESTING_DEPTH_MAX} levels",
        )
    if isinstance(value, ListType):
        return (_LIST_TAG, _write_inner_type(value.item, depth_max - 1))
    if isinstance(value, RecordType):
        rows = [
            (field.name, _write_inner_type(field.type, depth_max - 1)) for field in value.fields
        ]
        return (_RECORD_TAG, tuple(rows))
    assert isinstance(value, EndpointType)
    return (_ENDPOINT_TAG, value.protocol, value.role)


def _read_type(raw: object, path: Path) -> ValueType:
    kind = _read_inner_type(raw, path, NESTING_DEPTH_MAX)
    if not is_small(kind):
        refuse(path, f"a type of at most {TYPE_NODES_MAX} parts", "more")
    return kind


def _read_inner_type(raw: object, path: Path, depth_max: int) -> ValueType:
    if type(raw) is int and 0 <= raw < len(_PRIMITIVES):
        return _PRIMITIVES[raw]
    if depth_max == 0:
        refuse(path, f"at most {NESTING_DEPTH_MAX} levels of nesting", "more")
    if type(raw) is tuple and len(raw) in (2, 3) and type(raw[0]) is int:
        match raw:
            case (0, item):
                return ListType(_read_inner_type(item, (path, ".item"), depth_max - 1))
            case (1, tuple() as rows):
                return RecordType(_read_fields(rows, (path, ".fields"), depth_max - 1))
            case (2, protocol, role):
                return EndpointType(_read_name(protocol, path), _read_name(role, path))
    return refuse(path, "a type", str(raw) if type(raw) is int else kind_name(raw))


def _read_fields(rows: tuple[object, ...], path: Path, depth_max: int) -> tuple[Field, ...]:
    fields: list[Field] = []
    for place, row in enumerate(rows):
        here = (path, f"[{place}]")
        if type(row) is not tuple or len(row) != 2:
            refuse(here, "a field's name and type", kind_name(row))
        name = _read_name(row[0], here)
        if fields and name <= fields[-1].name:
            refuse(here, "field names that ascend", f"{name} after {fields[-1].name}")
        fields.append(Field(name, _read_inner_type(row[1], here, depth_max)))
    return tuple(fields)


def _read_name(raw: object, path: Path) -> str:
    name = NAME.read(raw, path)
    assert isinstance(name, str)
    return name


_TYPE = Shape(_write_type, _read_type)
_FIELDS = array_of(row_of(Field, ("name", NAME), ("type", _TYPE)), ITEMS_MAX, "fields")

# --- protocols -----------------------------------------------------------------------------


def _read_label(raw: object, path: Path) -> str:
    """A crash is no name, so that nobody can send it."""
    return CRASH if raw == CRASH else _read_name(raw, path)


_LABEL = Shape(str, _read_label)
_TRANSITION = row_of(
    Transition,
    ("label", _LABEL),
    ("fields", _FIELDS),
    ("next", integer(0, STATES_MAX)),
    ("lossy", FLAG),
)
_STATE_COLUMNS = (
    ("kind", numbered(tuple(StateKind))),
    ("peer", text(255)),
    ("transitions", array_of(_TRANSITION, ITEMS_MAX, "branches")),
)
_PLAIN_STATE = row_of(State, *_STATE_COLUMNS)
_TIMED_STATE = row_of(State, *_STATE_COLUMNS, ("within_ns", integer(1, WITHIN_NS_MAX)))


def _write_state(value: object) -> object:
    assert isinstance(value, State)
    return (_TIMED_STATE if value.kind is StateKind.TIMED else _PLAIN_STATE).write(value)


def _read_state(raw: object, path: Path) -> State:
    """A timed state, and no other, has the time of its clock."""
    timed = type(raw) is tuple and len(raw) > 0 and raw[0] == _TIMED_KIND
    state = (_TIMED_STATE if timed else _PLAIN_STATE).read(raw, path)
    assert isinstance(state, State)
    return state


_TIMED_KIND = tuple(StateKind).index(StateKind.TIMED)
_STATE = Shape(_write_state, _read_state)
_LOCAL_TYPE = row_of(LocalType, ("states", array_of(_STATE, STATES_MAX, "states")))
_EDGE = row_of(
    EdgeSettings,
    ("sender", NAME),
    ("receiver", NAME),
    ("replay", optional(enumeration(ReplayMode))),
    ("buffer", optional(enumeration(BufferMode))),
    ("capacity", optional(_COUNT)),
    ("policy", optional(enumeration(Policy))),
    ("resize_max", optional(_COUNT)),
    ("payload", optional(enumeration(PayloadForm))),
    ("rotate", optional(_COUNT)),
)
_PROTOCOL = row_of(
    Protocol,
    ("name", NAME),
    ("roles", array_of(NAME, ITEMS_MAX, "roles")),
    ("local_types", array_of(_LOCAL_TYPE, ITEMS_MAX, "local types")),
    ("edges", array_of(_EDGE, ITEMS_MAX, "edges")),
)

# --- programs ------------------------------------------------------------------------------


def _write_value(value: object) -> object:
    return codec.encode(value)  # type: ignore[arg-type]  # encode refuses what is no value


def _read_value(raw: object, path: Path) -> object:
    if type(raw) is not bytes:
        refuse(path, "a value's canonical bytes", kind_name(raw))
    try:
        value = codec.decode(raw)
    except Malformed as error:
        refuse(path, error.expected or "a canonical value", error.actual or error.message)
    if codec.find_flaw(value) is not None:
        refuse(path, "a value", kind_name(value))
    return value


_VALUE = Shape(_write_value, _read_value)
_OPTIONS = row_of(
    OpenOptions,
    ("replay", optional(enumeration(ReplayMode))),
    ("seal", optional(enumeration(Seal))),
    ("capacity", optional(_COUNT)),
    ("policy", optional(enumeration(Policy))),
    ("linger_ns", optional(_COUNT)),
)
_HANDLERS = array_of(tuple_of(NAME, NAME, NAME), ITEMS_MAX, "handlers")
_MESSAGE = (("endpoint", _INDEX), ("peer", NAME), ("label", NAME))
_CASE = row_of(Case, ("label", _LABEL), ("targets", _REGISTERS), ("target", _TARGET))
_SPAWN_ARGUMENTS = array_of(integer(HOLE, ITEMS_MAX), ITEMS_MAX, "arguments")

_INSTRUCTION = tagged(
    {
        Open: row_of(
            Open,
            ("protocol", _INDEX),
            ("targets", _REGISTERS),
            ("options", _OPTIONS),
            ("handlers", _HANDLERS),
        ),
        Send: row_of(Send, *_MESSAGE, ("arguments", _REGISTERS)),
        Select: row_of(Select, *_MESSAGE, ("arguments", _REGISTERS)),
        Recv: row_of(Recv, *_MESSAGE, ("targets", _REGISTERS)),
        Branch: row_of(
            Branch,
            ("endpoint", _INDEX),
            ("peer", NAME),
            ("cases", array_of(_CASE, ITEMS_MAX, "cases")),
        ),
        Close: row_of(Close, ("endpoint", _INDEX)),
        Cancel: row_of(Cancel, ("endpoint", _INDEX), ("reason", _INDEX)),
        Invoke: row_of(Invoke, ("effect", _INDEX), ("arguments", _REGISTERS), ("target", _INDEX)),
        Transfer: row_of(
            Transfer, ("endpoint", _INDEX), ("coroutine", _INDEX), ("parameter", _INDEX)
        ),
        Set: row_of(Set, ("target", _INDEX), ("value", _VALUE)),
        Move: row_of(Move, ("target", _INDEX), ("source", _INDEX)),
        Op: row_of(
            Op,
            ("operator", enumeration(Operator)),
            ("target", _INDEX),
            ("arguments", _REGISTERS),
            ("names", array_of(NAME, ITEMS_MAX, "names")),
        ),
        Jump: row_of(Jump, ("target", _TARGET)),
        JumpIf: row_of(JumpIf, ("condition", _INDEX), ("target", _TARGET)),
        Spawn: row_of(
            Spawn, ("target", _INDEX), ("program", _INDEX), ("arguments", _SPAWN_ARGUMENTS)
        ),
        Yield: row_of(Yield),
        Halt: row_of(Halt),
        Acquire: row_of(Acquire, ("guard", _INDEX)),
        Release: row_of(Release, ("guard", _INDEX)),
        Fork: row_of(Fork, ("target", _TARGET)),
        Join: row_of(Join),
        Abort: row_of(Abort),
        OpenBundle: row_of(
            OpenBundle, ("bundle", _INDEX), ("targets", _REGISTERS), ("options", _OPTIONS)
        ),
        Timer: row_of(Timer, ("endpoint", _INDEX), ("target", _TARGET)),
    }
)
_PROGRAM = row_of(
    Program,
    ("name", NAME),
    ("parameters", _FIELDS),
    ("register_count", _COUNT),
    ("code", array_of(_INSTRUCTION, INSTRUCTIONS_PER_PROGRAM_MAX, "instructions")),
    ("lines", array_of(_COUNT, INSTRUCTIONS_PER_PROGRAM_MAX, "lines")),
)


def _read_programs(raw: object, path: Path) -> object:
    rows = raw if type(raw) is tuple else ()
    count = sum(
        len(row[3]) for row in rows if type(row) is tuple and len(row) > 3 and type(row[3]) is tuple
    )
    if count > IMAGE_INSTRUCTIONS_MAX:
        refuse(path, f"at most {IMAGE_INSTRUCTIONS_MAX} instructions", str(count))
    return _PROGRAM_ARRAY.read(raw, path)


_PROGRAM_ARRAY = array_of(_PROGRAM, PROGRAMS_MAX, "programs")
_PROGRAMS = Shape(_PROGRAM_ARRAY.write, _read_programs)
_EFFECT = row_of(
    Effect, ("name", NAME), ("parameters", _FIELDS), ("result", _TYPE), ("revertible", FLAG)
)
_BUNDLE = row_of(
    Bundle,
    ("name", NAME),
    ("roles", array_of(NAME, ITEMS_MAX, "roles")),
    (
        "children",
        array_of(
            row_of(
                BundleChild,
                ("name", NAME),
                ("protocol", _INDEX),
                ("players", array_of(_INDEX, ITEMS_MAX, "players")),
            ),
            ITEMS_MAX,
            "children",
        ),
    ),
)
_IMAGE = row_of(
    Image,
    ("protocols", array_of(_PROTOCOL, PROTOCOLS_MAX, "protocols")),
    ("effects", array_of(_EFFECT, ITEMS_MAX, "effects")),
    ("programs", _PROGRAMS),
    ("entry", optional(_INDEX)),
    ("source", text(4096)),
    ("guards", array_of(NAME, GUARDS_MAX, "guards")),
    ("bundles", array_of(_BUNDLE, BUNDLES_MAX, "bundles")),
)

_PARTS: Final = 7
"""How many fields an image has, with its bundles."""

# --- the functions -------------------------------------------------------------------------


def encode_image(image: Image) -> bytes:
    """The canonical bytes: an array of the version and the fields of `Image`, in their order.

    An image without bundles ends before them.

    Raises:
        Invalid: `codec.…` for a constant or name without an encoding, `image.type.depth`.
    """
    row = _IMAGE.write(image)
    assert isinstance(row, tuple)
    return _pack((IMAGE_VERSION, *(row if image.bundles else row[:-1])))


def decode_image(data: bytes) -> Image:
    """The image that `data` is the canonical encoding of. It is well formed, not yet checked.

    Raises:
        Malformed: `codec.…` for the bytes, `image.version`, or `image.shape` with the place
            such as `programs[2].code[17].endpoint` in `place.position`.
    """
    raw = codec.unpack_canonical(data, bytes_max=IMAGE_BYTES_MAX, depth_max=_ARRAY_DEPTH_MAX)
    if type(raw) is not tuple or not raw or type(raw[0]) is not int:
        refuse(_ROOT, "an array that begins with a version", kind_name(raw))
    if raw[0] != IMAGE_VERSION:
        raise Malformed(
            "image.version",
            "This image has a version that is not known here",
            place=Place(position="version"),
            expected=str(IMAGE_VERSION),
            actual=str(raw[0]),
            advice="Use a version of Troth that knows it",
        )
    row = raw[1:]
    if len(row) == _PARTS - 1:
        row = (*row, ())
    elif len(row) == _PARTS and row[-1] == ():
        refuse((None, "bundles"), "at least one bundle, or nothing", "an empty array")
    image = _IMAGE.read(row, _ROOT)
    assert isinstance(image, Image)
    return image


def image_id(data: bytes) -> bytes:
    """The 32-byte content id of an image's canonical bytes."""
    return blake3(data, derive_key_context="troth/v1 image id").digest()


def encode_protocol(protocol: Protocol) -> bytes:
    """The canonical bytes of one protocol, as they stand in an image."""
    row = _PROTOCOL.write(protocol)
    assert isinstance(row, tuple)
    return _pack(row)


def _pack(row: tuple[object, ...]) -> bytes:
    try:
        return codec.pack_array(row)
    except UnicodeEncodeError:
        raise Invalid("codec.text", "A name holds a lone surrogate", expected="text") from None


def decode_protocol(data: bytes) -> Protocol:
    """The inverse of `encode_protocol`; well formed, not yet checked.

    Raises:
        Malformed: as `decode_image`.
    """
    raw = codec.unpack_canonical(data, bytes_max=IMAGE_BYTES_MAX, depth_max=_ARRAY_DEPTH_MAX)
    protocol = _PROTOCOL.read(raw, _ROOT)
    assert isinstance(protocol, Protocol)
    return protocol
