"""Random images for property tests: well formed, and mostly nothing that a machine would load.

Whatever a decoder accepts comes up: names that need quotes, things called alike, numbers that
name nothing, roles without types, sources of another length than the code.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

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
    Instruction,
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
from troth.vm.limits import WITHIN_NS_MAX
from troth.vm.types import (
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
from troth.vm.values import INT_MAX, INT_MIN, Blob, Record, Value

WORDS: Final = ("a", "b", "end", "list", "int", "true", "with", "names", "r0", "L1", "b2", "x")
"""Names that are words of the assembly too."""

TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES: Final = st.one_of(
    st.sampled_from(WORDS),
    # Neither controls nor separators: what is printable and no blank.
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8),
)
COUNTS: Final = st.one_of(st.integers(0, 9), st.integers(0, INT_MAX))
REGISTERS: Final = st.one_of(st.integers(0, 9), st.integers(0, 65_535))
INDICES: Final = st.one_of(st.integers(0, 3), st.integers(0, 65_535))
TARGETS: Final = st.one_of(st.integers(0, 8), st.integers(0, 100_000))


def tuples(
    item: st.SearchStrategy[object], size_max: int = 3
) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(item, max_size=size_max).map(tuple)


def _sorted_fields(fields: list[Field]) -> RecordType:
    return RecordType(tuple(sorted(fields, key=lambda field: field.name)))


def _inner_types(inner: st.SearchStrategy[ValueType]) -> st.SearchStrategy[ValueType]:
    fields = st.lists(
        st.builds(Field, NAMES, inner), max_size=3, unique_by=lambda field: field.name
    )
    return st.one_of(st.builds(ListType, inner), fields.map(_sorted_fields))


TYPES: Final[st.SearchStrategy[ValueType]] = st.recursive(
    st.one_of(st.sampled_from(list(Primitive)), st.builds(EndpointType, NAMES, NAMES)),
    _inner_types,
    max_leaves=5,
)
FIELDS: Final = tuples(st.builds(Field, NAMES, TYPES))


def _record(pairs: dict[str, Value]) -> Record:
    return Record(tuple(sorted(pairs.items())))


VALUES: Final[st.SearchStrategy[Value]] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(INT_MIN, INT_MAX),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number or 0.0),
        TEXT,
        st.binary(max_size=6),
        st.builds(Blob, COUNTS, st.binary(min_size=32, max_size=32)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(TEXT, inner, max_size=3).map(_record),
    ),
    max_leaves=6,
)


def _maybe(kinds: type) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.sampled_from(list(kinds)))  # type: ignore[call-overload]


OPTIONS: Final = st.builds(
    OpenOptions,
    replay=_maybe(ReplayMode),
    seal=_maybe(Seal),
    capacity=st.none() | COUNTS,
    policy=_maybe(Policy),
    linger_ns=st.none() | COUNTS,
)
EDGES: Final = st.builds(
    EdgeSettings,
    sender=NAMES,
    receiver=NAMES,
    replay=_maybe(ReplayMode),
    buffer=_maybe(BufferMode),
    capacity=st.none() | COUNTS,
    policy=_maybe(Policy),
    resize_max=st.none() | COUNTS,
    payload=_maybe(PayloadForm),
    rotate=st.none() | COUNTS,
)

_MANY: Final = tuples(REGISTERS)
INSTRUCTIONS: Final[st.SearchStrategy[Instruction]] = st.one_of(
    st.builds(Open, INDICES, _MANY, OPTIONS, tuples(st.tuples(NAMES, NAMES, NAMES))),
    st.builds(OpenBundle, INDICES, _MANY, OPTIONS),
    st.builds(Send, REGISTERS, NAMES, NAMES, _MANY),
    st.builds(Select, REGISTERS, NAMES, NAMES, _MANY),
    st.builds(Recv, REGISTERS, NAMES, NAMES, _MANY),
    st.builds(Branch, REGISTERS, NAMES, tuples(st.builds(Case, NAMES, _MANY, TARGETS))),
    st.builds(Close, REGISTERS),
    st.builds(Cancel, REGISTERS, REGISTERS),
    st.builds(Invoke, INDICES, _MANY, REGISTERS),
    st.builds(Transfer, REGISTERS, REGISTERS, INDICES),
    st.builds(Set, REGISTERS, VALUES),
    st.builds(Move, REGISTERS, REGISTERS),
    st.builds(Op, st.sampled_from(list(Operator)), REGISTERS, _MANY, tuples(NAMES)),
    st.builds(Jump, TARGETS),
    st.builds(JumpIf, REGISTERS, TARGETS),
    st.builds(Spawn, REGISTERS, INDICES, tuples(st.just(HOLE) | REGISTERS)),
    st.just(Yield()),
    st.just(Halt()),
    st.builds(Acquire, INDICES),
    st.builds(Release, INDICES),
    st.builds(Fork, TARGETS),
    st.builds(Timer, REGISTERS, TARGETS),
    st.just(Join()),
    st.just(Abort()),
)

_TRANSITIONS: Final = tuples(
    st.builds(Transition, NAMES, FIELDS, st.integers(0, 10_000), st.booleans())
)
STATES: Final = st.one_of(
    st.just(State(StateKind.END, "", ())),
    st.builds(
        State,
        st.sampled_from([kind for kind in StateKind if kind is not StateKind.TIMED]),
        st.sampled_from(WORDS) | TEXT,
        _TRANSITIONS,
    ),
    st.builds(
        State,
        st.just(StateKind.TIMED),
        st.sampled_from(WORDS) | TEXT,
        _TRANSITIONS,
        st.integers(1, WITHIN_NS_MAX),
    ),
)
PROTOCOLS: Final = st.builds(
    Protocol,
    NAMES,
    tuples(NAMES),
    tuples(st.builds(LocalType, tuples(STATES, 4))),
    tuples(EDGES),
)
BUNDLES: Final = st.builds(
    Bundle, NAMES, tuples(NAMES), tuples(st.builds(BundleChild, NAMES, INDICES, tuples(INDICES)))
)
EFFECTS: Final = st.builds(Effect, NAMES, FIELDS, TYPES, st.booleans())


@st.composite
def programs(draw: st.DrawFn) -> Program:
    code = draw(tuples(INSTRUCTIONS, 6))
    some = draw(st.lists(st.integers(0, 3) | COUNTS, max_size=8))
    right = (some * len(code) or [0] * len(code))[: len(code)]
    lines = draw(st.sampled_from([(), tuple(some), tuple(right)]))
    return Program(draw(NAMES), draw(FIELDS), draw(COUNTS), code, lines)  # type: ignore[arg-type]


def images() -> st.SearchStrategy[Image]:
    """Any image that has canonical bytes."""
    return st.builds(
        Image,
        tuples(PROTOCOLS),
        tuples(EFFECTS),
        tuples(programs()),
        st.none() | INDICES,
        st.sampled_from(["", "a.troth"]) | TEXT,
        tuples(NAMES),
        tuples(BUNDLES),
    )
