"""Same seed and keys: the same fragment, whatever the process, hash seed or Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundle_scripts import DESKTOP
from e2e.command_line import EXAMPLES, ROOT, example_names, run_example, troth
from snapshot_future import future, machine_of, packed, step
from troth.dsl.compile import compile_source

TESTS = ROOT / "tests"
HASH_SEEDS = ["0", "1", "4242"]


def _fragment(artifact: Path, target: Path) -> tuple[str, bytes]:
    done = troth("canon", artifact, "-o", target)
    assert done.code == 0, done.err
    return done.out.splitlines()[-1], target.read_bytes()


@pytest.mark.parametrize("name", example_names())
def test_same_seed_and_keys_give_the_same_fragment(name: str, tmp_path: Path) -> None:
    seen = set()
    for hash_seed in HASH_SEEDS:
        artifact = tmp_path / f"{hash_seed}.replay"
        effects = EXAMPLES / f"{name}_effects.py"
        bound: list[str | Path] = ["--effects", effects] if effects.exists() else []
        done = troth(
            "run",
            EXAMPLES / f"{name}.troth",
            *bound,
            "--seed",
            "7",
            "--keys",
            tmp_path / "keys",
            "--record",
            artifact,
            environment={"PYTHONHASHSEED": hash_seed},
        )
        assert done.code == 0, done.err
        seen.add(_fragment(artifact, tmp_path / "fragment"))
    assert len(seen) == 1


def test_another_seed_gives_another_fragment(tmp_path: Path) -> None:
    digests = set()
    for seed in ("7", "8"):
        artifact = tmp_path / f"{seed}.replay"
        run_example("hello", "--seed", seed, "--keys", tmp_path / "keys", "--record", artifact)
        digests.add(_fragment(artifact, tmp_path / "fragment")[0])
    assert len(digests) == 2


def test_without_a_seed_no_two_runs_share_a_session(tmp_path: Path) -> None:
    digests = set()
    for index in range(2):
        artifact = tmp_path / f"{index}.replay"
        run_example("hello", "--keys", tmp_path / "keys", "--record", artifact)
        digests.add(_fragment(artifact, tmp_path / "fragment")[0])
    assert len(digests) == 2


def other_pythons() -> list[str]:
    """Interpreters of other supported versions on this machine."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    names = [f"3.{minor}" for minor in (11, 12, 13, 14) if f"3.{minor}" != here]
    candidates = [shutil.which(f"python{name}") for name in names]
    pyenv = Path.home() / ".pyenv" / "versions"
    for name in names:
        candidates += [str(path) for path in sorted(pyenv.glob(f"{name}.*/bin/python3"))]
    return [path for path in candidates if path and _works(path)]


def _works(python: str) -> bool:
    return (
        subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode
        == 0
    )


@pytest.mark.slow
def test_other_pythons_give_the_same_fragment_and_hold_the_corpus(tmp_path: Path) -> None:
    """On each other Python found here; the number is printed, none is not a failure.

    A machine that was stopped here comes to the same end there.
    """
    keys, name = tmp_path / "keys", "nested_recursion"
    artifact = tmp_path / "here.replay"
    run_example(name, "--seed", "7", "--keys", keys, "--record", artifact)
    expected = _fragment(artifact, tmp_path / "fragment")
    pythons = other_pythons()
    image = compile_source(DESKTOP, "desktop.troth")
    machine = machine_of(image)
    machine.start()
    for _ in range(3):
        step(machine)
    taken = packed(machine, image)
    for index, base in enumerate(pythons):
        environment = tmp_path / f"venv{index}"
        subprocess.run([base, "-m", "venv", str(environment)], check=True)
        python = str(environment / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT)],
            check=True,
        )
        other = tmp_path / f"{index}.replay"
        done = troth(
            "run",
            EXAMPLES / f"{name}.troth",
            "--seed",
            "7",
            "--keys",
            keys,
            "--record",
            other,
            python=python,
            cwd=tmp_path,
            environment={"PYTHONPATH": ""},
        )
        assert done.code == 0, done.err
        assert _fragment(other, tmp_path / "fragment") == expected
        corpus = ROOT / "conformance" / "corpus"
        done = troth("conformance", corpus, python=python, environment={"PYTHONPATH": ""})
        assert done.code == 0, done.out
        print(python, done.out.splitlines()[-1])
        said = subprocess.run(
            [python, str(TESTS / "snapshot_future.py")],
            input=taken,
            capture_output=True,
            check=True,
            env={"PYTHONPATH": str(TESTS)},
        )
        assert said.stdout.decode().strip() == future(taken)
    print(f"same fragment on {len(pythons)} other Python versions: {pythons}")
