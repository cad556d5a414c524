"""The header and the chunks: their bytes, and every way in which they can be wrong."""

from __future__ import annotations

import pytest

from troth.streaming.link import chunks
from troth.streaming.link.chunks import CHUNKS_MAX, ChunkKind
from troth.streaming.wire import (
    DATAGRAM_BYTES_ABSOLUTE_MAX,
    HEADER_BYTES,
    Header,
    PacketKind,
    decode_header,
    encode_header,
    version_of,
)
from troth.vm.errors import Malformed

HEADER = Header(PacketKind.SEALED, 3, 0x0102, 0xA0B0C0D0, 0x1122334455667788)


def test_the_bytes_of_a_header() -> None:
    assert HEADER.encode().hex() == "45030102a0b0c0d01122334455667788"
    assert len(HEADER.encode()) == HEADER_BYTES == 16
    assert decode_header(HEADER.encode() + b"rest") == HEADER
    assert encode_header(5, 3, 0x0102, 0xA0B0C0D0, 0x1122334455667788) == HEADER.encode()


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (b"", "transport.short"),
        (HEADER.encode()[:15], "transport.short"),
        (HEADER.encode() + bytes(DATAGRAM_BYTES_ABSOLUTE_MAX - 15), "transport.long"),
        (b"\x85" + HEADER.encode()[1:], "transport.version"),
        (b"\x05" + HEADER.encode()[1:], "transport.version"),
        (b"\x40" + HEADER.encode()[1:], "transport.kind"),
        (b"\x47" + HEADER.encode()[1:], "transport.kind"),
    ],
)
def test_headers_that_are_none(datagram: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_header(datagram)
    assert caught.value.code == code
    assert caught.value.expected
    assert caught.value.actual
    assert caught.value.advice


def test_the_longest_datagram_is_one() -> None:
    data = HEADER.encode() + bytes(DATAGRAM_BYTES_ABSOLUTE_MAX - HEADER_BYTES)
    assert decode_header(data) == HEADER


def test_the_version_can_be_told_without_the_rest() -> None:
    assert version_of(b"\xc5" + bytes(15)) == 3
    assert version_of(b"\xc5") is None


def test_chunks_follow_each_other() -> None:
    plain = chunks.encode(ChunkKind.PING, b"12345678ab") + chunks.encode(ChunkKind.CONFIRM, b"")
    assert plain.hex() == "09000a" + b"12345678ab".hex() + "0b0000"
    assert chunks.decode(plain + bytes(3)) == [
        (ChunkKind.PING, b"12345678ab"),
        (ChunkKind.CONFIRM, b""),
    ]
    assert chunks.decode(b"") == []


@pytest.mark.parametrize("plain", [b"\x01", b"\x01\x00", b"\x01\x00\x01", b"\x01\xff\xffx"])
def test_chunks_that_do_not_fit(plain: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        chunks.decode(plain)
    assert caught.value.code == "transport.chunk"


def test_the_number_of_chunks_is_limited() -> None:
    one = chunks.encode(ChunkKind.CONFIRM, b"")
    assert len(chunks.decode(one * CHUNKS_MAX)) == CHUNKS_MAX
    with pytest.raises(Malformed):
        chunks.decode(one * (CHUNKS_MAX + 1))


def test_bodies_have_their_size() -> None:
    assert chunks.unpack(chunks.CLOSE, b"\x00\x01text") == (1,)
    with pytest.raises(Malformed):
        chunks.unpack(chunks.CLOSE, b"\x00")
    with pytest.raises(Malformed):
        chunks.unpack_exactly(chunks.CLOSE, b"\x00\x01x")
