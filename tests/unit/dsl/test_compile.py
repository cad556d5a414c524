"""The package's public face: checking, compiling and loading scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from troth import dsl
from troth.dsl import compile as compile_module_under_test
from troth.dsl import shell_load
from troth.dsl.ast import Span
from troth.vm.errors import Invalid, LimitExceeded, Malformed, TrothError, Unusable
from troth.vm.limits import DEFAULT_LIMITS
from troth.vm.types import StateKind

HELLO = """
protocol Hello(Client, Server):
    Client -> Server: greet(name: str)
    Server -> Client: reply(text: str)

program client(s: Hello.Client):
    send s.Server greet("world")
    recv s.Server reply(text)
    close s
"""


def test_names_are_sorted_and_there() -> None:
    assert sorted(dsl.__all__) == list(dsl.__all__)
    assert all(hasattr(dsl, name) for name in dsl.__all__)


def test_errors_are_raised_together() -> None:
    text = HELLO.replace('greet("world")', "great(1)") + "\nmain:\n    print x\n"
    with pytest.raises(dsl.ScriptErrors) as caught:
        dsl.compile_source(text, "two.troth")
    error = caught.value
    assert isinstance(error, Invalid)
    assert error.code == "dsl.errors"
    codes = [item.code for item in error.diagnostics.ordered()]
    assert codes == ["check.label.wrong", "check.variable.unknown"]
    assert str(error) == error.diagnostics.render()
    assert error.place.file == "two.troth"
    assert (error.place.line, error.place.column) == (7, 19)


def test_warnings_do_not_stop() -> None:
    text = "main:\n    loop:\n        yield\n    print 1\n"
    module = dsl.compile_module(text, "endless.troth")
    assert [item.code for item in module.diagnostics.found] == ["check.statement.unreachable"]
    assert module.image.entry == 0


def test_an_empty_script_is_a_script() -> None:
    for text in ("", "\n", "# nothing\n"):
        assert dsl.check_source(text, "empty.troth").found == []
        assert dsl.compile_source(text, "empty.troth").entry is None


def test_a_module_gives_local_views(tmp_path: Path) -> None:
    path = tmp_path / "hello.troth"
    path.write_text(HELLO, encoding="utf-8")
    module = dsl.load(path)
    assert module.protocol_names == ("Hello",)
    view = module.protocol("Hello").role("Server")
    assert (view.protocol.name, view.role) == ("Hello", "Server")
    assert view.local_type.states[0].kind is StateKind.RECV
    assert dsl.load(str(path)).image == module.image


def test_a_local_view_can_be_read() -> None:
    text = dsl.compile_module(HELLO, "hello.troth").protocol("Hello").describe("Client")
    assert text.splitlines()[0] == "Hello.Client"
    assert "greet(name: str)" in text


def test_unknown_names_are_refused() -> None:
    module = dsl.compile_module(HELLO, "hello.troth")
    with pytest.raises(Invalid, match=r"dsl\.protocol") as caught:
        module.protocol("Helo")
    assert caught.value.advice == "did you mean `Hello`?"
    with pytest.raises(Invalid, match=r"dsl\.role"):
        module.protocol("Hello").role("Sever")
    with pytest.raises(Invalid, match=r"dsl\.role"):
        module.protocol("Hello").describe("Sever")


# --- files ----------------------------------------------------------------------------------


def test_files_that_cannot_be_scripts(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"dsl\.file"):
        dsl.load(tmp_path / "missing.troth")
    with pytest.raises(Unusable, match=r"dsl\.file"):
        dsl.load(tmp_path)
    with pytest.raises(Unusable, match=r"dsl\.file"):
        dsl.load("with\0nul")
    binary = tmp_path / "binary.troth"
    binary.write_bytes(b'main:\n    print "\xff"\n')
    with pytest.raises(Malformed, match=r"dsl\.encoding") as caught:
        dsl.load(binary)
    assert caught.value.place.offset == 17
    large = tmp_path / "large.troth"
    large.write_bytes(b"#" * (shell_load.SCRIPT_BYTES_MAX + 1))
    with pytest.raises(LimitExceeded, match=r"dsl\.limit\.script"):
        dsl.load(large)


def test_a_script_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.troth"
    path.write_bytes(b"#" * shell_load.SCRIPT_BYTES_MAX)
    assert shell_load.check_file(path).found == []


def test_diagnostics_of_a_file_name_its_path(tmp_path: Path) -> None:
    path = tmp_path / "bad.troth"
    path.write_text("main:\n    print x\n", encoding="utf-8")
    assert shell_load.check_file(path).render().startswith(f"{path}:2:11: ")


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "hello.troth"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o640)
    shell_load.write_script(path, HELLO)
    assert path.read_text(encoding="utf-8") == HELLO
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(Unusable, match=r"dsl\.file"):
        shell_load.write_script(tmp_path / "none" / "x.troth", HELLO)


# --- limits ---------------------------------------------------------------------------------


def _codes(text: str) -> list[str]:
    return [item.code for item in dsl.check_source(text, "large.troth").found]


def test_a_program_has_at_most_so_many_registers() -> None:
    most = DEFAULT_LIMITS.registers_max
    fits = "main:\n    print len([" + ", ".join(["1"] * (most - 3)) + "])\n"
    assert _codes(fits) == []
    more = "main:\n    print len([" + ", ".join(["1"] * (most + 1)) + "])\n"
    assert _codes(more) == ["check.limit.size"]


def test_a_program_has_at_most_so_many_variables() -> None:
    lines = "".join(f"    let v{number} = 1\n" for number in range(2_100))
    assert _codes(f"main:\n{lines}") == ["check.limit.size"]


def test_a_program_has_at_most_so_many_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 200
    monkeypatch.setattr(compile_module_under_test, "INSTRUCTIONS_PER_PROGRAM_MAX", most)
    full = "    yield\n" * (most - 1)
    assert _codes(f"main:\n{full}") == []
    assert _codes(f"main:\n{full}    yield\n") == ["check.limit.size"]


def test_names_may_be_long_but_not_too_long() -> None:
    for length, fits in ((255, True), (256, False)):
        text = HELLO.replace("greet", "n" * length)
        assert _codes(text) == ([] if fits else ["check.limit.name"] * 2)


def test_file_names_are_made_safe() -> None:
    text = HELLO.replace('greet("world', 'wrong("world')
    for name in ("a" * 5_000, "\udcff.troth", "\x1b[31m.troth"):
        assert dsl.compile_source(HELLO, name).source.isprintable()
        assert "\x1b" not in dsl.check_source(text, name).render()
        dsl.check_source(text, name).render().encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        'main:\n    print "\ud800"\n',
        'main:\n    print "\\ud800"\n',
        "\ufeffmain:\n    print 1\n",
        "main:\r\n    print 1\r\n",
        "main:\n    print 1\x00\n",
        "main:\n    print \x85 1\n",
        "main:\n    print " + "9" * 5_000 + "\n",
        "main:\n    print 1e" + "9" * 5_000 + "\n",
        "main:\n    print " + "-" * 5_000 + "1\n",
        "main:\n    print " + "not " * 5_000 + "true\n",
        "main:\n    print x" + ".y" * 5_000 + "\n",
        "main:\n    print x" + "[0]" * 5_000 + "\n",
        "main:\n    print " + "[" * 5_000 + "]" * 5_000 + "\n",
        "type t = " + "list[" * 5_000 + "int" + "]" * 5_000 + "\n",
    ],
)
def test_hostile_scripts_give_diagnostics_and_not_tracebacks(text: str) -> None:
    diagnostics = dsl.check_source(text, "hostile.troth")
    assert isinstance(diagnostics.render(), str)
    if not diagnostics.has_errors:
        dsl.compile_source(text, "hostile.troth")


def test_an_image_that_the_machine_refuses_is_a_bug_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_image: object) -> None:
        raise Invalid("image.any", "no")

    monkeypatch.setattr(compile_module_under_test, "load_image", refuse)
    with pytest.raises(TrothError, match="bug in Troth"):
        dsl.compile_source(HELLO, "hello.troth")


def test_a_limit_of_the_machine_is_a_diagnostic(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_image: object) -> None:
        raise LimitExceeded("image.flow", "too long", expected="at most 1 step")

    monkeypatch.setattr(compile_module_under_test, "load_image", refuse)
    diagnostics = dsl.check_source(HELLO, "hello.troth")
    assert [item.code for item in diagnostics.found] == ["check.limit.size"]
    assert diagnostics.found[0].span == Span(1, 1, 1, 2)
