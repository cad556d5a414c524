"""Spreads files over processes, and outlives what the files do to them.

Every process judges one file at a time. One that ends, goes on for too long or answers nonsense
costs only its own file: the file gets a result that says so, and the process a successor.
Results come out in the order of the files; at most `WINDOW_FILES` wait for a slower one.
"""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from troth.conformance.batch import (
    RESULT_BYTES_MAX,
    BatchOptions,
    Bounds,
    FileResult,
    not_judged,
    read_result,
)
from troth.conformance.shell_batch_state import State
from troth.conformance.shell_batch_worker import EXIT_MEMORY, KNOWN
from troth.vm.errors import Malformed

WINDOW_FILES: Final = 512

_READ_BYTES: Final = 1 << 16
_WORKER: Final = "troth.conformance.shell_batch_worker"


class _Worker:
    """One process, and the file that it is judging."""

    def __init__(self, options: bytes, bounds: Bounds) -> None:
        self.index: int | None = None
        self.file = ""
        self.digest: str | None = None
        self.deadline = 0.0
        self._buffer = bytearray()
        self.process = subprocess.Popen(
            # -P: what lies in the current folder is never imported.
            [sys.executable, "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        head = f"{len(options)} {bounds.memory_mib << 20}\n".encode()
        self.send(head + options)

    @property
    def output(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def send(self, data: bytes) -> None:
        """A process that has ended is noticed where its answer is read."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            self.process.kill()

    def judge(self, index: int, file: str, seconds: float, *, ask: bool) -> None:
        self.index, self.file, self.digest = index, file, None
        self.deadline = time.monotonic() + seconds
        self.send(json.dumps({"file": file, "ask": ask}).encode() + b"\n")

    def lines(self) -> Iterator[bytes] | None:
        """The whole lines that it has written; None when it has ended, or writes without end."""
        chunk = os.read(self.output, _READ_BYTES)
        self._buffer += chunk
        if not chunk or len(self._buffer) > RESULT_BYTES_MAX:
            return None
        *whole, rest = self._buffer.split(b"\n")
        self._buffer = rest
        return iter(bytes(line) for line in whole)

    def end(self) -> int:
        """Kills it, if it is still there; its exit code, or the negative of its signal."""
        self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        return code


class Pool:
    """Use it in a `with`: its processes end with it, whatever happens."""

    def __init__(
        self, options: BatchOptions, jobs: int, *, bounds: Bounds, state: State | None
    ) -> None:
        self._options = pickle.dumps(options)
        self._jobs = jobs
        self._bounds = bounds
        self._state = state
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self._done: dict[int, FileResult] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.end()
        self._selector.close()

    def judge(self, files: Sequence[str]) -> Iterator[FileResult]:
        """One result for each file, in their order."""
        for _ in range(min(self._jobs, len(files))):
            self._start()
        begun = given = 0
        while given < len(files):
            for worker in self._workers:
                if worker.index is None and begun < min(len(files), given + WINDOW_FILES):
                    ask = self._state is not None
                    worker.judge(begun, files[begun], self._bounds.seconds, ask=ask)
                    begun += 1
            self._wait()
            while given in self._done:
                yield self._done.pop(given)
                given += 1

    def _start(self) -> None:
        worker = _Worker(self._options, self._bounds)
        self._workers.append(worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def _wait(self) -> None:
        """Until something has happened: an answer, an end, or a time that is over."""
        busy = [worker.deadline for worker in self._workers if worker.index is not None]
        seconds = max(0.0, min(busy) - time.monotonic()) if busy else 0.0
        for key, _ in self._selector.select(seconds):
            worker = key.data
            lines = worker.lines()
            if lines is None:
                self._lost(worker)
                continue
            try:
                for line in lines:
                    self._said(worker, line)
            except Malformed as error:
                # It is not asked again: what else it says is not to be believed either.
                self._lost(worker, _not_judged(worker.file, error.code, error.message))
        for worker in list(self._workers):
            if worker.index is not None and worker.deadline <= time.monotonic():
                reason = f"it took longer than {self._bounds.seconds:g} seconds"
                self._lost(worker, _not_judged(worker.file, "batch.timeout", reason))

    def _said(self, worker: _Worker, line: bytes) -> None:
        """
        Raises:
            Malformed: code `batch.reply`.
        """
        if worker.index is None:
            return
        if self._state is not None and worker.digest is None and line.startswith(b'{"hash": '):
            worker.digest = _digest_in(line)
            known = self._state.find(worker.digest, worker.file)
            worker.send(KNOWN.encode() + b"\n" if known else b"\n")
            if known is not None:
                self._finish(worker, known)
            return
        result = read_result(line, worker.file)
        if self._state is not None and worker.digest is not None and result.failure is None:
            self._state.add(worker.digest, result)
        self._finish(worker, result)

    def _finish(self, worker: _Worker, result: FileResult) -> None:
        assert worker.index is not None
        self._done[worker.index] = result
        worker.index = None

    def _lost(self, worker: _Worker, result: FileResult | None = None) -> None:
        """Its file is not judged, and another process takes its place."""
        self._selector.unregister(worker.output)
        self._workers.remove(worker)
        code = worker.end()
        if worker.index is not None:
            self._finish(worker, result or self._ended(worker.file, code))
        self._start()

    def _ended(self, file: str, code: int) -> FileResult:
        if code == EXIT_MEMORY:
            reason = f"it took more than {self._bounds.memory_mib} MiB of memory"
            return _not_judged(file, "batch.memory", reason)
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return _not_judged(file, "batch.crash", f"its process ended with {how}")


def _not_judged(file: str, code: str, reason: str) -> FileResult:
    return not_judged(file, code, f"The file was not judged: {reason}.")


def _digest_in(line: bytes) -> str:
    try:
        digest = json.loads(line)["hash"]
    except (ValueError, KeyError, TypeError):
        return ""
    return digest if isinstance(digest, str) else ""
