"""Level 5 finds nothing where there is nothing to find: every input is in the file."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import EXAMPLES, Record, Sample, join, parse
from replay_samples import (
    WAITING,
    Host,
    Refusal,
    judged,
    level_5,
    record_run,
    require_reproduced,
    surplus,
)
from troth.conformance import Budget, verify
from troth.dsl import compile_source
from troth.vm import record_items
from troth.vm.image import Image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.records import Kind
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import run
from troth.vm.statements import payload_commitment
from troth.vm.values import RegisterValue
from verify_samples import HIDDEN, HIDDEN_DELEGATION, NOBODY, price_of, sample, sealed_often

NAMES: Final = ("delegation", "drain", "hello", "nested_recursion", "ring", "two_buyer")
HOST: Final = Host(effects={"price_of": price_of})


def example(name: str) -> Image:
    text = (EXAMPLES / f"{name}.troth").read_text(encoding="utf-8")
    if name == "ring":
        text = text.replace("spawn a(sa, 1000)", "spawn a(sa, 20)")
    return compile_source(text, f"{name}.troth")


def test_every_example_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.troth")} == set(NAMES)


@pytest.mark.parametrize("seal", [*Seal, None])
@pytest.mark.parametrize("replay", [*ReplayMode, None])
@pytest.mark.parametrize("name", NAMES)
def test_every_example_in_every_mode(
    name: str, replay: ReplayMode | None, seal: Seal | None
) -> None:
    recorded = record_run(example(name), HOST, replay=replay, seal=seal)
    verdict = require_reproduced(recorded)
    assert verdict.exit_code == 0
    assert verdict.reason == "Levels 1 to 5 hold, and every acting principal is trusted."
    assert [level.ok for level in verdict.levels] == [True] * 5


@pytest.mark.parametrize("quantum", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("name", NAMES)
def test_every_quantum(name: str, quantum: int) -> None:
    require_reproduced(record_run(example(name), HOST, quantum=quantum))


@pytest.mark.parametrize("seed", range(5))
def test_every_seed(seed: int) -> None:
    require_reproduced(record_run(example("delegation"), seed=bytes([seed]) * 32))


@pytest.mark.parametrize("name", ["cancelled", "faulted", "hello", "ring"])
def test_what_troth_run_records(name: str) -> None:
    require_reproduced(sample(name))


def _silent(line: str) -> None:
    """What the scripts print is not looked at here."""
    del line


@pytest.mark.parametrize("seal", Seal)
@pytest.mark.parametrize("replay", ReplayMode)
@pytest.mark.parametrize("name", NAMES)
def test_what_troth_run_records_in_every_mode(
    name: str, replay: ReplayMode, seal: Seal, tmp_path: Path
) -> None:
    artifact = tmp_path / "run.replay"
    options = RunOptions(effects=HOST.effects, record=artifact, replay=replay, seal=seal)
    assert run(example(name), options=options, write_line=_silent).ok
    verdict = verify(artifact, fragment=True)
    assert verdict.findings == ()
    assert level_5(verdict).ok


@pytest.mark.parametrize("every", [1, 3, 50])
def test_heads_may_be_signed_as_often_as_one_likes(every: int) -> None:
    require_reproduced(record_run(example("drain"), seal_every=every))
    require_reproduced(sealed_often("ring", every))


def test_a_run_in_which_nobody_signs() -> None:
    verdict = require_reproduced(record_run(compile_source(NOBODY, "nobody.troth")))
    assert verdict.exit_code == 5


# --- effects -------------------------------------------------------------------------------

ASKING: Final = """
effect double(n: int) -> int

protocol Tell(A, B):
    A -> B: sum(n: int)

program a(s: Tell.A, n: int):
    let x = call double(n)
    send s.B sum(x)
    close s

program b(s: Tell.B):
    recv s.A sum(n)
    print n
    close s

main:
    for i in range(4):
        open Tell as x, y
        spawn a(x, i)
        spawn b(y)
"""


def _double(number: int) -> RegisterValue:
    return 2 * number


def _double_if_even(number: int) -> RegisterValue:
    if number % 2:
        raise Refusal(f"{number} is odd, \N{PILE OF POO}")
    return 2 * number


@pytest.mark.parametrize("delay", [0, 1, 5, 1000])
@pytest.mark.parametrize("effect", [_double, _double_if_even])
def test_effects_are_answered_when_the_file_says(delay: int, effect: object) -> None:
    image = compile_source(ASKING, "asking.troth")
    recorded = record_run(image, Host(effects={"double": effect}, delay=delay))  # type: ignore[dict-item]
    kinds = [record[0] for record in parse(recorded.data)]
    assert kinds.count(Kind.COMPLETE) == 4
    require_reproduced(recorded)


def test_rounds_without_records_are_run_as_well() -> None:
    """The answer comes in a round that nothing in the file announces but its number."""
    image = compile_source(WAITING, "waiting.troth")
    recorded = record_run(image, Host(effects={"double": _double}, delay=200))
    complete = next(record for record in parse(recorded.data) if record[0] == Kind.COMPLETE)
    assert complete[4] > 200
    require_reproduced(recorded)


# --- time and the host ---------------------------------------------------------------------


@pytest.mark.parametrize("naps", [0, 9])
@pytest.mark.parametrize("linger_ns", [0, 1, 1000, 10**12])
@pytest.mark.parametrize("pace_ns", [0, 1, 333, 10**9])
def test_times_are_told_when_the_file_says(pace_ns: int, linger_ns: int, naps: int) -> None:
    host = Host(now_ns=lambda rounds: rounds * pace_ns)
    require_reproduced(record_run(surplus(linger_ns, naps=naps), host))


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("name", ["drain", "delegation", "two_buyer"])
def test_the_host_may_cancel(name: str, after: int) -> None:
    host = Host(effects=HOST.effects, cancel_after=(after, after + 1))
    recorded = record_run(example(name), host, quantum=3)
    require_reproduced(recorded)


IDLE: Final = """
protocol One(A, B):
    A -> B: m()

program idle(s: One.A):
    for i in range(100):
        yield
    send s.B m()
    close s

program waits(s: One.B):
    recv s.A m()
    close s

main:
    open One as a, b
    spawn idle(a)
    spawn waits(b)
"""


@pytest.mark.parametrize("after", [3, 40, 90])
def test_a_cancellation_between_rounds_without_records(after: int) -> None:
    recorded = record_run(compile_source(IDLE, "idle.troth"), Host(cancel_after=(after,)))
    cancel = next(record for record in parse(recorded.data) if record[0] == Kind.CANCEL)
    assert cancel[2:5] == (None, "the host is tired", after)
    require_reproduced(recorded)


def test_the_host_may_lack_a_key() -> None:
    recorded = record_run(example("hello"), Host(keyless=("Server",)))
    fault = next(record for record in parse(recorded.data) if record[0] == Kind.FAULT)
    assert fault[2] == "vm.fault.key"
    assert "eaten by the dog" in fault[3]
    verdict = judged(recorded)
    assert verdict.findings == ()
    assert level_5(verdict).ok


# --- payloads that are not there -------------------------------------------------------------


def _without_payloads(recorded: Sample, kind: str) -> bytes:
    """The salts and payloads of one label's messages taken out, as redaction does."""
    records: list[Record] = []
    labels: tuple[str, ...] = ()
    for record in parse(recorded.data):
        if record[0] == Kind.PROTOCOL:
            labels = record[4]
        if record[0] == Kind.SEND and labels[record[5]] == kind:
            commitment = payload_commitment(record[8], record[9])
            records.append((*record[:8], None, None, commitment, record[11]))
        else:
            records.append(record)
    return join(records)


@pytest.mark.parametrize("seal", [*Seal, None])
@pytest.mark.parametrize("replay", [*ReplayMode, None])
def test_digest_edges_are_followed_as_far_as_they_can_be(
    replay: ReplayMode | None, seal: Seal | None
) -> None:
    image = compile_source(HIDDEN, "hidden.troth")
    verdict = require_reproduced(record_run(image, HOST, replay=replay, seal=seal))
    assert level_5(verdict).why == "but for payloads of Ask.Client -> Server, not in the file"
    assert verdict.exit_code == 0


def test_endpoints_that_travel_unseen() -> None:
    image = compile_source(HIDDEN_DELEGATION, "hidden_delegation.troth")
    verdict = require_reproduced(record_run(image))
    assert level_5(verdict).why == "but for payloads of Hire.Dispatcher -> Worker, not in the file"


def test_payloads_that_were_taken_out_later() -> None:
    recorded = record_run(example("hello"))
    data = _without_payloads(recorded, "greet")
    verdict = verify(io.BytesIO(data), trust=recorded.trust, fragment=True)
    assert verdict.exit_code == 0
    assert level_5(verdict).ok
    assert level_5(verdict).why == "but for payloads of Hello.Client -> Server, not in the file"
    assert verdict.fragment == require_reproduced(recorded).fragment


# --- memory --------------------------------------------------------------------------------

MANY: Final = """
effect double(n: int) -> int

protocol Tell(A, B):
    A -> B: sum(n: int)

program a(s: Tell.A, n: int):
    let x = call double(n)
    send s.B sum(x)
    close s

program b(s: Tell.B):
    recv s.A sum(n)
    close s

main:
    for i in range(COUNT):
        open Tell as x, y
        spawn a(x, i)
        spawn b(y)
        for k in range(4):
            yield
"""


def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a late fault may still name is bounded; here it is so little that it does not show."""
    monkeypatch.setattr(record_items, "ENDED_SESSIONS_KEPT", 8)

    image = compile_source(MANY.replace("COUNT", "1500"), "many.troth")
    recorded = record_run(image, Host(effects={"double": _double}))

    def peak(budget: Budget | None) -> int:
        stream = io.BytesIO(recorded.data)
        tracemalloc.start()
        try:
            assert level_5(verify(stream, replay=budget)).ok is (budget is not None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert len(recorded.data) > 800_000
    # A session that stayed would take some kilobytes; garbage that waits takes less than this.
    assert peak(Budget()) < peak(None) + 1_000_000
