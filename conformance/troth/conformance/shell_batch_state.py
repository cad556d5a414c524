"""What earlier batches have judged: a file that is only ever appended to.

An entry is found by the content of the artifact, all options and the verifier itself, so nothing
in it is ever out of date. It is a file of yours: whoever can write to it can say what it likes.
"""

from __future__ import annotations

import fcntl
import os
from hashlib import sha256
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from troth.conformance.batch import BatchOptions, FileResult, read_result
from troth.vm.errors import Malformed, Place, Unusable

HEAD: Final = b'{"troth_batch_state": 1}\n'
_PACKAGES: Final = ("troth.vm", "troth.dsl", "troth.conformance")


class State:
    """Use it in a `with`. Every entry is on its way to the disk before the next file is judged."""

    def __init__(self, path: Path, options: BatchOptions) -> None:
        """
        Raises:
            Unusable: code `batch.state`, when the file cannot be used or is another one.
        """
        self._path = path
        self._prefix = f"{verifier_id()} {options.digest()} "
        self._places: dict[bytes, int] = {}
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            raise _unusable(path, str(getattr(error, "strerror", None) or error)) from error
        try:
            self._lock()
            self._end = self._load()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _unusable(self._path, "another batch uses it") from error

    def _load(self) -> int:
        """Notes where each entry is; a line that a crash has cut off is written over."""
        end = 0
        with open(self._file, "rb", closefd=False) as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    if end == 0 and not HEAD.startswith(line):
                        raise _unusable(self._path, "it is a file of another kind")
                    break
                if end == 0 and line != HEAD:
                    raise _unusable(self._path, "it is a file of another kind")
                if end:
                    self._places[bytes.fromhex(_key_in(line, self._path))] = end
                end += len(line)
        if end == 0:
            os.pwrite(self._file, HEAD, 0)
            end = len(HEAD)
        os.ftruncate(self._file, end)
        return end

    def find(self, digest: str, file: str) -> FileResult | None:
        """The result of an artifact with this content; None when it was not judged yet."""
        place = self._places.get(self._key(digest))
        if place is None:
            return None
        with open(self._file, "rb", closefd=False) as lines:
            lines.seek(place)
            line = lines.readline()
        try:
            return read_result(line.split(b" ", 1)[1], file, remembered=True)
        except Malformed as error:
            raise _unusable(self._path, "one of its lines is no result") from error

    def add(self, digest: str, result: FileResult) -> None:
        key = self._key(digest)
        line = f"{key.hex()} {result.text}\n".encode()
        view = memoryview(line)
        place = self._end
        try:
            while view:
                written = os.pwrite(self._file, view, self._end)
                self._end += written
                view = view[written:]
        except OSError as error:
            raise _unusable(self._path, error.strerror or "output error") from error
        self._places[key] = place

    def _key(self, digest: str) -> bytes:
        return sha256((self._prefix + digest).encode()).digest()


def verifier_id() -> str:
    """Changes with every change of the verifier: its version, and what its modules say."""
    hasher = sha256()
    for package in _PACKAGES:
        modules = [m for m in resources.files(package).iterdir() if m.name.endswith(".py")]
        for module in sorted(modules, key=lambda module: module.name):
            hasher.update(module.name.encode() + b"\0" + module.read_bytes() + b"\0")
    try:
        number = version("troth")
    except PackageNotFoundError:
        number = "none"
    return f"{number} {hasher.hexdigest()}"


def _key_in(line: bytes, path: Path) -> str:
    key = line.split(b" ", 1)[0].decode(errors="replace")
    if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
        raise _unusable(path, "one of its lines has no key")
    return key


def _unusable(path: Path, reason: str) -> Unusable:
    return Unusable(
        "batch.state",
        f"the state of the batch cannot be used: {reason}",
        place=Place(file=str(path)),
        advice="Name a file that a batch has made, or one that is not there yet",
    )
