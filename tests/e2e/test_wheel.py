"""The built wheel, installed alone into an empty environment, does the main job."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

from e2e.command_line import EXAMPLES, ROOT, printed_by, troth, trust_file


@pytest.mark.slow
def test_installed_wheel_does_the_main_job(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("troth-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "troth/dsl/grammar.lark" in names
    assert "troth/conformance/page/main.js" in names
    assert not [name for name in names if name == "troth/__init__.py" or "tests" in name]
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True)
    python = str(environment / "bin" / "python")
    alone = partial(troth, python=python, cwd=tmp_path, environment={"PYTHONPATH": ""})
    keys, artifact = tmp_path / "keys", tmp_path / "a.replay"
    done = alone(
        "run", EXAMPLES / "two_buyer.troth", "--effects", EXAMPLES / "two_buyer_effects.py",
        "--keys", keys, "--record", artifact,
    )  # fmt: skip
    assert (done.code, done.out) == (0, printed_by("two_buyer"))
    trust = trust_file(keys, tmp_path / "trust")
    assert alone("verify", artifact, "--trust", trust).code == 0
    assert alone("report", artifact, "--trust", trust, "-o", tmp_path / "page.html").code == 0
    damaged = bytearray(artifact.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    artifact.write_bytes(bytes(damaged))
    assert alone("verify", artifact, "--trust", trust).code in {2, 3, 4}
