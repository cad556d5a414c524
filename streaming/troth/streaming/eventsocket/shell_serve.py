"""`troth esl serve` and `troth esl call`: an application, and a caller for it."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final, cast

from troth.streaming.eventsocket.privacy import Privacy
from troth.streaming.eventsocket.reports import SessionReport
from troth.streaming.eventsocket.shell_program import program_handler
from troth.streaming.eventsocket.shell_record import Recording
from troth.streaming.eventsocket.shell_server import (
    EventSocketServer,
    Handler,
    ServerOptions,
    start_server,
)
from troth.streaming.eventsocket.shell_terminal import say, write
from troth.streaming.eventsocket.testing import EndOrder, Fault, Script, Transcript, call
from troth.streaming.shell_metrics import MetricsServer
from troth.vm.errors import Unusable

EXIT_NOT_ANSWERED: Final = 1
LOOPBACK: Final = "127.0.0.1"
SCRIPT_SUFFIX: Final = ".troth"


def run_serve(arguments: argparse.Namespace) -> int:
    """Takes calls until interrupted, or until `--calls` of them are over."""
    handler = handler_given(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    return asyncio.run(_serve(handler, arguments))


async def _serve(handler: Handler, arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    ended = 0

    def count(_: SessionReport) -> None:
        nonlocal ended
        ended += 1
        if ended == arguments.calls:
            stop.set()

    options = ServerOptions(on_report=count, record=recording_given(arguments))
    server = await start_server(handler, arguments.host, arguments.port, options=options)
    metrics = MetricsServer({"/metrics": lambda: (200, server.metrics.prometheus())})
    if arguments.metrics_port is not None:
        port = await metrics.start(LOOPBACK, arguments.metrics_port)
        say(f"metrics on http://{LOOPBACK}:{port}/metrics")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if arguments.port_file is not None:
        with open(arguments.port_file, "w", encoding="utf-8") as file:
            file.write(f"{server.port}\n")
    say(f"listening on {arguments.host}:{server.port}")
    await stop.wait()
    await server.close()
    await metrics.stop()
    return 0


def run_call(
    arguments: argparse.Namespace, ends: Mapping[str, EndOrder], faults: Mapping[str, Fault]
) -> int:
    """Makes one call; 1 when the application did not answer or its handler failed."""
    script = Script(
        digits=tuple(arguments.digits),
        hang_up_in=arguments.hang_up_in,
        hang_up_after_s=arguments.hang_up_after,
        end=ends[arguments.end],
        fault=None if arguments.fault is None else faults[arguments.fault],
        fault_after_s=arguments.fault_after,
        fault_in=arguments.fault_in,
    )
    if arguments.port is not None:
        if arguments.record is not None:
            raise Unusable(
                "esl.argument",
                "a call to an application elsewhere cannot be recorded here",
                expected="--record without --port",
                actual="both",
                advice="Give --record to the application: troth esl serve --record",
            )
        return asyncio.run(_call_only(arguments.host, arguments.port, script))
    handler = handler_given(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s", stream=sys.stderr)
    return asyncio.run(_call_here(handler, script, recording_given(arguments)))


def recording_given(arguments: argparse.Namespace) -> Recording | bool:
    """What `--record`, `--keys` and `--record-all` ask for.

    Raises:
        Unusable: one of the others without `--record`.
    """
    if arguments.record is None:
        if arguments.keys is not None or arguments.record_all:
            raise Unusable(
                "esl.argument",
                "there is nothing to record",
                expected="--record with --keys and --record-all",
                actual="no --record",
                advice="Add --record FOLDER",
            )
        return False
    privacy = Privacy.everything() if arguments.record_all else Privacy()
    return Recording(folder=arguments.record, keys=arguments.keys, privacy=privacy)


async def _call_only(host: str, port: int, script: Script) -> int:
    transcript = await (await call(port, script, host=host)).finished()
    _show(transcript)
    return 0 if transcript.commands else EXIT_NOT_ANSWERED


async def _call_here(handler: Handler, script: Script, record: Recording | bool) -> int:
    reports: list[SessionReport] = []
    server: EventSocketServer = await start_server(
        handler, port=0, options=ServerOptions(on_report=reports.append, record=record)
    )
    async with server:
        transcript = await (await call(server.port, script)).finished()
        await server.drained()
    _show(transcript)
    for report in reports:
        write(f"session: {report.outcome.describe()}; handler: {report.handler.value}")
    failed = [report for report in reports if report.record_failure is not None]
    for report in failed:
        say(f"the record {report.record} is not whole: {report.record_failure}")
    return (
        EXIT_NOT_ANSWERED
        if failed or any(report.handler.value == "failed" for report in reports)
        else 0
    )


def _show(transcript: Transcript) -> None:
    for command in transcript.commands:
        name = command.headers.get("execute-app-name")
        if name is not None:
            argument = command.headers.get("execute-app-arg", command.body)
            write(f"execute {name} {argument}".rstrip())
        elif command.headers.get("call-command") == "hangup":
            write(f"hangup {command.headers.get('hangup-cause', '')}".rstrip())
        else:
            write(command.line)


def load_handler(name: str | None) -> Handler:
    """The async function that `module:handler` names; modules are found in this folder first.

    Raises:
        Unusable: there is no such thing, or it is not an async function.
    """
    module_name, _, handler_name = (name or "").partition(":")
    if not module_name or not handler_name:
        raise _unusable("this names no handler", "MODULE:HANDLER", name or "nothing")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # Whatever a user's module raises is told in one line, with the place of the mistake.
        said = f"{type(error).__name__}: {error}"
        raise _unusable(f"{module_name} cannot be imported", "a Python module", said) from error
    finally:
        sys.path.remove(os.getcwd())
    handler: Callable[..., object] | None = getattr(module, handler_name, None)
    if handler is None:
        raise _unusable(f"{module_name} has no {handler_name}", "a function of that name", "none")
    if not inspect.iscoroutinefunction(handler):
        actual = type(handler).__name__
        raise _unusable(f"{name} is no async function", "async def handler(call)", actual)
    return cast(Handler, handler)


def handler_given(arguments: argparse.Namespace) -> Handler:
    """A function of a module, or the program of a script."""
    name = arguments.handler or ""
    if not name.endswith(SCRIPT_SUFFIX):
        return load_handler(arguments.handler)
    record = recording_given(arguments)
    return program_handler(name, recording=record if isinstance(record, Recording) else None)


def _unusable(message: str, expected: str, actual: str) -> Unusable:
    return Unusable(
        "esl.handler",
        message,
        expected=expected,
        actual=actual,
        advice="Name a module of this folder and an async function in it, as in ivr:answer",
    )
