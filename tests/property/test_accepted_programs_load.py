"""What the checker accepts, the machine's loader accepts; what it does not, it says calmly.

The script generator follows a random protocol, so its scripts must be accepted. Compiling loads
the image as a machine would, and calls it a bug when that is refused.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from property.script_generator import script_text
from troth.dsl.compile import check_source, compile_source
from troth.vm.loader import load

SEEDS = st.integers(min_value=0, max_value=2**32)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_a_right_script_is_accepted_and_loads(seed: int) -> None:
    text = script_text(Random(seed))
    diagnostics = check_source(text, "right.troth")
    assert not diagnostics.has_errors, f"{text}\n{diagnostics.render()}"
    image = compile_source(text, "right.troth")
    assert load(image).image == image


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_a_changed_script_is_refused_or_loads(seed: int) -> None:
    """Lines dropped, repeated, swapped, moved or moved in: never an internal error."""
    rng = Random(seed)
    lines = script_text(rng).split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        change = rng.randrange(5)
        if change == 0:
            del lines[place]
        elif change == 1:
            lines.insert(other, lines[place])
        elif change == 2:
            lines[place], lines[other] = lines[other], lines[place]
        elif change == 3:
            blank = len(lines[other]) - len(lines[other].lstrip())
            lines.insert(other, " " * blank + lines[place].strip())
        else:
            lines[place] = lines[place].replace("Left", "Right")
    text = "\n".join(lines)
    diagnostics = check_source(text, "changed.troth")
    assert diagnostics.render().count(": error[") == sum(
        item.severity == "error" for item in diagnostics.found
    )


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.text(max_size=12))
def test_any_text_within_a_script_is_answered_with_diagnostics(seed: int, text: str) -> None:
    rng = Random(seed)
    script = script_text(rng)
    start = rng.randrange(len(script))
    end = min(len(script), start + rng.randrange(10))
    check_source(script[:start] + text + script[end:], "any.troth").render()
