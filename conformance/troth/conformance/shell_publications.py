"""Files of publication logs and proofs: read whole and bounded, grown without being rewritten."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from troth.conformance.publications import (
    PUBLICATIONS_BYTES_MAX,
    Publications,
    entry_line,
    first_lines,
    parse_publications,
)
from troth.vm.errors import Malformed, Place, TrothError, Unusable
from troth.vm.keys import VerifierKey

LOG_SUFFIX: Final = ".tlog"
CHECKPOINT_SUFFIX: Final = ".checkpoint"
_MODE: Final = 0o644


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """The file, or its first `bytes_max + 1` bytes, which whoever parses it refuses.

    Raises:
        Unusable: code `proof.io`.
    """
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise io_error(path, "read", error) from error


def read_publications(path: Path) -> Publications:
    """
    Raises:
        Unusable: code `proof.io`.
        Malformed, LimitExceeded: as `parse_publications`.
    """
    with placed(path):
        return parse_publications(read_bounded(path, PUBLICATIONS_BYTES_MAX))[0]


@contextmanager
def placed(path: Path) -> Iterator[None]:
    """Errors about the content of a file name the file."""
    try:
        yield
    except TrothError as error:
        if error.place.file is None:
            error.place = Place(file=str(path))
        raise


def write_result(path: Path, text: str) -> None:
    """
    Raises:
        Unusable: code `proof.io`.
    """
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except (OSError, ValueError) as error:
        raise io_error(path, "written", error) from error


def replace_file(path: Path, text: str) -> None:
    """The old content or the new one is there, whatever happens in between.

    Raises:
        Unusable: code `proof.io`.
    """
    new = path.with_name(path.name + ".new")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except (OSError, ValueError) as error:
        raise io_error(path, "written", error) from error


class LogFile:
    """The file of one publication log, held by this process alone until it is closed."""

    def __init__(self, path: Path, key: VerifierKey) -> None:
        """Makes the file when it is missing.

        Raises:
            Unusable: codes `proof.io`, `publish.origin`.
            Malformed, LimitExceeded: it is no publication log.
        """
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, _MODE)
        except (OSError, ValueError) as error:
            raise io_error(path, "opened", error) from error
        try:
            self._take(key)
        except BaseException:
            os.close(self._file)
            raise

    def _take(self, key: VerifierKey) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            data = _read_all(self._file)
            if not data:
                data = first_lines(key).encode()
                self._write(data)
        except OSError as error:
            raise io_error(self._path, "read", error) from error
        with placed(self._path):
            self.publications, whole = parse_publications(data)
            expected = first_lines(key).split("\n")[1]
            if self.publications.origin != expected:
                raise Unusable(
                    "publish.origin",
                    "this is the publication log of another key",
                    expected=expected,
                    actual=self.publications.origin[:200],
                    advice="Keep each key's log beside it, and start a new one for a new key",
                )
        if whole < len(data):
            self._cut(whole)

    def _cut(self, size: int) -> None:
        """Takes away a line that was being written when the machine stopped."""
        try:
            os.ftruncate(self._file, size)
        except OSError as error:
            raise io_error(self._path, "written", error) from error

    def append(self, entry: bytes) -> None:
        """Adds a line, and returns when it is on the disk: a checkpoint is signed after that.

        Raises:
            Unusable: code `proof.io`.
        """
        try:
            self._write(entry_line(entry).encode())
        except OSError as error:
            raise io_error(self._path, "written", error) from error

    def _write(self, data: bytes) -> None:
        os.lseek(self._file, 0, os.SEEK_END)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def _read_all(file: int) -> bytes:
    pieces, size = [], 0
    while size <= PUBLICATIONS_BYTES_MAX and (piece := os.read(file, 1 << 20)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def io_error(path: Path, done: str, error: OSError | ValueError) -> Unusable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "proof.io",
        f"{path.name} cannot be {done}: {reason}",
        place=Place(file=str(path)),
        advice="Check the path, its permissions and the space on the disk",
    )


def not_rewritten(path: Path) -> Malformed:
    """What is there now is not what was signed before."""
    return Malformed(
        "publish.rewritten",
        "the publication log is not the one that its last checkpoint was signed for",
        place=Place(file=str(path)),
        expected="a log that begins with all runs of the checkpoint",
        actual="a log that was cut, rewritten or replaced",
        advice="Put the log back as it was; a checkpoint of another one would show that you "
        "rewrote it",
    )
