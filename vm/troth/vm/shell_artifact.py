"""Artifact files: one writer at a time, written to their end only, read as streams.

Whoever writes an artifact holds an exclusive lock on the file (`flock`), which the system takes
back when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from troth.vm.errors import Place, Unusable
from troth.vm.records import MAGIC

_LOCKS: Final = Path("/proc/locks")


class ArtifactWriter:
    """Writes an artifact from its beginning; an artifact that is there already is replaced.

    Each `write` reaches the operating system before it returns, so that a crash of the process
    loses nothing that was written. A durable one reaches the disk, so that a crash of the
    machine loses nothing either.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        """
        Raises:
            Unusable: code `artifact.locked` when another process writes the file,
                `artifact.other` when there is a file of another kind, which is left as it is,
                else `artifact.io`.
        """
        self._path = path
        self._durable = durable
        try:
            self._file = _open_for_writing(path)
            if durable:
                _sync_folder(path)
        except (OSError, ValueError) as error:
            raise unusable(path, "opened for writing", error) from error

    def write(self, data: bytes) -> None:
        """Appends all of `data`.

        Raises:
            Unusable: code `artifact.io`; what was written before stays a valid beginning.
        """
        write_all(self._file, data, self._path, durable=self._durable)

    def close(self) -> None:
        """
        Raises:
            Unusable: code `artifact.io`, when the system reports a late write error.
        """
        close(self._file, self._path)


def write_all(file: int, data: bytes, path: Path, *, durable: bool) -> None:
    """Writes `data` at the end of the file, however many calls it takes.

    Raises:
        Unusable: code `artifact.io`; a part of `data` may have been written.
    """
    view = memoryview(data)
    try:
        while view:
            written = os.write(file, view)
            if written == 0:
                raise OSError(None, "nothing more is taken")
            view = view[written:]
        if durable:
            os.fsync(file)
    except OSError as error:
        raise unusable(path, "written", error) from error


def close(file: int, path: Path) -> None:
    """
    Raises:
        Unusable: code `artifact.io`.
    """
    try:
        os.close(file)
    except OSError as error:
        raise unusable(path, "closed", error) from error


def _open_for_writing(path: Path) -> int:
    flags = os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    if path.exists() and not path.is_file():
        # A pipe or a device: there is nothing in it that could be lost.
        return os.open(path, flags | os.O_WRONLY)
    # Not truncated before it is known what would be lost.
    file = os.open(path, flags | os.O_RDWR, 0o666)
    try:
        lock(file, path)
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


def _sync_folder(path: Path) -> None:
    """A new file is only there after a crash of the machine when its folder is on the disk."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_to_resume(path: Path) -> int:
    """Opens an artifact that is there, to be read and gone on with, and locks it.

    Raises:
        Unusable: codes `artifact.locked`, `artifact.io`.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(None, "it is not an ordinary file")
            lock(file, path)
        except BaseException:
            os.close(file)
            raise
    except (OSError, ValueError) as error:
        raise unusable(path, "opened to be resumed", error) from error
    return file


def lock(file: int, path: Path) -> None:
    """Makes this process the only one that writes the file, until it is closed.

    Raises:
        Unusable: code `artifact.locked`.
        OSError: files cannot be locked there.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(file)
        raise Unusable(
            "artifact.locked",
            "another process is writing this artifact",
            place=Place(file=str(path)),
            expected="a file that nobody writes",
            actual="a file locked by " + (f"process {holder}" if holder else "a process"),
            advice="Wait until that run has ended, or stop it",
        ) from None


def _holder(file: int) -> int | None:
    """The process that holds the lock, when the system says."""
    status = os.fstat(file)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = _LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if words[1:2] == ["FLOCK"] and words[5:6] == [device]:
            holder = int(words[4]) if words[4].isdecimal() else 0
            return holder or None
    return None


def open_artifact(path: Path) -> BinaryIO:
    """The file, to be read as a stream; the caller closes it.

    Raises:
        Unusable: code `artifact.io`.
    """
    try:
        return path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        raise unusable(path, "opened", error) from error


def unusable(path: Path, done: str, error: OSError | ValueError) -> Unusable:
    """What it means that the system refused: code `artifact.io`."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "artifact.io",
        f"the artifact cannot be {done}: {reason}",
        place=Place(file=str(path)),
        advice="Check the path, its permissions and the space on the disk",
    )
