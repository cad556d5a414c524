"""One small script for each syntax mistake: where it is, which code it gets, what is advised."""

from __future__ import annotations

from typing import Final, NamedTuple


class Example(NamedTuple):
    """`text` is the whole script; the diagnostic has `code` at `line`:`column`, and its fix
    contains `advice`."""

    code: str
    line: int
    column: int
    advice: str
    text: str


def in_main(body: str) -> str:
    return "main:\n" + "".join(f"    {line}\n" for line in body.split("\n"))


def in_protocol(body: str) -> str:
    return "protocol P(A, B):\n" + "".join(f"    {line}\n" for line in body.split("\n"))


EXAMPLES: Final[tuple[Example, ...]] = (
    # --- characters, numbers, strings ----------------------------------------------------
    Example("parse.character", 2, 11, "straight quote", in_main("print “hello”")),
    Example("parse.character", 2, 7, "->", in_protocol("A → B: m()")),
    Example("parse.character", 2, 6, "blank", in_main("x\u00a0= 1")),
    Example("parse.character", 2, 9, "ASCII", in_main("let öl = 1")),
    Example("parse.character", 1, 4, "remove", "# a\u202eb\n"),
    Example("parse.character", 2, 13, "\\x1b", in_main('print "a\x1b[0m"')),
    Example("parse.number", 2, 13, "start with a digit", in_main("let x = 12ab")),
    Example("parse.number", 2, 13, "remove the zeros", in_main("let x = 007")),
    Example("parse.number", 2, 13, "in range", in_main("let x = 1e999")),
    Example("parse.string.unclosed", 2, 11, "close it", in_main('print "hello')),
    Example("parse.string.triple", 2, 13, "\\n", in_main('print """hello"""')),
    Example("parse.escape", 2, 13, "backslash", in_main('print "a\\q"')),
    Example("parse.escape", 2, 12, "backslash", in_main('print "\\ud800"')),
    Example("parse.escape", 2, 15, "\\xHH", in_main('print b"aaé"')),
    Example("parse.operator", 2, 7, "x = x + …", in_main("x += 1")),
    Example("parse.operator", 2, 10, "`and`", in_main("if a && b:\n    pass")),
    Example("parse.operator", 2, 9, "`not`", in_main("if  !a:\n    pass")),
    Example("parse.operator", 2, 10, "one statement", in_main("pass ;pass")),
    # --- layout --------------------------------------------------------------------------
    Example("parse.tab", 2, 1, "four blanks", "main:\n\tpass\n"),
    Example(
        "parse.indent.inconsistent", 4, 7, "same indentation", in_main("if a:\n    pass\n  pass")
    ),
    Example("parse.indent.unexpected", 3, 9, "like the line before", in_main("pass\n    pass")),
    Example("parse.indent.unexpected", 1, 3, "remove", "  effect f() -> int\n"),
    Example("parse.block.missing", 3, 5, "indent", in_main("if a:\npass")),
    Example("parse.block.missing", 1, 6, "indent", "main:\n"),
    Example("parse.block.line", 2, 11, "next line", in_main("if a: pass")),
    Example("parse.bracket.unclosed", 2, 15, "close it", in_main("send s.A m(a, b\npass")),
    Example("parse.bracket.unopened", 2, 16, "remove", in_main("print a + 1)")),
    Example("parse.bracket.mismatched", 2, 15, "`)`", in_main("print (a +]")),
    # --- declarations --------------------------------------------------------------------
    Example("parse.declaration.unknown", 1, 1, "`protocol`", "protocl P(A, B):\n    A -> B: m()\n"),
    Example("parse.declaration.unknown", 1, 1, "`program name(…):`", "def f():\n    pass\n"),
    Example("parse.declaration.statement", 1, 1, "under `main:`", 'print "hello"\n'),
    Example("parse.declaration.statement", 1, 1, "under `main:`", "acquire lock\n"),
    Example("parse.declaration.statement", 1, 1, "under `main:`", "speculate:\n    pass\n"),
    Example("parse.declaration.statement", 1, 1, "under `protocol", "A -> B: m()\n"),
    Example("parse.colon.missing", 1, 15, "add `:`", "bundle D(H, C)\n    video: V(H, C)\n"),
    Example("parse.effect.result", 1, 11, "-> unit", "effect f()\n"),
    Example("parse.program.result", 1, 13, "remove", "program f() -> int:\n    pass\n"),
    Example("parse.main", 1, 5, "`main:`", "main():\n    pass\n"),
    Example("parse.colon.missing", 1, 5, "add `:`", "main\n    pass\n"),
    Example("parse.colon.missing", 1, 12, "add `:`", "program f()\n    pass\n"),
    Example("parse.type.missing", 1, 12, "`s: int`", "program f(s):\n    pass\n"),
    Example("parse.type", 1, 15, "`list`", "effect f() -> set[int]\n"),
    Example("parse.reserved", 1, 9, "another name", "program or():\n    pass\n"),
    # --- protocols -----------------------------------------------------------------------
    Example("parse.parentheses", 2, 14, "`m(…)`", in_protocol("A -> B: m")),
    Example("parse.type.missing", 2, 20, "`price: int`", in_protocol("A -> B: m(price)")),
    Example("parse.colon.missing", 2, 12, "A -> B: label", in_protocol("A -> B m()")),
    Example(
        "parse.chooser.missing", 2, 11, "choice at Role", in_protocol("choice:\n    A -> B: m()")
    ),
    Example("parse.chooser.missing", 2, 9, "loop at Role", in_protocol("loop:\n    A -> B: m()")),
    Example(
        "parse.else.unmatched", 3, 5, "choice at", in_protocol("A -> B: m()\nor:\n    A -> B: n()")
    ),
    Example("parse.step.program", 2, 5, "A -> B: label", in_protocol("send s.B m()")),
    Example("parse.step.program", 2, 5, "A -> B: label", in_protocol("acquire lock")),
    Example("parse.step.program", 2, 5, "A -> B: label", in_protocol("rollback")),
    Example("parse.step.unknown", 2, 5, "`choice`", in_protocol("chioce at A:\n    A -> B: m()")),
    Example("parse.step.unknown", 2, 5, "choice at Role", in_protocol("if a:\n    A -> B: m()")),
    Example(
        "parse.edge.place", 3, 5, "top", in_protocol("A -> B: m()\nedge A -> B: policy = drop")
    ),
    Example("parse.protocol.empty", 2, 5, "after", in_protocol("edge A -> B: policy = drop")),
    # --- statements ----------------------------------------------------------------------
    Example("parse.statement.unknown", 2, 5, "`print`", in_main("prnt x")),
    Example("parse.statement.unknown", 2, 5, "returns nothing", in_main("return 1")),
    Example("parse.statement.unknown", 2, 5, "spawn f", in_main("f(x)")),
    Example("parse.statement.unknown", 2, 5, "send s.Role", in_main("s.A m()")),
    Example("parse.statement.protocol", 2, 5, "send s.Role", in_main("A -> B: m()")),
    Example("parse.statement.protocol", 2, 5, "send s.Role", in_main("choice at A:\n    pass")),
    Example("parse.statement.protocol", 2, 5, "`loop:`", in_main("loop at A:\n    pass")),
    Example("parse.else.if", 4, 10, "elif", in_main("if a:\n    pass\nelse if b:\n    pass")),
    Example("parse.else.unmatched", 2, 5, "`if`", in_main("else:\n    pass")),
    Example("parse.colon.missing", 2, 9, "add `:`", in_main("if a\n    pass")),
    Example("parse.colon.missing", 2, 9, "add `:`", in_main("loop\n    pass")),
    Example("parse.colon.missing", 3, 13, "add `:`", in_main("recv s.A:\n    m(x)\n        pass")),
    Example("parse.colon.extra", 2, 17, "remove", in_main("send s.A m():")),
    Example("parse.equals", 2, 10, "`==`", in_main("if a = 1:\n    pass")),
    Example("parse.equals", 2, 11, "`=`", in_main("let x == 1")),
    Example("parse.arguments.named", 2, 18, "leave out `a =`", in_main("send s.A m(a = 1)")),
    Example("parse.comparison.chained", 2, 14, "and", in_main("if 1 < a < 3:\n    pass")),
    Example("parse.peer.missing", 2, 12, "send s.Role", in_main("send s quote(1)")),
    Example("parse.recv.label", 2, 13, "recv s.Role label", in_main("recv s.A")),
    Example("parse.recv.names", 2, 17, "only the names", in_main("recv s.A m(a: int)")),
    Example(
        "parse.recv.names", 3, 11, "only the names", in_main("recv s.A:\n    m(1):\n        pass")
    ),
    Example("parse.let.type", 2, 10, "let x = value", in_main("let x: int = 1")),
    Example("parse.value.missing", 2, 12, "write the value", in_main("let x =")),
    Example("parse.value.missing", 2, 10, "write the value", in_main("print")),
    Example("parse.print", 2, 14, "join", in_main('print "a", b')),
    Example("parse.line.rest", 2, 10, "one statement", in_main("pass pass")),
    Example("parse.function.unknown", 2, 13, "call f(…)", in_main("let x = f(1)")),
    Example("parse.function.arguments", 2, 14, "str(x)", in_main("print str()")),
    Example("parse.call.place", 2, 15, "`let x = call f(…)`", in_main("print 1 + call f()")),
    Example("parse.call.place", 2, 10, "`let x = call f(…)`", in_main("send call f(3)")),
    Example("parse.operator", 2, 15, "x * x", in_main("let x = 2 ** 3")),
    Example("parse.operator", 2, 16, "`if condition:`", in_main("print true ? 1")),
    Example("parse.syntax", 2, 13, "str(n)", in_main('let x = f"a"')),
    Example("parse.syntax", 2, 11, "backslash", in_main("print r'a'")),
    Example("parse.syntax", 2, 15, "`if condition:`", in_main("let x = 1 if true else 2")),
    Example("parse.syntax", 2, 16, "items + [i]", in_main("let x = [i for i in range(3)]")),
    Example("parse.syntax", 2, 14, "one by one", in_main("print x[1:2]")),
    Example("parse.syntax", 2, 13, "effect f", in_main("let x = lambda y: y")),
    Example(
        "parse.syntax", 2, 38, "`linger = 5s`", in_main("open P as a with b = 1, linger = -5s")
    ),
    Example("parse.syntax", 2, 29, "`capacity = 64`", in_protocol("edge A -> B: capacity = -1")),
    Example("parse.number", 2, 34, "1500ms", in_main("open P as a, b with linger = 1.5s")),
    Example("parse.type", 1, 19, "`list[int]`", "effect f() -> list<int>\n"),
    Example("parse.type", 1, 19, "`list[str]`", "effect f() -> list(str)\n"),
    Example("parse.literal", 2, 13, "`true`", in_main("let x = True")),
    Example("parse.for.range", 2, 14, "range(len(items))", in_main("for x in items:\n    pass")),
    Example("parse.reserved", 2, 9, "another name", in_main("let if = 1")),
    Example("parse.syntax", 2, 15, "+", in_main('print "a" "b"')),
    *(
        Example("parse.lossy.place", 2, column, "behind the fields", text)
        for column, text in (
            (13, in_protocol("A -> B: lossy m()")),
            (12, in_protocol("A -> B lossy: m()")),
            (18, in_protocol("edge A -> B: lossy")),
            (32, in_protocol("edge A -> B: replay = off, lossy")),
        )
    ),
    *(
        Example("parse.within.place", 2, column, "where it chooses", text)
        for column, text in (
            (17, in_protocol("A -> B: m() within 5s")),
            (15, in_protocol("loop at A within 5s:\n    A -> B: m()")),
            (5, in_protocol("within 5s:\n    A -> B: m()")),
            (14, in_main("recv s.B within 5s:\n    m():\n        pass")),
        )
    ),
    *(
        Example("parse.timeout.missing", 2, 5, "write both", in_protocol(text))
        for text in (
            "choice at A within 5s:\n    A -> B: m()",
            "choice at A:\n    A -> B: m()\ntimeout:\n    A -> B: n()",
        )
    ),
    Example("parse.crash.place", 2, 5, "last of them", in_protocol("on crash A:\n    A -> B: m()")),
    Example("parse.crash.place", 2, 5, "like the cases", in_main("on crash B:\n    pass")),
    Example("parse.crash.place", 2, 5, "like the cases", in_main("on crash:\n    pass")),
    Example("parse.crash.place", 1, 1, "like the cases", "on crash B:\n    pass\n"),
)
