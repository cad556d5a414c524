"""Runs the blocks of one page in a folder of their own, in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from docs.snippet_blocks import Block, Command, commands_of
from docs.snippet_output import matches

ROOT: Final = Path(__file__).resolve().parent.parent.parent
COMPONENTS: Final = ("vm", "dsl", "streaming", "conformance")
SECONDS_MAX: Final = 120
"""Only there so that a command that waits for ever fails the test instead of stopping it."""


class SnippetFailedError(AssertionError):
    """A block does not do what its page says; the text shows both."""


class PageRunner:
    """A reader who pastes what a page says, line by line, into one shell.

    The shell keeps its folder and its exported variables from command to command. It starts
    with the examples in its folder and `troth` on the path. With `clone` it starts where
    `tests/demo.sh` leaves a reader: in the root of a clone, with `troth` in `.venv/bin` and
    not on the path. `close` ends what still runs in the background, where a page went wrong.
    """

    def __init__(self, folder: Path, *, clone: bool = False) -> None:
        self.folder = folder / "reader"
        examples = self.folder / "docs" / "examples" if clone else self.folder
        examples.mkdir(parents=True)
        for example in sorted((ROOT / "docs" / "examples").iterdir()):
            if example.is_file():
                shutil.copy(example, examples)
        programs = self.folder / ".venv" / "bin" if clone else folder / "bin"
        _write_programs(programs)
        self.troth = str(programs / "troth")
        path = os.environ.get("PATH", os.defpath)
        self.environment = _environment(folder, os.defpath if clone else f"{programs}:{path}")
        self.state = folder / "state"
        self.state.mkdir()
        self.last_script: str | None = None
        self.unnamed = 0
        # All that a page starts is in the group of a process that lives until `close`.
        self._leader = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, process_group=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.killpg(self._leader.pid, signal.SIGKILL)
        self._leader.communicate()

    def run(self, block: Block) -> int:
        """Runs one block and returns how many things it tried."""
        runners = {
            "troth": self._run_script,
            "output": self._run_output,
            "python": self._run_python,
            "console": self._run_console,
        }
        runner = runners.get(block.kind)
        return 0 if runner is None else runner(block)

    def _run_script(self, block: Block) -> int:
        self.unnamed += 1
        name = block.file_name or f"snippet_{self.unnamed}.troth"
        (self.folder / name).write_text(block.text, encoding="utf-8")
        code, output = self._execute([self.troth, "check", name])
        broken = "broken" in block.arguments
        as_said = (code, "error[" in output) == (1, True) if broken else (code, output) == (0, "")
        if not as_said:
            raise SnippetFailedError(f"{block.place}: `troth check` ended with {code}:\n{output}")
        self.last_script = name
        return 1

    def _run_output(self, block: Block) -> int:
        if self.last_script is None:
            raise SnippetFailedError(f"{block.place}: there is no script above this output")
        code, output = self._execute([self.troth, "run", self.last_script])
        if code != 0 or not matches(block.text, output):
            raise _different(block.place, f"troth run {self.last_script}", block.text, code, output)
        return 1

    def _run_python(self, block: Block) -> int:
        name = block.file_name
        if name is not None:
            (self.folder / name).write_text(block.text, encoding="utf-8")
            return 1
        self.unnamed += 1
        name = f"snippet_{self.unnamed}.py"
        (self.folder / name).write_text(block.text, encoding="utf-8")
        code, output = self._execute([sys.executable, name])
        if code != 0:
            raise SnippetFailedError(f"{block.place}: ended with {code}:\n{output}")
        return 1

    def _run_console(self, block: Block) -> int:
        count = 0
        for command in commands_of(block):
            self._run_command(block, command)
            count += 1
        return count

    def _run_command(self, block: Block, command: Command) -> None:
        code, output = self._execute(["/bin/sh", "-c", self._remembering(command.text)])
        self.folder = Path((self.state / "folder").read_text(encoding="utf-8").rstrip("\n"))
        if code != command.exit_code or not matches(command.output, output):
            place = f"{block.file}:{command.line}"
            wanted = f"{command.output}(exit {command.exit_code})"
            raise _different(place, command.text, wanted, code, output)

    def _remembering(self, command: str) -> str:
        """`command` in the shell that the commands before it have left."""
        exports, folder = (_quoted(str(self.state / name)) for name in ("exports", "folder"))
        remember = f"export -p >{exports}; pwd >{folder}"
        restore = f"[ ! -e {exports} ] || . {exports}"
        return f"{restore}\ntrap {_quoted(remember)} EXIT\n{command}\n"

    def _execute(self, arguments: list[str]) -> tuple[int, str]:
        """Exit code and both outputs as a terminal shows them."""
        result = subprocess.run(
            arguments,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS_MAX,
            process_group=self._leader.pid,
            check=False,
        )
        return result.returncode, result.stdout.decode("utf-8", errors="replace")


def _different(place: str, command: str, wanted: str, code: int, output: str) -> SnippetFailedError:
    return SnippetFailedError(
        f"{place}: $ {command}\n--- the page says\n{wanted}\n--- it is (exit {code})\n{output}"
    )


def _write_programs(programs: Path) -> None:
    """Our `troth` and `python3`."""
    programs.mkdir(parents=True)
    python = _quoted(sys.executable)
    for name, command in (
        ("troth", f'{python} -m troth.conformance.shell_main "$@"'),
        ("python3", f'{python} "$@"'),
    ):
        script = programs / name
        script.write_text(f"#!/bin/sh\nexec {command}\n", encoding="utf-8")
        script.chmod(0o755)


def _environment(folder: Path, path: str) -> dict[str, str]:
    """A plain environment, the components importable."""
    return {
        "PATH": path,
        "PYTHONPATH": ":".join(str(ROOT / component) for component in COMPONENTS),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        # As on a terminal: what is written first is seen first.
        "PYTHONUNBUFFERED": "1",
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
