"""The fragment: independent of interleaving and form, sensitive to everything that matters."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest
from blake3 import blake3

from evidence_samples import (
    CHILD,
    CLIENT,
    MAIN,
    descriptor,
    opened,
    read_all,
    received,
    record,
    sent,
    session_events,
    whole_run,
)
from troth.vm import events as ev
from troth.vm.errors import Malformed
from troth.vm.events import Event, Status
from troth.vm.fragment import FragmentBuilder
from troth.vm.record_events import EventDecoder


def _built(events: list[Event], *, keep: bool = True) -> FragmentBuilder:
    builder = FragmentBuilder(keep=keep)
    for event in events:
        builder.add(event)
    return builder


def _derive(context: str, data: bytes) -> bytes:
    return blake3(data, derive_key_context=context).digest()


def _digest_of_encoded(encoded: bytes) -> bytes:
    """The digest computed from the full form, by the words of the module's description."""
    version, sessions = msgpack.unpackb(encoded, use_list=False)
    assert version == 1
    joined = b""
    for session in sessions:
        endpoints = []
        for role, actions in session[9]:
            digest = bytes(32)
            for action in actions:
                digest = _derive("troth/v1 fragment action", digest + msgpack.packb(action))
            endpoints.append((role, digest))
        packed = msgpack.packb((*session[:9], endpoints, *session[10:]))
        joined += session[0] + _derive("troth/v1 fragment session", packed)
    return _derive("troth/v1 fragment", joined)


def test_digest_and_full_form_say_the_same() -> None:
    builder = _built(whole_run())
    assert builder.digest() == _digest_of_encoded(builder.encode())
    assert builder.digest() == _built(whole_run(), keep=False).digest()
    encoded = builder.encode()
    assert msgpack.packb(msgpack.unpackb(encoded)) == encoded


def test_the_full_form_holds_what_happened() -> None:
    _, sessions = msgpack.unpackb(_built(whole_run()).encode(), use_list=False)
    assert [row[0] for row in sessions] == sorted(row[0] for row in sessions)
    by_id: dict[bytes, Any] = {row[0]: row for row in sessions}
    closed, cancelled = by_id[descriptor(0).session], by_id[descriptor(1).session]
    assert [[action[0] for action in actions] for _, actions in closed[9]] == [
        ["send", "recv", "notice"],
        ["delegate", "recv", "send", "notice"],
    ]
    assert [row[:5] for row in closed[10]] == [
        ("Client", "Server", 0, 1, 0),
        ("Server", "Client", 0, 1, 0),
    ]
    assert closed[11:] == (Status.CLOSED, 1, "", None, (), (), ())
    assert cancelled[9][0][1][-1] == ("cancel", "enough")
    assert cancelled[11:14] == (Status.CANCELLED, 1, "enough")
    assert cancelled[15] == (("Client", "Server", 0, 0),)
    assert cancelled[16] == (("Client", "Server", 0, 1),)
    assert cancelled[17] == (("Client", "Server", "vm.fault.verification", bytes(32)),)


def test_recorded_and_read_back_it_is_the_same() -> None:
    decoder = EventDecoder()
    builder = FragmentBuilder(keep=True)
    for entry in read_all(record(whole_run())):
        event = decoder.decode(entry)
        if event is not None:
            builder.add(event)
    assert builder.encode() == _built(whole_run()).encode()


def test_payload_forms_do_not_matter_to_actions() -> None:
    """The form is agreed in the descriptor, so it shows there; the actions do not carry it."""
    _, inline = msgpack.unpackb(_built(session_events(payload="inline")).encode())
    decoder = EventDecoder()
    events = [ev.Spawned(MAIN, b"", 0), *session_events(payload="digest")]
    decoded = [decoder.decode(entry) for entry in read_all(record(events))]
    digest_form = [event for event in decoded if event is not None]
    assert _built(digest_form).encode() == _built(events).encode()
    assert inline[0][9][0][1][0][0] == "send"


def _actor(event: Any) -> tuple[bytes, str]:
    """Whose sequence the event belongs to: events of different actors may be swapped."""
    match event:
        case ev.Sent():
            return event.session, event.sender
        case ev.Received():
            return event.session, event.receiver
        case ev.Delegated() | ev.Noticed() | ev.Receipted():
            return event.session, event.role
    return event.session, ""


def _depends(first: Any, second: Any) -> bool:
    """Whether `second` cannot come before `first`."""
    if first.session != second.session:
        return False
    if _actor(first) == _actor(second) or "" in (_actor(first)[1], _actor(second)[1]):
        return True
    if isinstance(first, ev.Sent) and isinstance(second, ev.Received):
        return (first.sender, first.sequence) == (second.sender, second.sequence)
    return False


def test_interleaving_does_not_matter() -> None:
    events: list[Any] = [*session_events(0, asks=3), *session_events(1), *session_events(2)]
    expected = _built(list(events))
    source = random.Random(7)
    orders = set()
    for _ in range(30):
        for _ in range(300):
            at = source.randrange(len(events) - 1)
            if not _depends(events[at], events[at + 1]):
                events[at], events[at + 1] = events[at + 1], events[at]
        shuffled = _built(list(events))
        orders.add(tuple(events))
        assert shuffled.encode() == expected.encode()
        assert shuffled.digest() == expected.digest()
    assert len(orders) > 20


def test_signatures_seals_and_coroutines_do_not_matter() -> None:
    events: list[Event] = [
        event._replace(signature=bytes(64)) if isinstance(event, ev.Sent | ev.Noticed) else event
        for event in session_events()
    ]
    events[0] = opened(descriptor(), CHILD)
    extra: list[Event] = [
        ev.Spawned(MAIN, b"", 0),
        ev.Printed(MAIN, "x"),
        ev.TimeSet(1, 1),
        ev.Halted(MAIN),
    ]
    assert _built([*extra, *events]).encode() == _built(session_events()).encode()


def test_only_the_last_receipt_of_an_edge_side_counts() -> None:
    events = session_events()
    early = next(event for event in events if isinstance(event, ev.Receipted))
    at = events.index(early)
    earlier = early._replace(consumed=0, root=bytes(32))
    with_more = [*events[: at - 4], earlier, *events[at - 4 :]]
    assert _built(with_more).encode() == _built(events).encode()


_CHANGES: dict[type, dict[str, object]] = {
    ev.Opened: {"protocol_id": b"\1" * 32, "linger_ns": 5, "nonce": b"\1" * 16, "seal": "round"},
    ev.Sent: {"label": "tell", "commitment": bytes(32), "kind": 1},
    ev.Received: {"root": bytes(32)},
    ev.Delegated: {"new": CLIENT},
    ev.Noticed: {"finals": (("Server", 0, 9),), "role": "Client"},
    ev.Receipted: {"consumed": 9, "discarded": 1, "root": None},
    ev.StatusChanged: {"status": Status.FAULTED, "epoch": 7, "detail": "x"},
    ev.Undelivered: {"sequence": 9},
    ev.Dropped: {"label": "x", "sender": "Server"},
    ev.Rotated: {"generation": 1, "messages": 3},
    ev.Retired: {"generation": 1, "root": None},
    ev.Rejected: {"code": "x", "digest": bytes(31) + b"x"},
    ev.Cancelled: {"reason": "x", "role": ""},
}


@pytest.mark.parametrize("kind", _CHANGES)
def test_everything_that_matters_changes_the_digest(kind: type) -> None:
    events: list[Any] = whole_run()
    last = max(i for i, event in enumerate(events) if type(event) is kind)
    for name, value in _CHANGES[kind].items():
        changed = [*events[:last], events[last]._replace(**{name: value}), *events[last + 1 :]]
        assert _built(changed).digest() != _built(events).digest(), name


def test_any_dropped_event_of_a_session_shows() -> None:
    events = session_events()
    digests = {_built(events).digest()}
    for at in range(1, len(events)):
        try:
            digests.add(_built([*events[:at], *events[at + 1 :]]).digest())
        except Malformed:
            assert isinstance(events[at], ev.Sent)
            digests.add(bytes([at]))
    # The change to DRAINING leaves no trace of its own: the session ends as CLOSED.
    assert len(digests) == len(events) - 1


def test_the_order_of_one_endpoints_actions_matters() -> None:
    session = descriptor().session
    both = [sent(session, "Client", "Server", i) for i in range(2)]
    one = _built([opened(descriptor()), *both])
    other = _built([opened(descriptor()), *reversed(both)])
    assert one.digest() != other.digest()


def test_asking_changes_nothing_and_sessions_may_be_open() -> None:
    events = session_events()
    builder, digests = FragmentBuilder(keep=True), set()
    for event in events:
        builder.add(event)
        digests.add(builder.digest())
        assert builder.digest() == _digest_of_encoded(builder.encode())
    assert len(digests) == len(events)
    assert builder.digest() == _built(events).digest()


def test_nothing_happened() -> None:
    assert _built([]).encode() == b"\x92\x01\x90"
    assert _built([]).digest() == _derive("troth/v1 fragment", b"")


def test_the_full_form_needs_to_be_asked_for() -> None:
    with pytest.raises(ValueError, match="does not keep"):
        _built([], keep=False).encode()


def test_what_happens_to_the_endpoint_of_an_ended_session_is_passed_over() -> None:
    events = session_events()
    late = next(event for event in events if isinstance(event, ev.Delegated))
    assert _built([*events, late]).digest() == _built(events).digest()


def test_events_that_do_not_follow_are_refused() -> None:
    session = descriptor().session
    message = sent(session, "Client", "Server", 0)
    beginning: list[Event] = [opened(descriptor())]
    wrong: list[list[Event]] = [
        [message],
        [*beginning, *beginning],
        [*session_events(), *beginning],
        [*beginning, received(message, bytes(32))],
        [*beginning, message, received(message, bytes(32)), received(message, bytes(32))],
        [*beginning, message._replace(sender="Nobody")],
        [*session_events(), message],
        [ev.StatusChanged(session, Status.CLOSED, 1, "")],
    ]
    for events in wrong:
        with pytest.raises(Malformed) as caught:
            _built(events)
        assert caught.value.code == "fragment.event"


def test_an_ended_session_leaves_only_its_digest() -> None:
    builder = FragmentBuilder()
    for number in range(20):
        for event in session_events(number):
            builder.add(event)
    assert builder._live == {}
    assert builder._kept == {}
    assert {len(digest) for digest in builder._ended.values()} == {32}
