"""The worked example of the format page: a small run with fixed keys, byte by byte."""

from __future__ import annotations

import io
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from docs.region_tables import table
from troth.dsl import compile_source
from troth.vm import signatures, statements
from troth.vm.descriptor import Descriptor
from troth.vm.events import EdgeConfig
from troth.vm.host_signer import HostSigner
from troth.vm.image_codec import encode_image
from troth.vm.keys import KeyPair, generate
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.machine import QUANTUM_DEFAULT, Machine, MachineState
from troth.vm.merkle import Tree, leaf_hash
from troth.vm.reader import RawRecord, read
from troth.vm.record_codec import FIELDS
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.records import SIGNER_OWNED, Kind
from troth.vm.shell_options import seed_from_number

HELLO: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "hello.troth"
SEED_NUMBER: Final = 1
BYTES_A_LINE: Final = 32
LONG_ITEM_BYTES: Final = 400


class Example(NamedTuple):
    """A finished run: its file, and the keys by role."""

    file: bytes
    keys: dict[str, KeyPair]


def _key(name: str, number: int) -> KeyPair:
    return generate(name, number.to_bytes(32, "big"))


@cache
def example() -> Example:
    """Runs hello.troth with the fixed seed, keys and time, and records it."""
    image = compile_source(HELLO.read_text(encoding="utf-8"), HELLO.name)
    loaded = load(image)
    keys = {"Client": _key("Client", 1), "Server": _key("Server", 2)}
    signer = HostSigner(keys)
    seed = seed_from_number(SEED_NUMBER)
    header = HeaderFacts(
        image_id=loaded.id,
        seed=seed,
        quantum=QUANTUM_DEFAULT,
        policy="cooperative",
        limits=tuple(getattr(DEFAULT_LIMITS, field.name) for field in fields(Limits)),
        runner="cooperative",
        replay=None,
        seal=None,
        entry=image.entry or 0,
        anchor_unix_ns=0,
    )
    recorder = Recorder(header, encode_image(image), signer, signer)
    machine = Machine(loaded, seed=seed, signer=signer, roster=signer)
    machine.start()
    rounds = 0
    while machine.run_round(0):
        rounds += 1
        recorder.extend(machine.poll_events(), rounds)
    recorder.extend(machine.poll_events(), rounds)
    assert machine.state is MachineState.FINISHED
    recorder.finish(rounds, "ok")
    return Example(recorder.take_bytes(), keys)


@cache
def records() -> tuple[RawRecord, ...]:
    return tuple(read(io.BytesIO(example().file)))


def _of_kind(kind: Kind) -> tuple[RawRecord, ...]:
    return tuple(record for record in records() if record.items[0] == kind)


# --- the records -------------------------------------------------------------------------------


def hello_records(_: str) -> str:
    logs = _Logs()
    return "\n\n".join("```text\n" + _record(record, logs) + "```" for record in records())


class _Logs:
    """Whose log a record is a leaf of, and its number there; nobody delegates in this run."""

    def __init__(self) -> None:
        self.names = [record.items[1] for record in _of_kind(Kind.PRINCIPAL)]
        self.sizes = [0] * len(self.names)

    def owner(self, record: RawRecord) -> int | None:
        """The principal whose log the record belongs to; None for a seal."""
        kind, items = Kind(record.items[0]), record.items
        if kind is Kind.SEAL:
            return None
        if kind is Kind.PRINCIPAL:
            return self.names.index(items[1])
        # In this run the principal of role number n is principal number n.
        role: int = items[2] if kind in SIGNER_OWNED else 0
        return role

    def leaf(self, record: RawRecord) -> str:
        """In words: which leaf of which log."""
        owner = self.owner(record)
        if owner is None:
            return "no leaf"
        self.sizes[owner] += 1
        return f"leaf {self.sizes[owner] - 1} of {self.names[owner]}'s log"


def _record(record: RawRecord, logs: _Logs) -> str:
    kind = Kind(record.items[0])
    size = len(record.data)
    lines = [f"record {record.index}: {kind.name}, offset {record.offset}, {size} bytes, "]
    lines[0] += logs.leaf(record)
    head = msgpack.Packer().pack_array_header(len(record.items))
    lines += _hex(head, f"array of {len(record.items)}")
    lines += _hex(_pack(record.items[0]), f"kind {kind.name}")
    joined = head + _pack(record.items[0])
    for field, item in zip(FIELDS[kind], record.items[1:], strict=True):
        packed = _pack(item)
        joined += packed
        lines += _hex(packed, f"{field.name}{_shown(item)}")
    assert joined == record.data
    return "\n".join(lines) + "\n"


def _pack(item: object) -> bytes:
    packed: bytes = msgpack.packb(item)
    return packed


def _shown(item: Any) -> str:
    if isinstance(item, bytes):
        return f" ({len(item)} bytes)"
    if isinstance(item, tuple):
        return f" = {list(item)}" if len(str(item)) < 60 else ""
    return f" = {'nil' if item is None else repr(item)}"


def _hex(data: bytes, meaning: str) -> list[str]:
    """Lines of hex; the meaning stands beside short data and above long data."""
    if len(data) <= 12:
        return [f"  {data.hex():24}  {meaning}"]
    shown = data[: 2 * BYTES_A_LINE] if len(data) > LONG_ITEM_BYTES else data
    lines = [f"  {'':24}  {meaning}:"]
    lines += [
        f"  {shown[start : start + BYTES_A_LINE].hex()}"
        for start in range(0, len(shown), BYTES_A_LINE)
    ]
    if len(shown) < len(data):
        lines.append(f"  ... and {len(data) - len(shown)} bytes more")
    return lines


# --- derived values ----------------------------------------------------------------------------


def hello_derivation(_: str) -> str:
    (header,) = _of_kind(Kind.HEADER)
    (opened,) = _of_kind(Kind.OPEN)
    (protocol,) = _of_kind(Kind.PROTOCOL)
    spawned = _of_kind(Kind.SPAWN)
    seed = header.items[3]
    main = statements.coroutine_id(seed, b"", 0)
    assert main == spawned[0].items[3]
    nonce = statements.session_nonce(seed, main, 0)
    assert nonce == opened.items[7]
    descriptor = _descriptor(opened, protocol)
    assert descriptor.session == opened.items[1]
    client, server = example().keys["Client"], example().keys["Server"]
    rows = [
        ("seed of `--seed 1`", seed),
        ("public key of Client", client.public_key),
        ("public key of Server", server.public_key),
        ("log id of Client", statements.log_id(header.data, client.public_key)),
        ("log id of Server", statements.log_id(header.data, server.public_key)),
        ("image id", header.items[2]),
        ("protocol id", protocol.items[1]),
        ("coroutine id of main", main),
        ("coroutine id of main's first child", statements.coroutine_id(seed, main, 0)),
        ("session nonce", nonce),
        ("descriptor", descriptor.encode()),
        ("session id", descriptor.session),
        *_first_message(descriptor, client),
    ]
    return table(("value", "hex"), [(name, f"`{value.hex()}`") for name, value in rows])


def _descriptor(opened: RawRecord, protocol: RawRecord) -> Descriptor:
    _, _, _, principals, edges, seal, linger_ns, nonce, _, _ = opened.items
    _, protocol_id, name, roles, _ = protocol.items
    keys = [record.items[2] for record in _of_kind(Kind.PRINCIPAL)]
    return Descriptor(
        protocol_id=protocol_id,
        protocol=name,
        roles=roles,
        principals=tuple(keys[index] for index in principals),
        edges=tuple(EdgeConfig(roles[row[0]], roles[row[1]], *row[2:]) for row in edges),
        seal=seal,
        linger_ns=linger_ns,
        nonce=nonce,
    )


def _first_message(descriptor: Descriptor, client: KeyPair) -> list[tuple[str, bytes]]:
    sent, received = _of_kind(Kind.SEND)[0], _of_kind(Kind.RECEIVE)[0]
    salt, payload, signature = sent.items[8], sent.items[9], sent.items[11]
    commitment = statements.payload_commitment(salt, payload)
    statement = statements.message_statement(
        descriptor.session, "Client", "Server", 0, "greet", 0, 0, commitment
    )
    assert signatures.verify(client.public_key, statement, signature)
    root = statements.history_step(statements.history_start(), statement)
    assert root == received.items[6]
    leaf = sent.index.to_bytes(8, "big") + statement
    assert leaf == leaf_of(sent)
    return [
        ("payload of the first message", payload),
        ("its salt", salt),
        ("its payload commitment", commitment),
        ("its message statement", statement),
        ("its signature by Client", signature),
        ("its message identity", statements.identity_digest(statement)),
        ("root of the edge Client -> Server after it", root),
        ("leaf hash of its SEND record", leaf_hash(leaf)),
    ]


# --- the logs ----------------------------------------------------------------------------------

ROLES: Final = ("Client", "Server")


def leaf_of(record: RawRecord) -> bytes:
    """A record's leaf as the page defines it."""
    items = record.items
    (opened,) = _of_kind(Kind.OPEN)
    session = opened.items[1]
    covered = record.data
    match Kind(items[0]):
        case Kind.SEND:
            commitment = statements.payload_commitment(items[8], items[9])
            labels = _of_kind(Kind.PROTOCOL)[0].items[4]
            names = (ROLES[items[2]], ROLES[items[3]])
            covered = statements.message_statement(
                session, *names, items[4], labels[items[5]], items[6], items[7], commitment
            )
        case Kind.NOTICE:
            finals = [(ROLES[row[0]], row[1], row[2]) for row in items[3]]
            covered = statements.notice_statement(session, ROLES[items[2]], finals)
        case Kind.RECEIPT:
            names = (ROLES[items[2]], ROLES[items[3]])
            covered = statements.receipt_statement(session, *names, *items[4:9])
        case Kind.DELEGATE | Kind.CANCEL:
            raise AssertionError("nobody delegates or cancels in the example")
    return record.index.to_bytes(8, "big") + covered


def check_logs() -> None:
    """The logs of the example add up to the roots of its seals, by the page's definition."""
    logs = _Logs()
    trees = {name: Tree() for name in logs.names}
    for record in records():
        owner = logs.owner(record)
        if owner is not None:
            trees[logs.names[owner]].append(leaf_of(record))
    for seal in _of_kind(Kind.SEAL):
        tree = trees[logs.names[seal.items[1]]]
        assert (tree.size, tree.root()) == seal.items[2:4]
