"""What the benchmarks run: the ring of the examples, at any length, and bare libsodium loops."""

from __future__ import annotations

from pathlib import Path

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from troth.dsl import compile_source
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.shell_options import RunOptions, seed_from_number
from troth.vm.shell_run import RunResult, run

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
MESSAGES_PER_ROUND = 4
STATEMENT_BYTES = 140
"""About the size of a message's canonical identity."""


def ring_image(rounds: int) -> Image:
    """`ring.troth` with another number of rounds."""
    text = (EXAMPLES / "ring.troth").read_text()
    changed = text.replace("spawn a(sa, 1000)", f"spawn a(sa, {rounds})")
    if rounds != 1000 and changed == text:
        raise AssertionError("ring.troth no longer says how many rounds it runs")
    return compile_source(changed, "ring.troth")


def ring_messages(rounds: int) -> int:
    return MESSAGES_PER_ROUND * rounds + 3


SESSIONS = 256
EXCHANGES = 40
_STREAMS = """
protocol Stream(Left, Right):
    rec More:
        choice at Left:
            Left -> Right: item(n: int)
            Right -> Left: seen(n: int)
            continue More
        or:
            Left -> Right: done()

program left(s: Stream.Left, count: int):
    for n in range(count):
        send s.Right item(n)
        recv s.Right seen(m)
    send s.Right done()
    close s

program right(s: Stream.Right):
    loop:
        recv s.Left:
            item(n):
                send s.Left seen(n)
            done():
                break
    close s

main:
    for i in range(SESSIONS):
        open Stream as a, b with replay = sequence
        spawn left(a, EXCHANGES)
        spawn right(b)
"""


def streams_image(sessions: int = SESSIONS, exchanges: int = EXCHANGES) -> Image:
    """Two principals that share many sessions at once."""
    text = _STREAMS.replace("SESSIONS", str(sessions)).replace("EXCHANGES", str(exchanges))
    return compile_source(text, "streams.troth")


def streams_messages(sessions: int = SESSIONS) -> int:
    return sessions * (2 * EXCHANGES + 1)


def run_streams(
    image: Image,
    *,
    replay: ReplayMode,
    seal: Seal,
    record: Path | None,
    keys: Path | None = None,
) -> None:
    options = RunOptions(
        seed=seed_from_number(1), replay=replay, seal=seal, record=record, keys=keys
    )
    if not (result := run(image, options=options)).ok:
        raise AssertionError(f"the streams did not finish: {result.report.describe()}")


def run_ring(image: Image, *, record: Path | None = None, keys: Path | None = None) -> RunResult:
    lines: list[str] = []
    result = run(
        image,
        options=RunOptions(seed=seed_from_number(1), record=record, keys=keys),
        write_line=lines.append,
    )
    if not result.ok or len(lines) != 1:
        raise AssertionError(f"the ring did not finish: {result.report.describe()}")
    return result


def sign_and_verify(count: int) -> None:
    """The floor of a run that authenticates `count` messages."""
    public, secret = crypto_sign_seed_keypair(bytes(32))
    statement = bytearray(STATEMENT_BYTES)
    for index in range(count):
        statement[:4] = index.to_bytes(4, "big")
        crypto_sign_open(crypto_sign(bytes(statement), secret), public)


class VerifyLoop:
    """The floor of a verification: `count` signatures, made beforehand."""

    def __init__(self, count: int) -> None:
        self.public, secret = crypto_sign_seed_keypair(bytes(32))
        self.signed = [
            crypto_sign(index.to_bytes(4, "big") + bytes(STATEMENT_BYTES - 4), secret)
            for index in range(count)
        ]

    def __call__(self) -> None:
        public = self.public
        for signed in self.signed:
            crypto_sign_open(signed, public)
