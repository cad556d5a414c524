"""The rows of `codes` about protocols and the types they carry: (code, title, cause, fix)."""

from __future__ import annotations

from typing import Final

PROTOCOL_ROWS: Final[tuple[tuple[str, str, str, str], ...]] = (
    # --- type: types as they are written --------------------------------------------------
    (
        "type.unknown",
        "Unknown type",
        "The name is neither a built-in type nor declared with `type`.",
        "Correct the spelling, or declare it: `type Name = …`.",
    ),
    (
        "type.duplicate",
        "Type declared twice",
        "Two `type` lines have the same name.",
        "Rename or remove one of the two.",
    ),
    (
        "type.reserved",
        "Name of a built-in type",
        "A `type` line gives a built-in type such as int or list a new meaning.",
        "Give the type another name.",
    ),
    (
        "type.recursive",
        "Type contains itself",
        "The declaration of a type leads back to itself, so its values would never end.",
        "Use a list, or send the parts as messages of a loop.",
    ),
    (
        "type.too_large",
        "Type too large",
        "The type has too many levels or too many parts.",
        "Send the data in smaller messages.",
    ),
    (
        "type.field.duplicate",
        "Field named twice",
        "Two fields of one message, record or parameter list have the same name.",
        "Give each field its own name.",
    ),
    (
        "type.protocol.unknown",
        "Endpoint of an unknown protocol",
        "The part before the dot of an endpoint type is not a protocol of the file.",
        "Correct the spelling, or declare the protocol.",
    ),
    (
        "type.role.unknown",
        "Endpoint of an unknown role",
        "The part after the dot of an endpoint type is not a role of that protocol.",
        "Use one of the protocol's roles.",
    ),
    (
        "type.endpoint.nested",
        "Endpoint inside a value",
        "Endpoints are used exactly once, so they cannot be parts of lists or records, "
        "nor go to an effect.",
        "Send the endpoint as a field of a message, or pass it as a program's parameter.",
    ),
    (
        "type.family",
        "Endpoint of a session of unknown size",
        "A message or a type names an endpoint of a protocol whose size is only known when it is "
        "opened.",
        "Write the size in the protocol's first line, or hand the endpoint on by `spawn`.",
    ),
    # --- protocol: names ------------------------------------------------------------------
    (
        "protocol.duplicate",
        "Protocol declared twice",
        "Two protocols of the file have the same name.",
        "Rename or remove one of the two.",
    ),
    (
        "protocol.roles.count",
        "Too few or too many roles",
        "A protocol needs at least two roles, and a session has a largest number of them.",
        "Name everyone who takes part, and no more.",
    ),
    (
        "protocol.role.duplicate",
        "Role named twice",
        "Two roles of one protocol have the same name.",
        "Give each role its own name.",
    ),
    (
        "protocol.role.unknown",
        "Unknown role",
        "A name is used as a role that the protocol's first line does not list.",
        "Correct the spelling, or add the role to the first line.",
    ),
    (
        "protocol.role.unused",
        "Role without messages",
        "A role neither sends nor receives anything.",
        "Remove the role, or give it a message.",
    ),
    # --- protocol: messages ---------------------------------------------------------------
    (
        "protocol.message.self",
        "Message to oneself",
        "Sender and receiver of a message are the same role.",
        "Remove the message, or name the role that should get it.",
    ),
    (
        "protocol.message.receiver_twice",
        "Receiver named twice",
        "One message names the same receiver twice.",
        "Name each receiver once; write a second line to send a second message.",
    ),
    # --- protocol: choice and loops -------------------------------------------------------
    (
        "protocol.choice.start",
        "Branch does not start with the chooser",
        "The first message of a branch is not sent by the role that chooses, "
        "so nobody would make the choice.",
        "Start each branch with a message from the chooser, or let another role choose.",
    ),
    (
        "protocol.choice.receivers",
        "Branches start towards different roles",
        "The first messages of the branches go to different roles, "
        "but a choice is made by one message to one role.",
        "Tell the same role first in every branch, then the others.",
    ),
    (
        "protocol.choice.duration",
        "Impossible time",
        "The time of a timed choice is more than nothing and at most a year.",
        "Write a number with a unit, such as `5s`, `250ms` or `2h`.",
    ),
    (
        "protocol.choice.timed",
        "Timed choice as a branch",
        "The clock of a choice starts when its role gets there. Where a timed choice begins a "
        "branch of another choice of the same role, nothing says when that would be.",
        "Send a message first, or give the time to the choice around it.",
    ),
    (
        "protocol.crash.role",
        "Crash of another role",
        "A choice waits for the role that chooses: only the crash of that role is noticed there.",
        "Name the role that chooses behind `on crash`.",
    ),
    (
        "protocol.crash.gone",
        "A crashed role takes part",
        "What follows `on crash R:` is done without R, to the end of the protocol. Statements "
        "behind the choice count, too, for they are done after every branch.",
        "Leave the role out, or put what needs it into the other branches.",
    ),
    (
        "protocol.crash.nested",
        "Crash within another choice",
        "Where a choice begins a branch of another choice of the same role, both are one choice, "
        "and a crash before it is one crash.",
        "Write `on crash` as the last branch of the outer choice.",
    ),
    (
        "protocol.choice.label",
        "Two branches with one label",
        "Two branches start with the same label, so the label does not say which was chosen.",
        "Rename one of the two messages.",
    ),
    (
        "protocol.loop.start",
        "Loop does not start with its chooser",
        "The body of `loop at R` does not start with a message from R, who decides to go on.",
        "Start the body with a message from R, or loop at another role.",
    ),
    (
        "protocol.continue.unbound",
        "Continue without its rec",
        "`continue X` is not inside the body of a `rec X`.",
        "Correct the name, or move it inside the body.",
    ),
    (
        "protocol.rec.unguarded",
        "Loop without a message",
        "There is a way round a loop on which no message is sent.",
        "Put a message on every way round, or let that branch end.",
    ),
    (
        "protocol.unreachable",
        "Nothing gets here",
        "No branch of what stands before ends, so what follows can never happen.",
        "Remove it, or let a branch before it end without `continue`.",
    ),
    (
        "protocol.nesting",
        "Nested too deeply",
        "Blocks and `do` lie inside each other beyond the limit.",
        "Move inner parts to a protocol of their own, or use `rec` instead of nesting.",
    ),
    (
        "protocol.too_large",
        "Too large once expanded",
        "With every `do` and multicast expanded the protocol has too many messages.",
        "Repeat with `rec` or `loop at`, or split the protocol.",
    ),
    # --- protocol: do ---------------------------------------------------------------------
    (
        "protocol.do.unknown",
        "Unknown sub-protocol",
        "`do` names a protocol that the file does not declare.",
        "Correct the spelling, or declare the protocol.",
    ),
    (
        "protocol.do.arity",
        "Wrong number of roles",
        "`do` gives the sub-protocol more or fewer roles than it has.",
        "Name one role for each role of the sub-protocol, in its order.",
    ),
    (
        "protocol.do.role_twice",
        "Role plays two parts",
        "`do` gives the same role two parts of the sub-protocol.",
        "Name a different role for each part.",
    ),
    (
        "protocol.do.recursion",
        "Recursion with something left to do",
        "A recursive `do` is followed by more, so the protocol would have to remember "
        "how often it went round.",
        "Make the recursive `do` the last statement of its branch, or use `rec` or `loop at`.",
    ),
    # --- protocol: families of roles ------------------------------------------------------
    (
        "protocol.family.size",
        "Size that a family cannot have",
        "The brackets of a family in a protocol's first line hold a number that is too small or "
        "too large.",
        "Write a number of roles, or a name for it that `open` gives a value.",
    ),
    (
        "protocol.family.unknown",
        "Not a family of roles",
        "A role is used as a family, with brackets or in a `foreach`, and is none.",
        "Correct the name, or make it a family in the first line: `Worker[N]`.",
    ),
    (
        "protocol.family.index",
        "Not the number of a member",
        "The brackets after a family hold neither a number nor the name of a `foreach` around it, "
        "or `*` where one role is needed.",
        "Write a number, or put it inside of a `foreach`.",
    ),
    (
        "protocol.family.too_large",
        "Families repeat too much",
        "Written out for all members of its families the script is too large.",
        "Choose smaller families, or repeat less inside of `foreach`.",
    ),
    # --- protocol: edges ------------------------------------------------------------------
    (
        "protocol.edge.self",
        "Edge to oneself",
        "An `edge` line names the same role twice.",
        "Name the role that receives on this edge.",
    ),
    (
        "protocol.edge.duplicate",
        "Edge set twice",
        "Two `edge` lines are about the same edge.",
        "Write all settings of one edge on one line.",
    ),
    (
        "protocol.edge.unused",
        "Edge without messages",
        "An `edge` line sets an edge on which the protocol sends nothing.",
        "Remove the line, or turn the edge round.",
    ),
    (
        "protocol.edge.setting.unknown",
        "Unknown edge setting",
        "An edge has the settings replay, buffer, capacity, policy, rotate and payload.",
        "Use one of these.",
    ),
    (
        "protocol.edge.setting.duplicate",
        "Setting given twice",
        "One `edge` line gives the same setting twice.",
        "Keep one of the two.",
    ),
    (
        "protocol.edge.setting.value",
        "Value a setting cannot have",
        "The value is none of those the setting knows, or out of its range.",
        "Use one of the expected values.",
    ),
    (
        "protocol.edge.combination",
        "Settings that cannot hold together",
        "Two settings of one edge contradict each other.",
        "Change one of the two as `fix` says.",
    ),
    (
        "protocol.edge.conflict",
        "Sub-protocols disagree about an edge",
        "Two protocols used by `do` set the same edge differently.",
        "Decide it with an `edge` line in the protocol that uses them.",
    ),
    (
        "protocol.edge.lossy",
        "Setting that loses messages",
        "`buffer = latest` and `policy = drop` lose messages, and no message of the edge may be "
        "lost: sender and receiver would disagree about where they are.",
        "Use `buffer = fifo` and `policy = block`, `error` or `resize{n}`, or write `lossy` "
        "behind the messages that may be lost.",
    ),
    (
        "protocol.message.lossy",
        "Message that must not be lost",
        "A message is called `lossy`, but its loss would show: it leads its sender or its receiver "
        "to another place, it carries an endpoint, or it may be lost only in some places.",
        "Let the message lead back to where it is sent, as in a `loop at` of its own, "
        "or leave `lossy` out.",
    ),
    # --- project: a role's local type cannot be derived -----------------------------------
    (
        "project.merge",
        "A role cannot tell which branch was chosen",
        "A role has to do different things in two branches "
        "and gets no message that tells them apart.",
        "Let the chooser, or a role that knows, tell it: add a message with its own label "
        "in each branch.",
    ),
    (
        "project.too_large",
        "Local type too large",
        "The role's local type has too many states, or needs too much time to find.",
        "Tell the role earlier which branches were taken, or split the protocol.",
    ),
    # --- bundles --------------------------------------------------------------------------
    (
        "protocol.bundle.role",
        "Role of a bundle",
        "A role of a bundle is not there, is there twice, plays in no session or twice in one, "
        "or is a family.",
        "Name at least two roles, and let each play in a session.",
    ),
    (
        "protocol.bundle.session",
        "Session of a bundle",
        "Two sessions of a bundle have one name, or one has too few or too many players.",
        "Give each session its own name and a player for each role of its protocol.",
    ),
    (
        "protocol.bundle.protocol",
        "Protocol of a bundle's session",
        "The protocol is not in the file, or leaves the size of a role family open.",
        "Declare the protocol, or give its family a size in its first line.",
    ),
)
