"""Machines over real sockets, with a proxy between them that behaves as badly as networks do."""

from __future__ import annotations

import asyncio
import io
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import pytest
from nacl.bindings import crypto_sign

from artifact_surgery import key_pair
from chaos_proxy import ChaosProxy
from ping_pong import ping_pong
from troth import dsl
from troth.conformance import verify
from troth.vm.envelope import CancelEnvelope, encode_envelope
from troth.vm.errors import Malformed, Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.keys import TrustFile, parse_trust
from troth.vm.link import AGAIN_AFTER_NS, Link
from troth.vm.link_frames import (
    Ack,
    Data,
    Frame,
    Hello,
    Offer,
    Ping,
    Prove,
    decode_frame,
    encode_frame,
)
from troth.vm.loader import load
from troth.vm.machine import Machine
from troth.vm.shell_keys import create_key_files
from troth.vm.shell_line import Address, parse_address
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import RunResult
from troth.vm.shell_spread import LinkOptions, run_spread
from troth.vm.switchboard import EARLY_BYTES_MAX, OFFERS_BYTES_MAX, STRANGERS_MAX, Switchboard

PING_PONG: Final = ping_pong(40, "with linger = 1s")


def _keys(folder: Path) -> TrustFile:
    """Each party has its own key and the other's public one."""
    for role, other in (("Left", "Right"), ("Right", "Left")):
        create_key_files(folder / role, role)
        (folder / other).mkdir(exist_ok=True)
        (folder / other / f"{role}.pub").write_bytes((folder / role / f"{role}.pub").read_bytes())
    texts = [(folder / role / f"{role}.pub").read_text() for role in ("Left", "Right")]
    return parse_trust("".join(texts), "trust")


async def _play(
    folder: Path,
    script: str,
    *,
    replay: ReplayMode | None = None,
    seal: Seal | None = None,
    proxy: ChaosProxy | None = None,
) -> tuple[list[RunResult], list[str]]:
    image = dsl.compile_source(script, "play.troth")
    lines: list[str] = []
    listening: asyncio.Future[Address] = asyncio.get_running_loop().create_future()

    def options(role: str) -> RunOptions:
        return RunOptions(
            keys=folder / role,
            record=folder / f"{role}.replay",
            replay=replay,
            seal=seal,
            roles=(role,),
        )

    right = asyncio.ensure_future(
        run_spread(
            image,
            options=options("Right"),
            links=LinkOptions(
                listen=Address("127.0.0.1", 0),
                patience_seconds=20,
                on_listening=listening.set_result,
            ),
            write_line=lines.append,
        )
    )
    address = await listening
    if proxy is not None:
        proxy.port = address.port
        await proxy.start()
        address = Address("127.0.0.1", proxy.listening_at)
    left = run_spread(
        image,
        options=options("Left"),
        links=LinkOptions(connect=[address], patience_seconds=20),
        write_line=lines.append,
    )
    results = list(await asyncio.gather(left, right))
    if proxy is not None:
        await proxy.close()
    return results, lines


@pytest.mark.parametrize("seal", [None, Seal.ROUND])
def test_two_machines_over_tcp(tmp_path: Path, seal: Seal | None) -> None:
    trust = _keys(tmp_path)
    results, lines = asyncio.run(_play(tmp_path, PING_PONG, seal=seal))
    assert [result.ok for result in results] == [True, True]
    assert lines == [str(sum(n + n for n in range(40)))]
    for role in ("Left", "Right"):
        verdict = verify(io.BytesIO((tmp_path / f"{role}.replay").read_bytes()), trust=trust)
        assert verdict.exit_code == 0, verdict.findings


UNHELD: Final = """
protocol Stream(Left, Right):
    edge Left -> Right: replay = nullifier, capacity = 1
    rec Next:
        choice at Left:
            Left -> Right: frame(n: int) lossy
            continue Next
        or:
            Left -> Right: key(n: int)
            continue Next
        or:
            Left -> Right: done()

program left(s: Stream.Left):
    for i in range(60):
        send s.Right key(i)
    send s.Right done()
    close s

program right(s: Stream.Right):
    let keys = ""
    loop:
        recv s.Left:
            frame(n):
                continue
            key(n):
                keys = keys + str(n) + " "
            done():
                break
    print keys
    close s

main:
    open Stream as a, b
    spawn left(a)
    spawn right(b)
"""


def test_what_finds_no_place_is_taken_in_order_and_soon(tmp_path: Path) -> None:
    """Nobody holds the sender back: the receiver does, without waiting for repetitions."""
    trust = _keys(tmp_path)
    began_ns = time.monotonic_ns()
    results, lines = asyncio.run(_play(tmp_path, UNHELD))
    assert [result.ok for result in results] == [True, True]
    assert lines == ["".join(f"{number} " for number in range(60))]
    assert time.monotonic_ns() - began_ns < 40 * AGAIN_AFTER_NS, "one repetition each takes longer"
    for role in ("Left", "Right"):
        verdict = verify(io.BytesIO((tmp_path / f"{role}.replay").read_bytes()), trust=trust)
        assert verdict.exit_code == 0, verdict.findings


@pytest.mark.slow
@pytest.mark.parametrize("seal", [None, Seal.ROUND])
@pytest.mark.parametrize("replay", [ReplayMode.SEQUENCE, ReplayMode.NULLIFIER])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_network_changes_nothing(
    tmp_path: Path, replay: ReplayMode, seal: Seal | None, seed: int
) -> None:
    """Cuts, repetition, delay and another order: the run ends as it would without them."""
    trust = _keys(tmp_path)
    proxy = ChaosProxy(0, Random(seed), cut=0.02, repeat=0.15, delay=0.2, swap=0.1, cuts_max=8)
    results, lines = asyncio.run(_play(tmp_path, PING_PONG, replay=replay, seal=seal, proxy=proxy))
    print(f"seed {seed}, {replay}, {seal}: {dict(proxy.did)}")
    assert [result.ok for result in results] == [True, True]
    assert lines == [str(sum(n + n for n in range(40)))]
    assert proxy.did["repeat"]
    for role in ("Left", "Right"):
        verdict = verify(io.BytesIO((tmp_path / f"{role}.replay").read_bytes()), trust=trust)
        assert verdict.exit_code == 0, verdict.findings


# --- refusals ------------------------------------------------------------------------------


def _image_options(tmp_path: Path, **changes: object) -> RunOptions:
    return RunOptions(**{"keys": tmp_path, "roles": ("Left",), **changes})  # type: ignore[arg-type]


def _alone(tmp_path: Path, links: LinkOptions, **changes: object) -> RunResult:
    image = dsl.compile_source(PING_PONG, "play.troth")
    return asyncio.run(run_spread(image, options=_image_options(tmp_path, **changes), links=links))


@pytest.mark.parametrize(
    ("patience_seconds", "meeting_seconds"), [(0.3, None), (60, 0.3), (0.01, 0.3)]
)
def test_when_nobody_comes_the_run_gives_up(
    tmp_path: Path, patience_seconds: float, meeting_seconds: float | None
) -> None:
    links = LinkOptions(
        listen=Address("127.0.0.1", 0), patience_seconds=patience_seconds,
        meeting_seconds=meeting_seconds, any_key=True,
    )  # fmt: skip
    began_s = time.monotonic()
    result = _alone(tmp_path, links, record=tmp_path / "alone.replay")
    assert time.monotonic() - began_s >= 0.3
    assert not result.ok
    assert [fault.code for fault in result.report.faults] == ["vm.fault.open"]
    verdict = verify(io.BytesIO((tmp_path / "alone.replay").read_bytes()))
    assert verdict.exit_code == 5, verdict.findings


def test_what_cannot_meet_anybody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no way to meet") as caught:
        _alone(tmp_path, LinkOptions())
    assert caught.value.code == "link.nowhere"
    with pytest.raises(Unusable, match="which roles") as caught:
        _alone(tmp_path, LinkOptions(listen=Address("127.0.0.1", 0)), roles=None)
    assert caught.value.code == "run.roles"


@pytest.mark.parametrize(
    "text", ["", "localhost", ":1", "a:b", "a:65536", "a:-1", "a:\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Unusable) as caught:
        parse_address(text)
    assert caught.value.code == "link.address"


@pytest.mark.parametrize("text", ["127.0.0.1:4000", "[::1]:4000", "host.example:1"])
def test_addresses_come_back(text: str) -> None:
    assert str(parse_address(text)) == text


def test_hostile_bytes_on_a_line_do_not_disturb_a_run(tmp_path: Path) -> None:
    trust = _keys(tmp_path)

    async def talk_nonsense(address: Address) -> None:
        for data in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02hi", b"GET / HTTP/1.0\r\n\r\n", b""):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(data)
            writer.close()

    async def run() -> list[RunResult]:
        image = dsl.compile_source(PING_PONG, "play.troth")
        listening: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        right = asyncio.ensure_future(
            run_spread(
                image,
                options=RunOptions(keys=tmp_path / "Right", roles=("Right",)),
                links=LinkOptions(
                    listen=Address("127.0.0.1", 0), on_listening=listening.set_result
                ),
            )
        )
        address = await listening
        await talk_nonsense(address)
        left = run_spread(
            image,
            options=RunOptions(keys=tmp_path / "Left", roles=("Left",)),
            links=LinkOptions(connect=[address]),
            write_line=lambda _: None,
        )
        return list(await asyncio.gather(left, right))

    assert [result.ok for result in asyncio.run(run())] == [True, True]
    assert trust


# --- the link --------------------------------------------------------------------------------


def _numbers(link: Link, now_ns: int) -> list[int]:
    return [frame.number for frame in link.frames(now_ns) if isinstance(frame, Data)]


def test_what_is_not_acknowledged_is_sent_again_later_and_later() -> None:
    link = Link(bytes(16), ())
    link.send(b"a")
    sent = [now for now in range(0, 8 * AGAIN_AFTER_NS, AGAIN_AFTER_NS // 2) if _numbers(link, now)]
    assert [now // AGAIN_AFTER_NS for now in sent] == [0, 1, 3, 7]
    link.acknowledged(Ack(1, ()))
    assert link.idle
    assert link.deadline_ns() is None


def test_a_new_connection_brings_everything_again_and_the_acknowledgement() -> None:
    link = Link(bytes(16), ())
    for envelope in (b"a", b"b", b"c"):
        link.send(envelope)
    assert _numbers(link, 0) == [0, 1, 2]
    link.acknowledged(Ack(0, (1,)))
    link.lost(5)
    assert not link.frames(10**12)
    link.received(0)
    link.received(2)
    link.connected()
    frames = link.frames(6)
    assert frames[0] == Ack(1, (2,))
    assert [frame.number for frame in frames[1:] if isinstance(frame, Data)] == [0, 2]


def test_acknowledgements_of_what_was_never_sent_do_nothing() -> None:
    link = Link(bytes(16), ())
    link.acknowledged(Ack(2**62, (5, 6)))
    link.send(b"a")
    assert _numbers(link, 0) == [0]
    link.received(2**62)
    assert link.frames(0) == [Ack(0, ())]
    assert Counter(link.frames(0)) == Counter()


# --- the switchboard -------------------------------------------------------------------------


def _board() -> Switchboard:
    image = dsl.compile_source(PING_PONG, "play.troth")
    keys = HostSigner({"Left": key_pair("Left")})
    machine = Machine(load(image), seed=bytes(32), signer=keys, roster=keys, home=["Left"])
    machine.start()
    machine.run_round(0)
    board = Switchboard(machine, bytes(16), bytes(16), ("Left",), keys.principal, lambda _: None)
    board.collect(machine.poll_events())
    return board


def _party(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_strangers_who_come_and_go_leave_nothing_behind() -> None:
    board = _board()
    for number in range(1, 1000):
        board.connected(Hello(1, _party(number), bytes(16), ()), frozenset({bytes(32)}))
        board.take(_party(number), Offer(bytes(16), b"terms", (("Right", bytes(32), bytes(16)),)))
        board.lost(_party(number), number)
    assert len(board.links) <= STRANGERS_MAX
    assert board.waiting_for() == ("Right",)


def test_what_strangers_make_a_board_keep_is_bounded() -> None:
    board = _board()
    board.connected(Hello(1, _party(1), bytes(16), ()), frozenset({bytes(32)}))
    here = (("Right", bytes(32), bytes(16)),)
    for number in range(3000):
        board.take(_party(1), Offer(_party(number), bytes(1 << 16), here))
    envelope = encode_envelope(CancelEnvelope(bytes(32), "Right", "x" * 60_000, bytes(64)))
    for number in range(3000):
        board.take(_party(1), Data(number, envelope))
    offers = board._offers[_party(1)]
    assert sum(len(offer.terms) for offer in offers.values()) <= OFFERS_BYTES_MAX
    assert sum(len(early.envelope) for early in board._early) <= EARLY_BYTES_MAX
    acknowledged = [f for f in board.frames(_party(1), 0) if isinstance(f, Ack)]
    assert acknowledged == [Ack(0, ())], "nothing of it was dealt with"


def test_other_terms_and_other_keys_are_said_and_not_met() -> None:
    board = _board()
    board.connected(Hello(1, _party(1), bytes(16), ()), frozenset({key_pair("Right").public_key}))
    (offer,) = [f for f in board.frames(_party(1), 0) if isinstance(f, Offer)]
    here = (("Right", key_pair("Right").public_key, bytes(16)),)
    board.take(_party(1), Offer(offer.meeting, offer.terms + b"x", here))
    assert board.waiting_for() == ("Right",)
    assert board.notes
    assert "on other terms" in board.notes[0]
    board.take(_party(1), Offer(offer.meeting, offer.terms, here))
    assert board.waiting_for() == ()


def test_nobody_greets_as_another_or_offers_a_key_of_somebody_else() -> None:
    board = _board()
    mine, other = key_pair("Right").public_key, key_pair("Left").public_key
    hello = Hello(1, _party(1), bytes(16), ())
    board.connected(hello, frozenset({mine}))
    with pytest.raises(Malformed) as caught:
        board.connected(hello, frozenset({other}))
    assert caught.value.code == "link.party"
    (offer,) = [f for f in board.frames(_party(1), 0) if isinstance(f, Offer)]
    board.take(_party(1), Offer(offer.meeting, offer.terms, (("Right", other, bytes(16)),)))
    assert board.waiting_for() == ("Right",)
    assert "does not hold" in board.notes[0]


def test_a_greeting_without_proof_is_no_line(tmp_path: Path) -> None:
    """Keys have to be proved over the challenge of this very connection."""
    _keys(tmp_path)

    async def call() -> list[Frame]:
        image = dsl.compile_source(PING_PONG, "play.troth")
        listening: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(
            run_spread(
                image,
                options=RunOptions(keys=tmp_path / "Right", roles=("Right",)),
                links=LinkOptions(
                    listen=Address("127.0.0.1", 0),
                    patience_seconds=0.5,
                    on_listening=listening.set_result,
                ),
            )
        )
        address = await listening
        reader, writer = await asyncio.open_connection(address.host, address.port)
        stolen = key_pair("Left")
        old = stolen.public_key, crypto_sign(b"another challenge", stolen.signing_key)[:64]
        for frame in (Hello(1, _party(1), bytes(16), ("Left",)), Prove((old,)), Ping()):
            data = encode_frame(frame)
            writer.write(len(data).to_bytes(4, "big") + data)
        came = []
        while head := await reader.read(4):
            came.append(decode_frame(await reader.readexactly(int.from_bytes(head, "big"))))
        writer.close()
        await running
        return came

    came = asyncio.run(call())
    assert [type(frame) for frame in came] == [Hello, Prove], "no offer, and then it hangs up"
