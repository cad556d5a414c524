"""A small made-up run for tests of the evidence: two roles talk, one delegates, both close."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Final

from troth.vm import events as ev
from troth.vm import statements
from troth.vm.descriptor import Descriptor
from troth.vm.events import EdgeConfig, Event, Status
from troth.vm.host_signer import HostSigner
from troth.vm.keys import KeyPair, generate
from troth.vm.reader import ArtifactReader, RawRecord
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.statements import StepKind
from troth.vm.trouble_kind import Trouble

SEED: Final = bytes(range(32))
PROTOCOL_ID: Final = bytes(32)
ROLES: Final = ("Client", "Server")
LABELS: Final = ("ask", "tell")
MAIN: Final = statements.coroutine_id(SEED, b"", 0)
CHILD: Final = statements.coroutine_id(SEED, MAIN, 0)

KEYS: Final[Mapping[str, KeyPair]] = {
    role: generate(role, role.encode().ljust(32, b"."))
    for role in ("Client", "Server", "Deputy", "Faraway", "Servant")
}
CLIENT: Final = KEYS["Client"].public_key
SERVER: Final = KEYS["Server"].public_key
DEPUTY: Final = KEYS["Deputy"].public_key
FARAWAY: Final = KEYS["Faraway"].public_key
SERVANT: Final = KEYS["Servant"].public_key

HEADER: Final = HeaderFacts(
    image_id=bytes(32),
    seed=SEED,
    quantum=64,
    policy="cooperative",
    limits=(1, 2, 3),
    runner="cooperative",
    replay=None,
    seal=None,
    entry=0,
    anchor_unix_ns=1,
)


def signer() -> HostSigner:
    return HostSigner(KEYS)


def edges(payload: str = "inline") -> tuple[EdgeConfig, ...]:
    return (
        EdgeConfig("Client", "Server", "sequence", "fifo", 16, "block", 0, payload),
        EdgeConfig("Server", "Client", "sequence", "fifo", 16, "block", 0, payload),
    )


def descriptor(number: int = 0, payload: str = "inline") -> Descriptor:
    return Descriptor(
        PROTOCOL_ID,
        "Hello",
        ROLES,
        (CLIENT, SERVER),
        edges(payload),
        "message",
        1000,
        statements.session_nonce(SEED, MAIN, number),
    )


def opened(agreed: Descriptor, coroutine: bytes = MAIN) -> ev.Opened:
    return ev.Opened(
        agreed.session,
        agreed.protocol_id,
        agreed.protocol,
        agreed.roles,
        LABELS,
        agreed.principals,
        agreed.edges,
        agreed.seal,
        agreed.linger_ns,
        agreed.nonce,
        coroutine,
    )


def sent(
    session: bytes,
    sender: str,
    receiver: str,
    sequence: int,
    *,
    label: str = "ask",
    payload: bytes = b"\x91\x01",
    signer_key: bytes | None = None,
) -> ev.Sent:
    host = signer()
    key = KEYS[sender].public_key if signer_key is None else signer_key
    salt = host.salt(key, statements.message_position(session, sender, receiver, 0, sequence))
    commitment = statements.payload_commitment(salt, payload)
    statement = statements.message_statement(
        session, sender, receiver, 0, label, 0, sequence, commitment
    )
    return ev.Sent(
        session,
        sender,
        receiver,
        StepKind.MESSAGE,
        label,
        0,
        sequence,
        salt,
        payload,
        commitment,
        host.sign(key, statement),
        key,
    )


def statement_of(message: ev.Sent) -> bytes:
    return statements.message_statement(*message[:7], message.commitment)


def received(message: ev.Sent, root: bytes, signer_key: bytes | None = None) -> ev.Received:
    step = statements.history_step(root, statement_of(message))
    key = KEYS[message.receiver].public_key if signer_key is None else signer_key
    return ev.Received(
        message.session, message.receiver, message.sender, 0, message.sequence, step, key
    )


def noticed(session: bytes, role: str, peer: str, count: int, key: bytes) -> ev.Noticed:
    finals = ((peer, 0, count),)
    statement = statements.notice_statement(session, role, finals)
    return ev.Noticed(session, role, finals, signer().sign(key, statement), key)


def receipted(
    session: bytes, role: str, sender: str, count: int, root: bytes | None, key: bytes
) -> ev.Receipted:
    facts = (session, role, sender, 0, count, count, 0, root)
    return ev.Receipted(*facts, signer().sign(key, statements.receipt_statement(*facts)), key)


def session_events(number: int = 0, *, asks: int = 1, payload: str = "inline") -> list[Event]:
    """One session from its opening to its close; Server's end is handed to Deputy."""
    agreed = descriptor(number, payload)
    session = agreed.session
    events: list[Event] = [opened(agreed)]
    hand_over = statements.delegation_statement(session, "Server", SERVER, DEPUTY)
    signature = signer().sign(SERVER, hand_over)
    events.append(ev.Delegated(session, "Server", SERVER, DEPUTY, signature))
    at_server = at_client = statements.history_start()
    for i in range(asks):
        ask = sent(session, "Client", "Server", i)
        taken = received(ask, at_server, DEPUTY)
        answer = sent(session, "Server", "Client", i, label="tell", signer_key=DEPUTY)
        back = received(answer, at_client)
        assert taken.root is not None
        assert back.root is not None
        at_server, at_client = taken.root, back.root
        events += [ask, taken, answer, back]
    events += [
        noticed(session, "Client", "Server", asks, CLIENT),
        ev.StatusChanged(session, Status.DRAINING, 0, ""),
        noticed(session, "Server", "Client", asks, DEPUTY),
        receipted(session, "Client", "Server", asks, at_client, CLIENT),
        receipted(session, "Server", "Client", asks, at_server, DEPUTY),
        ev.StatusChanged(session, Status.CLOSED, 1, ""),
    ]
    return events


def spread_session(number: int = 2) -> list[Event]:
    """One session whose Server is at another machine: every word of that machine, once."""
    nonces = (statements.role_nonce(SEED, MAIN, number, "Client"), bytes(range(16)))
    agreed = descriptor(number)._replace(
        nonce=statements.joint_nonce(nonces), principals=(CLIENT, FARAWAY)
    )
    session, host = agreed.session, signer()

    def signed(key: bytes, statement: bytes) -> bytes:
        return host.sign(key, statement)

    joins = [
        signed(key, statements.join_statement(session, role, nonce))
        for key, role, nonce in zip((CLIENT, FARAWAY), ROLES, nonces, strict=True)
    ]
    handed = statements.delegation_statement(session, "Server", FARAWAY, SERVANT)
    answer = sent(session, "Server", "Client", 0, label="tell", signer_key=SERVANT)
    head = (bytes(32), 7, bytes(32), bytes(32), 3, 1, 0, False)
    finals = (("Client", 0, 1),)
    over = (session, "Server", "Client", 0, 1)
    receipt = (session, "Server", "Client", 0, 1, 1, 0, bytes(32))
    return [
        ev.Met(MAIN, (("Server", FARAWAY, nonces[1]),), 3),
        opened(agreed),
        ev.Joined(session, "Client", nonces[0], joins[0], CLIENT),
        ev.PeerJoined(session, "Server", joins[1], 3, nonces[1]),
        ev.PeerDelegated(session, "Server", FARAWAY, SERVANT, signed(FARAWAY, handed), 3),
        ev.PeerHead(SERVANT, *head, signed(SERVANT, statements.head_statement(*head)), 3),
        ev.Arrived(*answer[:11], None, 3, CLIENT),
        ev.Refused(session, "Server", "Client", "vm.fault.replay.duplicate", bytes(32), 3),
        ev.PeerReceipted(*receipt, signed(SERVANT, statements.receipt_statement(*receipt)), 3),
        ev.PeerRotated(*over, signed(SERVANT, statements.rotate_statement(*over)), 3),
        ev.PeerNoticed(
            session,
            "Server",
            finals,
            signed(SERVANT, statements.notice_statement(session, "Server", finals)),
            3,
        ),
        ev.PeerCancelled(
            session,
            "Server",
            "tired",
            signed(SERVANT, statements.cancel_statement(session, "Server", "tired")),
            3,
        ),
        ev.PeerFailed(
            session,
            "Server",
            "vm.fault.fail",
            "",
            signed(SERVANT, statements.fail_statement(session, "Server", "vm.fault.fail", "")),
            3,
        ),
        ev.Failed(
            session,
            "Client",
            "vm.fault.fail",
            "",
            signed(CLIENT, statements.fail_statement(session, "Client", "vm.fault.fail", "")),
            CLIENT,
        ),
    ]


def whole_run(*, payload: str = "inline") -> list[Event]:
    """Every kind of event at least once."""
    session = descriptor(1).session
    cancel = signer().sign(CLIENT, statements.cancel_statement(session, "Client", "enough"))
    effect = statements.effect_id(MAIN, 0)
    late = sent(session, "Client", "Server", 0)
    over = (session, "Client", "Server", 0, 2)
    return [
        ev.Spawned(MAIN, b"", 0),
        ev.Printed(MAIN, "hello"),
        ev.Acquired(MAIN, 0),
        ev.Released(MAIN, 0),
        ev.Spawned(CHILD, MAIN, 1),
        *session_events(0, payload=payload),
        ev.Invoked(MAIN, effect, 0, b"\x90"),
        ev.TimeSet(5, 3),
        ev.Completed(effect, False, b"\x91\xc0", 3),
        ev.Resumed(1, 3, 1_000),
        opened(descriptor(1)),
        ev.Transferred(session, "Server", MAIN, CHILD),
        ev.EndAsked(session, 6, 3),
        ev.Troubled(session, Trouble.PARTITION, "Client", "Server", None, 3),
        ev.Troubled(session, Trouble.TIMEOUT, "Client", "", 9, 3),
        late,
        sent(session, "Client", "Server", 1),
        ev.Overwritten(session, "Client", "Server", 0, 1),
        ev.Dropped(session, "Client", "Server", "ask"),
        ev.TimerStarted(session, "Client", 6, 3, CLIENT),
        ev.TimerExpired(session, "Client", MAIN, CLIENT),
        ev.Departed(session, "Server"),
        ev.CrashDetected(session, "Client", "Server", CLIENT),
        ev.Rotated(*over, signer().sign(CLIENT, statements.rotate_statement(*over)), CLIENT),
        ev.Retired(session, "Server", "Client", 0, bytes(32), SERVER),
        ev.Rejected(session, "Client", "Server", "vm.fault.verification", bytes(32)),
        ev.Cancelled(session, "Client", "enough", None, cancel, CLIENT),
        ev.Undelivered(session, "Client", "Server", 0, 0),
        ev.StatusChanged(session, Status.CANCELLED, 1, "enough"),
        *spread_session(),
        ev.BundleOpened(
            statements.bundle_id(b"bundle"),
            "Pair",
            ("Left", "Right"),
            (CLIENT, SERVER),
            (ev.ChildRow("talk", PROTOCOL_ID, "Hello", ROLES, LABELS, ("Left", "Right")),),
            bytes(16),
            MAIN,
        ),
        ev.Faulted(CHILD, "vm.fault.channel", "cancelled", "serve", 3, session, "Server"),
        ev.Halted(MAIN),
    ]


def record(events: list[Event], *, seal_every: int = 4096) -> bytes:
    """A whole artifact of the events, as one commit."""
    host = signer()
    recorder = Recorder(HEADER, b"image", host, host, seal_every=seal_every)
    recorder.extend(events, 1)
    recorder.finish(1, "ok")
    return recorder.take_bytes()


def read_all(data: bytes) -> list[RawRecord]:
    return list(ArtifactReader(BytesIO(data)))
