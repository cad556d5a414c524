"""The commands `compile` and `disasm`, and running what they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, example_names, printed_by, troth
from troth.dsl import load
from troth.vm import encode_image
from troth.vm.image_codec import image_id
from troth.vm.local_types import protocol_id


@pytest.mark.parametrize("name", example_names())
def test_there_and_back(name: str, tmp_path: Path) -> None:
    """Script, image, assembly, image: the same bytes and ids; and the assembly runs."""
    image = load(EXAMPLES / f"{name}.troth").image
    data = encode_image(image)
    compiled = troth("compile", EXAMPLES / f"{name}.troth", "-o", "one.image", cwd=tmp_path)
    assert (compiled.code, compiled.err) == (0, "")
    assert compiled.out.splitlines() == [
        f"image {image_id(data).hex()}",
        *(f"protocol {item.name} {protocol_id(item).hex()}" for item in image.protocols),
    ]
    assert (tmp_path / "one.image").read_bytes() == data
    assert troth("disasm", "one.image", "--out", "two.asm", cwd=tmp_path).out == ""
    again = troth("compile", "two.asm", "--out", "two.image", cwd=tmp_path)
    assert again == compiled
    assert (tmp_path / "two.image").read_bytes() == data
    effects = EXAMPLES / f"{name}_effects.py"
    options: list[str | Path] = ["--effects", effects] if effects.exists() else []
    ran = troth("run", "two.asm", *options, "--record", "run.replay", cwd=tmp_path)
    assert (ran.code, ran.out) == (0, printed_by(name))
    assert troth("disasm", "run.replay", cwd=tmp_path).out == (tmp_path / "two.asm").read_text()


def test_an_image_runs(tmp_path: Path) -> None:
    troth("compile", EXAMPLES / "hello.troth", "-o", tmp_path / "hello.image")
    ran = troth("run", tmp_path / "hello.image")
    assert (ran.code, ran.out, ran.err) == (0, "hello, world\n", "")


def test_the_result_never_replaces_what_it_is_made_of(tmp_path: Path) -> None:
    script = tmp_path / "hello.troth"
    script.write_bytes((EXAMPLES / "hello.troth").read_bytes())
    (tmp_path / "link").symlink_to(script)
    for command in ("compile", "disasm"):
        done = troth(command, script, "-o", tmp_path / "link")
        assert done.code == 1
        assert "[output.source]" in done.err
    assert script.read_bytes() == (EXAMPLES / "hello.troth").read_bytes()


def test_an_image_that_no_machine_loads_is_made_with_a_warning(tmp_path: Path) -> None:
    text = troth("disasm", EXAMPLES / "hello.troth").out
    (tmp_path / "bad.asm").write_text(text.replace("send r0", "send r7", 1))
    done = troth("compile", "bad.asm", "-o", "bad.image", cwd=tmp_path)
    assert done.code == 0
    assert "no machine would load this image" in done.err
    assert "[image.operand]" in done.err
    assert troth("disasm", "bad.image", cwd=tmp_path).code == 0
    ran = troth("run", "bad.image", cwd=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "[image.operand]" in ran.err


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.asm", b"halt\n", "a.asm:1:1: "),
        ("a", b"troth-assembly 1\nsource \xff\n", "a:2:8: "),
        ("a", b"troth-assembly 1\nhalt\n", "[assembly.place]"),
        ("a.image", b"", "[codec.truncated]"),
        ("a", b"\x96\x02\0\0\0\0\0", "[image.version]"),
        ("a", b"\x89TROTH\r\n", "[image.none]"),
        ("a", b"\x89TROTH\r\n\x93", "[image.none]"),
        ("a", b"\x89TROTH\r\n\xff\xff", "[artifact.record]"),
        ("a", b"\xff", "[dsl.encoding]"),
    ],
)
def test_what_is_none_of_these(name: str, content: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    done = troth("disasm", name, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert code in done.err
    assert done.err.startswith(f"troth: {name}")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    assert "[dsl.file]" in troth("compile", tmp_path / "missing").err
    assert "[dsl.file]" in troth("disasm", tmp_path).err
    for target in (tmp_path / "no" / "such", tmp_path, tmp_path / ("x" * 300)):
        done = troth("compile", EXAMPLES / "hello.troth", "-o", target)
        assert (done.code, done.out) == (1, "")
        assert "[image.file]" in done.err
    assert "[image.file]" in troth("disasm", tmp_path / ("x" * 300)).err
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    target, link = tmp_path / "one.image", tmp_path / "link.image"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert troth("compile", EXAMPLES / "hello.troth", "-o", link).code == 0
    assert link.is_symlink()
    assert target.read_bytes()[:1] == b"\x97"
    assert target.stat().st_mode & 0o777 == 0o640
    assert troth("disasm", EXAMPLES / "hello.troth", "-o", "/dev/stdout").out.startswith("troth-")
