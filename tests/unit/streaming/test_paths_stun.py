"""STUN: the vectors of RFC 5769, and bytes that are not what they say."""

from __future__ import annotations

from random import Random

import pytest

from fuzz.mutations import changed_bytes
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.gather import NatMapping, StunGatherer
from troth.streaming.paths.limits import SECOND_NS
from troth.streaming.paths.stun import (
    BINDING,
    Attribute,
    MessageClass,
    StunMessage,
    decode,
    encode,
    is_authentic,
    mapped_address,
    xor_address,
)
from troth.streaming.paths.stun_server import PER_SOURCE_BURST, StunServer
from troth.vm.errors import Malformed

REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
RESPONSE_V4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
RESPONSE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
SOURCE = Address("192.0.2.1", 32_853)


def test_the_request_of_rfc_5769() -> None:
    message = decode(REQUEST)
    assert (message.message_class, message.method) == (MessageClass.REQUEST, BINDING)
    assert message.transaction == TRANSACTION
    assert message.get(Attribute.SOFTWARE) == b"STUN test client"
    assert message.get(Attribute.USERNAME) == b"evtj:h6vY"
    assert message.get(Attribute.PRIORITY) == bytes.fromhex("6e0001ff")
    assert is_authentic(message, PASSWORD)
    assert not is_authentic(message, b"another")


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (RESPONSE_V4, SOURCE),
        (RESPONSE_V6, Address("2001:db8:1234:5678:11:2233:4455:6677", 32_853)),
    ],
)
def test_the_responses_of_rfc_5769(data: bytes, address: Address) -> None:
    message = decode(data)
    assert message.message_class is MessageClass.SUCCESS
    assert mapped_address(message) == address
    assert xor_address(address, TRANSACTION) == message.get(Attribute.XOR_MAPPED_ADDRESS)
    assert is_authentic(message, PASSWORD)


def test_a_message_is_read_back_with_its_code_and_fingerprint() -> None:
    message = StunMessage(
        message_class=MessageClass.ERROR,
        method=0x0FFF,
        transaction=TRANSACTION,
        attributes=((Attribute.USERNAME, b"a:bc"), (0xC123, b"12345")),
    )
    data = encode(message, b"key")
    found = decode(data)
    assert (found.message_class, found.method) == (MessageClass.ERROR, 0x0FFF)
    assert found.attributes[:2] == message.attributes
    assert is_authentic(found, b"key")
    assert not is_authentic(decode(encode(message)), b"key")
    assert len(data) % 4 == 0


def test_every_changed_bit_is_noticed() -> None:
    message = StunMessage(
        message_class=MessageClass.REQUEST,
        method=BINDING,
        transaction=TRANSACTION,
        attributes=((Attribute.USERNAME, b"abcd"),),
    )
    data = encode(message, b"key")
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert _refused(bytes(changed)) or _means_the_same(decode(bytes(changed)), message), bit


def _means_the_same(found: StunMessage, message: StunMessage) -> bool:
    """Not authentic, or only what is not covered is another: the fingerprint's own name."""
    same = found.attributes[:1] == message.attributes and len(found.attributes) == 2
    return same or not is_authentic(found, b"key")


def _refused(data: bytes) -> bool:
    try:
        decode(data)
    except Malformed as error:
        return error.code == "path.stun"
    return False


def test_what_follows_the_code_does_not_count() -> None:
    message = StunMessage(message_class=MessageClass.REQUEST, method=BINDING, transaction=bytes(12))
    data = encode(message, b"key", fingerprint=False)
    added = data + b"\x00\x25\x00\x00"
    longer = added[:2] + (len(added) - 20).to_bytes(2, "big") + added[4:]
    assert decode(longer).get(Attribute.USE_CANDIDATE) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        REQUEST[:19],
        REQUEST[:-1],
        REQUEST[:-4],
        b"\x80" + REQUEST[1:],
        REQUEST[:4] + bytes(4) + REQUEST[8:],
        REQUEST[:20] + b"\x80\x22\xff\xff" + REQUEST[24:],
        REQUEST[:2] + b"\x02\x14" + REQUEST[4:] + bytes(532 - 88),
        bytes.fromhex("000100842112a442") + bytes(12) + b"\x80\x00\x00\x00" * 33,
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    assert _refused(data)


@pytest.mark.parametrize(
    "value", ["", "0001", "0003a147e112a643", "0001a147e112a64300", "00012112e112a643"]
)
def test_an_address_that_is_none_is_refused(value: str) -> None:
    message = StunMessage(
        message_class=MessageClass.SUCCESS,
        method=BINDING,
        transaction=bytes(12),
        attributes=((Attribute.XOR_MAPPED_ADDRESS, bytes.fromhex(value)),),
    )
    with pytest.raises(Malformed):
        mapped_address(message)


def test_any_bytes_are_decoded_or_refused() -> None:
    rng = Random(7)
    pool = [REQUEST, RESPONSE_V4, RESPONSE_V6]
    outcomes = set()
    for _ in range(3_000):
        data = changed_bytes(rng.choice(pool), rng.choice(pool), rng)[:600]
        outcomes.add(_refused(data))
    for length in range(64):
        _refused(rng.randbytes(length))
    assert outcomes == {True, False}


# --- server and gatherer --------------------------------------------------------------------


def test_the_server_says_where_a_request_came_from() -> None:
    server = StunServer(0)
    request = encode(
        StunMessage(message_class=MessageClass.REQUEST, method=BINDING, transaction=TRANSACTION)
    )
    answer = server.answer(request, SOURCE, 0)
    assert answer is not None
    found = decode(answer)
    assert (found.transaction, mapped_address(found)) == (TRANSACTION, SOURCE)
    assert len(answer) < 2 * len(request)


def test_the_server_keeps_quiet_where_it_should() -> None:
    server = StunServer(0)
    assert server.answer(RESPONSE_V4, SOURCE, 0) is None
    assert server.answer(b"hello", SOURCE, 0) is None
    unknown = StunMessage(
        message_class=MessageClass.REQUEST,
        method=BINDING,
        transaction=bytes(12),
        attributes=((0x7FFF, b""),),
    )
    answer = server.answer(encode(unknown), SOURCE, 0)
    assert answer is not None
    error = decode(answer)
    assert error.message_class is MessageClass.ERROR
    assert error.get(Attribute.UNKNOWN_ATTRIBUTES) == b"\x7f\xff"
    for _ in range(PER_SOURCE_BURST):
        server.answer(encode(unknown), SOURCE, 0)
    assert server.answer(encode(unknown), SOURCE, 0) is None
    assert server.counters.limited > 0
    assert server.answer(encode(unknown), SOURCE, SECOND_NS) is not None


ONE, TWO = Address("192.0.2.10", 3_478), Address("192.0.2.10", 3_479)


def _gather(seen: dict[Address, Address], own: tuple[Address, ...] = ()) -> NatMapping:
    gatherer, now_ns = StunGatherer((ONE, TWO), Random(1).randbytes, 0), 0
    while not gatherer.done:
        for output in gatherer.tick(now_ns):
            if output.address in seen:
                answer = StunServer(0).answer(output.data, seen[output.address], 0)
                assert answer is not None
                assert not gatherer.receive(answer, Address("192.0.2.99", 1))
                assert gatherer.receive(answer, output.address)
        deadline_ns = gatherer.deadline_ns
        now_ns = now_ns if deadline_ns is None else deadline_ns
    return gatherer.mapping(own)


def test_what_servers_see_tells_the_translator() -> None:
    outside, other = Address("203.0.113.5", 5_000), Address("203.0.113.5", 5_001)
    assert _gather({ONE: outside, TWO: outside}) is NatMapping.ENDPOINT_INDEPENDENT
    assert _gather({ONE: outside, TWO: other}) is NatMapping.ENDPOINT_DEPENDENT
    assert _gather({ONE: outside, TWO: outside}, (outside,)) is NatMapping.NONE
    assert _gather({ONE: outside}) is NatMapping.ONE_ANSWER
    assert _gather({}) is NatMapping.BLOCKED


def test_an_answer_that_nobody_asked_for_is_not_taken() -> None:
    gatherer = StunGatherer((ONE,), Random(1).randbytes, 0)
    gatherer.tick(0)
    assert not gatherer.receive(RESPONSE_V4, ONE)
    assert not gatherer.receive(b"\x45 media", ONE)
    assert gatherer.reflexive == ()
