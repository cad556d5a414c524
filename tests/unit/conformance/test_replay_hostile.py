"""Running somebody else's program again is bounded, whatever it does.

Nobody would wait for these programs to end, so their files are made up: header, image, the first
coroutine, and an end after as many rounds as one likes.
"""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import pytest

import builders as b
from artifact_surgery import Record, join, parse, with_field
from replay_samples import SEED, level_5, record_run
from troth.conformance import Budget, Verdict, verify
from troth.conformance.codes import Category
from troth.conformance.replay import CAPPED, QUANTUM_MAX
from troth.dsl import compile_source
from troth.vm import statements
from troth.vm.image import Image
from troth.vm.image_codec import encode_image
from troth.vm.instructions import Operator
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.loader import load
from troth.vm.records import Kind

ROUNDS: Final = 1 << 62
SMALL: Final = Budget(work=1_000_000)
TESTS: Final = Path(__file__).resolve().parents[2]


def made_up(
    program: str | Image,
    *,
    quantum: int = 64,
    limits: Limits = DEFAULT_LIMITS,
    seed: bytes = SEED,
    policy: str = "cooperative",
    more: tuple[Record, ...] = (),
) -> bytes:
    """A file in which the program runs for a very long time, doing `more`."""
    image = compile_source(program, "x.troth") if isinstance(program, str) else program
    entry = image.entry or 0
    header = (Kind.HEADER, 1, load(image).id, seed, quantum, policy)
    numbers = tuple(getattr(limits, one.name) for one in fields(Limits))
    first = statements.coroutine_id(seed, b"", 0)
    records: list[Record] = [
        (*header, numbers, "cooperative", None, None, entry, 0, None, None),
        (Kind.IMAGE, encode_image(image)),
        (Kind.SPAWN, None, entry, first),
        *more,
    ]
    return join([*records, (Kind.END, ROUNDS, len(records), "failed")])


def judged(data: bytes, budget: Budget = SMALL) -> Verdict:
    return verify(io.BytesIO(data), replay=budget)


def require(verdict: Verdict, code: str) -> None:
    (finding,) = verdict.findings
    assert finding.code == code, finding
    assert verdict.exit_code == 2
    assert (level_5(verdict).ran, level_5(verdict).ok) == (True, False)


def looping(setup: str, body: str) -> str:
    return f"main:\n{_indented(setup, 4)}    loop:\n{_indented(body, 8)}"


def _indented(text: str, spaces: int) -> str:
    return "".join(" " * spaces + line + "\n" for line in text.split("\n") if line)


LONG_TEXT: Final = 'let s = "x"\nfor i in range(20):\n    s = s + s'
LONG_LIST: Final = "let s = [1]\nfor i in range(18):\n    s = s + s"
LONG_TEXTS: Final = 'let s = ["é"]\nfor i in range(18):\n    s = s + s'

ENDLESS: Final = {
    "nothing": looping("", "pass"),
    "yields": looping("", "yield"),
    "counts": looping("let i = 0", "i = i + 1\nif i > 1000000:\n    i = 0"),
    "doubles a text": looping('let s = "x"', 's = s + s\nif len(s) > 999999:\n    s = "x"'),
    "doubles another text": looping('let s = "é"', 's = s + s\nif len(s) > 999999:\n    s = "é"'),
    "doubles a list": looping("let s = [1]", "s = s + s\nif len(s) > 400000:\n    s = [1]"),
    "doubles a list of texts": looping(
        'let s = ["é"]', 's = s + s\nif len(s) > 400000:\n    s = ["é"]'
    ),
    "joins long texts": looping(LONG_TEXT + '\nlet t = ""', 't = s + "y"'),
    "compares texts": looping(LONG_TEXT + '\nlet t = s + "y"\nlet b = true', 'b = t == s + "y"'),
    "orders texts": looping(LONG_TEXT + '\nlet t = s + "y"\nlet b = true', 'b = t < s + "z"'),
    "compares lists": looping(
        LONG_LIST + "\nlet t = s + [2]\nlet u = s + [2]\nlet b = true", "b = t == u"
    ),
    "compares lists of texts": looping(
        LONG_TEXTS + '\nlet t = s + ["a"]\nlet u = s + ["a"]\nlet b = true', "b = t == u"
    ),
    "shows a list": looping(LONG_LIST + '\nlet t = ""', "t = str(s)"),
    "nests lists": looping(LONG_LIST + "\nlet t = [s]", "t = [s]"),
    "makes records": looping(LONG_LIST + "\nlet t = {a: s}", "t = {a: s}"),
    "reads a wide record": looping(
        "let r = {" + ", ".join(f"f{i}: {i}" for i in range(900)) + "}\nlet t = 0", "t = r.f899"
    ),
}


@pytest.mark.parametrize("quantum", [64, QUANTUM_MAX])
@pytest.mark.parametrize("name", ENDLESS)
def test_what_goes_on_for_ever_is_stopped(name: str, quantum: int) -> None:
    verdict = judged(made_up(ENDLESS[name], quantum=quantum))
    require(verdict, "replay.budget")
    (finding,) = verdict.findings
    assert finding.category is Category.LIMIT
    assert (finding.record, finding.program) == (2, "main")
    assert finding.line is not None
    assert "1000000 instructions" in str(finding.expected)


def test_many_coroutines_that_go_on_for_ever() -> None:
    spinner = "program p():\n    loop:\n        yield\n\n"
    image = compile_source(
        f"{spinner}main:\n    for i in range(50):\n        spawn p()\n", "x.troth"
    )
    main = statements.coroutine_id(SEED, b"", 0)
    program = [one.name for one in image.programs].index("p")
    spawns = tuple(
        (Kind.SPAWN, 0, program, statements.coroutine_id(SEED, main, index)) for index in range(50)
    )
    data = made_up(image, more=(*spawns, (Kind.HALT, 0)))
    require(judged(data), "replay.budget")


def test_the_budget_grows_with_the_records() -> None:
    """A long file may take long: what counts is work that leads to nothing."""
    body = "for i in range(100):\n    for k in range(100):\n        pass\n    print i"
    recorded = record_run(compile_source("main:\n" + _indented(body, 4), "x.troth"))
    assert level_5(verify(io.BytesIO(recorded.data), replay=Budget(10_000, 1_000))).ok
    require(verify(io.BytesIO(recorded.data), replay=Budget(10_000, 10)), "replay.budget")


def test_what_the_file_does_not_say_stops_the_program_at_once() -> None:
    data = made_up(looping("", 'print "again"'), more=((Kind.PRINT, 0, "again"),) * 5)
    verdict = judged(data)
    require(verdict, "replay.divergence")
    assert verdict.findings[0].record == 8
    assert "PRINT" in str(verdict.findings[0].expected)


# --- memory --------------------------------------------------------------------------------

HOARDS: Final = {
    "texts": LONG_TEXT + "\n" + "\n".join(f'let t{i} = s + "{i}"' for i in range(400)),
    "lists": LONG_LIST + "\n" + "\n".join(f"let t{i} = s + [{i}]" for i in range(400)),
    "shown": LONG_LIST + "\n" + "\n".join(f"let t{i} = str(s)" for i in range(400)),
}


@pytest.mark.parametrize("name", HOARDS)
def test_what_is_held_is_bounded(name: str) -> None:
    budget = Budget(work=10**9, memory_bytes=40 << 20)
    verdict = judged(made_up(looping(HOARDS[name], "yield")), budget)
    require(verdict, "replay.memory")
    assert verdict.findings[0].category is Category.LIMIT


def test_what_is_not_held_does_not_count() -> None:
    """The same long text made again and again is one text."""
    text = LONG_TEXT + '\nlet t = ""\nfor i in range(200):\n    t = s + "y"\nprint len(t)'
    recorded = record_run(compile_source("main:\n" + _indented(text, 4), "x.troth"))
    assert level_5(judged(recorded.data, Budget(memory_bytes=40 << 20))).ok


def test_registers_count_as_well() -> None:
    """A coroutine costs thirty bytes of the file and thousands of registers."""
    idle = b.program("idle", [b.YIELD, b.jump(0)], registers=4096)
    main = b.program("main", [b.spawn(0, 1), b.jump(0)])
    image = b.image([], [main, idle])
    parent = statements.coroutine_id(SEED, b"", 0)
    spawns = tuple(
        (Kind.SPAWN, 0, 1, statements.coroutine_id(SEED, parent, index)) for index in range(3000)
    )
    verdict = judged(made_up(image, more=spawns), Budget(memory_bytes=40 << 20))
    require(verdict, "replay.memory")


CHILD: Final = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
from troth.conformance import verify
for name in sys.argv[1:]:
    verdict = verify(Path(name))
    print(verdict.exit_code, *(finding.code for finding in verdict.findings))
"""


def test_the_ordinary_budget_keeps_within_memory(tmp_path: Path) -> None:
    """In a process of its own, which dies when it takes more than it may."""
    programs = [looping(HOARDS["texts"], "yield"), looping(HOARDS["lists"], "yield")]
    programs += [ENDLESS["doubles a text"], ENDLESS["compares texts"]]
    files = []
    for number, program in enumerate(programs):
        files.append(tmp_path / f"{number}.replay")
        files[-1].write_bytes(made_up(program))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, files)],
        check=True,
        capture_output=True,
        text=True,
        cwd=TESTS,
    )
    assert done.stdout.splitlines() == ["2 replay.memory"] * 2 + ["2 replay.budget"] * 2


# --- refused before anything runs ------------------------------------------------------------


def _not_run(data: bytes) -> str:
    verdict = judged(data)
    assert verdict.findings == ()
    assert not level_5(verdict).ran
    assert not level_5(verdict).ok
    return level_5(verdict).why


@pytest.mark.parametrize("name", CAPPED)
def test_limits_above_the_verifiers_own_are_refused(name: str) -> None:
    cap = getattr(DEFAULT_LIMITS, name)
    larger = replace(DEFAULT_LIMITS, **{name: cap + 1})
    why = _not_run(made_up("main:\n    pass\n", limits=larger))
    assert why == f"its limit {name} = {cap + 1} is above {cap}, what this verifier allows"


def test_smaller_limits_are_the_runs_own() -> None:
    text = 'main:\n    let s = "x"\n    for i in range(20):\n        s = s + s\n    print s\n'
    recorded = record_run(
        compile_source(text, "x.troth"), limits=replace(DEFAULT_LIMITS, value_bytes_max=1000)
    )
    assert any(record[0] == Kind.FAULT for record in parse(recorded.data))
    assert level_5(judged(recorded.data)).ok


def test_a_turn_that_could_not_be_stopped_is_refused() -> None:
    why = _not_run(made_up(ENDLESS["nothing"], quantum=QUANTUM_MAX + 1))
    assert why == f"its quantum of {QUANTUM_MAX + 1} is above {QUANTUM_MAX}"


def test_what_no_machine_runs_is_refused() -> None:
    assert _not_run(made_up("main:\n    pass\n", policy="fair")) == (
        "the policy fair is not known here"
    )
    assert _not_run(made_up("main:\n    pass\n", seed=b"short")) == "its seed has 5 bytes, not 32"


def test_values_cannot_be_nested_deeply() -> None:
    """The loader sees to it: nothing that recurses over values can be made to overflow."""
    nest = [b.op(Operator.LIST, depth + 1, depth) for depth in range(2000)]
    image = b.image([], [b.program("main", [b.set_(0, 1), *nest, b.HALT], registers=2100)])
    data = join(
        [
            with_field(record, 2, b.load_unchecked(image).id)
            if record[0] == Kind.HEADER
            else record
            for record in parse(made_up("main:\n    pass\n"))
        ]
    )
    records = parse(data)
    records[1] = (Kind.IMAGE, encode_image(image))
    verdict = judged(join(records))
    assert [finding.code for finding in verdict.findings] == ["structure.image"]
    assert not level_5(verdict).ran
