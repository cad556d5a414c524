"""Makes the cases of the corpus about crashes that are provided for: `python -m corpus_crashes`."""

from __future__ import annotations

import json
from typing import Any, Final

from corpus_files import CORPUS, written
from crash_samples import CARRIED, SEVERAL
from troth.conformance.corpus import VERBS, keeps_its_verb, observe, read_case
from troth.dsl.compile import compile_source
from troth.vm.assembly_write import disassemble

ASK: Final = """\
protocol Ask(Oracle, Asker, Friend):
    edge Asker -> Oracle: capacity = 1
    Asker -> Oracle: first(text: str)
    Asker -> Oracle: second(text: str)
    choice at Oracle:
        Oracle -> Asker: answer(text: str)
        Asker -> Friend: told(text: str)
    on crash Oracle:
        Asker -> Friend: alone()
        Friend -> Asker: guess(text: str)

program oracle(s: Ask.Oracle):
    recv s.Asker first(text)
    recv s.Asker second(more)
    yield
    send s.Asker answer(text + more)
    for nap in range(6):
        yield
    close s

program asker(s: Ask.Asker):
    send s.Oracle first("a")
    send s.Oracle second("b")
    for nap in range(6):
        yield
    recv s.Oracle:
        answer(text):
            print text
            send s.Friend told(text)
        on crash:
            print "the oracle is gone"
            send s.Friend alone()
            recv s.Friend guess(text)
            print text
    close s

program friend(s: Ask.Friend):
    recv s.Asker:
        told(text):
            print text
        alone():
            send s.Asker guess("because")
    close s

main:
    open Ask as o, a, f
    spawn oracle(o)
    spawn asker(a)
    spawn friend(f)
"""


def _crash(after: int, role: str, session: int = 0) -> dict[str, object]:
    return {"after": after, "trouble": "crash", "session": session, "role": role}


RUN: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "crash-goes-on": (
        "A role crashes that the others can do without; what is sent to it is listed.",
        ASK,
        {"host": [_crash(1, "Oracle")]},
    ),
    "crash-goes-on-sealed-by-round": (
        "The same, sealed by round.",
        ASK,
        {"seal": "round", "host": [_crash(2, "Oracle")]},
    ),
    "crash-behind-its-message": (
        "What was sent before the crash is received, and nobody goes on without the role.",
        ASK,
        {"host": [_crash(6, "Oracle")]},
    ),
    "crash-of-a-role-that-is-needed": (
        "Nothing says what follows the crash of this role, and the session is faulted.",
        ASK,
        {"host": [_crash(2, "Asker")]},
    ),
    "crash-of-two": (
        "A second role crashes, and is needed.",
        ASK,
        {"host": [_crash(1, "Oracle"), _crash(3, "Friend")]},
    ),
    "crash-behind-a-partition": (
        "The crash is not seen before the partition heals.",
        ASK,
        {
            "host": [
                {
                    "after": 1,
                    "trouble": "partition",
                    "session": 0,
                    "role": "Oracle",
                    "peer": "Asker",
                },
                _crash(2, "Oracle"),
                {"after": 8, "trouble": "heal", "session": 0, "role": "Asker", "peer": "Oracle"},
            ]
        },
    ),
    "crash-of-one-in-several-sessions": (
        "Each session of who has crashed is decided by itself.",
        SEVERAL.lstrip("\n"),
        {"host": [_crash(3, "Source")], "round_ns": 1_000_000},
    ),
    "crash-with-an-endpoint-on-its-way": (
        "An endpoint in a message to who has crashed is lost, and its session is cancelled.",
        CARRIED.lstrip("\n"),
        {"host": [_crash(4, "Giver")]},
    ),
    "crash-between-machines": (
        "A session that says what follows a crash is not opened between machines.",
        ASK,
        {"home": ["Asker"]},
    ),
}

REFUSED: Final[dict[str, tuple[str, str, str]]] = {
    "crash-that-is-sent": (
        "Nobody sends a crash.",
        "3: Friend ! told(text: str) -> 5\n",
        '3: Friend ! "on crash"() -> 5\n     | told(text: str) -> 5\n',
    ),
    "crash-that-says-something": (
        "A crash carries nothing.",
        '"on crash"() -> 4',
        '"on crash"(n: int) -> 4',
    ),
    "crash-and-nothing-else": (
        "Who waits for a crash waits for a message as well.",
        '2: Oracle ? answer(text: str) -> 3\n     | "on crash"() -> 4',
        '2: Oracle ? "on crash"() -> 4',
    ),
    "crash-of-one-that-goes-on": (
        "Who has crashed takes no part in what follows.",
        "4: Friend ! alone() -> 6",
        "4: Oracle ! alone() -> 6",
    ),
    "crash-without-its-case": (
        "A receive has a case for the crash where its type has one.",
        '          | "on crash"() -> L17\n',
        "",
    ),
}


def main() -> None:
    for name, (about, script, settings) in RUN.items():
        text = disassemble(compile_source(script, f"{name}.troth"))
        _write(name, text, {"about": about, "verb": "", **settings, "expect": {}})
    plain = disassemble(compile_source(ASK, "ask.troth"))
    for name, (about, before, after) in REFUSED.items():
        assert before in plain, before
        _write(name, plain.replace(before, after), {"about": about, "verb": "", "expect": {}})


def _write(name: str, text: str, given: dict[str, Any]) -> None:
    data = text.encode()
    for verb in VERBS:
        given["verb"] = verb
        given["expect"] = seen = observe(read_case(json.dumps(given).encode()), data, assembly=True)
        if keeps_its_verb(verb, seen):
            break
    folder = CORPUS / name
    folder.mkdir(exist_ok=True)
    (folder / "image.asm").write_bytes(data)
    (folder / "case.json").write_text(written(given))
    said = {key: seen.get(key) for key in ("refused", "faults", "statuses", "printed", "outcome")}
    print(given["verb"], name, said)


if __name__ == "__main__":
    main()
