"""Three Pythons, one meaning: the corpus, and the bytes of generated machines.

`sh tests/run.sh` sets up an environment for each Python that it finds, and says which it did not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from corpus_files import CORPUS, folders
from parity_digest import MEMBERS, digests

ROOT: Final = Path(__file__).parents[2]
VERSIONS: Final = ("3.11", "3.12", "3.13")
OWN: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def _python(version: str) -> Path:
    """The interpreter of an environment that has what the project needs."""
    if version == OWN:
        return Path(sys.executable)
    folder = ROOT / ".venv" / "pythons" / version
    if not any(folder.glob("troth-*")):
        pytest.skip(f"no Python {version} here: `sh tests/run.sh` sets up what it finds")
    return folder / "bin" / "python"


def _run(version: str, module: str, *arguments: str, hash_seed: str = "0") -> str:
    python = _python(version)
    sources = [str(ROOT / part) for part in ("vm", "dsl", "streaming", "conformance", "tests")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sources),
        "PYTHONHASHSEED": hash_seed,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    found = subprocess.run(
        [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == version
    done = subprocess.run(
        [str(python), "-m", module, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_corpus_holds(version: str) -> None:
    output = _run(version, "troth.conformance.shell_main", "conformance", str(CORPUS))
    count = len(folders())
    assert f"{count} of {count} cases hold" in output


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_generated_machines_make_the_same_bytes(version: str, hash_seed: str) -> None:
    here = list(digests())
    assert len(set(here)) == MEMBERS
    assert _run(version, "parity_digest", hash_seed=hash_seed).splitlines() == here
