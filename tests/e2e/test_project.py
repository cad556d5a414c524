"""The command `project`: text, DOT and SVG."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from e2e.command_line import EXAMPLES, example_names, troth
from troth.dsl import load
from troth.dsl.picture_dot import to_dot
from troth.dsl.picture_svg import to_svg

TWO_BUYER = EXAMPLES / "two_buyer.troth"


def test_text_of_all_roles_and_of_one(tmp_path: Path) -> None:
    everything = troth("project", TWO_BUYER)
    assert everything.code == 0
    parts = everything.out.removesuffix("\n").split("\n\n")
    assert [part.partition("\n")[0] for part in parts] == [
        "TwoBuyer.Alice",
        "TwoBuyer.Bob",
        "TwoBuyer.Seller",
    ]
    done = troth("project", TWO_BUYER, "--role", "Bob", "-o", tmp_path / "bob.txt")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "bob.txt").read_text() == parts[1] + "\n"


def test_a_family_stands_for_its_members_and_a_protocol_for_its_sizes(tmp_path: Path) -> None:
    script = tmp_path / "farm.troth"
    script.write_text("protocol Farm(Hub, Worker[N]):\n    Hub -> Worker[*]: task()\n")
    workers = troth("project", script, "--protocol", "Farm", "--role", "Worker")
    one = troth("project", script, "--protocol", "Farm[2]", "--role", "Worker[1]")
    assert workers.out.count("Hub?task().\nend") == 2
    assert one.out == "Farm[2].Worker[1]\nHub?task().\nend\n"
    assert troth("project", script, "--role", "Worker", "--svg").code != 0
    assert "no protocol Fram" in troth("project", script, "--protocol", "Fram").err


@pytest.mark.parametrize("name", example_names())
def test_pictures_of_the_first_role(name: str, tmp_path: Path) -> None:
    path = EXAMPLES / f"{name}.troth"
    protocol = load(path).image.protocols[0]
    role, title = protocol.roles[0], f"{protocol.name}.{protocol.roles[0]}"
    asked = ("project", path, "--protocol", protocol.name, "--role", role)
    assert troth(*asked, "--dot").out == to_dot(protocol.local_types[0], title)
    done = troth(*asked, "--svg", "-o", tmp_path / "picture.svg")
    assert (done.code, done.out, done.err) == (0, "", "")
    svg = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert svg == to_svg(protocol.local_types[0], title)
    ElementTree.fromstring(svg)


def test_a_picture_is_of_one_role() -> None:
    for form in ("--svg", "--dot"):
        done = troth("project", TWO_BUYER, form)
        assert (done.code, done.out) == (1, "")
        assert "[project.one]" in done.err
        assert "TwoBuyer.Alice, TwoBuyer.Bob, TwoBuyer.Seller" in done.err


def test_other_refusals(tmp_path: Path) -> None:
    assert troth("project", TWO_BUYER, "--svg", "--dot").code == 1
    assert "[project.role]" in troth("project", TWO_BUYER, "--role", "Carol").err
    assert "[dsl.protocol]" in troth("project", TWO_BUYER, "--protocol", "Nothing").err
    script = tmp_path / "copy.troth"
    script.write_bytes(TWO_BUYER.read_bytes())
    assert "[output.source]" in troth("project", script, "-o", script).err
    assert script.read_bytes() == TWO_BUYER.read_bytes()
