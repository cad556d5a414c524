"""Families at every size mean what a protocol with the members written out means.

And whatever is written with them is answered with diagnostics.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from troth.dsl.compile import check_source, compile_module
from troth.vm.types import LocalType

SEEDS = st.integers(min_value=0, max_value=2**32)

SCRIPT: Final = """
type Note = {n: int}
protocol Call(Boss, Hand[K]):
    Boss -> Hand[*]: go()
protocol Farm(Hub, Worker[N], Spare[2]):
    edge Hub -> Worker[*]: capacity = 2
    Hub -> Worker[*], Spare[0]: task(n: int)
    foreach w in Worker:
        choice at w:
            w -> Hub: result(n: int)
        or:
            w -> Hub: none()
    Spare[0] -> Spare[1]: item()
    do Call(Hub, Worker[*])
    loop at Hub:
        Hub -> *: more(note: Note)
program hub(s: Farm.Hub):
    foreach w in s.Worker:
        send s.w task(w)
    send s.Spare[0] task(1)
    foreach w in s.Worker:
        recv s.w:
            result(n):
                print n
            none():
                pass
    foreach w in s.Worker:
        send s.w go()
    cancel s "enough"
program worker(s: Farm.Worker[i]):
    recv s.Hub task(n)
    if n > i:
        send s.Hub result(n)
    else:
        send s.Hub none()
    recv s.Hub go()
    cancel s "enough"
main:
    open Farm as h, ws, ss with N = 3
    spawn hub(h)
    foreach w in ws:
        spawn worker(w)
    foreach x in ss:
        cancel x "enough"
"""


def test_the_script_is_right() -> None:
    assert not check_source(SCRIPT, "test.troth").found


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_whatever_is_changed_is_answered_with_diagnostics(seed: int) -> None:
    """Lines and words dropped, repeated, swapped and moved: never an internal error."""
    rng = Random(seed)
    lines = SCRIPT.split("\n")
    for _ in range(rng.choice((1, 2, 3, 6))):
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                del lines[place]
            case 1:
                lines.insert(other, lines[place])
            case 2:
                lines[place], lines[other] = lines[other], lines[place]
            case 3:
                lines[place] = lines[place].replace("Worker", rng.choice(("Hub", "w", "Spare")))
            case 4:
                index = rng.choice(("[*]", "[0]", "[9]", "[w]", "[N]", ""))
                lines[place] = lines[place].replace("[*]", index).replace("[i]", index)
            case _:
                words = lines[place].split(" ")
                rng.shuffle(words)
                lines[place] = " ".join(words)
    check_source("\n".join(lines), "changed.troth").render()


def _written_out(script: str, size: int) -> str:
    """A protocol body with `B[*]` and `foreach b in B:` of one line, by plain text."""
    lines: list[str] = []
    for line in script.split("\n"):
        if line.strip().startswith("foreach"):
            continue
        body = line.removeprefix("    ") if line.startswith("        ") else line
        if "B[*]" in body:
            lines.append(body.replace("B[*]", ", ".join(f"B{k}" for k in range(size))))
        elif " b" in body:
            lines += [body.replace(" b", f" B{k}") for k in range(size)]
        else:
            lines.append(body)
    return "\n".join(lines).replace("B[N]", ", ".join(f"B{k}" for k in range(size)))


def _shapes(local: LocalType) -> str:
    return str(local).replace("B[", "B").replace("]'", "'")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 8),
    st.lists(
        st.sampled_from(
            [
                "    A -> B[*]: x(n: int)",
                "    foreach b in B:\n        A -> b: y()",
                "    foreach b in B:\n        b -> A: z(s: str)",
                "    foreach b in B:\n        b -> C: u()",
                "    C -> A, B[*]: v()",
                "    A -> C: w()",
            ]
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_a_family_means_its_members_written_out(size: int, steps: list[str]) -> None:
    fixed = "    A -> C: a()\n    A -> B[*]: b()\n"
    template = "protocol P(A, C, B[N]):\n" + fixed + "\n".join(steps) + "\n"
    opened = f"main:\n    open P as a, c, bs with N = {size}\n"
    opened += '    cancel a "x"\n    cancel c "x"\n    foreach b in bs:\n        cancel b "x"\n'
    family = compile_module(template + opened, "test.troth").image.protocols[0]
    plain = compile_module(_written_out(template, size), "test.troth").image.protocols[0]
    assert list(map(_shapes, family.local_types)) == list(map(_shapes, plain.local_types))
