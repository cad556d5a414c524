"""Artifact files: written to their end only, read as streams."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from troth.vm.errors import Place, Unusable


class ArtifactWriter:
    """Writes an artifact from its beginning; a file that is there already is replaced.

    Each `write` reaches the operating system before it returns, so that a crash of the process
    loses nothing that was written. It does not wait for the disk.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            Unusable: code `artifact.io`.
        """
        self._path = path
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o666)
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
