"""Taking artifacts apart and putting them together again, with whatever keys one has.

The owner of each record is found through `record_events`, not through the verifier, so that the
tests do not ask the verifier about itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack
from nacl.bindings import crypto_sign

from troth.dsl import shell_load
from troth.vm import events as ev
from troth.vm import statements
from troth.vm.covered import statement_of
from troth.vm.descriptor import Descriptor
from troth.vm.errors import Malformed
from troth.vm.instructions import Seal
from troth.vm.keys import KeyPair, TrustFile, generate
from troth.vm.merkle import EMPTY_ROOT, Frontier
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.record_events import EventDecoder
from troth.vm.records import MAGIC, SIGNER_OWNED, Kind
from troth.vm.shell_options import RunOptions, seed_from_number
from troth.vm.shell_run import run

Record = tuple[Any, ...]
Edit = Callable[[list[Record]], None]
ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLES: Final = ROOT / "docs" / "examples"


@dataclass(frozen=True, slots=True)
class Sample:
    """One recorded run with the keys that signed it, by name."""

    data: bytes
    keys: Mapping[str, KeyPair]

    @property
    def trust(self) -> TrustFile:
        return TrustFile(tuple(pair.verifier for pair in self.keys.values()))


def key_pair(name: str, *, variant: int = 0) -> KeyPair:
    """Always the same key for the same name and variant."""
    return generate(name, statements.identity_digest(f"{variant} {name}".encode()))


def record_script(
    path: Path, folder: Path, *, seed: int = 1, variant: int = 0, seal: Seal | None = None
) -> Sample:
    """Runs a script with keys that depend on the role's name and `variant` only."""
    module = shell_load.load(path)
    return record_image(module.image, folder, seed=seed, variant=variant, seal=seal)


def record_image(
    image: Any,
    folder: Path,
    *,
    seed: int = 1,
    variant: int = 0,
    effects: Mapping[str, object] | None = None,
    ok: bool = True,
    seal: Seal | None = None,
) -> Sample:
    """Runs an image, records it, and returns the artifact with its keys."""
    bundled = {child.protocol for bundle in image.bundles for child in bundle.children}
    single = [one for number, one in enumerate(image.protocols) if number not in bundled]
    roles = sorted({role for one in (*single, *image.bundles) for role in one.roles})
    keys = {role: key_pair(role, variant=variant) for role in roles}
    key_folder = folder / f"keys-{variant}"
    key_folder.mkdir(parents=True, exist_ok=True)
    for name, pair in keys.items():
        path = key_folder / f"{name}.key"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(pair.private_text + "\n")
    target = folder / f"{seed}-{variant}.replay"
    options = RunOptions(
        keys=key_folder,
        record=target,
        seed=seed_from_number(seed),
        effects=effects or {},
        seal=seal,
    )
    result = run(image, options=options, write_line=_silent)
    assert result.ok is ok, result.report.describe()
    return Sample(target.read_bytes(), keys)


def _silent(line: str) -> None:
    """What the scripts print is not looked at here."""
    del line


# --- records -------------------------------------------------------------------------------


def parse(data: bytes) -> list[Record]:
    return [record.items for record in ArtifactReader(io.BytesIO(data))]


def raw_records(data: bytes) -> list[RawRecord]:
    return list(ArtifactReader(io.BytesIO(data)))


def join(records: Sequence[Record]) -> bytes:
    return MAGIC + b"".join(msgpack.packb(record) for record in records)


def find(records: Sequence[Record], kind: Kind, number: int = 0) -> int:
    """The index of the record that is number `number` of its kind."""
    return [index for index, record in enumerate(records) if record[0] == kind][number]


def with_field(record: Record, field: int, value: object) -> Record:
    """`field` counts from 1: the kind is 0."""
    return (*record[:field], value, *record[field + 1 :])


def dropped(kind: Kind, number: int) -> Edit:
    """Leaves out the `number`-th record of the kind."""

    def edit(records: list[Record]) -> None:
        del records[find(records, kind, number)]

    return edit


def flipped(data: bytes, bit: int = 0) -> bytes:
    return bytes([data[0] ^ (1 << bit)]) + data[1:]


# --- signing again -------------------------------------------------------------------------


class _Log:
    def __init__(self) -> None:
        self.frontier = Frontier()
        self.previous = EMPTY_ROOT


def reseal(records: Sequence[Record], pairs: Sequence[KeyPair]) -> bytes:
    """The artifact with counts, log roots and seals made right for the keys that one has.

    Seals of other principals stay as they are.
    """
    held = {pair.public_key: pair for pair in pairs}
    decoder, logs, keys = EventDecoder(), list[_Log](), list[bytes]()
    keeper = _Log()  # Of the first principal here: its log has what comes before it, too.
    header = msgpack.packb(records[0])
    opened = ended = offset = 0
    done: list[Record] = []
    for index, original in enumerate(records):
        record = original
        kind = Kind(record[0])
        if kind is Kind.END:
            record = with_field(record, 2, index)
        if kind is Kind.SEAL:
            log, key = logs[record[1]], keys[record[1]]
            if key in held:
                over = any(other[0] == Kind.END for other in done)
                counts = (opened - ended, ended, over)
                record = _seal(record, log, held[key], header, counts)
            log.previous = record[3]
            done.append(record)
            continue
        if kind in (Kind.PRINCIPAL, Kind.PEER):
            keys.append(record[2])
            first = kind is Kind.PRINCIPAL and keeper not in logs
            logs.append(keeper if first else _Log())
        data = msgpack.packb(record)
        try:
            event = decoder.decode(RawRecord(index, offset, data, record))
        except Malformed:
            # Nothing after this record can be interpreted, so there is nothing to make right.
            return join([*done, *records[index:]])
        opened += kind is Kind.OPEN
        ended += kind is Kind.STATUS and record[2] >= 2
        owner = _owner(kind, event, keys)
        covered = statement_of(event) or data
        log = keeper if owner is None else logs[owner]
        log.frontier.append(index.to_bytes(8, "big") + covered)
        done.append(record)
        offset += len(data)
    return join(done)


def _owner(kind: Kind, event: Any, keys: list[bytes]) -> int | None:
    """The principal whose log has the record; None for the machine's own."""
    if kind is Kind.PRINCIPAL:
        return len(keys) - 1
    if kind not in SIGNER_OWNED or (kind is Kind.CANCEL and not event.role):
        return None
    return keys.index(event.old if kind is Kind.DELEGATE else event.signer)


def _seal(
    record: Record, log: _Log, pair: KeyPair, header: bytes, counts: tuple[int, int, bool]
) -> Record:
    head = (log.frontier.size, log.frontier.root, log.previous, record[5], *counts)
    return _signed_seal(record[1], head, pair, header)


def _signed_seal(index: int, head: tuple[Any, ...], pair: KeyPair, header: bytes) -> Record:
    log_id = statements.log_id(header, pair.public_key)
    return (Kind.SEAL, index, *head, sign(pair, statements.head_statement(log_id, *head)))


def sign_seal(records: Sequence[Record], seal: Record, pair: KeyPair) -> Record:
    """A SEAL that says what it says, signed."""
    return _signed_seal(seal[1], seal[2:-1], pair, msgpack.packb(records[0]))


def sign(pair: KeyPair, statement: bytes) -> bytes:
    return crypto_sign(statement, pair.signing_key)[: statements.SIGNATURE_BYTES]


def sign_all(records: Sequence[Record], pairs: Sequence[KeyPair]) -> list[Record]:
    """Every message, notice, receipt, certificate and cancellation signed anew.

    Only for the keys one has, and by whoever has authority according to the records.
    """
    held = {pair.public_key: pair for pair in pairs}
    decoder = EventDecoder()
    done: list[Record] = []
    for index, record in enumerate(records):
        try:
            event = decoder.decode(RawRecord(index, 0, b"", record))
        except Malformed:
            return [*done, *records[index:]]
        statement = statement_of(event)
        signer = event.old if isinstance(event, ev.Delegated) else getattr(event, "signer", b"")
        if statement and signer in held and not isinstance(event, ev.Arrived):
            # The signature is the last item of every record that has one.
            record = (*record[:-1], sign(held[signer], statement))  # noqa: PLW2901
        done.append(record)
    return done


def reopen(records: Sequence[Record], number: int, field: int, value: object) -> list[Record]:
    """An OPEN with another field, and the session id that follows from it."""
    index = find(records, Kind.OPEN, number)
    changed = [*records[:index], with_field(records[index], field, value)]
    decoder, event = EventDecoder(), None
    for place, record in enumerate(changed):
        event = decoder.decode(RawRecord(place, 0, b"", record))
    assert isinstance(event, ev.Opened)
    descriptor = Descriptor(
        event.protocol_id,
        event.protocol,
        event.roles,
        event.principals,
        event.edges,
        event.seal,
        event.linger_ns,
        event.nonce,
        event.observed,
    )
    changed[index] = with_field(changed[index], 1, descriptor.session)
    return [*changed, *records[index + 1 :]]


def collude(records: Sequence[Record], sample: Sample) -> bytes:
    """All principals sign what the records now say: only meaning can give it away."""
    pairs = list(sample.keys.values())
    return reseal(sign_all(records, pairs), pairs)
