"""Sessions all of whose roles the host plays itself: what happens elsewhere, put on record.

An adapter to a system that knows nothing of sessions sees both sides of what passes. On a stage it
says each message for the role that sent it, and hears it for the one that got it. Every step is
one of a machine: held to the local types, signed and recorded. The roles that only were watched
are named as observed, so that nobody takes the observer's word for theirs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from troth.vm.errors import Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.hosted import FIRST_PARK, Action, Player
from troth.vm.image import Image
from troth.vm.image import Protocol as ImageProtocol
from troth.vm.instructions import (
    Branch,
    Cancel,
    Case,
    Close,
    Halt,
    Open,
    OpenOptions,
    Recv,
    Select,
    Send,
)
from troth.vm.role_values import arguments
from troth.vm.session import EndpointState
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import Plays, Run, RunResult
from troth.vm.step_tables import StateTable
from troth.vm.values import RegisterValue

SESSIONS_MAX: Final = 8
"""So many sessions one stage holds: an adapter needs one or two for what it watches."""


class Stage:
    """One machine without programs. Each call is done when it returns.

    Attributes:
        failed: a role did what its local type does not allow; nothing can be done any more.
    """

    def __init__(
        self, image: Image, options: RunOptions, *, signer: HostSigner | None = None
    ) -> None:
        """
        Raises:
            Unusable: code `stage.roles`, for options that share the roles with other machines;
                and all that `run` raises.
        """
        if options.roles is not None:
            raise Unusable(
                "stage.roles",
                "a stage holds all roles of its sessions",
                expected="no roles in its options",
                actual=", ".join(options.roles),
                advice="Name the roles that are only watched in observed",
            )
        self.failed = False
        self._image = image
        self._started_ns = time.monotonic_ns()
        self._values_from = _endpoints_max(image)
        registers = self._values_from + _fields_max(image)
        plays = Plays("the host", registers)
        self._run = Run(image, options, print, None, signer=signer, plays=plays)
        self._registers = 0
        self._hearing: dict[tuple[int, int], Recv | Branch] = {}
        self._run.begin()
        self._go_on()

    def open(self, protocol: str, options: OpenOptions | None = None) -> Staged:
        """Opens a session of a protocol of the image.

        Raises:
            Unusable: code `stage.protocol`, when the image has no such protocol; `stage.sessions`.
            Fault: it cannot be opened.
        """
        found = next((one for one in self._image.protocols if one.name == protocol), None)
        if found is None:
            names = ", ".join(one.name for one in self._image.protocols)
            raise _unusable("protocol", f"a protocol of the image: {names}", ascii(protocol)[:80])
        first = self._registers
        if first + len(found.roles) > self._values_from:
            raise _unusable("sessions", f"at most {SESSIONS_MAX} sessions", "one more")
        self._registers += len(found.roles)
        targets = tuple(range(first, self._registers))
        number = self._image.protocols.index(found)
        self.act(Open(number, targets, options or OpenOptions()))
        return Staged(self, found, first)

    def act(self, action: Action, values: Mapping[int, RegisterValue] | None = None) -> None:
        """Does one thing, and whatever follows from it.

        Raises:
            Fault: the machine refused it; the sessions of this stage are over.
        """
        player = self._player
        player.act(action, values)
        self._go_on()
        fault = player.fault() if player.ended else None
        if fault is not None:
            self.failed = True
            raise fault

    def _go_on(self) -> None:
        """Until nothing can happen without the host."""
        while self._run.machine.run_round(time.monotonic_ns() - self._started_ns):
            self._run.commit()

    def flush(self) -> None:
        """Writes what was recorded: only then may anybody else learn of it.

        Raises:
            TrothError: codes `artifact.…`, when it cannot be written.
        """
        if self._run.recorder is not None:
            self._run.flush(force=True)

    def finish(self) -> RunResult:
        """Ends the machine and the record."""
        with self._run.stopping():
            if not self._player.ended:
                self.act(Halt())
            return self._run.finish()

    def prepare(
        self, protocol: ImageProtocol, cell: int, label: str, values: tuple[object, ...]
    ) -> tuple[tuple[int, ...], dict[int, RegisterValue], bool]:
        """Registers for the fields of a message, what is in them, and whether it is chosen."""
        endpoint = self._player.cell(cell)
        assert isinstance(endpoint, EndpointState), "sessions are opened before they are used"
        transition = endpoint.state.sends.get(label)
        given: list[RegisterValue] = []
        if transition is not None:
            given = arguments(
                transition.fields, values, {}, f"{label} of {protocol.name}", self._run.blobs
            )
        first = self._values_from
        registers = tuple(range(first, first + len(given)))
        chosen = len(endpoint.state.sends) > 1
        return registers, dict(zip(registers, given, strict=True)), chosen

    def hearing(self, cell: int, peer: str, label: str) -> Recv | Branch:
        """Takes the message that comes next, which has this label."""
        endpoint = self._player.cell(cell)
        assert isinstance(endpoint, EndpointState), "sessions are opened before they are used"
        key = (cell, endpoint.state.number)
        known = self._hearing.get(key)
        if known is None:
            known = self._hearing[key] = self._make_hearing(cell, peer, label, endpoint.state)
        return known

    def _make_hearing(self, cell: int, peer: str, label: str, state: StateTable) -> Recv | Branch:
        first = self._values_from
        targets = {
            name: tuple(range(first, first + len(transition.fields)))
            for name, transition in state.receives.items()
        }
        if len(targets) < 2:
            return Recv(cell, peer, label, targets.get(label, ()))
        cases = enumerate(sorted(targets.items()))
        return Branch(
            cell, peer, tuple(Case(name, into, FIRST_PARK + i) for i, (name, into) in cases)
        )

    @property
    def reason_register(self) -> int:
        return self._values_from

    @property
    def _player(self) -> Player:
        assert self._run.player is not None, "a stage plays"
        return self._run.player


class Staged:
    """One session on a stage."""

    def __init__(self, stage: Stage, protocol: ImageProtocol, first: int) -> None:
        self.protocol = protocol
        self._stage = stage
        self._cells = {role: first + place for place, role in enumerate(protocol.roles)}

    def say(self, sender: str, receiver: str, label: str, *values: object) -> None:
        """A message passes from one role to another.

        Raises:
            Fault: a local type does not allow it; the sessions of the stage are over.
            Unusable: code `role.value`.
        """
        stage = self._stage
        cell = self._cells[sender]
        registers, cells, chosen = stage.prepare(self.protocol, cell, label, values)
        action = Select if chosen else Send
        stage.act(action(cell, receiver, label, registers), cells)
        stage.act(stage.hearing(self._cells[receiver], sender, label))

    def close(self) -> None:
        """Every role says that it is done.

        Raises:
            Fault: a local type asks for more.
        """
        for cell in self._cells.values():
            self._stage.act(Close(cell))

    def cancel(self, role: str, reason: str) -> None:
        """A role ends the session before its time."""
        register = self._stage.reason_register
        self._stage.act(Cancel(self._cells[role], register), {register: reason})


def _endpoints_max(image: Image) -> int:
    return SESSIONS_MAX * max((len(one.roles) for one in image.protocols), default=1)


def _fields_max(image: Image) -> int:
    """Registers for the fields of one message, or for a reason to cancel."""
    counts = [
        len(step.fields)
        for protocol in image.protocols
        for local in protocol.local_types
        for state in local.states
        for step in state.transitions
    ]
    return max([1, *counts])


def _unusable(what: str, expected: str, actual: str) -> Unusable:
    return Unusable(
        f"stage.{what}", f"the {what} of a stage cannot be used", expected=expected, actual=actual
    )
