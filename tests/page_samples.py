"""Pages for tests: of ordinary artifacts, and of ones that try to break out of their page."""

from __future__ import annotations

import io
from functools import cache
from typing import Final

import builders
from artifact_surgery import EXAMPLES, Record, Sample, find, join, parse, with_field
from replay_samples import Host, record_run
from troth.conformance.judge import verify_stream
from troth.conformance.report_collect import Collector
from troth.conformance.report_model import Report, View
from troth.conformance.report_page import page
from troth.dsl import compile_source
from troth.vm.keys import TrustFile
from troth.vm.records import Kind

BREAKOUT: Final = (
    "</script></style></title></textarea><script>window.owned = 1</script>"
    "<img src=x onerror='window.owned = 2'><!--<svg onload=alert(1)>"
    "\u2028\u2029\u202eevil\u2066\u200b\x1b[2J\x00\"'`${window.owned = 3}&lt;b&gt;{{7*7}}"
    "javascript:window.owned=4"
)
"""What would run, ask for something, or turn the text around if it were not text."""

NAME_BREAKOUT: Final = "</script><svg/onload=window.owned=5>\"'&lt;<!--\u05d0\u0301"
"""The same without what an image refuses in a name: blanks and what cannot be seen."""

_TALK: Final = """
protocol Talk(A, B):
    A -> B: say(text: str)
    B -> A: back(text: str)

program a(s: Talk.A, text: str):
    send s.B say(text)
    recv s.B back(answer)
    print answer
    cancel s "REASON"

program b(s: Talk.B):
    recv s.A say(text)
    send s.A back(text)
    close s

main:
    open Talk as x, y
    spawn a(x, "TEXT")
    spawn b(y)
"""


def view_of(data: bytes, *, trust: TrustFile | None = None, name: str = "a.replay") -> View:
    collector = Collector()
    verdict = verify_stream(
        io.BytesIO(data), file=name, trust=trust, with_fragment=True, observer=collector
    )
    return collector.view(verdict, name)


def page_of(*views: View) -> str:
    return "".join(page(Report(views[0].name, views, "0")))


@cache
def two_buyer() -> Sample:
    """The example, whose book costs 120."""
    text = (EXAMPLES / "two_buyer.troth").read_text(encoding="utf-8")
    image = compile_source(text, "two_buyer.troth")
    return record_run(image, Host(effects={"price_of": lambda _: 120}))


@cache
def forged() -> bytes:
    """The seller's message has another number in it; all else is as it was."""
    data = two_buyer().data
    records = parse(data)
    index = next(i for i, r in enumerate(records) if r[0] == Kind.SEND and r[9] == b"\x91\x78")
    records[index] = with_field(records[index], 9, b"\x91\x14")
    return join(records)


@cache
def hostile_names() -> Sample:
    """A valid run of an image in which every name and value is hostile."""
    a, b, name = f"A{NAME_BREAKOUT}", f"B{NAME_BREAKOUT}", f"P{NAME_BREAKOUT}"
    say, back = f"say{NAME_BREAKOUT}", f"back{NAME_BREAKOUT}"
    text = [builders.STR]
    talk = builders.protocol(
        name,
        {
            a: builders.sends(b, (say, text, builders.receives(b, (back, text, builders.END)))),
            b: builders.receives(a, (say, text, builders.sends(a, (back, text, builders.END)))),
        },
    )
    first = [builders.set_(1, BREAKOUT), builders.send(0, b, say, 1), builders.recv(0, b, back, 2)]
    other = [builders.recv(0, a, say, 1), builders.send(0, a, back, 1)]
    ends = [builders.close(0), builders.HALT]
    main = [builders.open_(0, 0, 1), builders.spawn(2, 1, 0), builders.spawn(3, 2, 1)]
    image = builders.image(
        [talk],
        [
            builders.program(f"main{NAME_BREAKOUT}", [*main, builders.HALT]),
            builders.program(f"a{NAME_BREAKOUT}", [*first, *ends], builders.endpoint(name, a)),
            builders.program(f"b{NAME_BREAKOUT}", [*other, *ends], builders.endpoint(name, b)),
        ],
    )
    return record_run(image, Host())


@cache
def hostile() -> bytes:
    """A run whose messages, prints and reasons are hostile, and whose names were made so."""
    plain = _TALK.replace("TEXT", "T" * 5).replace("REASON", "R" * 5)
    records = parse(record_run(compile_source(plain, "talk.troth"), Host()).data)
    # The image has to stay what its id says, or nothing after it would be read.
    changed = [record if record[0] == Kind.IMAGE else _poisoned(record) for record in records]
    protocol = find(changed, Kind.PROTOCOL)
    roles, labels = ("A", "B"), ("b", "s")
    for field, names in ((3, roles), (4, labels)):
        hostile_names = tuple(_cut(name + BREAKOUT) for name in names)
        changed[protocol] = with_field(changed[protocol], field, hostile_names)
    changed[protocol] = with_field(changed[protocol], 2, _cut(BREAKOUT))
    for number in range(2):
        principal = find(changed, Kind.PRINCIPAL, number)
        changed[principal] = with_field(changed[principal], 1, _cut(f"{number}" + BREAKOUT))
    changed[0] = with_field(changed[0], 7, _cut(BREAKOUT))
    return join(changed)


def _cut(text: str) -> str:
    return text.encode()[:240].decode(errors="ignore")


def _poisoned(record: Record) -> Record:
    text = BREAKOUT.encode()
    # Texts of five letters were put where records hold what a script says.
    length = b"\xd9" + bytes([len(text)])
    return tuple(
        item.replace(b"\xa5TTTTT", length + text)
        if isinstance(item, bytes)
        else item.replace("TTTTT", BREAKOUT).replace("RRRRR", BREAKOUT)
        if isinstance(item, str)
        else item
        for item in record
    )
