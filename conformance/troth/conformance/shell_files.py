"""Verification of files: the only place here that opens any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from troth.conformance.judge import verify_stream
from troth.conformance.protocols import Pins
from troth.conformance.verdict import Verdict
from troth.dsl import shell_load
from troth.vm.errors import Unusable
from troth.vm.keys import TrustFile
from troth.vm.loader import load
from troth.vm.shell_artifact import open_artifact

_CONTENT_ID: Final = re.compile(r"[0-9a-f]{64}")


def verify(
    artifact: str | os.PathLike[str] | BinaryIO,
    *,
    trust: TrustFile | None = None,
    protocols: Pins | None = None,
    fragment: bool = False,
) -> Verdict:
    """Verifies an artifact, by path or as a stream of bytes, at levels 1 to 4.

    `trust` are the keys you trust, `protocols` those that sessions may follow. With `fragment`
    the verdict of a valid artifact has the digest of its canonical fragment. Memory grows with
    what is alive at once in the run, not with the length of the artifact.

    Raises:
        Unusable: code `artifact.io`. What is wrong with the artifact is in the verdict.
    """
    if not isinstance(artifact, str | os.PathLike):
        return verify_stream(artifact, trust=trust, pins=protocols, with_fragment=fragment)
    path = Path(artifact)
    with open_artifact(path) as stream:
        return verify_stream(
            stream, file=str(path), trust=trust, pins=protocols, with_fragment=fragment
        )


def load_pins(protocols: Iterable[str]) -> Pins:
    """Each of `protocols` is a script (all protocols in it are pinned) or a 64-digit id.

    Raises:
        Unusable: code `verify.protocol` or `dsl.…`, when one is neither.
        ScriptErrors: a script has errors.
    """
    loaded, ids = [], []
    for text in protocols:
        if _CONTENT_ID.fullmatch(text):
            ids.append(bytes.fromhex(text))
        elif Path(text).exists():
            loaded.append(load(shell_load.load(text).image))
        else:
            raise Unusable(
                "verify.protocol",
                f"{text} is neither a script nor a protocol id",
                expected="the path of a .troth file, or 64 lower-case hex digits",
                advice="`troth inspect` shows the ids of an artifact's protocols",
            )
    return Pins(loaded=loaded, ids=ids)
