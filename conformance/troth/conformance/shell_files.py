"""Verification of files: the only place here that opens any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from troth.conformance.image_pin import ImagePin
from troth.conformance.judge import verify_stream
from troth.conformance.protocols import Pins
from troth.conformance.replay_meter import DEFAULT_BUDGET, Budget
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
    image: ImagePin | None = None,
    replay: Budget | None = DEFAULT_BUDGET,
    fragment: bool = False,
) -> Verdict:
    """Verifies an artifact, by path or as a stream of bytes, at all levels that can run.

    `trust` are the keys you trust, `protocols` those that sessions may follow, `image` what has
    to have run. `replay` bounds the work of level 5, which runs the image again; with None it is
    left out. With `fragment` the verdict of a valid artifact has the digest of its canonical
    fragment. Memory grows with what is alive at once in the run, not with the length of the
    artifact.

    Raises:
        Unusable: code `artifact.io`. What is wrong with the artifact is in the verdict.
    """
    judge = partial(
        verify_stream,
        trust=trust,
        pins=protocols,
        image=image,
        budget=replay,
        with_fragment=fragment,
    )
    if not isinstance(artifact, str | os.PathLike):
        return judge(artifact)
    path = Path(artifact)
    with open_artifact(path) as stream:
        return judge(stream, file=str(path))


def load_image_pin(text: str) -> ImagePin:
    """What `text` names: a script, an image, assembly or an artifact with one, or a 64-digit id.

    Raises:
        Unusable: code `verify.image` or `dsl.…`, when it is none of these.
        TrothError: the file is not what it should be.
    """
    if _CONTENT_ID.fullmatch(text):
        return ImagePin(bytes.fromhex(text), None)
    if not Path(text).exists():
        raise Unusable(
            "verify.image",
            f"{text} is neither a file with an image nor an image's id",
            expected="the path of a script or an image, or 64 lower-case hex digits",
            advice="`troth inspect` shows the id of the image that an artifact was made with",
        )
    image = shell_load.load_image(text)
    return ImagePin(load(image).id, image)


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
