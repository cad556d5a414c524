"""The one format, by example."""

from __future__ import annotations

from pathlib import Path

import pytest

from troth.dsl.compile import ScriptErrors
from troth.dsl.fmt import format_source
from troth.vm.errors import Invalid

_EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "docs" / "examples").glob("*.troth"))


def formatted(text: str) -> str:
    result = format_source(text, "x.troth")
    assert format_source(result, "x.troth") == result
    return result


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_the_format(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


MESSY = """

# head

effect f( a:int )->unit   # behind
effect g()->int
# about P
protocol P(A,B,):   # header

    # first
    edge A->B: replay=nullifier,buffer=resize { 8 }



    A->B: m( x:int,y : list [ int ] )
    choice  at A:
        A->B:a()
        # end of the branch
    # before or
    or:
        A->B:b()
# odd
program p( s:P.A ):
  let x=-1- -2*( 3+4 )
  print 'it'+'a"b'
  send s . B m( 1 )
  cancel s("x")
  if not(x==1)and x [0]<-y:
    pass

  let r={x:1,or:()}
  x=r . x
      # deep
  # of p
main :
  open P as a,b with replay=off , N=4
  spawn p(a,)
    # c1
# c2
"""

TIDY = """\
# head

effect f(a: int) -> unit  # behind

effect g() -> int

# about P
protocol P(A, B):  # header
    # first
    edge A -> B: replay = nullifier, buffer = resize{8}

    A -> B: m(x: int, y: list[int])
    choice at A:
        A -> B: a()
        # end of the branch
    # before or
    or:
        A -> B: b()

# odd
program p(s: P.A):
    let x = -1 - -2 * (3 + 4)
    print "it" + 'a"b'
    send s.B m(1)
    cancel s ("x")
    if not (x == 1) and x[0] < -y:
        pass

    let r = {x: 1, or: ()}
    x = r.x
    # deep
    # of p

main:
    open P as a, b with replay = off, N = 4
    spawn p(a)
    # c1

# c2
"""


def test_a_messy_script() -> None:
    assert formatted(MESSY) == TIDY


def test_a_long_line_is_broken_at_its_longest_bracket() -> None:
    names = [f"parameter_number_{number}: int" for number in range(6)]
    assert formatted(f"effect f({', '.join(names)}) -> list[int]\n") == (
        "effect f(\n" + ",\n".join(f"    {name}" for name in names) + "\n) -> list[int]\n"
    )


def test_a_short_line_is_joined() -> None:
    assert formatted("effect f(\n    a: int,\n    b: int,\n) -> int\n") == (
        "effect f(a: int, b: int) -> int\n"
    )


COMMENTED = """\
main:
    send s.A m(  # open
        1,  # one
        # own
        [2, 3]  # last
    )  # end
"""


def test_comments_inside_brackets_stay_where_they_are() -> None:
    assert formatted(COMMENTED) == COMMENTED
    messy = COMMENTED.replace("    send", "  send").replace("# last", ", # last")
    assert formatted(messy.replace("        ", "     ")) == COMMENTED


def test_comments_around_a_comma_that_goes() -> None:
    assert formatted("main:\n    print [1 # a\n        , # b\n    ]\n") == (
        "main:\n    print [\n        1  # a\n        # b\n    ]\n"
    )


def test_a_comment_in_the_middle_of_an_expression_is_kept() -> None:
    assert formatted("main:\n    print (1 # a\n        + # b\n        2)\n") == (
        "main:\n    print (\n        1  # a\n        +  # b\n        2\n    )\n"
    )


def test_nothing_and_only_comments() -> None:
    assert formatted("") == ""
    assert formatted("\n\n") == ""
    assert formatted("   # a  \n\n\n#b") == "# a\n\n#b\n"


def test_line_ends_of_other_systems() -> None:
    assert formatted("main:\r\n  pass # x\r\n") == "main:\n    pass  # x\n"


def test_a_script_that_only_fails_the_checks_is_formatted() -> None:
    assert formatted("main:\n  close nothing\n") == "main:\n    close nothing\n"


def test_a_script_with_syntax_errors_is_refused() -> None:
    with pytest.raises(
        Invalid, match=r"x\.troth:2:5: error\[parse\.statement\.unknown\]"
    ) as caught:
        format_source("main:\n    oops 1\n", "x.troth")
    assert isinstance(caught.value, ScriptErrors)
    assert caught.value.place.line == 2
