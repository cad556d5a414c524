"""Opens a record of a session for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from troth.vm.errors import Place, Unusable


@contextmanager
def open_record(path: Path) -> Iterator[BinaryIO]:
    """
    Raises:
        Unusable: code `stream.record`.
    """
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unusable(
            "stream.record",
            f"the record cannot be read: {reason or error}",
            place=Place(file=str(path)),
            advice="Check the path",
        ) from error
    with stream:
        yield stream
