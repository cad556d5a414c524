"""Stores for the content of blobs: in memory, and in a directory.

A directory holds one file for each content, named after its digest. A file appears under its
name only once it is complete, and what is read back is checked against the digest.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from pathlib import Path
from typing import Final

from troth.vm.blobs import RESTORE, missing, reference_to, require_content
from troth.vm.errors import Malformed, Place, Unusable
from troth.vm.values import Blob

MEMORY_BLOBS_BYTES_MAX: Final = 256 << 20
"""What a store in memory keeps unless it is told otherwise."""

_PART: Final = ".part"


class MemoryBlobStore:
    """Keeps blobs in memory, for as long as it lives and up to `bytes_max` bytes in all."""

    def __init__(self, bytes_max: int = MEMORY_BLOBS_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self._content: dict[Blob, bytes] = {}
        self._used = 0
        self._lock = threading.Lock()

    def put(self, content: bytes) -> Blob:
        """Keeps `content`, once however often it is put.

        Raises:
            Unusable: code `blob.full`.
        """
        blob = reference_to(content)
        with self._lock:
            if blob not in self._content:
                if self._used + len(content) > self.bytes_max:
                    raise Unusable(
                        "blob.full",
                        "there is no more room for blobs in memory",
                        expected=f"at most {self.bytes_max} bytes in all",
                        actual=f"{len(content)} more than the {self._used} it has",
                        advice="Keep blobs in a directory: --blobs DIR, or DirectoryBlobStore",
                    )
                self._content[blob] = bytes(content)
                self._used += len(content)
        return blob

    def get(self, blob: Blob) -> bytes:
        """
        Raises:
            Unusable: code `blob.missing`.
        """
        content = self._content.get(blob)
        if content is None:
            raise missing(blob, "this run's memory")
        return content

    def holds(self, blob: Blob) -> bool:
        return blob in self._content


class DirectoryBlobStore:
    """Keeps each blob in a file of `folder`, which is made when the first one is put.

    Several runs may share it. Only when it is `durable` it waits for the disk, so that a blob
    that was put is not lost in a power failure.
    """

    def __init__(self, folder: str | os.PathLike[str], *, durable: bool = False) -> None:
        """
        Raises:
            Unusable: code `blob.io`, when there is something else of that name.
        """
        self.folder = Path(folder)
        self.durable = durable
        try:
            taken = self.folder.exists() and not self.folder.is_dir()
        except (OSError, ValueError) as error:
            raise _unusable(self.folder, "looked into", error) from error
        if taken:
            raise _unusable(self.folder, "used", "it is not a directory")

    def put(self, content: bytes) -> Blob:
        """Keeps `content`; a file that is there already is replaced when it is damaged.

        Raises:
            Unusable: code `blob.io`.
        """
        blob = reference_to(content)
        path = self._path(blob)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not _is_intact(path, blob):
                _write(path, content, durable=self.durable)
        except (OSError, ValueError) as error:
            raise _unusable(path, "written", error) from error
        return blob

    def get(self, blob: Blob) -> bytes:
        """
        Raises:
            Unusable: code `blob.missing` or `blob.io`.
            Malformed: code `blob.corrupt`.
        """
        path = self._path(blob)
        try:
            return _read(path, blob)
        except FileNotFoundError:
            raise missing(blob, f"the directory {self.folder}") from None
        except (OSError, ValueError) as error:
            raise _unusable(path, "read", error) from error

    def holds(self, blob: Blob) -> bool:
        """Whether there is a file of that digest and length."""
        try:
            found = self._path(blob).lstat()
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == blob.length

    def _path(self, blob: Blob) -> Path:
        return self.folder / blob.digest.hex()


def _read(path: Path, blob: Blob) -> bytes:
    """The checked content of a file. A pipe is not waited for, nor is a link followed."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is not an ordinary file")
        if found.st_size != blob.length:
            # Not read: a length is cheaper to compare than a digest, and memory is not spent.
            raise Malformed(
                "blob.corrupt",
                f"the file {path} does not hold the content of this blob",
                expected=f"{blob.length} bytes",
                actual=f"{found.st_size} bytes",
                advice=RESTORE,
            )
        with open(file, "rb", closefd=False) as stream:
            content = stream.read(blob.length)
    finally:
        os.close(file)
    return require_content(blob, content, f"the file {path}")


def _is_intact(path: Path, blob: Blob) -> bool:
    try:
        _read(path, blob)
    except (OSError, Malformed):
        return False
    return True


def _write(path: Path, content: bytes, *, durable: bool) -> None:
    """All of it under its name, or nothing."""
    file, name = tempfile.mkstemp(dir=path.parent, prefix=path.name[:16], suffix=_PART)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on the disk when its folder is."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _unusable(path: Path, done: str, error: OSError | ValueError | str) -> Unusable:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unusable(
        "blob.io",
        f"the blobs of this run cannot be {done}: {reason}",
        place=Place(file=str(path)),
        advice="Check the path, its permissions and the space on the disk",
    )
