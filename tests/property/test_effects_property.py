"""Whatever overlaps and however it ends: the record is valid, and the sessions are the same.

Random scripts ask for effects of every kind, some of which fail. The same script with the same
seed and keys is run with effects that overlap and with effects that do not: the canonical
fragment is the same, although the records are not. A record that is cut is gone on with, its
blobs included. The numbers tried are printed (`pytest -s`, or `-rP`).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from troth import conformance, dsl, vm

KINDS: Final = ("here", "timed", "aside", "turn", "orderly")
SESSIONS_MAX: Final = 4
ASKED_MAX: Final = 4
SECONDS_MAX: Final = 60

HEAD: Final = (
    "".join(f"effect {kind}(n: int) -> int\n" for kind in KINDS)
    + """\
effect make(n: int) -> blob
effect size(b: blob) -> int

protocol P(A, B):
    A -> B: ask(n: int, b: blob)
    B -> A: told(n: int, b: blob)

"""
)


def _program(rng: Random, number: int, role: str) -> str:
    """Asks for some effects, talks, and asks for some more."""
    lines = [f"program {role}{number}(s: P.{role.upper()}):", f"    let n = {number}"]

    def ask() -> None:
        for _ in range(rng.randrange(ASKED_MAX)):
            lines.append(f"    n = call {rng.choice(KINDS)}(n)")

    ask()
    if role == "a":
        lines += ["    let b = call make(n)", "    send s.B ask(n, b)", "    recv s.B told(m, c)"]
        lines += ["    let k = call size(c)", "    n = n + m + k"]
    else:
        lines += ["    recv s.A ask(m, b)", "    let k = call size(b)", "    n = n + m + k"]
        lines += ["    let c = call make(n)", "    send s.A told(n, c)"]
    ask()
    lines += ["    print n", "    close s", ""]
    return "\n".join(lines) + "\n"


def _script(rng: Random) -> str:
    count = rng.randrange(1, SESSIONS_MAX + 1)
    text = HEAD
    main = ["main:"]
    for number in range(count):
        text += _program(rng, number, "a") + "\n" + _program(rng, number, "b") + "\n"
        main += [f"    open P as x{number}, y{number}"]
        main += [f"    spawn a{number}(x{number})", f"    spawn b{number}(y{number})"]
    return text + "\n".join(main) + "\n"


class Refusal(Exception):
    """What an effect raises to fail."""


def _effects(failing: int | None, *, overlapping: bool) -> Mapping[str, object]:
    """The same answers, whether they overlap or not; who asks for `failing` gets none."""

    def answer(n: int) -> int:
        if n == failing:
            raise Refusal(n)
        return (n * 7 + 3) % 101

    def here(n: int) -> int:
        return answer(n)

    @vm.effect(timeout_seconds=SECONDS_MAX)
    def timed(n: int) -> int:
        return answer(n)

    @vm.effect(concurrent=overlapping)
    def aside(n: int) -> int:
        return answer(n)

    @vm.effect(concurrent=overlapping)
    async def turn(n: int) -> int:
        for _ in range(n % 5):
            await asyncio.sleep(0)
        return answer(n)

    @vm.effect(concurrent=False)
    async def orderly(n: int) -> int:
        await asyncio.sleep(0)
        return answer(n)

    @vm.effect(concurrent=overlapping)
    def make(n: int) -> bytes:
        return b"." * (n % 50)

    def size(b: vm.BlobValue) -> int:
        return len(b.read())

    functions = (here, timed, aside, turn, orderly, make, size)
    return {function.__name__: function for function in functions}


def _verdict(record: Path, keys: Path) -> conformance.Verdict:
    text = "".join(path.read_text() for path in sorted(keys.glob("*.pub")))
    return conformance.verify(str(record), trust=vm.parse_trust(text, "trust"))


def _require_valid(verdict: conformance.Verdict) -> None:
    assert verdict.findings == (), verdict.findings
    assert verdict.exit_code == 0
    assert all(level.ran and level.ok for level in verdict.levels)


def _run(image: vm.Image, folder: Path, name: str, **options: Any) -> tuple[list[str], bool]:
    lines: list[str] = []
    chosen = vm.RunOptions(
        record=folder / name, keys=folder / "keys", blobs=folder / "blobs", **options
    )
    result = vm.run(image, options=chosen, write_line=lines.append)
    return lines, result.ok


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_overlapping_changes_nothing_that_the_sessions_see(seed: int) -> None:
    rng = Random(seed)
    image = dsl.compile_source(_script(rng), "random.troth")
    failing = rng.choice([None, None, rng.randrange(101)])
    options: dict[str, Any] = {"seed": bytes(32), "seal": vm.Seal(rng.choice(["message", "round"]))}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fragments, lines = set(), []
        for name, overlapping in (("one", True), ("two", True), ("three", False)):
            effects = _effects(failing, overlapping=overlapping)
            printed, ok = _run(image, folder, name, effects=effects, **options)
            verdict = _verdict(folder / name, folder / "keys")
            _require_valid(verdict)
            assert verdict.outcome_recorded == ("ok" if ok else "failed")
            fragments.add(verdict.fragment)
            lines.append(sorted(printed))
        if failing is None:
            # Otherwise when a session breaks off depends on when, and what is lost with it.
            assert len(fragments) == 1
            assert lines[0] == lines[1] == lines[2]
        _require_resumable(rng, folder, _effects(failing, overlapping=True), fragments, failing)
    print(f"seed {seed}: failing {failing}, {len(lines[0])} lines, {len(fragments)} fragments")


def _require_resumable(
    rng: Random,
    folder: Path,
    effects: Mapping[str, object],
    fragments: set[str | None],
    failing: int | None,
) -> None:
    """A cut record is gone on with, and the sessions come out as they would have."""
    data = (folder / "one").read_bytes()
    cut = folder / "cut"
    cut.write_bytes(data[: rng.randrange(len(data) // 2, len(data))])
    result = vm.resume(
        cut,
        keys=folder / "keys",
        effects=effects,
        blobs=folder / "blobs",
        write_line=lambda _text: None,
    )
    verdict = _verdict(cut, folder / "keys")
    _require_valid(verdict)
    if failing is None:
        assert result.ok
        assert verdict.fragment in fragments
