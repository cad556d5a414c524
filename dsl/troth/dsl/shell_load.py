"""Scripts from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from troth.dsl.compile import Module, check_source, compile_module
from troth.dsl.diag import Diagnostics
from troth.vm.errors import LimitExceeded, Malformed, Place, Unusable
from troth.vm.image import Image
from troth.vm.shell_assembly import read_image, write_file
from troth.vm.shell_protect import refuse_precious, refuse_same_file

SCRIPT_BYTES_MAX: Final = 1 << 20


def load(path: str | os.PathLike[str]) -> Module:
    """Compiles the script in a file.

    Raises:
        Unusable: the file cannot be read.
        Malformed: the file is not UTF-8 text.
        LimitExceeded: the file is larger than `SCRIPT_BYTES_MAX`.
        ScriptErrors: the script has errors; `diagnostics` holds all of them.
    """
    return compile_module(read_script(path), Path(path).name)


def load_image(path: str | os.PathLike[str]) -> Image:
    """The image that a file stands for: a script, an image, assembly, or an artifact with one.

    Raises:
        TrothError: as `load` does for scripts, as `read_image` does for the others.
    """
    image = read_image(Path(path))
    return load(path).image if image is None else image


def check_file(path: str | os.PathLike[str]) -> Diagnostics:
    """Everything that is wrong with the script in a file; raises as `load` does, except
    `ScriptErrors`. Diagnostics name the file by its path, so that an editor can jump to it."""
    return check_source(read_script(path), os.fspath(path))


def read_script(path: str | os.PathLike[str]) -> str:
    """The text of a script's file."""
    place = Place(file=os.fspath(path))
    try:
        with Path(path).open("rb") as file:
            content = file.read(SCRIPT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unusable(
            "dsl.file",
            f"the script cannot be read: {reason or error}",
            place=place,
            expected="a .troth file that can be read",
            advice="Check the path and its permissions",
        ) from error
    if len(content) > SCRIPT_BYTES_MAX:
        raise LimitExceeded(
            "dsl.limit.script",
            "the script is too large",
            place=place,
            expected=f"at most {SCRIPT_BYTES_MAX} bytes",
            actual="more",
            advice="Divide it into several scripts",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(
            "dsl.encoding",
            "the script is not UTF-8 text",
            place=Place(file=os.fspath(path), offset=error.start),
            expected="UTF-8",
            actual=f"the byte 0x{content[error.start]:02x}",
            advice="Save the file as UTF-8",
        ) from error


def write_script(path: str | os.PathLike[str], text: str) -> None:
    """Replaces the text of a script's file as a whole, so that no reader sees half of it."""
    target = Path(path).resolve()
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        scratch.write_bytes(text.encode("utf-8"))
        scratch.chmod(target.stat().st_mode & 0o7777)
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise Unusable(
            "dsl.file",
            f"the script cannot be written: {error.strerror or error}",
            place=Place(file=os.fspath(path)),
            expected="a file that can be written",
            advice="Check its permissions and the space on the disk",
        ) from error


def write_result(source: Path, target: Path, data: bytes) -> None:
    """Writes what a command made of `source` to the file the user named.

    Raises:
        Unusable: `output.…` when that is the same file, or one that nobody could make again;
            `image.file` when it cannot be written.
    """
    refuse_same_file(target, [source])
    refuse_precious(target)
    write_file(target, data)
