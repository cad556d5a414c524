"""Connections on record: each is a run of its own, with a bundle, in a file of its own.

What happens is in the file before anything comes of it: a command before it is sent, an event
before a hook hears of it. What came together is said together, and sealed once. A record that
cannot be kept, on a full disk for one, ends nothing: the call goes on, the failure is logged and
reported, and what was written so far can be verified.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from troth import dsl
from troth.streaming.eventsocket.facts import Fact, Shut
from troth.streaming.eventsocket.narrator import APP, SWITCH, Narrator, Plane
from troth.streaming.eventsocket.privacy import Privacy
from troth.vm.errors import TrothError
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.instructions import OpenOptions, Seal
from troth.vm.loaded import LoadedImage
from troth.vm.loader import load
from troth.vm.shell_keys import directory_signer, ephemeral_signer
from troth.vm.shell_options import RunOptions
from troth.vm.shell_stage import Stage, Staged

LOGGER: Final = logging.getLogger("troth.eventsocket")

OUTBOUND: Final = "Outbound"
INBOUND: Final = "Inbound"
_PROTOCOLS: Final = "protocols"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How connections are recorded.

    Attributes:
        folder: where the files go, one for each connection.
        keys: the folder of `App.key` and `observer.key`, which are made when they are missing;
            None for keys that nobody will see again.
        privacy: what of a call a record keeps.
    """

    folder: str | os.PathLike[str] = "calls"
    keys: str | os.PathLike[str] | None = None
    privacy: Privacy = field(default_factory=Privacy)


def recording_of(given: Recording | bool) -> Recording | None:
    """True is for a recording with every default."""
    if isinstance(given, Recording):
        return given
    return Recording() if given else None


class Recorders:
    """Makes the recorder of each connection of one server or client."""

    def __init__(self, recording: Recording, direction: str) -> None:
        """
        Raises:
            TrothError: the keys cannot be used.
            OSError: the folder cannot be made.
        """
        self._recording = recording
        self._direction = direction
        self._image = load(protocol_image(direction))
        self._signer: HostSigner = (
            ephemeral_signer() if recording.keys is None else directory_signer(Path(recording.keys))
        )
        self._began = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self._made = 0
        self._mark = os.urandom(3).hex()
        Path(recording.folder).mkdir(parents=True, exist_ok=True)

    def new(self) -> ConnectionRecorder:
        self._made += 1
        name = f"{self._direction.lower()}-{self._began}-{self._mark}-{self._made:06d}.replay"
        path = os.path.join(self._recording.folder, name)
        return ConnectionRecorder(
            self._image,
            self._direction,
            self._recording.privacy,
            RunOptions(record=path, observed=(SWITCH,)),
            self._signer,
        )


def protocol_image(direction: str) -> Image:
    """The protocols of a direction, as they are in the file of this package."""
    name = f"{direction.lower()}.troth"
    source = resources.files(__package__).joinpath(_PROTOCOLS, name).read_text("utf-8")
    return dsl.compile_module(source, name).image


class PlaneStage:
    """A machine with the bundle of one connection: a session of commands, and one of events.

    What a local type does not allow is a `Fault`, at the next `flush`.
    """

    def __init__(
        self,
        image: Image | LoadedImage,
        direction: str,
        options: RunOptions | None = None,
        signer: HostSigner | None = None,
    ) -> None:
        options = options or RunOptions(observed=(SWITCH,))
        self._stage = Stage(image, options, signer=signer)
        # Without a record there is no log to seal.
        seal = Seal.MESSAGE if options.record is None else Seal.ROUND
        opened = self._stage.open_bundle(direction, OpenOptions(seal=seal))
        self._sessions: dict[Plane, Staged] = {plane: opened[plane.value] for plane in Plane}

    def tell(self, plane: Plane, role: str, label: str, values: tuple[object, ...]) -> None:
        """One message of one of the two sessions, by whichever role says it.

        A session that is at its end is closed by both roles; the bundle is when both are.
        """
        other = SWITCH if role == APP else APP
        session = self._sessions[plane]
        session.queue(role, other, label, *values)
        if session.is_over:
            session.queue_close()

    def flush(self) -> None:
        """What was told is done, and in the file."""
        self._stage.flush()

    def finish(self) -> None:
        """The record is whole, however the connection stands."""
        self._stage.finish()


class ConnectionRecorder:
    """The record of one connection.

    Attributes:
        failure: why the record is not whole, or None.
    """

    def __init__(
        self,
        image: Image | LoadedImage,
        direction: str,
        privacy: Privacy,
        options: RunOptions,
        signer: HostSigner | None = None,
    ) -> None:
        self.path = "" if options.record is None else os.fspath(options.record)
        self.failure: str | None = None
        self._stage: PlaneStage | None = None
        self._narrator: Narrator | None = None
        self._unwritten = False
        self._guarded(lambda: self._begin(image, direction, privacy, options, signer))

    def _begin(
        self,
        image: Image | LoadedImage,
        direction: str,
        privacy: Privacy,
        options: RunOptions,
        signer: HostSigner | None,
    ) -> None:
        stage = self._stage = PlaneStage(image, direction, options, signer)
        self._narrator = Narrator(stage.tell, privacy, one_call=direction == OUTBOUND)

    def note(self, fact: Fact) -> None:
        """Takes a fact into the record; `flush` writes it."""
        narrator = self._narrator
        if narrator is None or self.failure is not None:
            return
        self._guarded(lambda: narrator.note(fact))
        self._unwritten = True
        if isinstance(fact, Shut):
            self._finish()

    def flush(self) -> None:
        """Writes what was noted, before anything comes of it."""
        stage = self._stage
        if self._unwritten and stage is not None and self.failure is None:
            self._unwritten = False
            self._guarded(stage.flush)

    def _finish(self) -> None:
        """The sessions are closed by both roles, and the file is whole."""
        stage = self._stage
        if stage is None or self.failure is not None:
            return
        self._guarded(stage.finish)
        self._stage = None

    def _guarded(self, work: Callable[[], object]) -> None:
        """A record that fails ends no call: it is closed as it is."""
        try:
            work()
        except (TrothError, OSError) as error:
            self.failure = str(error)
            LOGGER.exception("the record %s is not whole", self.path)
            self._give_up()

    def _give_up(self) -> None:
        stage, self._stage = self._stage, None
        if stage is None:
            return
        try:
            stage.finish()
        except (TrothError, OSError):
            LOGGER.exception("the record %s could not be closed", self.path)
