"""`troth esl …` as its users run it, against a fake switch in this process."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.command_line import Finished, troth
from event_socket_loop import run
from troth.streaming.eventsocket.testing import FakeSwitch, Script, SwitchScript, call

APPLICATION = """
import asyncio

async def hello(call):
    await call.answer()
    digit = await call.play_and_get_digits("menu.wav")
    await call.playback(f"{digit}.wav")
    await call.hangup()

async def fails(call):
    raise ValueError("a mistake of the application")

def plain(call):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APPLICATION, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import nosuchmodule\n", encoding="utf-8")
    (tmp_path / "password").write_text("secret\nrest\n", encoding="utf-8")
    return tmp_path


def test_a_call_without_a_switch(folder: Path) -> None:
    done = troth("esl", "call", "app:hello", "--digits", "7", cwd=folder)
    assert done.code == 0
    assert done.out.splitlines()[3:] == [
        "execute answer",
        r"execute play_and_get_digits 1 2 3 5000 # menu.wav invalid read_digits_var \d+",
        "execute playback 7.wav",
        "hangup NORMAL_CLEARING",
        "exit",
        "session: latched; handler: returned",
    ]


@pytest.mark.parametrize(
    ("options", "last"),
    [
        (["--hang-up-in", "playback", "--end", "notice-twice"],
         "session: latched; handler: ended with the call"),
        (["--hang-up-after", "0.01", "--end", "burst-lost"],
         "session: closed early; without CHANNEL_HANGUP_COMPLETE; handler: ended with the call"),
    ],
)  # fmt: skip
def test_calls_that_end_otherwise(folder: Path, options: list[str], last: str) -> None:
    done = troth("esl", "call", "app:hello", *options, cwd=folder)
    assert (done.code, done.out.splitlines()[-1]) == (0, last)


def test_a_fault_is_told(folder: Path) -> None:
    done = troth(
        "esl", "call", "app:hello", "--fault", "kill", "--fault-in", "playback", cwd=folder
    )
    assert done.out.splitlines()[-1].startswith("session: cut; without ")


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("app:nosuch", "app has no nosuch"),
        ("app:plain", "is no async function"),
        ("app", "names no handler"),
        ("nosuch:x", "nosuch cannot be imported"),
        ("broken:x", "nosuchmodule"),
    ],
)
@pytest.mark.parametrize("command", ["call", "serve"])
def test_a_handler_that_cannot_be_used(folder: Path, command: str, handler: str, said: str) -> None:
    done = troth("esl", command, handler, cwd=folder)
    assert done.code == 1
    assert said in done.err
    assert "[esl.handler]" in done.err


def test_a_handler_that_fails_is_an_exit_code(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "troth.conformance.shell_main", "esl", "call", "app:fails"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "a mistake of the application" in done.stderr
    assert done.stdout.splitlines()[-1] == "session: latched; handler: failed"


async def _page_of(log: Path) -> str:
    """The metrics of a server, which has said in its log where they are."""
    while (found := re.search(r"metrics on http://127\.0\.0\.1:(\d+)/", log.read_text())) is None:
        await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    page = (await reader.read()).decode()
    writer.close()
    return page


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_until_a_signal(folder: Path, number: signal.Signals) -> None:
    log = folder / "log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", "troth.conformance.shell_main", "esl", "serve", "app:hello",
             "--port", "0", "--port-file", "port", "--metrics-port", "0"],
            cwd=folder, stderr=errors,
        )  # fmt: skip
    pages: list[str] = []

    async def scenario() -> list[str]:
        while not (folder / "port").exists() or not (folder / "port").read_text("utf-8"):
            await asyncio.sleep(0.05)
        port = int((folder / "port").read_text("utf-8"))
        transcript = await (await call(port, Script(digits=("3",)))).finished()
        waiting = await call(port, Script())
        await asyncio.sleep(0.2)
        pages.append(await _page_of(log))
        server.send_signal(number)
        assert (await waiting.finished()).lines()[-1] == "exit"
        return [name for name, _ in transcript.applications()]

    assert run(scenario) == ["answer", "play_and_get_digits", "playback"]
    assert "\ntroth_esl_sessions_started 2\n" in pages[0]
    assert server.wait(30) == 0
    said = log.read_text("utf-8")
    endings = [
        json.loads(line.partition(" ")[2])["ending"]
        for line in said.splitlines()
        if "session ended" in line
    ]
    assert endings in (["latched", "latched"], ["latched", "stopped"])


def against(
    script: SwitchScript, *arguments: str, folder: Path | None = None, send: bool = False
) -> Finished:
    """Runs a command against a fake switch; `send` makes the switch tell of three events."""

    async def scenario() -> Finished:
        async with FakeSwitch(script) as switch:
            loop = asyncio.get_running_loop()
            command = (*arguments[:2], "--port", str(switch.port), *arguments[2:])
            running = loop.run_in_executor(None, lambda: troth(*command, cwd=folder))
            while send and not running.done():
                await asyncio.sleep(0.05)
                if switch.connections and switch.connections[0].subscribed:
                    for name in ("HEARTBEAT", "\x1b[31mRED", "CUSTOM"):
                        switch.send_event(name, {"Unique-ID": "u", "Event-Subclass": "a::b"})
                    break
            return await running

    return asyncio.run(scenario())


def test_the_console_runs_commands(folder: Path) -> None:
    script = SwitchScript(password="secret", api={"evil": "a\x1b[2Jb\nnext"})
    options = ["--password-file", "password", "-x", "evil", "-x", "/bgapi evil", "-x", "/filter a"]
    done = against(script, "esl", "console", *options, folder=folder)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "a\\u{1b}[2Jb", "next", "[event] BACKGROUND_JOB", "a\\u{1b}[2Jb", "next", "+OK",
    ]  # fmt: skip


def test_the_console_says_what_was_refused() -> None:
    done = against(SwitchScript(), "esl", "console", "-x", "nosuch", "-x", "status")
    assert done.code == 1
    assert done.out.splitlines()[0] == "-ERR nosuch Command not found!"
    assert "Fake switch is ready" in done.out


def test_a_wrong_password_is_one_line(folder: Path) -> None:
    done = against(SwitchScript(), "esl", "console", "--password-file", "password", folder=folder)
    assert done.code == 1
    assert "[esl.authentication]" in done.err
    assert "secret" not in done.err


def test_an_empty_password_file_is_refused(folder: Path) -> None:
    (folder / "empty").write_text("\n", encoding="utf-8")
    done = troth("esl", "console", "--password-file", "empty", cwd=folder)
    assert (done.code, "empty line" in done.err) == (1, True)


def test_events_are_shown_and_cannot_touch_the_terminal() -> None:
    done = against(SwitchScript(), "esl", "events", "--count", "3", send=True)
    assert done.code == 0
    assert done.out.splitlines() == [
        "HEARTBEAT a::b u", "\\u{1b}[31mRED a::b u", "CUSTOM a::b u",
    ]  # fmt: skip


def test_events_as_json() -> None:
    done = against(SwitchScript(), "esl", "events", "--json", "--count", "1", "--name", "HEARTBEAT",
                   "--custom", "a::b", "--filter", "Unique-ID=u", send=True)  # fmt: skip
    told = json.loads(done.out)
    assert told["name"] == "HEARTBEAT"
    assert told["headers"]["Unique-ID"] == "u"


@pytest.mark.parametrize(
    "arguments",
    [
        ["esl"], ["esl", "nosuch"], ["esl", "events", "--filter", "x"],
        ["esl", "console", "--port", "70000"], ["esl", "call"],
        ["esl", "call", "a:b", "--end", "x"],
    ],
)  # fmt: skip
def test_wrong_arguments_end_with_one(arguments: list[str]) -> None:
    done = troth(*arguments)
    assert done.code == 1
    assert done.err


def test_other_commands_do_not_load_the_library() -> None:
    code = (
        "import sys; from troth.conformance.shell_main import main; main(['keygen', '--help']);"
        "print([name for name in sys.modules if 'streaming' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
