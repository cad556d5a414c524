"""The words a line can begin with, and those of other languages."""

from __future__ import annotations

from typing import Final

DECLARATION_WORDS: Final = ("protocol", "bundle", "program", "effect", "type", "guard", "main")
STATEMENT_WORDS: Final = (
    *("send", "recv", "let", "if", "elif", "else", "while", "for", "loop", "break"),
    *("continue", "pass", "print", "yield", "fail", "close", "cancel", "spawn", "open", "call"),
    *("acquire", "release", "foreach", "speculate", "commit", "rollback"),
    *("within", "timeout"),
)
INTERACTION_WORDS: Final = (
    *("edge", "choice", "or", "timeout", "rec", "continue", "loop", "do", "foreach"),
)
ONLY_PROTOCOLS: Final = frozenset({"edge", "choice", "or", "rec", "do"})
ONLY_PROGRAMS: Final = frozenset(STATEMENT_WORDS) - {
    *("continue", "loop", "foreach", "timeout"),
}

# What other languages call it: the word, and what to write instead.
FOREIGN_DECLARATIONS: Final = {
    "def": "`program name(…):` declares a program",
    "fn": "`program name(…):` declares a program",
    "func": "`program name(…):` declares a program",
    "function": "`program name(…):` declares a program",
    "process": "`program name(…):` declares a program",
    "role": "roles are listed in a protocol's brackets: `protocol P(A, B):`",
    "global": "`protocol P(A, B):` declares a protocol",
    "struct": "`type Name = {field: type}` declares a record",
    "class": "`type Name = {field: type}` declares a record",
    "record": "`type Name = {field: type}` declares a record",
    "import": "a script stands alone; effects come from `--effects`",
    "from": "a script stands alone; effects come from `--effects`",
    "extern": "`effect name(…) -> type` declares what the host offers",
}
FOREIGN_STATEMENTS: Final = {
    "return": "a program returns nothing; send the result, or end the branch",
    "var": "`let name = value` binds a variable",
    "const": "`let name = value` binds a variable",
    "val": "`let name = value` binds a variable",
    "receive": "`recv s.Role label(x)` receives",
    "match": "`recv s.Role:` with one case per label receives a choice",
    "switch": "`recv s.Role:` with one case per label receives a choice",
    "case": "a case is its label and its names: `label(x):`",
    "select": "sending the first label of a branch is the selection",
    "offer": "`recv s.Role:` with one case per label receives a choice",
    "raise": '`fail "reason"` ends the program with an error',
    "throw": '`fail "reason"` ends the program with an error',
    "abort": '`fail "reason"` ends the program with an error',
    "assert": '`if not condition:` and `fail "reason"` in it',
    "do": "`loop:` or `while condition:` repeats",
    "try": "a failure is not caught inside a program",
    "await": "`recv s.Role label(x)` waits for a message",
    "async": "`spawn program(…)` starts a program beside this one",
    "start": "`spawn program(…)` starts a program beside this one",
    "wait": "`yield` lets the others go on",
    "sleep": "`yield` lets the others go on",
    "println": "`print value` writes a line",
    "echo": "`print value` writes a line",
    "exit": "`close s` finishes an endpoint; a program ends with its last line",
    "end": "a block ends where its indentation ends",
    "def": "programs are declared at the left margin: `program name(…):`",
}
FOREIGN_INTERACTIONS: Final = {
    "mu": "`rec X:` begins a recursion",
    "par": "independent directions are sessions of their own",
    "end": "a protocol ends with its last line",
    "repeat": "`rec X:` with `continue X`, or `loop at Role:` repeats",
    "if": "`choice at Role:` lets a role choose",
    "else": "`or:` begins the next branch of a choice",
    "while": "`loop at Role:` repeats as long as the role chooses to",
    "for": "`loop at Role:` repeats as long as the role chooses to",
    "pass": "a branch begins with a message of the role that chooses",
}
