"""Images from files: as bytes, as assembly text, or inside of an artifact."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from troth.vm.assembly_read import ASSEMBLY_BYTES_MAX, assemble
from troth.vm.assembly_words import FIRST_WORD
from troth.vm.errors import Invalid, LimitExceeded, Malformed, Place, TrothError, Unusable
from troth.vm.image import Image
from troth.vm.image_codec import decode_image
from troth.vm.limits import IMAGE_BYTES_MAX
from troth.vm.reader import ArtifactReader
from troth.vm.records import MAGIC, Kind

IMAGE_FIRST_BYTES: Final = b"\x96"
"""An array of six, as every image is; no text in UTF-8 begins like this."""

ASSEMBLY_SUFFIX: Final = ".asm"
IMAGE_SUFFIX: Final = ".image"


def read_image(path: Path) -> Image | None:
    """The image in a file, told by how the file begins or is called.

    None for anything else, such as a script, and for what is no ordinary file that can be opened:
    reading it as a script then says why.

    Raises:
        Malformed, Invalid, LimitExceeded: `assembly.…`, `image.…`, `codec.…`, `artifact.…`.
        Unusable: `image.file`, when the file cannot be read.
    """
    try:
        # What is not an ordinary file, such as a pipe, could not be read a second time.
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            head = stream.read(len(FIRST_WORD))
            stream.seek(0)
            return _read(stream, head, path)
    except TrothError as error:
        error.place = replace(error.place, file=os.fspath(path))
        raise
    except PermissionError:
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path, "read", error) from error


def _read(stream: BinaryIO, head: bytes, path: Path) -> Image | None:
    if head.startswith(MAGIC):
        return _from_artifact(stream)
    if head.startswith(FIRST_WORD.encode()) or path.suffix == ASSEMBLY_SUFFIX:
        return assemble(_text(stream), path.name)
    if head.startswith(IMAGE_FIRST_BYTES) or path.suffix == IMAGE_SUFFIX:
        return decode_image(stream.read(IMAGE_BYTES_MAX + 1))
    return None


def _from_artifact(stream: BinaryIO) -> Image:
    """What the artifact says it ran; nothing of it is verified."""
    for record in ArtifactReader(stream):
        if record.items[0] == Kind.IMAGE:
            data = record.items[1]
            assert isinstance(data, bytes)
            return decode_image(data)
    raise Invalid(
        "image.none",
        "There is no image in this artifact",
        expected="an IMAGE record",
        advice="Record a run of a script or an image",
    )


def _text(stream: BinaryIO) -> str:
    content = stream.read(ASSEMBLY_BYTES_MAX + 1)
    if len(content) > ASSEMBLY_BYTES_MAX:
        raise LimitExceeded(
            "assembly.limit",
            "This assembly is too long",
            expected=f"at most {ASSEMBLY_BYTES_MAX} bytes of text",
            advice="Divide it into several images",
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        start = content.rfind(b"\n", 0, error.start) + 1
        raise Malformed(
            "assembly.encoding",
            "Assembly is UTF-8 text",
            place=Place(
                line=content.count(b"\n", 0, error.start) + 1,
                column=len(content[start : error.start].decode()) + 1,
            ),
            actual=f"the byte 0x{content[error.start]:02x}",
            advice="Save the file as UTF-8",
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Replaces what is in a file as a whole, so that no reader sees half of it.

    Raises:
        Unusable: `image.file`.
    """
    # A link stays, and what it points to is replaced.
    target = Path(os.path.realpath(path))
    scratch = target.with_name(f".troth.{os.getpid()}.tmp")
    try:
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            # A pipe or a terminal is written to, not replaced.
            path.write_bytes(data)
            return
        scratch.write_bytes(data)
        if mode is not None:
            scratch.chmod(stat.S_IMODE(mode))
        scratch.replace(target)
    except (OSError, ValueError) as error:
        _remove(scratch)
        raise _unusable(path, "written", error) from error


def _remove(scratch: Path) -> None:
    with suppress(OSError, ValueError):
        scratch.unlink(missing_ok=True)


def _unusable(path: Path, done: str, error: OSError | ValueError) -> Unusable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "image.file",
        f"the file cannot be {done}: {reason}",
        place=Place(file=os.fspath(path)),
        advice="Check the path, its permissions and the space on the disk",
    )
