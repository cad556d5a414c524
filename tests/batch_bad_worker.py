"""A judging process that a file has got the better of: it does what the file's name says."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from troth.conformance import shell_batch_worker


def _misbehave(file: str) -> None:
    name = Path(file).stem
    if name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("exit"):
        os._exit(3)
    if name.startswith("hang"):
        signal.pause()
    if name.startswith("nonsense"):
        shell_batch_worker._say('{"exit_code": 0, "status": "valid"}')
    if name.startswith("lie"):
        shell_batch_worker._say(json.dumps({"error": 1, "reason": ["no text"]}))
    if name.startswith("endless"):
        while True:
            sys.stdout.write("x" * 100_000)
    if name.startswith("memory"):
        raise MemoryError


if __name__ == "__main__":
    answer = shell_batch_worker._answer

    def _answered(file: str, *arguments: object, **options: bool) -> str | None:
        _misbehave(file)
        return answer(file, *arguments, **options)  # type: ignore[arg-type]

    shell_batch_worker._answer = _answered  # type: ignore[assignment]
    sys.exit(shell_batch_worker.main())
