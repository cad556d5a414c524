"""Role families: what is made of a template, that it runs, and that it is bounded."""

from __future__ import annotations

import io
from pathlib import Path
from textwrap import dedent

import pytest

from artifact_surgery import record_image
from troth.conformance import verify
from troth.dsl.compile import ProtocolView, check_source, compile_module
from troth.dsl.families import COPIES_MAX, FAMILY_SIZE_MAX
from troth.dsl.fmt import format_source
from troth.vm.image import Image
from troth.vm.shell_options import RunOptions, seed_from_number
from troth.vm.shell_run import run

FARM = """
protocol Farm(Hub, Worker[N]):
    Hub -> Worker[*]: task(n: int)
    foreach w in Worker:
        w -> Hub: result(n: int)

program hub(s: Farm.Hub):
    foreach w in s.Worker:
        send s.w task(w + 10)
    let sum = 0
    foreach w in s.Worker:
        recv s.w result(n)
        let twice = 2 * n
        sum = sum + twice
    print sum
    close s

program worker(s: Farm.Worker[i]):
    recv s.Hub task(n)
    send s.Hub result(n * i)
    close s
"""


def _image(text: str) -> Image:
    return compile_module(dedent(text), "test.troth").image


def _printed(text: str) -> list[str]:
    lines: list[str] = []
    result = run(
        _image(text), options=RunOptions(seed=seed_from_number(1)), write_line=lines.append
    )
    assert result.ok, result.report.describe()
    return lines


def _codes(text: str) -> list[str]:
    return [item.code for item in check_source(dedent(text), "test.troth").ordered()]


def _main(size: int) -> str:
    return f"""
main:
    open Farm as h, ws with N = {size}
    spawn hub(h)
    foreach w in ws:
        spawn worker(w)
"""


@pytest.mark.parametrize("size", range(1, 9))
def test_a_family_runs_at_every_size(size: int) -> None:
    assert _printed(FARM + _main(size)) == [str(sum(2 * w * (w + 10) for w in range(size)))]


def test_a_run_with_a_family_is_recorded_and_verifies(tmp_path: Path) -> None:
    sample = record_image(_image(FARM + _main(3)), tmp_path)
    verdict = verify(io.BytesIO(sample.data), trust=sample.trust)
    assert verdict.exit_code == 0, verdict.findings


def test_each_size_that_is_opened_is_a_protocol_of_its_own() -> None:
    second = _main(5).replace("\nmain:\n", "").replace("ws", "vs").replace(" h,", " k,")
    image = _image(FARM + _main(2) + second.replace("hub(h)", "hub(k)"))
    assert [protocol.name for protocol in image.protocols] == ["Farm[2]", "Farm[5]"]
    assert len(image.protocols[1].roles) == 6
    names = [program.name for program in image.programs]
    assert names == [
        *("hub[2]", "hub[5]", "worker[2,0]", "worker[2,1]"),
        *(f"worker[5,{index}]" for index in range(5)),
        "main",
    ]


def test_of_one_size_programs_are_named_by_the_member_alone() -> None:
    image = _image(FARM + _main(3))
    assert [program.name for program in image.programs] == [
        *("hub", "worker[0]", "worker[1]", "worker[2]", "main")
    ]


def test_members_have_the_same_local_type() -> None:
    image = _image(FARM + _main(4))
    (protocol,) = image.protocols
    assert len(set(protocol.local_types[1:])) == 1
    assert (
        ProtocolView(protocol, image)
        .describe("Worker[3]")
        .startswith("Farm[4].Worker[3]\nHub?task")
    )


def test_what_nothing_opens_is_checked_too() -> None:
    image = _image(FARM)
    assert [protocol.name for protocol in image.protocols] == ["Farm[2]"]
    assert [program.name for program in image.programs] == ["hub", "worker[0]", "worker[1]"]
    assert _codes(FARM.replace("close s\n\nprogram worker", "\nprogram worker")) == [
        "check.endpoint.unfinished"
    ]


def test_a_mistake_in_what_is_written_once_is_reported_once() -> None:
    broken = FARM.replace("send s.Hub result(n * i)", "send s.Hub answer(n * i)")
    assert _codes(broken + _main(8)) == ["check.label.wrong"]
    assert _codes(FARM.replace("w -> Hub: result", "w -> Hub: rest") + _main(5)) == [
        *("check.label.wrong", "check.label.wrong"),
    ]


def test_a_size_in_the_first_line_needs_none_at_open() -> None:
    text = FARM.replace("Worker[N]", "Worker[3]")
    assert _printed(text + _main(3).replace(" with N = 3", "")) == ["70"]
    assert [protocol.name for protocol in _image(text).protocols] == ["Farm"]


def test_members_are_addressed_by_number() -> None:
    assert _printed("""
        protocol Relay(Source, Stage[3]):
            Source -> Stage[0]: item(n: int)
            Stage[0] -> Stage[1]: item(n: int)
            Stage[1] -> Stage[2]: item(n: int)
            Stage[2] -> Source: item(n: int)

        program first(s: Relay.Stage[0]):
            recv s.Source item(n)
            send s.Stage[1] item(n + 1)
            close s

        program second(s: Relay.Stage[1]):
            recv s.Stage[0] item(n)
            send s.Stage[2] item(n * 10)
            close s

        program third(s: Relay.Stage[2]):
            recv s.Stage[1] item(n)
            send s.Source item(n + 5)
            close s

        main:
            open Relay as source, stages
            spawn first(stages[0])
            spawn second(stages[1])
            spawn third(stages[2])
            send source.Stage[0] item(3)
            recv source.Stage[2] item(n)
            print n
            close source
    """) == ["45"]


def test_two_families_are_paired_by_number() -> None:
    assert _printed("""
        protocol Mirror(Front[N], Back[N]):
            foreach f in Front:
                f -> Back[f]: copy(n: int)
                Back[f] -> Front[f]: kept(n: int)

        program front(s: Mirror.Front[i]):
            send s.Back[i] copy(i)
            recv s.Back[i] kept(n)
            print n
            close s

        program back(s: Mirror.Back[k]):
            recv s.Front[k] copy(n)
            send s.Front[k] kept(n + 100 * k)
            close s

        main:
            open Mirror as fs, bs with N = 3
            foreach f in fs:
                spawn front(f)
            foreach b in bs:
                spawn back(b)
    """) == ["0", "101", "202"]


def test_all_to_all_leaves_out_the_sender() -> None:
    image = _image("""
        protocol Round(Peer[3]):
            Peer[*] -> Peer[*]: hello()
    """)
    (protocol,) = image.protocols
    assert ProtocolView(protocol, image).describe("Peer[1]").split("\n")[1:] == [
        *("Peer[0]?hello().", "Peer[0]!hello().", "Peer[2]!hello()."),
        *("Peer[2]?hello().", "end"),
    ]


def test_a_choice_and_a_loop_tell_a_family() -> None:
    assert _printed("""
        protocol Vote(Chair, Member[N]):
            loop at Chair:
                Chair -> Member[*]: ask(n: int)
                foreach m in Member:
                    choice at m:
                        m -> Chair: yes()
                    or:
                        m -> Chair: no(why: str)
            Chair -> Member[*]: over()

        program chair(s: Vote.Chair):
            let for_it = 0
            for n in range(2):
                foreach m in s.Member:
                    send s.m ask(n)
                foreach m in s.Member:
                    recv s.m:
                        yes():
                            for_it = for_it + 1
                        no(why):
                            print why
            foreach m in s.Member:
                send s.m done()
            foreach m in s.Member:
                send s.m over()
            print for_it
            close s

        program member(s: Vote.Member[i]):
            loop:
                recv s.Chair:
                    ask(n):
                        if i > n:
                            send s.Chair yes()
                        else:
                            send s.Chair no(str(i) + " against " + str(n))
                    done():
                        break
            recv s.Chair over()
            close s

        main:
            open Vote as c, ms with N = 3
            spawn chair(c)
            foreach m in ms:
                spawn member(m)
    """) == ["0 against 0", "0 against 1", "1 against 1", "3"]


def test_a_family_is_handed_to_a_sub_protocol() -> None:
    image = _image("""
        protocol Call(Boss, Hand[N]):
            Boss -> Hand[*]: go()

        protocol Day(Chief, Worker[3]):
            do Call(Chief, Worker[*])
            do Call(Worker[0], Worker[1], Worker[2])
            foreach w in Worker:
                do Call(Chief, w)
    """)
    outer = image.protocols[-1]
    assert outer.name == "Day"
    assert ProtocolView(outer, image).describe("Worker[2]").split("\n")[1:] == [
        *("Chief?go().", "Worker[0]?go().", "Chief?go().", "end"),
    ]


def test_a_recursive_do_keeps_the_size() -> None:
    image = _image("""
        protocol Turns(A, B[N]):
            choice at A:
                A -> B[*]: more()
                do Turns(A, B[*])
            or:
                A -> B[*]: stop()
    """)
    assert [len(local.states) for local in image.protocols[0].local_types] == [4, 2, 2]


def test_an_edge_line_is_about_every_member() -> None:
    (protocol,) = _image("""
        protocol Farm(Hub, Worker[3]):
            edge Hub -> Worker[*]: capacity = 2
            edge Worker[*] -> Worker[*]: replay = off
            Hub -> Worker[*]: task()
            Worker[*] -> Worker[*]: hello()
    """).protocols
    assert [(edge.sender, edge.receiver) for edge in protocol.edges if edge.capacity == 2] == [
        ("Hub", f"Worker[{index}]") for index in range(3)
    ]
    assert len(protocol.edges) == 3 + 6


def test_every_other_role_includes_the_members() -> None:
    (protocol,) = _image("""
        protocol Farm(Hub, Worker[2]):
            Hub -> *: task()
    """).protocols
    assert [len(local.states) for local in protocol.local_types] == [3, 2, 2]


def test_the_endpoints_of_a_family_can_be_talked_to_in_turn() -> None:
    assert _printed("""
        protocol Ask(One, Other[N]):
            One -> Other[*]: ask(n: int)
            Other[*] -> One: answer(n: int)

        main:
            open Ask as one, others with N = 2
            foreach o in one.Other:
                send one.o ask(o)
            foreach o in others:
                recv o.One ask(n)
                send o.One answer(n + 7)
                close o
            foreach o in one.Other:
                recv one.o answer(n)
                print n
            close one
    """) == ["7", "8"]


def test_a_wrong_member_is_refused() -> None:
    text = FARM + _main(3)
    assert "check.variable.unknown" in _codes(
        text.replace("spawn worker(w)", "spawn worker(ws[3])")
    )
    assert _codes(
        """
        protocol P(A, B[2]):
            A -> B[*]: m()

        program first(s: P.B[0]):
            recv s.A m()
            close s

        main:
            open P as a, bs
            foreach b in a.B:
                send a.b m()
            close a
            spawn first(bs[0])
            spawn first(bs[1])
        """
    ) == ["check.endpoint.type"]


def test_a_foreach_name_means_nothing_after_it() -> None:
    assert _codes("""
        protocol P(A, B[2]):
            foreach b in B:
                A -> b: m()
            A -> b: n()
    """) == ["protocol.role.unknown"]


def test_a_second_declaration_is_found() -> None:
    assert _codes(FARM + FARM.split("\n\n", maxsplit=1)[0]) == ["protocol.duplicate"]
    assert _codes(FARM + FARM.split("\n\n")[2]) == ["check.name.duplicate"]


@pytest.mark.parametrize("size", ["0", str(FAMILY_SIZE_MAX + 1), "9" * 300, "0x10"])
def test_sizes_are_bounded(size: str) -> None:
    expected = [] if size == "0x10" else ["protocol.family.size"]
    assert _codes(FARM.replace("Worker[N]", f"Worker[{size}]")) == expected
    if expected:
        assert "check.family.size" in _codes(FARM + _main(0).replace("N = 0", f"N = {size}"))


def test_repetition_in_programs_is_bounded() -> None:
    nested = "".join(f"{'    ' * (n + 1)}foreach w{n} in ws:\n" for n in range(5))
    text = FARM + f"\nmain:\n    open Farm as h, ws with N = 64\n{nested}{'    ' * 6}pass\n"
    assert _codes(text) == ["protocol.family.too_large"]
    assert COPIES_MAX < 64**5


def test_what_a_family_asks_for_is_bounded_before_it_is_made() -> None:
    header = ", ".join(f"A{number}[64]" for number in range(1_000))
    assert _codes(f"protocol P({header}):\n    A0[*] -> A1[*]: m()\n") == ["protocol.roles.count"]
    pair = "protocol P(A[64], B[64]):\n"
    assert _codes(pair + "    A[*] -> B[*]: m()\n" * 10) == ["protocol.family.too_large"]
    edges = "    edge A[*] -> B[*]: capacity = 2\n" * 10
    assert _codes(pair + edges + "    A[0] -> B[0]: m()\n") == ["protocol.family.too_large"]
    opens = "".join(f"    open P as a{n}, b{n}\n" for n in range(200))
    text = pair + "    A[*] -> B[0]: m()\n    B[*] -> A[0]: n()\nmain:\n" + opens
    assert _codes(text) == ["protocol.family.too_large"]
    many = ", ".join(f"a{n}: P.A[i{n}]" for n in range(20))
    text = pair + f"    A[*] -> B[*]: m()\nprogram p({many}):\n    pass\n"
    assert _codes(text) == ["protocol.family.too_large"]


def test_a_long_name_leaves_room_for_the_number() -> None:
    name = "W" * 253
    assert "check.limit.name" in _codes(f"""
        protocol P(A, {name}[2]):
            A -> {name}[*]: m()
    """)


def test_foreach_and_family_words_may_be_names() -> None:
    assert (
        _codes("""
        protocol P(foreach, B):
            foreach -> B: foreach(n: int)

        program p(s: P.B):
            let foreach = 1
            foreach = foreach + 1
            recv s.foreach foreach(n)
            close s
    """)
        == []
    )


def test_formatting_keeps_families() -> None:
    untidy = "protocol P ( A , B [ N ] ) :\n  A -> B [ * ] , A [ 0 ]: m ( w : Q . R [ 1 ] )\n"
    assert format_source(untidy, "test.troth") == (
        "protocol P(A, B[N]):\n    A -> B[*], A[0]: m(w: Q.R[1])\n"
    )
    assert format_source(FARM.lstrip() + _main(3), "test.troth") == FARM.lstrip() + _main(3)
