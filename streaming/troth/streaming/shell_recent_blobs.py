"""A store for the content of media: the newest stay, the oldest go.

A record names every frame by its digest, so nothing is lost of the evidence when the pixels go.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from troth.vm.blobs import missing, reference_to
from troth.vm.values import Blob

RECENT_BYTES_MAX: Final = 32 << 20


class RecentBlobs:
    """Keeps at most `bytes_max` bytes, but always the newest content."""

    def __init__(self, bytes_max: int = RECENT_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self._content: OrderedDict[Blob, bytes] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    def put(self, content: bytes) -> Blob:
        blob = reference_to(content)
        with self._lock:
            if blob in self._content:
                self._content.move_to_end(blob)
                return blob
            self._content[blob] = content
            self._used += len(content)
            while self._used > self.bytes_max and len(self._content) > 1:
                _, dropped = self._content.popitem(last=False)
                self._used -= len(dropped)
        return blob

    def get(self, blob: Blob) -> bytes:
        """
        Raises:
            Unusable: code `blob.missing`, when it is gone already.
        """
        with self._lock:
            content = self._content.get(blob)
        if content is None:
            raise missing(blob, "the store of recent media")
        return content

    def holds(self, blob: Blob) -> bool:
        return blob in self._content
