"""`troth esl console`: api commands in, their output out."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

from troth.streaming.eventsocket.errors import CommandRefused
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.messages import LogLine
from troth.streaming.eventsocket.shell_client import Client, ClientOptions, connect
from troth.streaming.eventsocket.shell_terminal import say, write
from troth.vm.errors import Unusable

HELP: Final = (
    "a line is an api command, such as status\n"
    "/event NAME …   shows events      /log LEVEL      shows the switch's log\n"
    "/bgapi COMMAND  runs it in the background, and shows its result\n"
    "/COMMAND        any other command of the event socket\n"
    "/exit           ends, as the end of input does"
)
PROMPT: Final = "esl> "


def run_console(arguments: argparse.Namespace, password: str) -> int:
    """Runs commands from `-x` or from standard input; 1 when one of them was refused."""
    return asyncio.run(_run(arguments, password))


async def _run(arguments: argparse.Namespace, password: str) -> int:
    options = ClientOptions(user=arguments.user)
    refused = False
    async with connect(arguments.host, arguments.port, password, options=options) as client:
        client.on_event(_show_event)
        client.on_log(_show_log)
        async for line in _lines(arguments.execute):
            text = line.strip()
            if text == "/exit":
                break
            if not text:
                continue
            try:
                await _one(client, text)
            except (CommandRefused, Unusable) as error:
                refused = True
                if isinstance(error, CommandRefused):
                    write(error.reply_text)
                else:
                    say(str(error))
    return int(refused)


async def _one(client: Client, text: str) -> None:
    word, _, rest = text.partition(" ")
    if text in ("/help", "help"):
        write(HELP)
    elif word == "/event":
        names, custom = _names(rest.split())
        await client.subscribe(*names, custom=custom)
    elif word == "/log":
        await client.log(rest or "7")
    elif word == "/bgapi":
        command, _, parameters = rest.partition(" ")
        write((await client.bgapi(command, parameters)).text)
    elif word.startswith("/"):
        write((await client.command(text[1:])).text)
    else:
        write(await client.api(word, rest))


def _names(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names before CUSTOM, and the subclasses after it."""
    if "CUSTOM" not in words:
        return list(words), []
    at = words.index("CUSTOM")
    return list(words[:at]), list(words[at + 1 :])


async def _lines(given: Sequence[str]) -> AsyncIterator[str]:
    if given:
        for line in given:
            yield line
        return
    loop = asyncio.get_running_loop()
    interactive = sys.stdin.isatty()
    while True:
        if interactive:
            sys.stderr.write(PROMPT)
            sys.stderr.flush()
        # A thread waits for the terminal, so that events are shown meanwhile.
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        yield line


def _show_event(event: Event) -> None:
    write(f"[event] {event.name or '(without a name)'} {event.uuid or ''}".rstrip())


def _show_log(line: LogLine) -> None:
    write(f"[log] {line.text.rstrip()}")
