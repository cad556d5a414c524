"""Finding hosts in the local network: signed, fresh, bounded."""

from __future__ import annotations

from random import Random

import pytest

from fuzz.mutations import changed_bytes
from troth.streaming.paths.addresses import Address
from troth.streaming.paths.discovery import (
    DATAGRAM_BYTES,
    HOSTS_MAX,
    NONCE_BYTES,
    PER_SOURCE_S,
    FoundHost,
    Responder,
    Seeker,
    read_answer,
)
from troth.streaming.paths.limits import SECOND_NS
from troth.vm.errors import Malformed
from troth.vm.keys import generate

KEY = generate("harry", bytes(range(32)))
ASKER, ANSWERER = Address("192.168.1.2", 5_000), Address("192.168.1.3", 3_480)


def _exchange(seed: int = 1) -> tuple[Seeker, bytes, bytes]:
    seeker = Seeker((ANSWERER,), Random(seed).randbytes, 0)
    (question,) = seeker.tick(0)
    answer = Responder(KEY, 4_242, 0).answer(question.data, ASKER, 0)
    assert answer is not None
    return seeker, question.data, answer


def test_a_host_answers_with_its_key_and_port() -> None:
    seeker, question, answer = _exchange()
    host = FoundHost("harry", KEY.public_key, Address("192.168.1.3", 4_242))
    assert seeker.receive(answer, ANSWERER) == host
    assert seeker.receive(answer, ANSWERER) is None, "each host once"
    assert list(seeker.hosts.values()) == [host]
    assert len(answer) <= len(question) == DATAGRAM_BYTES


def test_an_answer_to_another_question_is_none() -> None:
    _, _, old = _exchange(1)
    seeker, _, _ = _exchange(2)
    assert seeker.receive(old, ANSWERER) is None
    assert seeker.refused == 1


def test_every_changed_bit_is_noticed() -> None:
    seeker, _, answer = _exchange()
    for bit in range(8 * len(answer)):
        changed = bytearray(answer)
        changed[bit // 8] ^= 1 << bit % 8
        assert seeker.receive(bytes(changed), ANSWERER) is None, bit
    assert seeker.refused == 8 * len(answer)
    assert seeker.hosts == {}


def test_any_bytes_are_refused_or_ignored() -> None:
    seeker, question, answer = _exchange()
    responder, rng = Responder(KEY, 4_242, 0), Random(4)
    for number in range(2_000):
        data = changed_bytes(rng.choice([question, answer]), answer, rng)
        seeker.receive(data, ANSWERER)
        responder.answer(data, ASKER, number * SECOND_NS)
    for _ in range(200):
        seeker.receive(rng.randbytes(rng.randrange(300)), ANSWERER)
    assert set(seeker.hosts) <= {KEY.public_key}


def test_a_short_question_gets_no_answer_and_many_get_few() -> None:
    _, question, _ = _exchange()
    responder = Responder(KEY, 4_242, 0)
    assert responder.answer(question[:-1], ASKER, 0) is None
    assert responder.answer(b"", ASKER, 0) is None
    answers = [responder.answer(question, ASKER, 0) for _ in range(20)]
    assert sum(answer is not None for answer in answers) == PER_SOURCE_S
    assert responder.answer(question, ASKER, SECOND_NS) is not None


def test_it_asks_again_and_keeps_a_bounded_number() -> None:
    seeker, _, _ = _exchange()
    assert seeker.tick(0) == []
    assert len(seeker.tick(seeker.deadline_ns)) == 1
    for number in range(HOSTS_MAX):
        seeker.hosts[number.to_bytes(32, "big")] = FoundHost("x", bytes(32), ANSWERER)
    _, _, answer = _exchange()
    assert seeker.receive(answer, ANSWERER) is None
    assert len(seeker.hosts) == HOSTS_MAX


def test_what_is_no_answer_says_so() -> None:
    with pytest.raises(Malformed) as caught:
        read_answer(b"x" * 300, bytes(NONCE_BYTES), ANSWERER)
    assert caught.value.code == "path.discovery"
