"""What a Python caller may pass to a run, and what it is told when that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from e2e.command_line import EXAMPLES
from troth import dsl, vm
from troth.vm.shell_options import SEED_BITS_MAX

HELLO: Final = EXAMPLES / "hello.troth"
BUYER: Final = EXAMPLES / "two_buyer.troth"


def _run(path: Path, **options: Any) -> tuple[list[str], vm.RunResult]:
    lines: list[str] = []
    module = dsl.load(path)
    result = vm.run(module.image, options=vm.RunOptions(**options), write_line=lines.append)
    return lines, result


def test_paths_as_text_and_modes_as_words(tmp_path: Path) -> None:
    record = tmp_path / "run.replay"
    lines, result = _run(
        HELLO, keys=str(tmp_path / "keys"), record=str(record), replay="off", seal="round"
    )
    assert result.ok
    assert lines == ["hello, world"]
    assert (tmp_path / "keys" / "Client.key").is_file()
    assert record.stat().st_size > 0
    options = vm.RunOptions(replay=vm.ReplayMode("nullifier"), seal=vm.Seal.ROUND)
    assert (options.replay, options.seal) == (vm.ReplayMode.NULLIFIER, vm.Seal.ROUND)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("effects", 5, "a mapping"),
        ("keys", 5, "a path"),
        ("record", b"x", "a path"),
        ("seed", b"short", "32 bytes"),
        ("seed", "x" * 32, "32 bytes"),
        ("seed", 7, "seed_from_number"),
        ("replay", "never", "one of off, sequence, nullifier"),
        ("replay", 3, "one of off"),
        ("seal", "turn", "one of message, round"),
        ("limits", {"rounds_max": 1}, "a Limits"),
        ("quantum", 0, "from 1"),
        ("quantum", True, "from 1"),
        ("quantum", 1 << 64, "from 1"),
    ],
)
def test_an_option_that_cannot_be_used(name: str, value: object, said: str) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(vm.Unusable) as caught:
        vm.RunOptions(**arguments)
    assert caught.value.code == f"run.{name}"
    assert said in (caught.value.expected or "")


@pytest.mark.parametrize("number", ["7", 7.0, True, None, 1 << SEED_BITS_MAX])
def test_a_seed_is_an_integer(number: Any) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.seed_from_number(number)
    assert caught.value.code == "run.seed"


def test_seeds_of_numbers() -> None:
    numbers = (0, 1, -1, 1 << 64, (1 << SEED_BITS_MAX) - 1)
    seeds = {vm.seed_from_number(number) for number in numbers}
    assert len(seeds) == len(numbers)
    assert {len(seed) for seed in seeds} == {32}


def test_a_module_is_not_an_image() -> None:
    module: Any = dsl.load(HELLO)
    with pytest.raises(vm.Unusable) as caught:
        vm.run(module)
    assert caught.value.code == "run.image"
    assert "a module has it as .image" in str(caught.value)
    assert "Module" in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "many", None, 1 << 63])
def test_a_limit_is_a_positive_integer(value: Any) -> None:
    with pytest.raises(vm.Unusable) as caught:
        vm.Limits(rounds_max=value)
    assert caught.value.code == "limits.value"
    assert "rounds_max" in caught.value.message
    assert vm.Limits(rounds_max=1, sessions_max=(1 << 63) - 1).rounds_max == 1


def test_trust_is_bytes_or_text(tmp_path: Path) -> None:
    _run(HELLO, keys=tmp_path)
    data = (tmp_path / "Client.pub").read_bytes()
    assert vm.parse_trust(data.decode(), "trust") == vm.parse_trust(data, "trust")
    assert vm.parse_trust(data, "trust").keys
    wrong: Any = tmp_path / "Client.pub"
    with pytest.raises(vm.Unusable) as caught:
        vm.parse_trust(wrong, "trust")
    assert caught.value.code == "key.text"
    with pytest.raises(vm.Malformed):
        vm.parse_trust("\ud800", "trust")


def test_missing_effects_do_not_speak_of_the_command_line() -> None:
    with pytest.raises(vm.Unusable) as caught:
        _run(BUYER)
    assert caught.value.code == "effects.missing"
    assert "price_of(name: str) -> int" in str(caught.value)
    assert "--" not in str(caught.value)


def test_a_stopped_run_says_what_became_of_its_record(tmp_path: Path) -> None:
    record = tmp_path / "cut.replay"
    with pytest.raises(vm.LimitExceeded) as caught:
        _run(HELLO, record=record, limits=vm.Limits(rounds_max=1))
    (note,) = caught.value.__notes__
    assert str(record) in note
    assert "incomplete" in note
