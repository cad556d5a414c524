"""A process that judges one file after the other for a batch.

It is told what to judge on standard input and answers on standard output: the options once, then
one line of JSON for each file. What it reads comes from its own parent and is trusted; what it
says is not, because the files that it judges are somebody else's.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import signal
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from troth.conformance.batch import (
    RESULT_BYTES_MAX,
    BatchOptions,
    FileResult,
    judged,
    not_judged,
)
from troth.conformance.judge import sentence, verify_stream
from troth.conformance.verdict import Verdict
from troth.vm.errors import TrothError
from troth.vm.shell_artifact import open_artifact

EXIT_MEMORY: Final = 77
"""Only a process that starts anew has all of its memory again."""

KNOWN: Final = "known"
PRINCIPALS_KEPT: Final = 64
_CHUNK_BYTES: Final = 1 << 20


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    requests = sys.stdin.buffer
    length, memory_bytes = map(int, requests.readline().split())
    options = pickle.loads(requests.read(length))
    assert isinstance(options, BatchOptions)
    _limit_memory(memory_bytes)
    try:
        for line in requests:
            request = json.loads(line)
            answer = _answer(request["file"], options, ask=request["ask"])
            if answer is not None:
                _say(answer)
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except BrokenPipeError:
        # The parent is gone, and with it everybody who wanted an answer.
        os._exit(1)
    return 0


def _limit_memory(limit: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _say(form: str) -> None:
    sys.stdout.write(form + "\n")
    sys.stdout.flush()


def _answer(file: str, options: BatchOptions, *, ask: bool) -> str | None:
    """The result as text; None when the parent knows it already."""
    try:
        with open_artifact(Path(file)) as stream:
            if not ask:
                return _bounded(verify_one(stream, file, options)).text
            digest = _digest(stream)
            _say(json.dumps({"hash": digest}))
            if sys.stdin.buffer.readline().strip() == KNOWN.encode():
                return None
            stream.seek(0)
            hashing = _Hashing(stream)
            verdict = verify_one(cast("BinaryIO", hashing), file, options)
            if hashing.finish() != digest:
                reason = "The file changed while it was judged."
                return not_judged(file, "batch.changed", reason).text
            return _bounded(verdict).text
    except TrothError as error:
        return not_judged(file, error.code, sentence(error.message)).text
    except OSError as error:
        return not_judged(file, "artifact.io", sentence(error.strerror or "input error")).text


def verify_one(stream: BinaryIO, file: str, options: BatchOptions) -> Verdict:
    return verify_stream(
        stream,
        file=file,
        trust=options.trust,
        pins=options.pins,
        image=options.image,
        budget=options.budget,
        with_fragment=True,
    )


def _bounded(verdict: Verdict) -> FileResult:
    """The result, without most of the principals where they make it too long."""
    result = judged(verdict)
    if len(result.text) > RESULT_BYTES_MAX // 2:
        kept = replace(verdict, principals=verdict.principals[:PRINCIPALS_KEPT], pins=())
        result = judged(kept)
    return result


def _digest(stream: BinaryIO) -> str:
    hasher = sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        hasher.update(chunk)
    return hasher.hexdigest()


class _Hashing(io.RawIOBase):
    """Hashes what is read, so that what was judged is what was asked about."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hasher = sha256()

    def read(self, size: int = -1) -> Any:
        chunk = self._stream.read(size)
        self._hasher.update(chunk)
        return chunk

    def finish(self) -> str:
        """The digest of all of the file, of which a verdict may not have needed the rest."""
        while self.read(_CHUNK_BYTES):
            continue
        return self._hasher.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
