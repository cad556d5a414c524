"""The rows of `codes` about reading the text: (code, title, cause, fix)."""

from __future__ import annotations

from typing import Final

PARSE_ROWS: Final[tuple[tuple[str, str, str, str], ...]] = (
    # --- characters and tokens ----------------------------------------------------------
    (
        "parse.character",
        "Character without meaning",
        "The character belongs to nothing in the language, or a reader could not see it.",
        "Replace it with what the message names, or write it as an escape inside a string.",
    ),
    (
        "parse.number",
        "Not a number",
        "The digits are followed by something else, or the number is too long to be one.",
        "Write digits such as `42`, `1_000`, `0x1f` or `2.5`.",
    ),
    (
        "parse.string.unclosed",
        "String not closed",
        "A string ends on the line on which it starts.",
        "Close it with the quote it starts with; a line break inside a string is `\\n`.",
    ),
    (
        "parse.string.triple",
        "Three quotes",
        "Strings have one quote at each end.",
        "Use one quote, and `\\n` for a line break.",
    ),
    (
        "parse.escape",
        "Unknown escape",
        "A backslash in a string begins an escape, and this is none; bytes hold ASCII only.",
        "Write `\\\\` for a backslash, `\\xHH` for a byte.",
    ),
    (
        "parse.operator",
        "Unknown operator",
        "The language does not have this operator.",
        "Use one of `+ - * / // % == != < <= > >= and or not`.",
    ),
    (
        "parse.literal",
        "Literal of Python",
        "The truth values are `true` and `false`, and nothing is `()`.",
        "Write it in small letters.",
    ),
    # --- lines, blocks, brackets ----------------------------------------------------------
    (
        "parse.tab",
        "Tab in front of a line",
        "Blocks are told by their indentation, and the width of a tab is not fixed.",
        "Indent with four blanks per level.",
    ),
    (
        "parse.indent.unexpected",
        "Too much indentation",
        "A line may be indented more than the one before only if that one opens a block.",
        "Indent it like the line before, or end that line with `:`.",
    ),
    (
        "parse.indent.inconsistent",
        "Indentation of no block",
        "The line is between the indentations of two blocks.",
        "Give all lines of a block the same indentation.",
    ),
    (
        "parse.block.missing",
        "Nothing in the block",
        "A line ends with `:` and the next one is not indented more.",
        "Indent what belongs to the block; an empty block of a program is `pass`.",
    ),
    (
        "parse.block.line",
        "Block on the line that opens it",
        "Something follows the `:` that opens a block.",
        "Move it to the next line and indent it.",
    ),
    (
        "parse.bracket.unclosed",
        "Bracket not closed",
        "A bracket has no partner, or the lines that continue it are not indented.",
        "Close it, and indent the lines that continue it more than the line it is in.",
    ),
    (
        "parse.bracket.unopened",
        "Bracket too many",
        "A closing bracket has no partner.",
        "Remove it, or write the opening one.",
    ),
    (
        "parse.bracket.mismatched",
        "Brackets of two kinds",
        "A bracket is closed with one of another kind.",
        "Close the inner bracket first, and each with its own kind.",
    ),
    (
        "parse.nesting",
        "Nested too deeply",
        "Brackets, blocks or operators lie within each other beyond the limit.",
        "Name an inner part with `let`, or move statements to a program of their own.",
    ),
    (
        "parse.size",
        "Script too large",
        "A script has at most 1 MiB.",
        "Split it into several scripts.",
    ),
    (
        "parse.too_many",
        "Too many errors",
        "The rest of the file's syntax errors is not shown.",
        "Correct the errors shown and check again.",
    ),
    # --- what the grammar allows ----------------------------------------------------------
    (
        "parse.syntax",
        "Not the language",
        "At this place the grammar allows something else.",
        "Write what `expected` names.",
    ),
    (
        "parse.reserved",
        "Reserved word",
        "`and or not true false if elif else` cannot name a variable, role or declaration.",
        "Choose another name; labels, fields and roles behind a dot may have any.",
    ),
    (
        "parse.declaration.unknown",
        "Unknown declaration",
        "A line at the left margin begins with a word that declares nothing.",
        "Begin it with `protocol`, `program`, `effect`, `type` or `main:`.",
    ),
    (
        "parse.declaration.statement",
        "Statement at the left margin",
        "Statements stand in programs, steps of a protocol in protocols.",
        "Indent it under the program or protocol that it belongs to.",
    ),
    (
        "parse.main",
        "main with brackets",
        "`main` has no parameters.",
        "Write `main:`.",
    ),
    (
        "parse.program.result",
        "Result of a program",
        "A program gives back nothing.",
        "Remove the `->` and the type; send the result through an endpoint.",
    ),
    (
        "parse.effect.result",
        "Effect without result",
        "An effect declares what it gives back.",
        "Add `-> unit` if it gives back nothing, else `->` and the type.",
    ),
    (
        "parse.type",
        "Not a list",
        "Only `list` takes a type in square brackets.",
        "Write `list[T]`, or the name of a type alone.",
    ),
    (
        "parse.type.missing",
        "Type missing",
        "A field or parameter is declared without a type.",
        "Write `name: type`.",
    ),
    (
        "parse.colon.missing",
        "Colon missing",
        "A line that opens a block ends with `:`; a message has one before its label.",
        "Write the `:`.",
    ),
    (
        "parse.colon.extra",
        "Colon too many",
        "The line does not open a block.",
        "Remove the `:`.",
    ),
    (
        "parse.parentheses",
        "Round brackets missing",
        "A label, a declaration or a call has its round brackets even if they are empty.",
        "Write `name()`.",
    ),
    (
        "parse.line.rest",
        "More on the line",
        "A line holds one statement, and this one could have ended before.",
        "Move the rest to a line of its own.",
    ),
    # --- protocols -------------------------------------------------------------------------
    (
        "parse.protocol.empty",
        "No message",
        "A protocol has settings for its edges and nothing that is sent.",
        "Write the messages after the `edge` lines.",
    ),
    (
        "parse.within.place",
        "Misplaced `within`",
        "A clock belongs to the role that chooses: its time is said in the head of the choice.",
        "Write `choice at ROLE within 5s:` in the protocol, and `within s:` in its program.",
    ),
    (
        "parse.crash.place",
        "Misplaced `on crash`",
        "What follows a crash is a branch: of a choice in a protocol, of a `recv` in a program.",
        "In a protocol write `on crash ROLE:` as the last branch of a choice; in a program write "
        "`on crash:` among the cases of a `recv s.Role:`.",
    ),
    (
        "parse.timeout.missing",
        "Half of a timed choice",
        "`within` says how long a role has to choose, and `timeout:` what follows if it does not.",
        "Write both, or neither.",
    ),
    (
        "parse.lossy.place",
        "Misplaced `lossy`",
        "`lossy` says of one message that it may be lost, and stands behind its fields.",
        "Write `A -> B: label(field: type) lossy`.",
    ),
    (
        "parse.edge.place",
        "Setting in the middle",
        "`edge` lines are the first lines of a protocol.",
        "Move the line to the top of the protocol.",
    ),
    (
        "parse.chooser.missing",
        "Who chooses?",
        "A choice or loop of a protocol names the role that chooses.",
        "Write `choice at Role:` or `loop at Role:`.",
    ),
    (
        "parse.step.unknown",
        "Unknown step",
        "A line of a protocol begins with a word that the language does not have there.",
        "Write a message `A -> B: label(…)`, `choice at`, `rec`, `continue`, `loop at` or `do`.",
    ),
    (
        "parse.step.program",
        "Statement in a protocol",
        "The line belongs into a program.",
        "Describe the message: `A -> B: label(…)`.",
    ),
    # --- programs --------------------------------------------------------------------------
    (
        "parse.statement.unknown",
        "Unknown statement",
        "A line of a program begins with a word that begins no statement.",
        "Correct the word; the message names what other languages' words are here.",
    ),
    (
        "parse.statement.protocol",
        "Step of a protocol in a program",
        "The line belongs into a protocol.",
        "Write `send s.Role label(…)` or `recv s.Role label(…)`.",
    ),
    (
        "parse.else.if",
        "else if",
        "The word is `elif`.",
        "Write `elif condition:`.",
    ),
    (
        "parse.else.unmatched",
        "Nothing to continue",
        "An `elif`, `else` or `or` does not follow the block it continues.",
        "Indent it like its `if` or `choice at`, directly after the block.",
    ),
    (
        "parse.equals",
        "= and ==",
        "`=` binds a variable, `==` compares.",
        "Write the other one.",
    ),
    (
        "parse.comparison.chained",
        "Chained comparison",
        "A comparison is not compared again without brackets.",
        "Write `a < b and b < c`.",
    ),
    (
        "parse.arguments.named",
        "Argument with a name",
        "Arguments are told by their order.",
        "Leave out the name and the `=`.",
    ),
    (
        "parse.peer.missing",
        "Role missing",
        "A `send` or `recv` names the endpoint and the role at the other end.",
        "Write `send s.Role label(…)`.",
    ),
    (
        "parse.recv.label",
        "Label missing",
        "A `recv` names the label, or opens a block with a case for each label.",
        "Write `recv s.Role label(x)`, or `recv s.Role:` and the cases.",
    ),
    (
        "parse.recv.names",
        "Not a name",
        "A `recv` binds names; types and values have no place there.",
        "Write one name for each field of the message.",
    ),
    (
        "parse.let.type",
        "Variable with a type",
        "The first value of a variable fixes its type.",
        "Write `let x = value`.",
    ),
    (
        "parse.value.missing",
        "Value missing",
        "The line ends where a value is expected.",
        "Write the value.",
    ),
    (
        "parse.print",
        "Print of several values",
        "`print` writes one value.",
        "Join the parts with `+` and `str()`.",
    ),
    (
        "parse.function.unknown",
        "Unknown function",
        "The functions are `str` and `len`, and `range` in a `for`.",
        "Call an effect with `let x = call f(…)`; start a program with `spawn f(…)`.",
    ),
    (
        "parse.function.arguments",
        "Wrong number of arguments",
        "`str` and `len` take one argument.",
        "Give one argument.",
    ),
    (
        "parse.call.place",
        "Effect inside an expression",
        "An effect is called in a line of its own, so that the order of effects is plain.",
        "Bind its result with `let x = call f(…)` first.",
    ),
    (
        "parse.for.range",
        "for without range",
        "`for` counts through `range(n)` or `range(a, b)`.",
        "Write `for i in range(len(items)):` to go through a list.",
    ),
)
