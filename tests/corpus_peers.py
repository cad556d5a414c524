"""Makes the cases of the corpus in which a machine hears from another: `python -m corpus_peers`.

The other machine really runs, and what it says is written down; what is done to it on the way is
the case. So the signatures are real ones, and what is forged was forged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from corpus_files import CORPUS, written
from troth.conformance.corpus import VERBS, CorpusKeys, keeps_its_verb, observe, read_case
from troth.conformance.reference.compare import TrustingEvidence
from troth.dsl.compile import compile_source
from troth.vm import statements
from troth.vm.assembly_write import disassemble
from troth.vm.envelope import Envelope, MessageEnvelope, encode_envelope
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.loader import load
from troth.vm.machine import Machine

SCRIPT: Final = """\
protocol Count(A, B):
    edge A -> B: {settings}
    rec Next:
        choice at A:
            A -> B: tick(n: int)
            continue Next
        or:
            A -> B: stop()

program a(s: Count.A):
    for i in range(5):
        send s.B tick(i)
    send s.B stop()
    close s

program b(s: Count.B):
    loop:
        recv s.A:
            tick(n):
                print n
            stop():
                break
    close s

main:
    open Count as x, y
    spawn a(x)
    spawn b(y)
"""
SEQUENCE: Final = "replay = sequence"
NULLIFIER: Final = "replay = nullifier"
ROTATING: Final = "replay = nullifier, rotate = 2"
OFF: Final = "replay = off"
SEED_OF_B: Final = bytes(range(32))

Said = list[Envelope]
Change = Callable[[Said], Said]


def _messages(said: Said) -> list[int]:
    return [n for n, envelope in enumerate(said) if isinstance(envelope, MessageEnvelope)]


def _as_it_is(said: Said) -> Said:
    return said


def _twice(said: Said) -> Said:
    second = _messages(said)[1]
    return [*said[: second + 1], said[second], *said[second + 1 :]]


def _again_at_the_end(said: Said) -> Said:
    """The first message comes once more, after the last and before the notice."""
    places = _messages(said)
    return [*said[: places[-1]], said[places[0]], *said[places[-1] :]]


def _without_one(said: Said) -> Said:
    second = _messages(said)[1]
    return [*said[:second], *said[second + 1 :]]


def _exchanged(said: Said) -> Said:
    first, second = _messages(said)[:2]
    changed = list(said)
    changed[first], changed[second] = said[second], said[first]
    return changed


def _forged(**fields: object) -> Change:
    def change(said: Said) -> Said:
        second = _messages(said)[1]
        message = said[second]
        assert isinstance(message, MessageEnvelope)
        forged = message._replace(**fields)  # type: ignore[arg-type]  # fields of a message
        return [*said[:second], forged, *said[second:]]

    return change


def _signed(**fields: object) -> Change:
    """A says something else than it should, and signs it."""

    def change(said: Said) -> Said:
        second = _messages(said)[1]
        message = said[second]
        assert isinstance(message, MessageEnvelope)
        other = message._replace(**fields)  # type: ignore[arg-type]  # fields of a message
        statement = statements.message_statement(
            other.session,
            other.sender,
            other.receiver,
            other.kind,
            other.label,
            other.generation,
            other.sequence,
            statements.payload_commitment(other.salt, other.payload),
        )
        keys = HostSigner({}, CorpusKeys(()))
        signature = keys.sign(keys.principal("Count", "A"), statement)
        return [*said[:second], other._replace(signature=signature), *said[second:]]

    return change


def _without_notice(said: Said) -> Said:
    return said[: _messages(said)[-1] + 1]


CASES: Final[Sequence[tuple[str, str, str, Change]]] = (
    ("accepted-in-order", "Every message is the next one", SEQUENCE, _as_it_is),
    ("duplicate", "A message comes twice in mode sequence", SEQUENCE, _twice),
    ("gap", "A message is missing in mode sequence", SEQUENCE, _without_one),
    ("reordered", "Two messages come in the other order in mode sequence", SEQUENCE, _exchanged),
    (
        "late-duplicate",
        "The first message comes again before the last",
        SEQUENCE,
        _again_at_the_end,
    ),
    ("generation-forged", "A message claims another generation", SEQUENCE, _forged(generation=1)),
    ("signature-forged", "A signature is not the sender's", SEQUENCE, _forged(signature=bytes(64))),
    (
        "payload-forged",
        "A payload is not the one that was signed",
        SEQUENCE,
        _forged(payload=b"\x91\x07"),
    ),
    ("label-forged", "A label is not the one that was signed", SEQUENCE, _forged(label="stop")),
    ("number-forged", "A number is not the one that was signed", SEQUENCE, _forged(sequence=9)),
    ("salt-forged", "A salt is not the one that was used", SEQUENCE, _forged(salt=bytes(16))),
    ("session-forged", "A message names another session", SEQUENCE, _forged(session=bytes(32))),
    ("kind-forged", "A message says that it is no selection", SEQUENCE, _forged(kind=0)),
    (
        "generation-signed",
        "A sender signs a generation that there is not",
        SEQUENCE,
        _signed(generation=1),
    ),
    ("number-signed", "A sender signs a number too high", SEQUENCE, _signed(sequence=4)),
    ("label-signed", "A sender signs a label out of turn", SEQUENCE, _signed(label="tack")),
    (
        "payload-signed",
        "A sender signs a payload of another type",
        SEQUENCE,
        _signed(payload=b"\x91\xa1x"),
    ),
    (
        "nullifier-generation-signed",
        "A sender signs a generation that there is not",
        NULLIFIER,
        _signed(generation=1),
    ),
    (
        "rotating-generation-signed",
        "A sender signs a generation to come",
        ROTATING,
        _signed(generation=2),
    ),
    (
        "rotating-number-signed",
        "A sender signs a number of no generation",
        ROTATING,
        _signed(sequence=2),
    ),
    ("off-number-signed", "In mode off numbers do not count", OFF, _signed(sequence=9)),
    ("no-notice", "The sender never says that it is done", SEQUENCE, _without_notice),
    ("nullifier-in-order", "Each identity once", NULLIFIER, _as_it_is),
    ("nullifier-duplicate", "An identity comes twice", NULLIFIER, _twice),
    ("nullifier-reordered", "In any order, in mode nullifier", NULLIFIER, _exchanged),
    ("nullifier-gap", "One identity never comes", NULLIFIER, _without_one),
    ("nullifier-late", "The first identity comes again", NULLIFIER, _again_at_the_end),
    ("rotating", "Generations of two messages", ROTATING, _as_it_is),
    ("rotating-duplicate", "A message comes twice in its generation", ROTATING, _twice),
    ("rotating-old", "A message of a retired generation comes again", ROTATING, _again_at_the_end),
    ("rotating-number", "A number is not of any generation", ROTATING, _forged(sequence=7)),
    ("off-in-order", "Nothing is refused in mode off", OFF, _as_it_is),
    ("off-duplicate", "A message is taken twice in mode off", OFF, _twice),
    ("off-forged", "A forgery is refused in mode off, too", OFF, _forged(signature=bytes(64))),
)


class _Side:
    def __init__(self, image: Image, role: str, seed: bytes) -> None:
        self.keys = HostSigner({}, CorpusKeys(()))
        self.role = role
        self.machine = Machine(
            load(image),
            seed=seed,
            signer=self.keys,
            roster=self.keys,
            evidence=TrustingEvidence(),
            home=[role],
        )
        self.machine.start()
        while self.machine.run_round(0):
            continue
        (self.meeting,) = self.machine.poll_meetings()
        ((_, self.nonce),) = self.meeting.here

    @property
    def party(self) -> tuple[str, bytes, bytes]:
        return self.role, self.keys.principal("Count", self.role), self.nonce


def _transcript(image: Image) -> tuple[tuple[str, bytes, bytes], Said]:
    """Who A is, and all that it says to B."""
    a, b = _Side(image, "A", bytes(32)), _Side(image, "B", SEED_OF_B)
    a.machine.meet(a.meeting.coroutine, [b.party])
    b.machine.meet(b.meeting.coroutine, [a.party])
    said: Said = []
    for _ in range(40):
        for here, there in ((a, b), (b, a)):
            while here.machine.run_round(0):
                continue
            for outgoing in here.machine.poll_outgoing():
                said += [outgoing.envelope] if here is a else []
                there.machine.deliver(outgoing.envelope)
    return a.party, said


def main() -> None:
    for name, about, settings, change in CASES:
        image = compile_source(SCRIPT.format(settings=settings), "count.troth")
        (role, key, nonce), said = _transcript(image)
        host: list[dict[str, Any]] = [{"after": 1, "meet": [[role, key.hex(), nonce.hex()]]}]
        for number, envelope in enumerate(change(said)):
            host.append({"after": 2 + number, "deliver": encode_envelope(envelope).hex()})
        text = disassemble(image).encode()
        case = {"about": f"{about}.", "home": ["B"], "host": host}
        for verb in VERBS:
            given = {"about": case["about"], "verb": verb, **case, "expect": {}}
            seen = observe(read_case(json.dumps(given).encode()), text, assembly=True)
            if keeps_its_verb(verb, seen):
                folder = CORPUS / f"replay-{name}"
                folder.mkdir(exist_ok=True)
                (folder / "image.asm").write_bytes(text)
                (folder / "case.json").write_text(written({**given, "expect": seen}))
                print(verb, name, seen["delivered"], seen["rejected"], seen["outcome"])


if __name__ == "__main__":
    main()
