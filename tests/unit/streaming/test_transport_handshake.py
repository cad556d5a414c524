"""Handshakes over bad networks, with strangers, forgers, and observers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nacl.bindings import crypto_aead_chacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError

from link_pairs import (
    CLIENT,
    CLIENT_OPTIONS,
    HOST,
    HOST_OPTIONS,
    MS,
    SECOND,
    Pair,
    entropy,
    key_pair,
)
from troth.streaming.handshake.epochs import EpochKey
from troth.streaming.handshake.identity import IdentityRefused, Side, check_proof, proof
from troth.streaming.handshake.replay import Freshness, ReplayWindow
from troth.streaming.link import (
    Address,
    Closed,
    CloseReason,
    ControlMessage,
    Established,
    Identity,
    Listener,
    SecureLink,
)
from troth.streaming.netem import Conditions, Step
from troth.streaming.transport_limits import (
    COOKIE_BUCKET_NS,
    HALF_OPEN_FREE,
    HALF_OPEN_MAX,
    HANDSHAKE_NS,
    REPLAY_WINDOW_PACKETS,
)
from troth.streaming.wire import HEADER_BYTES, PacketKind, decode_header, encode_header
from troth.vm.keys import KeyPair

SLOW = [Step(0, Conditions(delay_ns=20 * MS))]


class Recorder:
    """Sees every datagram; drops those whose place is in `drops`."""

    def __init__(self, pair: Pair, drops: tuple[int, ...] = ()) -> None:
        self.seen: list[tuple[Address, Address, bytes]] = []
        self._drops = drops
        pair.world.taps.append(self._tap)

    def _tap(self, source: Address, destination: Address, data: bytes, _now_ns: int) -> bool:
        self.seen.append((source, destination, data))
        return len(self.seen) - 1 not in self._drops


def test_both_ends_know_each_other_and_the_same_hash() -> None:
    pair = Pair(steps=SLOW)
    recorder = Recorder(pair)
    pair.connect()
    client, host = pair.client.established, pair.host.established
    assert client is not None
    assert host is not None
    assert (client.peer.name, host.peer.name) == ("bob", "alice")
    assert client.hash == host.hash
    kinds = [decode_header(data).kind for _, _, data in recorder.seen]
    assert kinds[:4] == [
        PacketKind.INITIATE, PacketKind.RESPOND, PacketKind.COMPLETE, PacketKind.SEALED,
    ]  # fmt: skip


@pytest.mark.parametrize("lost", range(8))
def test_any_one_datagram_may_be_lost(lost: int) -> None:
    pair = Pair(steps=SLOW)
    Recorder(pair, drops=(lost,))
    pair.client.send_control(b"first")
    pair.connect(within_ns=2 * SECOND)
    pair.host.send_control(b"second")
    pair.run(2 * SECOND)
    assert pair.of(ControlMessage, pair.host_events) == [ControlMessage(b"first")]
    assert pair.of(ControlMessage) == [ControlMessage(b"second")]
    assert len(pair.of(Established)) == len(pair.of(Established, pair.host_events)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_handshake_survives_a_bad_network(seed: int) -> None:
    bad = Conditions(delay_ns=30 * MS, loss=0.3, duplicate=0.3, reorder=0.3, corrupt=0.1)
    pair = Pair(seed, [Step(0, bad)])
    pair.connect()


def test_the_wrong_host_is_refused_and_nothing_is_sent_to_it() -> None:
    options = replace(CLIENT_OPTIONS, peers=(key_pair("carol").verifier,))
    pair = Pair(client=options)
    recorder = Recorder(pair)
    pair.run(SECOND)
    (closed,) = pair.of(Closed)
    assert closed.reason is CloseReason.IDENTITY_REFUSED
    assert closed.error is not None
    assert closed.error.code == "transport.identity"
    assert pair.host_link is None
    assert [decode_header(data).kind for _, _, data in recorder.seen] == [
        PacketKind.INITIATE, PacketKind.RESPOND,
    ]  # fmt: skip


def test_an_unknown_client_is_told_so_and_gets_nothing() -> None:
    pair = Pair(host=replace(HOST_OPTIONS, peers=(key_pair("carol").verifier,)))
    pair.run(SECOND)
    (closed,) = pair.of(Closed)
    assert closed.reason is CloseReason.IDENTITY_REFUSED
    assert closed.by_peer
    assert pair.of(Established) == []
    (mine,) = pair.of(Closed, pair.host_events)
    assert not mine.by_peer
    assert pair.of(Established, pair.host_events) == []


def test_who_only_knows_the_public_key_is_refused() -> None:
    bob, mallory = key_pair("bob"), key_pair("mallory")
    forged = KeyPair("bob", bob.public_key, mallory.signing_key)
    identity = Identity(forged, HOST_OPTIONS.identity.static)
    pair = Pair(host=replace(HOST_OPTIONS, identity=identity))
    pair.run(SECOND)
    (closed,) = pair.of(Closed)
    assert closed.reason is CloseReason.IDENTITY_REFUSED
    alice = KeyPair("alice", key_pair("alice").public_key, mallory.signing_key)
    identity = Identity(alice, CLIENT_OPTIONS.identity.static)
    pair = Pair(client=replace(CLIENT_OPTIONS, identity=identity))
    pair.run(SECOND)
    (closed,) = pair.of(Closed)
    assert (closed.reason, closed.by_peer) == (CloseReason.IDENTITY_REFUSED, True)
    assert pair.of(Established, pair.host_events) == []


def test_a_proof_is_good_for_one_side_of_one_handshake() -> None:
    identity, peers = HOST_OPTIONS.identity, (key_pair("bob").verifier,)
    shown = proof(identity, Side.RESPONDER, b"a" * 32)
    assert check_proof(shown, Side.RESPONDER, b"a" * 32, peers).name == "bob"
    for side, bound, data in (
        (Side.INITIATOR, b"a" * 32, shown),
        (Side.RESPONDER, b"b" * 32, shown),
        (Side.RESPONDER, b"a" * 32, shown[:-1]),
        (Side.RESPONDER, b"a" * 32, bytes(32) + shown[32:]),
    ):
        with pytest.raises(IdentityRefused) as caught:
            check_proof(data, side, bound, peers)
        assert caught.value.code == "transport.identity"
        with pytest.raises(IdentityRefused):
            check_proof(data, side, bound, None)


def test_a_repeated_third_message_is_confirmed_again_and_another_is_not() -> None:
    pair = Pair()
    recorder = Recorder(pair)
    pair.connect()
    (third,) = [d for _, _, d in recorder.seen if decode_header(d).kind is PacketKind.COMPLETE]
    pair.run(SECOND)
    pair.listener.receive(third, CLIENT, pair.now_ns)
    pair.listener.tick(pair.now_ns)
    (answer,) = pair.listener.datagrams()
    assert decode_header(answer.data).kind is PacketKind.SEALED
    pair.listener.receive(third[:-1] + bytes([third[-1] ^ 1]), CLIENT, pair.now_ns)
    pair.listener.tick(pair.now_ns)
    assert pair.listener.datagrams() == []
    assert pair.listener.counts.bad_handshake == 1
    assert len(pair.listener.links) == 1


def test_another_context_is_no_session() -> None:
    pair = Pair(client=replace(CLIENT_OPTIONS, context=b"other"))
    pair.run(HANDSHAKE_NS + SECOND)
    (closed,) = pair.of(Closed)
    assert closed.reason is CloseReason.HANDSHAKE_TIMEOUT
    assert pair.host_link is None


def test_nobody_there_is_a_timeout() -> None:
    pair = Pair()
    pair.world.remove(HOST)
    pair.run(HANDSHAKE_NS - MS)
    assert pair.of(Closed) == []
    pair.run(2 * MS)
    (closed,) = pair.of(Closed)
    assert closed.reason is CloseReason.HANDSHAKE_TIMEOUT
    assert pair.client.deadline_ns is None


def test_another_version_is_named() -> None:
    pair = Pair()
    header = encode_header(PacketKind.VERSIONS, 0, 0, pair.client.local_connection, 0)
    pair.world.remove(HOST)
    pair.client.receive(header + bytes([2, 3]), HOST, 0)
    pair.run(HANDSHAKE_NS + MS)
    (closed,) = pair.of(Closed)
    assert closed.reason is CloseReason.VERSION_MISMATCH
    assert "2, 3" in closed.text


def test_a_listener_answers_another_version_with_its_own() -> None:
    listener = Listener(HOST_OPTIONS, entropy=entropy(1))
    datagram = b"\x81" + bytes(15) + bytes([0, 0, 0, 9]) + bytes(236)
    listener.receive(datagram, CLIENT, 0)
    ((_, answer),) = listener.datagrams()
    assert decode_header(answer).kind is PacketKind.VERSIONS
    assert decode_header(answer).connection == 9
    assert answer[HEADER_BYTES:] == b"\x01"
    listener.receive(datagram[:100], CLIENT, 0)
    assert listener.datagrams() == [], "no answer is longer than its question"


def test_an_observer_with_everything_but_the_keys_reads_nothing() -> None:
    """The handshake's hash can be computed by whoever saw the messages; it must open nothing."""
    pair = Pair()
    recorder = Recorder(pair)
    pair.connect()
    pair.client.send_control(b"secret")
    pair.run(SECOND)
    assert pair.client.established is not None
    public = pair.client.established.hash
    labels = [b"initiator-to-responder", b"responder-to-initiator", b""]
    secrets = [public, *(_mask(public, label) for label in labels)]
    keys = [(key, bytes(4)) for key in secrets]
    keys += [(epoch.key, epoch.salt) for epoch in map(EpochKey.first, secrets)]
    sealed = [d for _, _, d in recorder.seen if decode_header(d).kind is PacketKind.SEALED]
    assert len(sealed) > 3
    for data in sealed:
        assert b"secret" not in data
        for key, salt in keys:
            nonce = salt + data[8:16]
            with pytest.raises(CryptoError):
                crypto_aead_chacha20poly1305_ietf_decrypt(
                    data[HEADER_BYTES:], data[:HEADER_BYTES], nonce, key
                )


def _mask(key: bytes, label: bytes) -> bytes:
    padded = label.ljust(32, b"0")[:32]
    return bytes(a ^ b for a, b in zip(key, padded, strict=True))


def test_a_repeated_capture_changes_nothing_and_is_counted() -> None:
    pair = Pair()
    recorder = Recorder(pair)
    pair.connect()
    for index in range(1_000):
        pair.client.send_input_state(index.to_bytes(4, "big"))
        pair.run(MS)
    captured = [data for source, _, data in recorder.seen if source == CLIENT][-1_000:]
    assert all(decode_header(data).kind is PacketKind.SEALED for data in captured)
    before = (pair.host.counts.replayed, len(pair.host_events))
    for data in captured:
        pair.listener.receive(data, ("attacker", 1), pair.now_ns)
    pair.run(SECOND)
    assert pair.host.counts.replayed == before[0] + 1_000
    assert pair.host.paths.address == CLIENT
    assert not any(isinstance(e, ControlMessage) for e in pair.host_events[before[1] :])


def test_broken_datagrams_are_counted_each_by_its_kind() -> None:
    pair = Pair()
    recorder = Recorder(pair)
    pair.connect()
    pair.client.send_control(b"x" * 100)
    pair.client.tick(pair.now_ns)
    good = pair.client.datagrams()[-1].data
    host, now_ns = pair.host, pair.now_ns
    for place in range(8 * HEADER_BYTES, 8 * len(good)):
        host.receive(_flipped(good, place), CLIENT, now_ns)
    assert host.counts.not_authentic == 8 * (len(good) - HEADER_BYTES)
    for size in range(len(good)):
        host.receive(good[:size], CLIENT, now_ns)
    for place in range(8 * HEADER_BYTES):
        host.receive(_flipped(good, place), CLIENT, now_ns)
    assert host.events() == []
    host.receive(good, CLIENT, now_ns)
    assert host.events() == [ControlMessage(b"x" * 100)]
    assert recorder.seen


def _flipped(data: bytes, bit: int) -> bytes:
    changed = data[bit // 8] ^ 1 << bit % 8
    return data[: bit // 8] + bytes([changed]) + data[bit // 8 + 1 :]


def test_half_open_handshakes_are_bounded_and_cookies_let_the_honest_in() -> None:
    listener = Listener(HOST_OPTIONS, entropy=entropy(1))
    for number in range(2 * HALF_OPEN_MAX):
        stranger = SecureLink.connect(CLIENT_OPTIONS, HOST, entropy=entropy(100 + number), now_ns=0)
        stranger.tick(0)
        listener.receive(stranger.datagrams()[0].data, ("flood", number), 0)
    assert len(listener._half_open) == HALF_OPEN_FREE
    assert listener.counts.cookies_sent == 2 * HALF_OPEN_MAX - HALF_OPEN_FREE
    answers = listener.datagrams()
    assert max(len(answer.data) for answer in answers) <= 256
    pair = Pair()
    pair.listener = listener
    pair.world.place(HOST, listener)
    pair.connect()
    listener.tick(HANDSHAKE_NS)
    assert len(listener._half_open) == 0


def test_a_cookie_is_for_one_address_and_one_time() -> None:
    listener = Listener(HOST_OPTIONS, entropy=entropy(1))
    jar = listener._cookies
    cookie = jar.make(CLIENT, b"first", 0)
    assert jar.check(cookie, CLIENT, b"first", 0)
    assert jar.check(cookie, CLIENT, b"first", 2 * COOKIE_BUCKET_NS - 1)
    assert not jar.check(cookie, CLIENT, b"first", 2 * COOKIE_BUCKET_NS)
    assert not jar.check(cookie, HOST, b"first", 0)
    assert not jar.check(cookie, CLIENT, b"other", 0)


def test_a_bad_third_message_does_not_wedge_the_host() -> None:
    pair = Pair(steps=SLOW)
    pair.run(30 * MS)  # the host has answered
    connection = next(iter(pair.listener._half_open))
    for size in (0, 10, 160, 161):
        header = encode_header(PacketKind.COMPLETE, 0, 0, connection, 0)
        pair.listener.receive(header + bytes(size), CLIENT, pair.now_ns)
    assert pair.listener.counts.bad_handshake == 4
    pair.connect()


def test_keys_change_and_old_ones_end() -> None:
    pair = Pair(steps=SLOW)
    recorder = Recorder(pair)
    pair.connect()
    pair.client.send_control(b"one")
    pair.run(SECOND)
    pair.client.send_input_state(b"held back")
    pair.client.tick(pair.now_ns)
    held = pair.client.datagrams()[0].data
    pair.client.send_input_state(b"for ever")
    pair.client.tick(pair.now_ns)
    forever = pair.client.datagrams()[0].data
    pair.client.rekey(pair.now_ns)
    pair.client.send_control(b"two")
    pair.run(SECOND)
    assert pair.of(ControlMessage, pair.host_events)[-1] == ControlMessage(b"two")
    epochs = {decode_header(d).epoch for s, _, d in recorder.seen if s == CLIENT}
    assert epochs == {0, 1}
    pair.host.receive(held, CLIENT, pair.now_ns)
    assert pair.host.counts.wrong_epoch == 0, "for three seconds the old key still opens"
    pair.run(3 * SECOND)
    pair.host.receive(forever, CLIENT, pair.now_ns)
    assert pair.host.counts.wrong_epoch == 1


def test_numbers_are_never_used_twice() -> None:
    pair = Pair(steps=[Step(0, Conditions(loss=0.2, delay_ns=5 * MS))])
    recorder = Recorder(pair)
    pair.connect()
    pair.client.send_control(b"x" * 100_000)
    pair.run(500 * MS)
    pair.client.rekey(pair.now_ns)
    pair.run(2 * SECOND)
    headers = [decode_header(d) for s, _, d in recorder.seen if s == CLIENT]
    numbers = [h.number for h in headers if h.kind is PacketKind.SEALED]
    assert len(numbers) == len(set(numbers)) > 90


def test_the_window_takes_each_number_once_and_moves_only_by_commits() -> None:
    window = ReplayWindow()
    assert window.check(10) is Freshness.FRESH
    assert window.check(10) is Freshness.FRESH, "to look is not to take"
    window.commit(10)
    assert window.check(10) is Freshness.DUPLICATE
    assert window.check(9) is Freshness.FRESH
    window.commit(9)
    assert window.check(9) is Freshness.DUPLICATE
    top = 10 + REPLAY_WINDOW_PACKETS
    window.commit(top)
    assert window.check(10) is Freshness.OLD
    assert window.check(11) is Freshness.FRESH
    window.commit(11)
    assert window.check(11) is Freshness.DUPLICATE
    window.commit(top + 5 * REPLAY_WINDOW_PACKETS)
    assert window.check(top) is Freshness.OLD
