"""`troth esl events`: what a switch tells, as it tells it."""

from __future__ import annotations

import argparse
import asyncio
import json

from troth.streaming.eventsocket.backoff import Backoff
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.shell_client import ClientOptions, connect
from troth.streaming.eventsocket.shell_terminal import write


def run_events(arguments: argparse.Namespace, password: str) -> int:
    """Shows events until `--count` of them came, the switch is gone, or it is interrupted."""
    return asyncio.run(_run(arguments, password))


async def _run(arguments: argparse.Namespace, password: str) -> int:
    reconnect = Backoff() if arguments.reconnect else None
    options = ClientOptions(user=arguments.user, reconnect=reconnect)
    shown = 0
    async with connect(arguments.host, arguments.port, password, options=options) as client:
        stream = client.events()
        await client.subscribe(*arguments.name, custom=arguments.custom)
        for header, value in arguments.filter:
            await client.filter(header, value)
        async for event in stream:
            write(_json(event) if arguments.json else _text(event))
            shown += 1
            if shown == arguments.count:
                return 0
        await client.wait_closed()
    return 0


def _text(event: Event) -> str:
    words = [event.name or "(without a name)", event.subclass or "", event.uuid or ""]
    for header in ("Channel-State", "Application", "Hangup-Cause"):
        value = event.get(header)
        if value is not None:
            words.append(f"{header}={value}")
    return " ".join(word for word in words if word)


def _json(event: Event) -> str:
    """ASCII only, so that whatever a caller sent stays inside of its string."""
    told: dict[str, object] = {"name": event.name, "headers": dict(event.headers)}
    if event.body:
        told["body"] = event.text
    if event.defect is not None:
        told["defect"] = event.defect
    return json.dumps(told)
