"""The static check of programs: what is accepted, what is refused, and that one mistake is one
diagnostic. The wording and the places are held by the corpus in tests/broken."""

from __future__ import annotations

import textwrap

import pytest

from troth.dsl.ast import (
    Loop,
    Name,
    OpenStatement,
    Pass,
    ProgramDecl,
    Setting,
    Span,
    Statement,
)
from troth.dsl.check_program import check_program
from troth.dsl.check_program_context import NESTING_MAX, Context
from troth.dsl.check_program_open import check_open
from troth.dsl.check_program_symbols import Symbols
from troth.dsl.compile import check_source
from troth.dsl.diag import Diagnostics
from troth.dsl.scope import Scope
from troth.vm.image import EdgeSettings, Protocol
from troth.vm.instructions import BufferMode, Policy
from troth.vm.types import Field, LocalType, Primitive, State, StateKind, Transition

PROTOCOLS = """
effect ask(question: str) -> int
type Point = {x: int, y: int}

protocol Hello(Client, Server):
    Client -> Server: greet(name: str)
    Server -> Client: reply(text: str)

protocol Stream(From, To):
    rec More:
        choice at From:
            From -> To: item(n: int)
            continue More
        or:
            From -> To: stop()

protocol Hire(Boss, Worker):
    rec Again:
        choice at Boss:
            Boss -> Worker: take(job: Hello.Server)
            continue Again
        or:
            Boss -> Worker: enough()

protocol Data(From, To):
    From -> To: all(p: Point, l: list[int], f: float, b: bytes, u: unit)
"""


def _codes(programs: str) -> list[str]:
    text = PROTOCOLS + textwrap.dedent(programs)
    return [item.code for item in check_source(text, "test.troth").ordered()]


def _main(body: str) -> list[str]:
    return _codes("main:\n" + textwrap.indent(textwrap.dedent(body), "    "))


ACCEPTED = {
    "both lets on different paths": """
        main:
            let n = 1
            if n == 1:
                let t = "one"
                print t
            else:
                let t = "many"
            n = 2
        """,
    "assigned on both paths": """
        main:
            let n = 1
            if n == 1:
                let t = "one"
            elif n == 2:
                let t = "two"
            else:
                fail "many"
            print t
        """,
    "a loop that never ends needs no close": """
        program pump(s: Stream.From):
            while true:
                send s.To item(1)
        """,
    "a name is free again after close": """
        program worker(h: Hire.Worker):
            loop:
                recv h.Boss:
                    take(job):
                        recv job.Client greet(name)
                        send job.Client reply(name)
                        close job
                    enough():
                        break
            close h
        """,
    "open and finish in every round": """
        program server(s: Hello.Server):
            recv s.Client greet(name)
            send s.Client reply(name)
            close s

        main:
            for i in range(3):
                open Hello as c, s
                spawn server(s)
                send c.Server greet("x")
                recv c.Server reply(text)
                close c
        """,
    "cancel on one path, close on the other": """
        program client(s: Hello.Client, brave: bool):
            if brave:
                send s.Server greet("x")
                recv s.Server reply(text)
                close s
            else:
                cancel s "afraid"
        """,
    "fail leaves everything": """
        program client(s: Hello.Client):
            send s.Server greet("x")
            fail "done"
        """,
    "endpoint differs only on a path that ends": """
        program from(s: Stream.From, n: int):
            if n > 1:
                send s.To stop()
                fail "too many"
            send s.To stop()
            close s
        """,
    "one case for one label": """
        program client(s: Hello.Client):
            send s.Server greet("x")
            recv s.Server:
                reply(text):
                    print text
            close s
        """,
    "a fresh endpoint is sent": """
        program boss(h: Hire.Boss):
            for i in range(2):
                open Hello as c, s
                send h.Worker take(s)
                send c.Server greet("x")
                recv c.Server reply(text)
                close c
            send h.Worker enough()
            close h
        """,
    "empty list where a list is expected": """
        program from(s: Data.From):
            send s.To all({y: 1, x: 2}, [], 1.0, b"", ())
            close s
        """,
    "smallest int": """
        main:
            print -9223372036854775808
        """,
    "the variable of a for is a variable": """
        main:
            let i = 10
            for i in range(i):
                print i
            print i
        """,
    "named loops": """
        main:
            loop outer:
                loop inner:
                    if 1 < 2:
                        continue outer
                    if 2 < 3:
                        continue inner
                    break outer
        """,
    "effects as statements and values": """
        main:
            call ask("a")
            let n = call ask("b")
            n = call ask("c")
            print n
        """,
    "expressions of every type": """
        main:
            let p = {x: 1, y: 2}
            let l = [p.x, p.y] + []
            let ok = not (l[0] < 2.5 and "a" < "b" or b"a" == b"b")
            print str(ok) + "abc"[0] + str(len(l)) + str(1 / 2 - 3 * 4 // 5)
            print l == [] or p == {y: 1, x: 2}
        """,
    "received into an existing variable": """
        program to(s: Stream.To):
            let n = 0
            loop:
                recv s.From:
                    item(n):
                        print n
                    stop():
                        break
            print n
            close s
        """,
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    assert _codes(ACCEPTED[name]) == []


REFUSED = {
    "endpoint kept in a list": ("let l = [s]", ["check.endpoint.as_value"]),
    "endpoint compared": ("print s == s", ["check.endpoint.as_value"] * 2),
    "endpoint let": ("let t = s", ["check.endpoint.as_value"]),
    "endpoint assigned a value": ("s = 1", ["check.endpoint.overwritten"]),
    "endpoint let again": ("let s = 1", ["check.endpoint.overwritten"]),
    "endpoint as the variable of a for": (
        "for s in range(3):\n    pass",
        ["check.endpoint.overwritten"],
    ),
    "value where an endpoint is expected": ("spawn other(1)", ["check.type.argument"]),
    "endpoint where a value is expected": ("spawn show(s)", ["check.endpoint.as_value"]),
    "moved twice by one spawn": ("spawn both(s, s)", ["check.endpoint.moved"]),
    "effect with an endpoint": ("call ask(s)", ["check.endpoint.as_value"]),
}

AROUND = """
program other(s: Hello.Client):
    cancel s "no"

program both(s: Hello.Client, t: Hello.Client):
    cancel s "no"
    cancel t "no"

program show(n: int):
    print n

program client(s: Hello.Client):
"""


@pytest.mark.parametrize("name", REFUSED)
def test_endpoints_are_linear(name: str) -> None:
    statement, codes = REFUSED[name]
    # Whatever happened to s before is one mistake; cancelling it at the end is none.
    ends = "" if codes == ["check.endpoint.moved"] else '\n    cancel s "end"'
    body = textwrap.indent(statement, "    ") + ends
    assert _codes(AROUND + body + "\n") == codes


SILENT_AFTERWARDS = {
    "broken protocol": """
        protocol Bad(A, B):
            A -> C: one()

        program a(s: Bad.A):
            send s.B two(1)
            print s
            recv s.B three(x)
            print x + 1
            close s
            close s
        """,
    "unknown parameter type": """
        program a(s: Unknown.A, n: int, m: strange):
            send s.B two(n + m)
            close s
        """,
    "broken effect": """
        effect odd(n: strange) -> int

        main:
            let n = call odd("any", 1)
            print n + 1
        """,
    "broken program": """
        program odd(n: strange):
            print n + 1

        main:
            spawn odd("any", 1)
        """,
    "program that cannot be read": """
        program odd(n: int:
            print n

        main:
            spawn odd("any", 1)
        """,
    "wrong label": """
        program client(s: Hello.Client):
            loop:
                send s.Server wrong(1)
                if 1 < 2:
                    break
            recv s.Server reply(text)
            print text + 1
        """,
    "wrong label in one case": """
        program to(s: Stream.To):
            loop:
                recv s.From:
                    item(n):
                        send s.From pardon()
                    stop():
                        break
        """,
    "loop head": """
        program client(s: Hello.Client):
            loop:
                send s.Server greet("x")
                if 1 < 2:
                    break
            close s
        """,
    "join": """
        program client(s: Hello.Client):
            if 1 < 2:
                send s.Server greet("x")
            send s.Server greet("x")
            close s
        """,
    "unknown variable": """
        main:
            x = y
            print y
            y = 1
            print x
        """,
    "unknown protocol": """
        main:
            open Nowhere as a, b
            send a.B m(1)
            spawn missing(a)
            print b
        """,
}


@pytest.mark.parametrize("name", SILENT_AFTERWARDS)
def test_no_second_error(name: str) -> None:
    found = _codes(SILENT_AFTERWARDS[name])
    wanted = {"unknown variable": 2, "unknown protocol": 2, "unknown parameter type": 2}
    assert len(found) == wanted.get(name, 1), found


def test_other_mistakes_are_still_reported() -> None:
    codes = _codes("""
        program client(s: Hello.Client, t: Hello.Client):
            send s.Server wrong()
            send t.Server greet(1)
            print 1 + "a"
            recv t.Server reply(text, more)
            if 1:
                pass
            close t
        """)
    assert codes == [
        "check.label.wrong",
        "check.payload.type",
        "check.type.operator",
        "check.payload.count",
        "check.type.condition",
    ]


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("print 1e999", ["parse.number"]),
        ("print -9223372036854775809", ["check.number.range"]),
        ("print {a: 1, a: 2}", ["check.type.field"]),
        ("print [[], []]", ["check.type.list"]),
        ("print 1 and true", ["check.type.operator"]),
        ("print not 1", ["check.type.operator"]),
        ('print -"a"', ["check.type.operator"]),
        ('print "a" < 1', ["check.type.operator"]),
        ("print [1] == [true]", ["check.type.operator"]),
        ("print true == 1", ["check.type.operator"]),
        ("print [1][true]", ["check.type.operator"]),
        ("print len(1)", ["check.type.operator"]),
        ("print (1).x", ["check.type.field"]),
        ("call missing(1, [])", ["check.effect.unknown", "check.type.list"]),
        ("continue", ["check.loop.outside"]),
        ("fail 1", ["check.type.reason"]),
        ("let n = 1\nn = 1.5", ["check.variable.type"]),
        ("let n = 1\nfor i in range(2):\n    let m = i\nprint m", ["check.variable.unassigned"]),
        ('if 1 < 2:\n    fail "x"\nelse:\n    fail "y"\nprint 1', ["check.statement.unreachable"]),
        ("spawn ask(1)", ["check.program.unknown"]),
        ("open Hello as c, c", ["check.endpoint.unfinished", "check.variable.duplicate"]),
        ("print mian", ["check.variable.unknown"]),
    ],
)
def test_values(body: str, codes: list[str]) -> None:
    assert _main(body) == codes


@pytest.mark.parametrize("levels", [20, 40, 400])
def test_nesting_is_bounded(levels: int) -> None:
    heads = "\n".join("    " * (level + 1) + "if true:" for level in range(levels))
    text = f"main:\n{heads}\n{'    ' * (levels + 1)}print 1\n"
    codes = {item.code for item in check_source(text, "deep.troth").found}
    assert bool(codes & {"check.limit.nesting", "parse.nesting"}) is (levels > 20)


def test_blocks_are_bounded_whoever_builds_them() -> None:
    """The parser has its own limit; a tree from elsewhere meets this one."""
    place = Span(1, 1, 1, 2)
    body: tuple[Statement, ...] = (Pass(place),)
    for _ in range(NESTING_MAX + 1):
        body = (Loop(None, body, place),)
    diagnostics = Diagnostics("t", "")
    program = ProgramDecl(Name("main", place), (), body, place)
    check_program(program, Symbols({}, {}, {"main": ()}, frozenset()), diagnostics)
    assert [item.code for item in diagnostics.found] == ["check.limit.nesting"]


def test_long_sums_are_refused_and_not_a_crash() -> None:
    text = "main:\n    print " + " + ".join(["1"] * 20_000) + "\n"
    codes = {item.code for item in check_source(text, "long.troth").found}
    assert codes <= {"check.limit.nesting", "parse.nesting"}
    assert codes


# --- what the protocol's own check does not let through, but an image may hold ----------------


def _protocol(edge: EdgeSettings, *, lossy: bool = False) -> Protocol:
    to_end: tuple[Transition, ...] = (Transition("m", (Field("n", Primitive.INT),), 1),)
    if lossy:
        to_end = (Transition("frame", (), 0, lossy=True), *to_end)
    end = State(StateKind.END, "", ())
    return Protocol(
        "P",
        ("A", "B"),
        (
            LocalType((State(StateKind.SEND, "B", to_end), end)),
            LocalType((State(StateKind.RECV, "A", to_end), end)),
        ),
        (edge,),
    )


def _open(edge: EdgeSettings, *settings: tuple[str, str], lossy: bool = False) -> list[str]:
    place = Span(1, 1, 1, 2)
    context = Context(
        Symbols({"P": _protocol(edge, lossy=lossy)}, {}, {}, frozenset()),
        Diagnostics("t", ""),
        "main",
    )
    written = tuple(Setting(Name(key, place), Name(value, place), place) for key, value in settings)
    targets = (Name("a", place), Name("b", place))
    check_open(context, Scope(), OpenStatement(Name("P", place), targets, written, place))
    return [item.code for item in context.diagnostics.found]


def test_sequence_needs_an_edge_that_loses_nothing() -> None:
    latest = EdgeSettings(sender="A", receiver="B", buffer=BufferMode.LATEST)
    drops = EdgeSettings(sender="A", receiver="B", policy=Policy.DROP)
    for edge in (latest, drops, EdgeSettings(sender="A", receiver="B")):
        assert _open(edge, lossy=True) == ["check.setting.conflict"]
        assert _open(edge, ("replay", "sequence"), lossy=True) == ["check.setting.conflict"]
        assert _open(edge, ("replay", "nullifier"), lossy=True) == []
        assert _open(edge, ("replay", "off"), lossy=True) == []


def test_a_buffer_does_not_start_above_its_maximum() -> None:
    edge = EdgeSettings(sender="A", receiver="B", policy=Policy.RESIZE, resize_max=8)
    assert _open(edge) == ["check.setting.conflict"]
    assert _open(edge, ("capacity", "9")) == ["check.setting.conflict"]
    assert _open(edge, ("capacity", "8")) == []


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("capacity", "1", True),
        ("capacity", "65536", True),
        ("capacity", "65537", False),
        ("capacity", "9" * 5000, False),
        ("capacity", "\N{SUPERSCRIPT TWO}", False),
        ("linger", "5s", True),
        ("linger", "250ms", True),
        ("linger", "0s", True),
        ("linger", "9223372036854775807ns", False),
        ("linger", "99999999999h", False),
        ("linger", "5", False),
        ("policy", "block", True),
        ("policy", "error", True),
        ("policy", "resize{8}", False),
        ("seal", "message", True),
        ("seal", "round", True),
        ("seal", "never", False),
        ("replay", "off", True),
        ("replay", "on", False),
    ],
)
def test_settings(key: str, value: str, accepted: bool) -> None:
    plain = EdgeSettings(sender="A", receiver="B")
    assert (_open(plain, (key, value)) == []) is accepted


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("let xs = []\nprint xs", ["check.type.list"]),
        ("let xs = []\nxs = []", ["check.type.list"]),
        ("let xs = []\nxs = 5", ["check.type.list"]),
        ("let xs = []\nlet ys = xs\nys = ys + [1]", ["check.type.list"]),
        ("let xs = []\nlet ys = []\nys = ys + [xs]", ["check.type.list", "check.type.list"]),
        ("let xs = []\nxs = xs + [1]\nxs = xs + [true]", ["check.type.operator"]),
        ("let xs = []\nxs = xs + [1]\nlet xs = []", ["check.variable.redefined"]),
        ("let xs = []\nprint xs[0] + true\nxs = xs + [1]", ["check.type.operator"]),
        ("let xs = [[]]\nxs = xs + [[1]]", ["check.type.list"]),
        ("let n = 1\nn = []", ["check.type.list"]),
    ],
)
def test_lists_that_begin_empty(body: str, codes: list[str]) -> None:
    assert _main(body) == codes
