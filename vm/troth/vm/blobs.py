"""Content by reference: the store that a host keeps its blobs in, and what effects get of it.

A program, a message and an artifact hold a blob's length and BLAKE3 digest and nothing else. The
content stays with the host, in a store that gives it back by that reference or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from blake3 import blake3

from troth.vm.errors import Malformed, Unusable
from troth.vm.values import Blob

RESTORE: Final = "Restore it from a copy, or remove it and let it be made again"


@runtime_checkable
class BlobStore(Protocol):
    """Where the content of blobs is kept. It may be used from several threads at once."""

    def put(self, content: bytes) -> Blob:
        """Keeps `content` and returns its reference.

        Raises:
            Unusable: code `blob.full` or `blob.io`.
        """
        ...

    def get(self, blob: Blob) -> bytes:
        """Exactly the content that `blob` refers to.

        Raises:
            Unusable: code `blob.missing` or `blob.io`.
            Malformed: code `blob.corrupt`, when something else is kept in its place.
        """
        ...

    def holds(self, blob: Blob) -> bool:
        """Whether there is something to `get`; whether it is intact only `get` can tell."""
        ...


@dataclass(frozen=True, slots=True)
class BlobValue:
    """A blob as an effect sees it: a reference and the way to its content.

    Two are equal when they refer to the same content.
    """

    reference: Blob
    store: BlobStore = field(compare=False, repr=False)

    def read(self) -> bytes:
        """The content.

        Raises:
            Unusable: code `blob.missing` or `blob.io`.
            Malformed: code `blob.corrupt`.
        """
        return self.store.get(self.reference)

    @property
    def digest(self) -> bytes:
        """The 32-byte BLAKE3 hash of the content."""
        return self.reference.digest

    def __len__(self) -> int:
        return self.reference.length

    def __bytes__(self) -> bytes:
        return self.read()


def reference_to(content: bytes) -> Blob:
    """The blob that `content` is."""
    return Blob(len(content), blake3(content).digest())


def require_content(blob: Blob, content: bytes, where: str) -> bytes:
    """`content`, when it is what `blob` refers to; `where` says where it was kept.

    Raises:
        Malformed: code `blob.corrupt`.
    """
    found = reference_to(content)
    if found == blob:
        return content
    raise Malformed(
        "blob.corrupt",
        f"{where} does not hold the content of this blob",
        expected=describe(blob),
        actual=describe(found),
        advice=RESTORE,
    )


def missing(blob: Blob, where: str) -> Unusable:
    """The error of a store that does not hold a blob."""
    return Unusable(
        "blob.missing",
        f"{where} does not hold the content of this blob",
        expected=describe(blob),
        advice="Give the run the store in which its blobs were made",
    )


def describe(blob: Blob) -> str:
    return f"{blob.length} bytes with digest {blob.digest.hex()}"
