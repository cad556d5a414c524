"""A leg of the control plane: one role of its protocol, run as a program over a connection.

The programs' machines talk in `Talk` messages of the gateway's connection, which is reliable and
in order, and each proves the key that the connection was registered with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.streaming.gateway.codec import TALK_BYTES_MAX
from troth.streaming.shell_one_line import OneLinePlace
from troth.streaming.shell_recent_blobs import RecentBlobs
from troth.vm.errors import TrothError
from troth.vm.events import Cancelled, Event, Faulted
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.keys import KeyPair, VerifierKey
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import RunResult
from troth.vm.shell_spread import LinkOptions, run_spread

MEETING_S: Final = 10.0
"""How long a program waits for the other one, before they meet."""
PATIENCE_S: Final = 2.0
"""How long it waits for the other one when the connection has ended."""
LAST_WORD_S: Final = 0.25
"""How long one of several programs that has failed may still say so, before the others end."""
END_S: Final = 2 * PATIENCE_S
"""A program that has not ended so long after its connection is cut off; its record says so."""


@dataclass(frozen=True, slots=True)
class LegSide:
    """Who plays a role here, and who has to stand behind the other one.

    Attributes:
        peer_key: None takes whoever comes.
        effects: what the program asks for, by name.
        record: the file of its record; None keeps none.
    """

    role: str
    key: KeyPair
    peer_role: str
    peer_key: bytes | None
    effects: Mapping[str, object]
    record: Path | None = None


class _TalkPlace(OneLinePlace):
    def __init__(self, peer_key: bytes | None, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._peer_key = peer_key
        self._send = send

    def peer_key(self) -> bytes | None:
        return self._peer_key

    def accepts(self, keys: frozenset[bytes]) -> bool:
        return self._peer_key is None or super().accepts(keys)

    def carry(self, data: bytes) -> bool:
        if len(data) > TALK_BYTES_MAX:
            return False
        self._send(data)
        return True


class Leg:
    """One role's run, from `start` on; `end` when its connection does.

    Attributes:
        result: how the run went; None while it goes on, and when it was cut off.
        problem: why there is no result, in words; "" when there is, or when the programs did not
            meet.
        on_failed: is called when a program has failed, for others that wait for something.
    """

    def __init__(self, image: Image, side: LegSide, send: Callable[[bytes], None]) -> None:
        """`send` is given the frames for the other side."""
        self.result: RunResult | None = None
        self.problem = ""
        self.on_failed: Callable[[], None] = lambda: None
        self._image = image
        self._side = side
        self._place = _TalkPlace(side.peer_key, send)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def take(self, frame: bytes) -> None:
        """A frame of the other side. Raises nothing, whatever it is."""
        self._place.take(frame)

    def peer_keys(self) -> frozenset[bytes]:
        """The keys that the other end's machine has proved."""
        lines = self._place.lines_here
        return frozenset() if lines is None else lines.proved

    async def over(self) -> None:
        """Waits until the program has ended."""
        assert self._task is not None, "it was started"
        await asyncio.wait({self._task})

    async def end(self) -> None:
        """The connection is over: the program is given time to say so in its record."""
        assert self._task is not None, "it was started"
        self._place.lost()
        met = bool(self.peer_keys())
        # Programs that have not met have nothing to say of each other.
        await asyncio.wait({self._task}, timeout=END_S if met else 0)
        if self._task.cancel():
            self.problem = "it did not end in time" if met else ""
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        side = self._side
        options = RunOptions(
            effects=side.effects,
            record=side.record,
            blobs=RecentBlobs(),
            roles=(side.role,),
        )
        try:
            self.result = await run_spread(
                self._image,
                options=options,
                links=LinkOptions(
                    hub=self._place,
                    patience_seconds=PATIENCE_S,
                    meeting_seconds=MEETING_S,
                    any_key=side.peer_key is None,
                ),
                on_events=self._look,
                signer=HostSigner({side.role: side.key}),
                expect=_expected(side),
            )
        except TrothError as error:
            self.problem = str(error)

    def _look(self, events: list[Event]) -> None:
        """One of several programs that has failed takes the others with it, at both ends."""
        if any(isinstance(event, Faulted | Cancelled) for event in events):
            # The other side is to hear of it first.
            asyncio.get_running_loop().call_later(LAST_WORD_S, self._fail)

    def _fail(self) -> None:
        self._place.lost()
        self.on_failed()


def _expected(side: LegSide) -> dict[str, VerifierKey]:
    if side.peer_key is None:
        return {}
    return {side.peer_role: VerifierKey(side.peer_role, side.peer_key)}


def effects_of(image: Image, owner: object) -> dict[str, object]:
    """The functions of one role; those of the other are there and refuse.

    They are run in the event loop, as all else that the owner knows of: none of them takes long.
    """
    found = {effect.name: getattr(owner, effect.name, _elsewhere) for effect in image.effects}
    return {name: _in_loop(function) for name, function in found.items()}


def _in_loop(function: Callable[..., object]) -> Callable[..., Awaitable[object]]:
    async def run(*given: object) -> object:
        found = function(*given)
        return await found if isinstance(found, Awaitable) else found

    return run


def _elsewhere(*_: object) -> object:
    raise RuntimeError("this effect belongs to the other role")
