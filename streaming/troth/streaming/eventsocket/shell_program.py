"""Applications that are programs of the language: a handler that runs bytecode for each call.

The program holds the role `App` of `application.troth`, the library the role `Line`: it does on
the call what the program asks for. The two meet at a hub, each in a machine of its own, so the
program's record shows what it did and why, and can be run again.
"""

from __future__ import annotations

import asyncio
import os
from importlib import resources
from pathlib import Path
from typing import Final

from troth import dsl
from troth.streaming.eventsocket.errors import CallHungUp, CommandRefused, ConnectionEnded
from troth.streaming.eventsocket.shell_call import Call
from troth.streaming.eventsocket.shell_record import Recording
from troth.streaming.eventsocket.shell_server import Handler
from troth.vm.errors import Place, Unusable
from troth.vm.shell_hub import Hub
from troth.vm.shell_join import RoleEndpoint, join
from troth.vm.shell_options import RunOptions
from troth.vm.shell_spread import LinkOptions, run_spread
from troth.vm.types import EndpointType

PROTOCOL: Final = "Application"
APP: Final = "App"
LINE: Final = "Line"
CONNECTION_ENDED: Final = "the connection ended"

_MAIN: Final = """

program the_line_is_elsewhere(s: Application.Line):
    cancel s "the line is elsewhere"

main:
    open Application as app, line
    spawn {program}(app)
    spawn the_line_is_elsewhere(line)
"""


def load_program(path: str | os.PathLike[str]) -> dsl.Module:
    """The script with the protocol of an application, and a main that starts its program.

    Raises:
        Unusable: code `esl.program`, when not exactly one of its programs is an application.
        Rejected: the script has mistakes.
        OSError: it cannot be read.
    """
    source = Path(path).read_text("utf-8", "replace")
    protocol = (
        resources.files(__package__).joinpath("protocols", "application.troth").read_text("utf-8")
    )
    name = os.fspath(path)
    whole = f"{source}\n{protocol}"
    image = dsl.compile_module(whole, name).image
    found = [
        program.name
        for program in image.programs
        if [field.type for field in program.parameters] == [EndpointType(PROTOCOL, APP)]
    ]
    if len(found) != 1:
        raise Unusable(
            "esl.program",
            "this script is no application",
            place=Place(file=name),
            expected="one program with one parameter, an Application.App",
            actual=", ".join(found) or "none",
            advice="Write `program menu(s: Application.App):`",
        )
    return dsl.compile_module(whole + _MAIN.format(program=found[0]), name)


def program_handler(path: str | os.PathLike[str], *, recording: Recording | None = None) -> Handler:
    """A handler that runs the program of a script for each call.

    With `recording` each run is recorded, beside what the server records of the call.

    Raises:
        As `load_program`.
    """
    module = load_program(path)
    made = 0

    async def handle(call: Call) -> None:
        nonlocal made
        made += 1
        await _run(call, module, recording, f"program-{os.urandom(4).hex()}-{made:06d}.replay")

    return handle


async def _run(call: Call, module: dsl.Module, recording: Recording | None, name: str) -> None:
    hub = Hub()
    record = keys = None
    if recording is not None:
        Path(recording.folder).mkdir(parents=True, exist_ok=True)
        record, keys = Path(recording.folder) / name, recording.keys
    options = RunOptions(roles=(f"{PROTOCOL}.{APP}",), record=record, keys=keys)
    links = LinkOptions(hub=hub, any_key=True)
    program = asyncio.create_task(run_spread(module.image, options=options, links=links))
    line = module.protocol(PROTOCOL).role(LINE)
    try:
        async with join(line, links, key=keys) as session:
            while await _serve(call, session):
                pass
        await program
    finally:
        program.cancel()
        await asyncio.wait([program])


async def _serve(call: Call, session: RoleEndpoint) -> bool:
    """Does one thing that the program asks for; False when that was the last."""
    asked = await session.recv_any(APP)
    try:
        if asked.label == "hang_up":
            await call.hangup(asked.value)
            return False
        if asked.label == "execute":
            done = await call.execute(asked.value.application, asked.value.argument)
            await session.send(APP, "completed", done.response or "")
        else:
            digits = await call.play_and_get_digits(asked.value.file, max_digits=asked.value.digits)
            await session.send(APP, "pressed", digits or "")
    except CommandRefused as error:
        await session.send(APP, "refused", error.reply_text)
    except CallHungUp as error:
        await session.send(APP, "hung_up", error.cause or "")
        return False
    except ConnectionEnded:
        await session.send(APP, "hung_up", CONNECTION_ENDED)
        return False
    return True
