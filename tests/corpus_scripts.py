"""Makes the cases of the corpus that are best said as scripts: `python -m corpus_scripts`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from corpus_files import CORPUS, written
from troth.conformance.corpus import VERBS, keeps_its_verb, observe, read_case
from troth.dsl.compile import compile_source
from troth.vm.assembly_write import disassemble
from troth.vm.image import Image
from troth.vm.instructions import Instruction, Jump, JumpIf, Spawn, Transfer

PAIR: Final = """\
protocol P(A, B):
    A -> B: one(n: int)
    A -> B: two(n: int)

program a(s: P.A):
    send s.B one(1)
    {a}
    send s.B two(2)
    close s

program b(s: P.B):
    recv s.A one(n)
    {b}
    recv s.A two(m)
    {end}close s

main:
    open P as x, y{settings}
    spawn a(x)
    spawn b(y)
"""
JOB: Final = """\
protocol Job(C, S):
    C -> S: ask(n: int)

protocol Hire(D, W):
    D -> W: take(job: Job.S)

program client(s: Job.C):
    send s.S ask(7)
    close s

program dispatcher(h: Hire.D, job: Job.S):
    send h.W take(job)
    close h

program worker(h: Hire.W):
    recv h.D take(job)
    close h
    recv job.C ask(n)
    print n
    close job

main:
    open Job as c, s
    open Hire as d, w
    spawn client(c)
    spawn dispatcher(d, s)
    spawn worker(w)
"""
EFFECT: Final = """\
effect ask(n: int) -> int

main:
    let x = call ask(20)
    print x + 1
"""


EFFECT_TEXT: Final = """\
effect ask(text: str) -> int

main:
    let x = call ask("{}")
    print x
"""
TEXT: Final = """\
protocol P(A, B):
    A -> B: say(text: str)

program a(s: P.A):
    send s.B say("{}")
    close s

program b(s: P.B):
    recv s.A say(text)
    print text
    close s

main:
    open P as x, y
    spawn a(x)
    spawn b(y)
"""


BUNDLE: Final = """\
protocol Down(A, B):
    A -> B: picture(n: int)

protocol Up(C, D):
    C -> D: key(n: int)

bundle Desk(H, V):
    down: Down(H, V)
    up: Up(V, H)

program host(d: Desk.H):
    {host}
    send d.down.B picture(1)
    recv d.up.C key(n)
    print n
    close d

program viewer(d: Desk.V):
    send d.up.D key(7)
    {viewer}
    recv d.down.A picture(n)
    print n
    close d

main:
    open Desk as h, v
    spawn host(h)
    spawn viewer(v)
"""


def desk(host: str = "pass", viewer: str = "pass") -> str:
    """Two sessions in one bundle, each in another direction."""
    return BUNDLE.format(host=host, viewer=viewer)


TIMED: Final = """\
protocol Consent(Viewer, Host):
    Viewer -> Host: ask()
    choice at Host within 5ms:
        Host -> Viewer: yes()
    timeout:
        Host -> Viewer: late()

program viewer(s: Consent.Viewer):
    send s.Host ask()
    recv s.Host:
        yes():
            print "yes"
        late():
            print "late"
    close s

program host(s: Consent.Host):
    recv s.Viewer ask()
    within s:
        for nap in range({naps}):
            yield
        send s.Viewer yes()
    timeout:
        send s.Viewer late()
    close s

main:
    open Consent as v, h
    spawn viewer(v)
    spawn host(h)
"""


def pair(a: str = "pass", b: str = "pass", settings: str = "", end: str = "") -> str:
    """Two roles; what happens between the two messages is the case."""
    settings = f" with {settings}" if settings else ""
    return PAIR.format(a=a, b=b, settings=settings, end=end)


def alone(*lines: str) -> str:
    return "\n    ".join(["main:", *lines]) + "\n"


SIX: Final = "\n    ".join(["yield"] * 6)
CASES: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "timed-in-time": (
        "A timed choice that is made in time.",
        TIMED.format(naps=2),
        {"round_ns": 1_000_000},
    ),
    "timed-late": (
        "The clock of a timed choice runs out, where the program yields.",
        TIMED.format(naps=20),
        {"round_ns": 1_000_000},
    ),
    "fault-division": ("A division by zero.", alone("let n = 3", "print 1 // (n - n)"), {}),
    "fault-overflow": (
        "An integer of more than 64 bits.",
        alone("let n = 9223372036854775807", "print n + 1"),
        {},
    ),
    "fault-underflow": (
        "An integer below the least.",
        alone("let n = -9223372036854775807", "print n - 1", "print n - 2"),
        {},
    ),
    "fault-not-finite": ("A float is not finite.", alone("let x = 1e308", "print x * 10.0"), {}),
    "fault-index": ("An index past the end.", alone("let l = [1, 2]", "print l[2]"), {}),
    "fault-index-negative": (
        "There are no negative indices.",
        alone("let l = [1, 2]", "let n = 0", "print l[n - 1]"),
        {},
    ),
    "fault-fail": ("A program that fails on purpose.", alone('fail "enough"'), {}),
    "fault-in-a-role": (
        "A fault ends the session, and the peer finds that out.",
        pair(b='fail "no more"'),
        {},
    ),
    "fault-peer-waits": (
        "Whoever waits for one that faults is woken with a fault.",
        pair(a=f'{SIX}\n    fail "no more"'),
        {},
    ),
    "fault-credits": (
        "A loop that never ends spends its budget.",
        alone("loop:", "    yield"),
        {"limits": {"instructions_max": 50}},
    ),
    "fault-buffer": (
        "A full buffer with policy error refuses the message before it is signed.",
        pair(b=SIX, settings="capacity = 1, policy = error"),
        {},
    ),
    "fault-key": ("Nobody has a key for one of the roles.", pair(), {"keyless": ["B"]}),
    "fault-open": (
        "The run asks for a replay mode that messages which may be lost cannot have.",
        "protocol P(A, B):\n    edge A -> B: replay = nullifier\n    loop at A:\n"
        "        A -> B: frame(n: int) lossy\n\n"
        "program a(s: P.A):\n    send s.B frame(1)\n    send s.B done()\n    close s\n\n"
        "program b(s: P.B):\n    loop:\n        recv s.A:\n            frame(n):\n"
        "                pass\n            done():\n                break\n    close s\n\n"
        "main:\n    open P as x, y\n    spawn a(x)\n    spawn b(y)\n",
        {"replay": "sequence"},
    ),
    "fault-elsewhere": (
        "An endpoint that another machine holds is used here.",
        "protocol P(A, B):\n    A -> B: m()\n\nmain:\n    open P as x, y\n"
        "    send x.B m()\n    recv y.A m()\n    close x\n    close y\n",
        {"home": ["B"], "host": [{"after": 1, "meet": "A"}]},
    ),
    "fault-transfer": (
        "A program cannot be given endpoints of several machines.",
        "protocol P(A, B):\n    A -> B: m()\n\nprogram both(x: P.A, y: P.B):\n"
        "    send x.B m()\n    recv y.A m()\n    close x\n    close y\n\n"
        "main:\n    open P as x, y\n    spawn both(x, y)\n",
        {"home": ["B"], "host": [{"after": 1, "meet": "A"}]},
    ),
    "fault-nobody-came": (
        "The other machines of a session are not found.",
        pair(),
        {"home": ["B"], "host": [{"after": 1, "meet": []}]},
    ),
    "fault-speculation": (
        "More is sent speculatively than the buffer can take.",
        "protocol P(A, B):\n    A -> B: one()\n    A -> B: two()\n\nprogram a(s: P.A):\n"
        "    speculate:\n        send s.B one()\n        send s.B two()\n        commit\n"
        "    else:\n        send s.B one()\n        send s.B two()\n    close s\n\n"
        "program b(s: P.B):\n    recv s.A one()\n    recv s.A two()\n    close s\n\n"
        "main:\n    open P as x, y with capacity = 1\n    spawn a(x)\n    spawn b(y)\n",
        {},
    ),
    "bundle": ("All sessions of a bundle are opened at once, and end together.", desk(), {}),
    "bundle-sealed-by-round": ("The same, sealed by round.", desk(), {"seal": "round"}),
    "bundle-fault": ("A fault in one ends all.", desk(viewer='fail "no"'), {}),
    "bundle-fault-late": (
        "A fault when the other role is done with both sessions, or waits.",
        desk(viewer=f'{SIX}\n    fail "late"'),
        {},
    ),
    "bundle-host-cancels": (
        "The host cancels one session of a bundle.",
        desk(host=SIX),
        {"host": [{"after": 4, "cancel": 1, "reason": "enough"}]},
    ),
    "bundle-end-asked": (
        "The host asks for the end of one session of a bundle, and its roles are too late.",
        desk(host=f"{SIX}\n    {SIX}"),
        {"host": [{"after": 4, "end": 0}], "round_ns": 1_000_000_000},
    ),
    "bundle-sessions-at-the-limit": (
        "As many sessions as may be open.",
        desk(),
        {"limits": {"sessions_max": 2}},
    ),
    "bundle-sessions-past-the-limit": (
        "A bundle is opened as a whole or not at all.",
        desk(),
        {"limits": {"sessions_max": 1}},
    ),
    "bundle-key": ("Nobody has a key for one of the roles.", desk(), {"keyless": ["V"]}),
    "effect-answered": (
        "An effect's answer comes in the next round.",
        EFFECT,
        {"effects": [{"value": "14"}]},
    ),
    "effect-asked-twice": (
        "Each effect has an id of its own, and its answer goes to who asked.",
        "effect ask(n: int) -> int\n\nprogram other(n: int):\n    let y = call ask(n)\n"
        "    print y\n\n"
        "main:\n    spawn other(1)\n    let x = call ask(2)\n    let z = call ask(3)\n"
        "    print x * 100 + z\n",
        {"effects": [{"value": "14"}, {"value": "15"}, {"value": "16"}]},
    ),
    "effect-arguments-at-the-limit": (
        "Arguments of an effect that are as long as they may be.",
        EFFECT_TEXT.format("12345678"),
        {"effects": [{"value": "14"}], "limits": {"message_bytes_max": 10}},
    ),
    "effect-arguments-past-the-limit": (
        "Arguments of an effect that are one byte too long.",
        EFFECT_TEXT.format("123456789"),
        {"effects": [{"value": "14"}], "limits": {"message_bytes_max": 10}},
    ),
    "message-at-the-limit": (
        "A message that is as long as it may be.",
        TEXT.format("12345678"),
        {"limits": {"message_bytes_max": 10}},
    ),
    "message-past-the-limit": (
        "A message that is one byte too long.",
        TEXT.format("123456789"),
        {"limits": {"message_bytes_max": 10}},
    ),
    "roles-at-the-limit": ("As many roles as may be.", pair(), {"limits": {"roles_max": 2}}),
    "roles-past-the-limit": ("One role too many.", pair(), {"limits": {"roles_max": 1}}),
    "operators-bytes": (
        "Bytes are joined and compared.",
        alone('let a = b"x"', 'print len(a + b"yz")', 'print a == b"x"'),
        {},
    ),
    "effect-failed": (
        "An effect that the host cannot finish.",
        EFFECT,
        {"effects": [{"failed": "no line"}]},
    ),
    "effect-of-another-type": (
        "An answer of another type than declared.",
        EFFECT,
        {"effects": [{"value": "a178"}]},
    ),
    "delegation": ("An endpoint travels in a message.", JOB, {}),
    "delegation-sealed-by-round": ("The same, sealed by round.", JOB, {"seal": "round"}),
    "delegation-quantum-one": ("The same, one instruction a turn.", JOB, {"quantum": 1}),
    "life-host-cancels": (
        "The host cancels a session whose receiver waits.",
        pair(a=SIX),
        {"host": [{"after": 3, "cancel": 0, "reason": "the house is on fire"}]},
    ),
    "life-cancel-while-draining": (
        "The host cancels a session that drains.",
        pair(b=f"{SIX}\n    {SIX}"),
        {"host": [{"after": 4, "cancel": 0, "reason": "too slow"}]},
    ),
    "trouble-crash": (
        "Who plays a role crashes while it is about to send; who waits for it is woken.",
        pair(a=SIX),
        {"host": [{"after": 3, "trouble": "crash", "session": 0, "role": "A"}]},
    ),
    "trouble-crash-while-waiting": (
        "Who waits for a message crashes; the message is listed as undelivered.",
        pair(a=SIX),
        {"host": [{"after": 3, "trouble": "crash", "session": 0, "role": "B"}]},
    ),
    "trouble-crash-of-one-that-waits-for-an-endpoint": (
        "Who has one of its two endpoints crashes; it can be given the other no more.",
        JOB,
        {
            "quantum": 1,
            "host": [{"after": 6, "trouble": "crash", "session": 1, "role": "D"}],
        },
    ),
    "trouble-parted": (
        "Nothing passes a partition; it may heal, so the run is not stuck.",
        pair(a=SIX),
        {"host": [{"after": 3, "trouble": "partition", "session": 0, "role": "A", "peer": "B"}]},
    ),
    "trouble-healed": (
        "A partition heals when nothing else can happen, and nothing is lost.",
        pair(a=SIX),
        {
            "host": [
                {"after": 3, "trouble": "partition", "session": 0, "role": "A", "peer": "B"},
                {"after": 90, "trouble": "heal", "session": 0, "role": "B", "peer": "A"},
            ]
        },
    ),
    "trouble-corrupt": (
        "A message is changed in its buffer; its receiver finds out.",
        pair(b=SIX),
        {"host": [{"after": 3, "trouble": "corrupt", "session": 0, "role": "A", "peer": "B"}]},
    ),
    "trouble-corrupt-sealed-by-round": (
        "The same, sealed by round.",
        pair(b=SIX),
        {
            "seal": "round",
            "host": [{"after": 3, "trouble": "corrupt", "session": 0, "role": "A", "peer": "B"}],
        },
    ),
    "trouble-timeout": (
        "Who is timed out gets no turn until then.",
        pair(a=SIX),
        {
            "round_ns": 1000,
            "host": [
                {"after": 3, "trouble": "timeout", "session": 0, "role": "A", "until_ns": 50_000}
            ],
        },
    ),
    "life-end-asked": (
        "The host asks for the end; the roles are done in time.",
        pair(a=SIX),
        {"host": [{"after": 3, "end": 0}], "round_ns": 1000},
    ),
    "life-end-asked-twice": (
        "Asking again changes nothing.",
        pair(a=SIX),
        {"host": [{"after": 3, "end": 0}, {"after": 4, "end": 0}], "round_ns": 1000},
    ),
    "life-end-asked-while-draining": (
        "The host asks for the end of a session that drains.",
        pair(b=f"{SIX}\n    {SIX}"),
        {"host": [{"after": 5, "end": 0}], "round_ns": 1000},
    ),
    "life-linger-over": (
        "The roles are not done when the linger time is over, and are named.",
        pair(a=SIX, settings="linger = 2us"),
        {"host": [{"after": 3, "end": 0}], "round_ns": 1000},
    ),
    "life-fault-while-draining": (
        "A role faults when the other is done already.",
        pair(b=f'{SIX}\n    fail "late"'),
        {},
    ),
    "life-cancelled-by-a-role": (
        "A role leaves early, with a reason.",
        'protocol P(A, B):\n    A -> B: m()\n\nprogram a(s: P.A):\n    cancel s "not today"\n\n'
        "program b(s: P.B):\n    recv s.A m()\n    close s\n\n"
        "main:\n    open P as x, y\n    spawn a(x)\n    spawn b(y)\n",
        {},
    ),
    "schedule-round-robin": ("Turns in the order of birth.", JOB, {"policy": "round-robin"}),
    "schedule-priority": (
        "The worker first, whenever it is ready.",
        JOB,
        {"policy": "priority aging=3 worker=5"},
    ),
    "operators-numbers": (
        "Division rounds down, remainders have the divisor's sign, floats stay floats.",
        alone(
            *("let n = 7", "let m = -2", "let x = 0.5", "let zero = 0.0"),
            *("print n / m", "print n // m", "print n % m", "print -n", "print -x", "print -zero"),
            *("print x + 1.0", "print x * 3.0", "print x / 4.0", "print 7.5 // 2.0"),
            *("print 7.5 % 2.0", "print n - m", "print n * m"),
        ),
        {},
    ),
    "operators-comparison": (
        "What is less, and what is the same.",
        alone(
            *("let n = 1", 'let s = "b"', 'let b = b"\\x01"', "let t = true"),
            *("print n < 2", "print n <= 1", "print n > 1", "print n >= 2", 'print s < "c"'),
            *('print s >= "ba"', 'print b < b"\\x02"', "print not t", "print n == 1"),
            *("print [1, 2] == [1, 2]", "print {a: 1} != {a: 1}", "print 0.5 > 0.25"),
        ),
        {},
    ),
    "operators-text": (
        "How values are written.",
        alone(
            *("print [1, 2]", 'print {b: 1, a: "x"}', 'print b"\\x00z"', 'print ["a\\nb"]'),
            *("print 1e16", "print 0.1", 'print str(3) + "!"', 'print len("äöü")'),
            *("print len([1, 2, 3])", 'print len(b"ab")', "print true", "print ()"),
            *("let r = {a: [1, 2], b: 2}", "print r.a[1]", 'print "abc"[1]', 'print b"abc"[0]'),
        ),
        {},
    ),
    "operators-growth": (
        "A text that grows beyond the limit of a value.",
        alone('let s = "0123456789"', "loop:", "    s = s + s", "    print len(s)"),
        {"limits": {"value_bytes_max": 100}},
    ),
    "operators-growth-bytes": (
        "Bytes that grow beyond the limit of a value.",
        alone('let s = b"0123456789"', "loop:", '    s = s + b"0"', "    print len(s)"),
        {"limits": {"value_bytes_max": 20}},
    ),
    "operators-growth-list": (
        "A list that grows beyond the limit of a value.",
        alone('let l = ["a"]', "loop:", '    l = l + ["b"]', "    print len(l)"),
        {"limits": {"value_bytes_max": 20}},
    ),
    "limit-rounds": (
        "A run of more rounds than it may have.",
        alone("loop:", "    yield"),
        {"limits": {"rounds_max": 40}},
    ),
}


def _spawned_at_once(image: Image) -> Image:
    """A main that gives endpoints as it spawns; those of three programs keep their transfers."""
    *others, main = image.programs
    code: list[Instruction] = []
    jumps = any(isinstance(instruction, Jump | JumpIf) for instruction in main.code)
    for instruction in main.code:
        spawned = code[-1] if code else None
        if isinstance(instruction, Transfer) and isinstance(spawned, Spawn) and not jumps:
            filled = list(spawned.arguments)
            filled[instruction.parameter] = instruction.endpoint
            code[-1] = replace(spawned, arguments=tuple(filled))
        else:
            code.append(instruction)
    if jumps or len(others) == 3:
        return image
    return replace(image, programs=(*others, replace(main, code=tuple(code), lines=())))


def main() -> None:
    for name, (about, script, settings) in CASES.items():
        image = _spawned_at_once(compile_source(script, f"{name}.troth"))
        text = disassemble(image).encode()
        given: dict[str, Any] = {"about": about, "verb": "", **settings, "expect": {}}
        for act in given.get("host", ()):
            if act.get("meet") == "A":
                act["meet"] = [["A", PEER_KEY, "00" * 16]]
        for verb in VERBS:
            given["verb"] = verb
            case = read_case(json.dumps(given).encode())
            given["expect"] = seen = observe(case, text, assembly=True)
            if keeps_its_verb(verb, seen):
                break
        folder = CORPUS / name
        folder.mkdir(exist_ok=True)
        (folder / "image.asm").write_bytes(text)
        (folder / "case.json").write_text(written(given))
        print(given["verb"], name, seen["faults"], seen["statuses"], seen["outcome"])


PEER_KEY: Final = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""A public key that nobody here uses: the first of RFC 8032, section 7.1."""

if __name__ == "__main__":
    main()
