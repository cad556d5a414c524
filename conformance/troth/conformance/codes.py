"""Every code a finding can carry: one literal table for the verifier, the docs and the tests.

Codes are stable. A code belongs to one category, and the category decides the exit code: a
file that stops early is incomplete, a file of another version is unsupported, and everything
else that is wrong is wrong.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

EXIT_VALID: Final = 0
EXIT_USAGE: Final = 1
EXIT_INVALID: Final = 2
EXIT_UNSUPPORTED: Final = 3
EXIT_INCOMPLETE: Final = 4
EXIT_SELF_CONSISTENT: Final = 5


class Category(StrEnum):
    """What kind of wrong a finding is."""

    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    FORGED = "forged"
    REPLAYED = "replayed"
    REORDERED = "reordered"
    WITHHELD = "withheld"
    EQUIVOCATED = "equivocated"
    TYPE_VIOLATION = "type violation"
    NONDETERMINISTIC = "nondeterministic"
    INCOMPLETE = "incomplete"
    LIMIT = "limit"


class Code(NamedTuple):
    """`cause` is a sentence of fact, `advice` a sentence on what to do."""

    code: str
    category: Category
    cause: str
    advice: str

    @property
    def level(self) -> int:
        return LEVEL_OF_AREA[self.code.split(".", 1)[0]]

    @property
    def exit_code(self) -> int:
        return _EXIT_OF_CATEGORY.get(self.category, EXIT_INVALID)

    @property
    def anchor(self) -> str:
        """Where the page of verdicts explains the code."""
        return self.code.replace(".", "-")


_EXIT_OF_CATEGORY: Final = {
    Category.UNSUPPORTED: EXIT_UNSUPPORTED,
    Category.INCOMPLETE: EXIT_INCOMPLETE,
}

LEVEL_OF_AREA: Final = {
    "artifact": 1,
    "structure": 1,
    "incomplete": 1,
    "integrity": 2,
    "trust": 2,
    "consumption": 3,
    "protocol": 4,
    "replay": 5,
}
"""The level of verification that the first part of a code belongs to."""

LEVEL_NAMES: Final = ("structure", "integrity", "consumption", "protocol", "replay")

_OTHER_COPY: Final = "Get another copy of the file; this one was damaged or changed"
_NOT_A_RECORDER: Final = "No Troth runner writes this; treat the file as changed or made up"
_ASK_SIGNER: Final = "Do not rely on the file; ask the principal for its own record"

CODES: Final = (
    # --- reading ---
    Code(
        "artifact.magic",
        Category.MALFORMED,
        "The file does not begin with the eight bytes of a Troth artifact.",
        "Check that this is a .replay file and that it was copied in binary mode",
    ),
    Code(
        "artifact.version",
        Category.UNSUPPORTED,
        "The file has a format version that this verifier does not know.",
        "Use a Troth that reads the version named here",
    ),
    Code(
        "artifact.record",
        Category.MALFORMED,
        "Bytes at this place are not a record: not canonical msgpack, or of no known kind.",
        _OTHER_COPY,
    ),
    Code(
        "artifact.limit",
        Category.LIMIT,
        "A record is larger or nested deeper than any artifact may hold.",
        "Do not rely on the file; no runner writes such a record",
    ),
    # --- level 1 ---
    Code(
        "structure.shape",
        Category.MALFORMED,
        "A record does not have the fields of its kind.",
        _OTHER_COPY,
    ),
    Code(
        "structure.reference",
        Category.MALFORMED,
        "A record names something that no earlier record introduced, or that has ended.",
        "Look for a dropped or moved record before this one",
    ),
    Code(
        "structure.order",
        Category.REORDERED,
        "A record stands where the format does not allow it.",
        "Look for a dropped, repeated or moved record",
    ),
    Code(
        "structure.duplicate",
        Category.REPLAYED,
        "A record introduces something that is there already.",
        "Look for a repeated record",
    ),
    Code(
        "structure.round",
        Category.REORDERED,
        "Rounds or times run backwards.",
        "Look for a moved record",
    ),
    Code(
        "structure.image",
        Category.FORGED,
        "The image in the file is not the image that the header names.",
        _OTHER_COPY,
    ),
    Code(
        "structure.identity",
        Category.FORGED,
        "An id does not derive from the seed and what opened, spawned or called it.",
        _NOT_A_RECORDER,
    ),
    Code(
        "structure.setting",
        Category.MALFORMED,
        "A session or edge has a setting that does not exist or does not fit the others.",
        _NOT_A_RECORDER,
    ),
    Code(
        "structure.limit",
        Category.LIMIT,
        "More is alive at once than the run's own limits allow.",
        _NOT_A_RECORDER,
    ),
    Code(
        "structure.lifecycle",
        Category.MALFORMED,
        "A session or coroutine does something that its life does not allow at this point.",
        _NOT_A_RECORDER,
    ),
    Code(
        "structure.count",
        Category.WITHHELD,
        "The end record does not count what the file holds.",
        "Look for dropped or inserted records",
    ),
    Code(
        "structure.surplus",
        Category.MALFORMED,
        "Something follows the final seals.",
        "Cut the file after its last seal only if you know who appended to it",
    ),
    # --- level 2 ---
    Code(
        "integrity.key",
        Category.FORGED,
        "A public key is not an acceptable Ed25519 key.",
        "Refuse the principal: such a key lets anybody sign",
    ),
    Code(
        "integrity.protocol",
        Category.FORGED,
        "A protocol's id, name, roles or labels are not those of the protocol in the image.",
        _OTHER_COPY,
    ),
    Code(
        "integrity.session",
        Category.FORGED,
        "A session's id is not the hash of its descriptor.",
        _OTHER_COPY,
    ),
    Code(
        "integrity.message",
        Category.FORGED,
        "A message is not signed by the principal that has authority for its sender.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.notice",
        Category.FORGED,
        "A closing notice is not signed by the principal that has authority for the role.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.receipt",
        Category.FORGED,
        "A receipt is not signed by the principal that has authority for the receiver.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.cancel",
        Category.FORGED,
        "A cancellation is not signed by the principal that has authority for the role.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.join",
        Category.FORGED,
        "That a role takes part in a session of several machines is not signed by its principal.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.fail",
        Category.FORGED,
        "That a machine has ended a session is not signed by the principal it speaks for.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.inclusion",
        Category.FORGED,
        "A message of another machine is not at its place in the signed log of its sender.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.delegation",
        Category.FORGED,
        "A delegation is not signed by the principal that held the authority.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.seal",
        Category.FORGED,
        "A seal is not signed by the principal whose log it heads.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.final",
        Category.WITHHELD,
        "A seal at the end was signed on the way, or one on the way for the end: somebody passes "
        "off a part of a run as the whole.",
        "Ask the principal for its own record of the run",
    ),
    Code(
        "integrity.rotation",
        Category.FORGED,
        "The signature under a rotation, by which a role ends a generation of its messages, is "
        "not that of the role's principal.",
        "Ask the role's principal for its own record",
    ),
    Code(
        "integrity.root",
        Category.FORGED,
        "The records do not add up to the root that their principal sealed.",
        "A record of this log was changed, dropped, repeated or moved before the seal",
    ),
    Code(
        "integrity.head",
        Category.EQUIVOCATED,
        "A seal does not continue the seal before it.",
        _ASK_SIGNER,
    ),
    Code(
        "integrity.counts",
        Category.WITHHELD,
        "A seal counts other sessions than the file holds.",
        "Look for a session that was left out or spliced in",
    ),
    Code(
        "trust.contradicted",
        Category.FORGED,
        "The trust file knows this principal's name with another key.",
        "Find out who made the file: it was not the principal you trust",
    ),
    # --- level 3 ---
    Code(
        "consumption.sent.number",
        Category.REORDERED,
        "A message does not have the next number of its edge.",
        "Look for a dropped, repeated or moved message",
    ),
    Code(
        "consumption.sent.capacity",
        Category.LIMIT,
        "More messages are in flight than the edge's buffer holds.",
        _NOT_A_RECORDER,
    ),
    Code(
        "consumption.unsent",
        Category.WITHHELD,
        "A message is received that the file does not say was sent.",
        "Look for the missing message in the sender's own record",
    ),
    Code(
        "consumption.duplicate",
        Category.REPLAYED,
        "A message is received that was consumed already.",
        _NOT_A_RECORDER,
    ),
    Code(
        "consumption.order",
        Category.REORDERED,
        "A message is received before one that was sent earlier on the same edge.",
        "Look for a dropped or moved record",
    ),
    Code(
        "consumption.generation",
        Category.REORDERED,
        "A generation ends where it does not: before all of its messages were sent or taken, "
        "or a second time.",
        "Look for a dropped or moved record",
    ),
    Code(
        "consumption.lost",
        Category.WITHHELD,
        "A message is said to be overwritten or dropped that cannot be: there is room in its "
        "buffer, the buffer keeps all messages, or the message may not be lost.",
        "Look for a message that was taken out of the record",
    ),
    Code(
        "consumption.unsealed",
        Category.FORGED,
        "A message of a session sealed by round is received before a head of its sender's log "
        "covers it.",
        _NOT_A_RECORDER,
    ),
    Code(
        "consumption.root",
        Category.FORGED,
        "The consumption root of an edge side is not the one recomputed from its messages.",
        _NOT_A_RECORDER,
    ),
    Code(
        "consumption.receipt",
        Category.FORGED,
        "A receiver at another machine signs for messages that it was not sent.",
        _NOT_A_RECORDER,
    ),
    # --- level 4 ---
    Code(
        "protocol.pinned",
        Category.TYPE_VIOLATION,
        "A session follows a protocol that is not among those you pinned.",
        "Check which protocol the parties agreed on, or pin the one named here",
    ),
    Code(
        "protocol.setting",
        Category.TYPE_VIOLATION,
        "An edge does not have a setting that the protocol fixes for it.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.turn",
        Category.TYPE_VIOLATION,
        "A role acts in a direction, or with a peer, that its local type does not allow here.",
        "The marked position shows what the role had to do",
    ),
    Code(
        "protocol.label",
        Category.TYPE_VIOLATION,
        "A label is not one of those that the local type allows here.",
        "The marked position shows the labels allowed",
    ),
    Code(
        "protocol.kind",
        Category.TYPE_VIOLATION,
        "A selection is recorded as a plain message, or a plain message as a selection.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.payload",
        Category.TYPE_VIOLATION,
        "A payload is not a canonical value of the type that the protocol declares.",
        "The sender broke the protocol; the signature says who",
    ),
    Code(
        "protocol.endpoint",
        Category.TYPE_VIOLATION,
        "An endpoint is delegated that does not exist, is not fresh, or is of another type.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.notice",
        Category.TYPE_VIOLATION,
        "A role gives notice before its local type has ended, or with wrong final numbers.",
        "Leaving early is a cancellation, not a close",
    ),
    Code(
        "protocol.receipt",
        Category.WITHHELD,
        "A receipt does not count what the role received.",
        _ASK_SIGNER,
    ),
    Code(
        "protocol.close",
        Category.WITHHELD,
        "A session is recorded as closed though notices or messages are outstanding.",
        "The close was not honest: compare with the other parties' records",
    ),
    Code(
        "protocol.bundle",
        Category.WITHHELD,
        "The sessions of a bundle did not end together, or not in the same way.",
        "The end was not honest: compare with the other parties' records",
    ),
    Code(
        "protocol.undelivered",
        Category.WITHHELD,
        "The list of undelivered messages is not what was sent and not received.",
        "Compare with the other parties' records",
    ),
    Code(
        "protocol.account",
        Category.WITHHELD,
        "The messages of an edge do not add up: as many were received, left undelivered, rejected "
        "and overwritten as were sent, or arrived.",
        "Compare with the other parties' records",
    ),
    Code(
        "protocol.epoch",
        Category.MALFORMED,
        "A session's epoch does not follow from its life.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.value",
        Category.TYPE_VIOLATION,
        "An effect's arguments or result are not of the types that the image declares.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.guard",
        Category.TYPE_VIOLATION,
        "A guard is held by two coroutines at once, released by one that does not hold it, or "
        "left behind at a halt.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.timer",
        Category.TYPE_VIOLATION,
        "The clock of a timed choice is started where the local type has none, or runs out too "
        "soon, or although the choice was made.",
        _NOT_A_RECORDER,
    ),
    Code(
        "protocol.trouble",
        Category.TYPE_VIOLATION,
        "The run does not go on as it must after a crash, a partition, a corruption or a timeout "
        "that the host has recorded.",
        _NOT_A_RECORDER,
    ),
    # --- level 5 ---
    Code(
        "replay.divergence",
        Category.NONDETERMINISTIC,
        "Running the image again on the recorded inputs does something else here than the file "
        "says.",
        "Do not believe that this image did it, whoever signed it; both sides are shown above",
    ),
    Code(
        "replay.pinned",
        Category.NONDETERMINISTIC,
        "The run is of another image than the one you pinned.",
        "Check which image the parties agreed on, or pin the one named here",
    ),
    Code(
        "replay.budget",
        Category.LIMIT,
        "Running the image again takes more work than this verifier does for a file of this "
        "length.",
        "Raise the budget if you trust the image, or leave out this level with --no-replay",
    ),
    Code(
        "replay.memory",
        Category.LIMIT,
        "Running the image again takes more memory than this verifier gives to values.",
        "Leave out this level with --no-replay, or do not rely on the file",
    ),
    # --- incomplete ---
    Code(
        "incomplete.torn",
        Category.INCOMPLETE,
        "The file stops in the middle of a record.",
        "Ask for the whole file; what is sealed before this place holds",
    ),
    Code(
        "incomplete.end",
        Category.INCOMPLETE,
        "The file has no end record: the run was cut off, or is still going on.",
        "Ask for the whole file; what is sealed before this place holds",
    ),
    Code(
        "incomplete.seals",
        Category.INCOMPLETE,
        "A final seal is missing.",
        "Ask for the whole file; what is sealed before this place holds",
    ),
)

BY_CODE: Final = {entry.code: entry for entry in CODES}
