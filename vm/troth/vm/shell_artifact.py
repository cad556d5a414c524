"""Artifact files: written to their end only, read as streams."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from troth.vm.errors import Place, Unusable
from troth.vm.records import MAGIC


class ArtifactWriter:
    """Writes an artifact from its beginning; an artifact that is there already is replaced.

    Each `write` reaches the operating system before it returns, so that a crash of the process
    loses nothing that was written. It does not wait for the disk.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            Unusable: code `artifact.io`, or `artifact.other` when there is a file of another
                kind, which is left as it is.
        """
        self._path = path
        try:
            self._file = _open_for_writing(path)
        except (OSError, ValueError) as error:
            raise _unusable(path, "opened for writing", error) from error

    def write(self, data: bytes) -> None:
        """Appends all of `data`.

        Raises:
            Unusable: code `artifact.io`; what was written before stays a valid beginning.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise _unusable(self._path, "written", error) from error

    def close(self) -> None:
        """
        Raises:
            Unusable: code `artifact.io`, when the system reports a late write error.
        """
        try:
            os.close(self._file)
        except OSError as error:
            raise _unusable(self._path, "closed", error) from error


def _open_for_writing(path: Path) -> int:
    flags = os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    if path.exists() and not path.is_file():
        # A pipe or a device: there is nothing in it that could be lost.
        return os.open(path, flags | os.O_WRONLY)
    # Not truncated before it is known what would be lost.
    file = os.open(path, flags | os.O_RDWR, 0o666)
    try:
        head = os.pread(file, len(MAGIC), 0)
        if not MAGIC.startswith(head):
            raise Unusable(
                "artifact.other",
                "the artifact would replace a file that is not an artifact",
                place=Place(file=str(path)),
                expected="no file, or a .replay artifact, which is replaced",
                actual="a file of another kind",
                advice="Record to another file, or remove this one first",
            )
        os.ftruncate(file, 0)
    except BaseException:
        os.close(file)
        raise
    return file


def open_artifact(path: Path) -> BinaryIO:
    """The file, to be read as a stream; the caller closes it.

    Raises:
        Unusable: code `artifact.io`.
    """
    try:
        return path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        raise _unusable(path, "opened", error) from error


def _unusable(path: Path, done: str, error: OSError | ValueError) -> Unusable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "artifact.io",
        f"the artifact cannot be {done}: {reason}",
        place=Place(file=str(path)),
        advice="Check the path, its permissions and the space on the disk",
    )
