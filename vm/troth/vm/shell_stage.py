"""Sessions all of whose roles the host plays itself: what happens elsewhere, put on record.

An adapter to a system that knows nothing of sessions sees both sides of what passes. On a stage it
says each message for the role that sent it, and hears it for the one that got it. Every step is
one of a machine: held to the local types, signed and recorded. The roles that only were watched
are named as observed, so that nobody takes the observer's word for theirs.

Messages that came together can be queued and said together: what of them does not wait for an
answer is one round of the machine, and where sessions are sealed by round, one seal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from troth.vm.errors import Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.hosted import FIRST_PARK, Action, Player, Prepared, decode
from troth.vm.image import Image
from troth.vm.image import Protocol as ImageProtocol
from troth.vm.instructions import (
    Branch,
    Cancel,
    Case,
    Close,
    Halt,
    Open,
    OpenBundle,
    OpenOptions,
    Recv,
    Select,
    Send,
)
from troth.vm.loaded import LoadedImage
from troth.vm.role_values import arguments
from troth.vm.session import EndpointState
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import Plays, Run, RunResult
from troth.vm.step_common import Step
from troth.vm.step_tables import StateTable
from troth.vm.types import CRASH, StateKind
from troth.vm.values import RegisterValue

SESSIONS_MAX: Final = 8
"""So many sessions one stage holds: an adapter needs one or two for what it watches."""

QUEUED_MAX: Final = 64
"""So many actions wait at most until they are done."""


_HALT: Final = Prepared(decode(Halt()))


class Stage:
    """One machine without programs.

    Attributes:
        failed: a role did what its local type does not allow; nothing can be done any more.
    """

    def __init__(
        self,
        image: Image | LoadedImage,
        options: RunOptions,
        *,
        signer: HostSigner | None = None,
    ) -> None:
        """Whoever has many stages of one image loads it once, with `load`.

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
        self._image = image.image if isinstance(image, LoadedImage) else image
        self._started_ns = time.monotonic_ns()
        self._values_from = _endpoints_max(self._image)
        registers = self._values_from + _fields_max(self._image)
        plays = Plays("the host", registers)
        self._run = Run(image, options, print, None, signer=signer, plays=plays)
        self._registers = 0
        self._queue: list[Prepared] = []
        self._unheard: dict[int, list[Prepared]] = {}
        self._steps: dict[tuple[int, int, str], Step] = {}
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
        (targets,) = self._take_registers([found])
        number = self._image.protocols.index(found)
        self.act(Open(number, targets, options or OpenOptions()))
        return self._staged(found, targets)

    def open_bundle(self, bundle: str, options: OpenOptions | None = None) -> dict[str, Staged]:
        """Opens the sessions of a bundle of the image, by their names in it.

        Raises:
            Unusable: code `stage.bundle`, when the image has no such bundle; `stage.sessions`.
            Fault: it cannot be opened.
        """
        found = next((one for one in self._image.bundles if one.name == bundle), None)
        if found is None:
            names = ", ".join(one.name for one in self._image.bundles) or "it has none"
            raise _unusable("bundle", f"a bundle of the image: {names}", ascii(bundle)[:80])
        protocols = [self._image.protocols[child.protocol] for child in found.children]
        taken = self._take_registers(protocols)
        number = self._image.bundles.index(found)
        self.act(OpenBundle(number, sum(taken, ()), options or OpenOptions()))
        children = zip(found.children, protocols, taken, strict=True)
        return {child.name: self._staged(protocol, into) for child, protocol, into in children}

    def _take_registers(self, protocols: list[ImageProtocol]) -> list[tuple[int, ...]]:
        """A register for each endpoint of these sessions."""
        taken = []
        first = self._registers
        for protocol in protocols:
            taken.append(tuple(range(first, first + len(protocol.roles))))
            first += len(protocol.roles)
        if first > self._values_from:
            raise _unusable("sessions", f"at most {SESSIONS_MAX} sessions", "one more")
        self._registers = first
        return taken

    def _staged(self, protocol: ImageProtocol, cells: tuple[int, ...]) -> Staged:
        return Staged(self, protocol, dict(zip(protocol.roles, cells, strict=True)))

    def act(self, action: Action, values: Mapping[int, RegisterValue] | None = None) -> None:
        """Does what is queued, then one thing, and whatever follows from it.

        Raises:
            Fault: the machine refused it; the sessions of this stage are over.
        """
        self.settle()
        self._player.act(action, values)
        self._go_on()
        self._raise_fault()

    def settle(self) -> None:
        """Does what is queued.

        Raises:
            Fault: the machine refused some of it; the sessions of this stage are over.
        """
        self._hear_all()
        if not self._queue:
            return
        queued, self._queue = self._queue, []
        self._player.act_in_turn(queued)
        self._go_on()
        self._raise_fault()

    def _raise_fault(self) -> None:
        player = self._player
        fault = player.fault() if player.ended else None
        if fault is not None:
            self.failed = True
            raise fault

    def _go_on(self) -> None:
        """Until nothing can happen without the host."""
        while self._run.machine.run_round(time.monotonic_ns() - self._started_ns):
            self._run.commit()

    def flush(self) -> None:
        """Does what is queued and writes it: only then may anybody else learn of it.

        Raises:
            Fault: as `settle`; what was done before it is written.
            TrothError: codes `artifact.…`, when it cannot be written.
        """
        try:
            self.settle()
        finally:
            if self._run.recorder is not None:
                self._run.flush(force=True)

    def finish(self) -> RunResult:
        """Does what is queued, and ends the machine and the record."""
        with self._run.stopping():
            if not self._player.ended:
                self._hear_all()
                self._queue.append(_HALT)
                self.settle()
            return self._run.finish()

    # --- for the sessions --------------------------------------------------------------------

    def endpoint(self, cell: int) -> EndpointState:
        endpoint = self._player.cell(cell)
        assert isinstance(endpoint, EndpointState), "sessions are opened before they are used"
        return endpoint

    def queue(self, cell: int, said: Prepared) -> None:
        """One role's message, to be said after what the role has heard, and with what follows.

        Raises:
            Fault: as `settle`, when much waits already.
        """
        if len(self._queue) >= QUEUED_MAX:
            self.settle()
        self._hear(cell)
        self._queue.append(said)

    def queue_hearing(self, cell: int, heard: Prepared, places: int) -> None:
        """What was said is heard when the role speaks, or when its edge would have no place."""
        unheard = self._unheard.setdefault(cell, [])
        unheard.append(heard)
        if len(unheard) >= places:
            self._hear(cell)

    def queue_closing(self, cell: int) -> None:
        """A role's notice, after all that it hears."""
        self._hear(cell)
        self._queue.append(Prepared(decode(Close(cell))))

    def _hear_all(self) -> None:
        for cell in self._unheard:
            self._hear(cell)

    def _hear(self, cell: int) -> None:
        unheard = self._unheard.get(cell)
        if unheard:
            self._queue += unheard
            unheard.clear()

    def saying(
        self,
        protocol: ImageProtocol,
        cell: int,
        peer: str,
        state: StateTable,
        label: str,
        values: tuple[object, ...],
    ) -> Prepared:
        """Sends a message from `state`."""
        transition = state.sends.get(label)
        given: list[RegisterValue] = []
        if transition is not None:
            what = f"{label} of {protocol.name}"
            given = arguments(transition.fields, values, {}, what, self._run.blobs)
        key = (cell, state.number, label)
        step = self._steps.get(key)
        if step is None:
            first = self._values_from
            registers = tuple(range(first, first + len(given)))
            chosen = Select if len(state.sends) > 1 else Send
            step = decode(chosen(cell, peer, label, registers))
            if transition is not None and len(given) == len(transition.fields):
                self._steps[key] = step
        return Prepared(step, tuple(enumerate(given, self._values_from)))

    def hearing(self, cell: int, peer: str, state: StateTable, label: str) -> Prepared:
        """Takes the message that comes next in `state`, which has this label."""
        key = (cell, state.number, "")
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = decode(self._hearing(cell, peer, state, label))
        return Prepared(step)

    def _hearing(self, cell: int, peer: str, state: StateTable, label: str) -> Recv | Branch:
        first = self._values_from
        targets = {
            name: tuple(range(first, first + len(transition.fields)))
            for name, transition in state.receives.items()
        }
        if state.crash is not None:
            # A stage hears what was said; but the type has this case, so the receive has it.
            targets[CRASH] = ()
        if len(targets) < 2:
            return Recv(cell, peer, label, targets.get(label, ()))
        cases = sorted(targets.items())
        return Branch(cell, peer, tuple(Case(name, into, FIRST_PARK) for name, into in cases))

    @property
    def reason_register(self) -> int:
        return self._values_from

    @property
    def _player(self) -> Player:
        assert self._run.player is not None, "a stage plays"
        return self._run.player


class Staged:
    """One session on a stage."""

    def __init__(self, stage: Stage, protocol: ImageProtocol, cells: Mapping[str, int]) -> None:
        self.protocol = protocol
        self._stage = stage
        self._cells = dict(cells)
        # Where each role will be in its local type once everything is done that it was given.
        self._states = {role: stage.endpoint(cell).state for role, cell in cells.items()}

    def say(self, sender: str, receiver: str, label: str, *values: object) -> None:
        """A message passes from one role to another. What is queued passes before it.

        Raises:
            Fault: a local type does not allow it; the sessions of the stage are over.
            Unusable: code `role.value`.
        """
        self.queue(sender, receiver, label, *values)
        self._stage.settle()

    def queue(self, sender: str, receiver: str, label: str, *values: object) -> None:
        """A message is to pass: it does before whatever else is done on the stage.

        Raises:
            Unusable: code `role.value`; the message does not pass.
            Fault: as `Stage.settle`, when much waits already.
        """
        stage = self._stage
        cell, state = self._cells[sender], self._states[sender]
        stage.queue(cell, stage.saying(self.protocol, cell, receiver, state, label, values))
        step, edge = state.sends.get(label), stage.endpoint(cell).outgoing.get(receiver)
        if step is None or edge is None or step.peer != receiver:
            return  # For the machine to refuse.
        self._states[sender] = step.next
        into, there = self._cells[receiver], self._states[receiver]
        stage.queue_hearing(into, stage.hearing(into, sender, there, label), edge.buffer.capacity)
        heard = there.receives.get(label)
        if heard is not None:
            self._states[receiver] = heard.next

    @property
    def is_over(self) -> bool:
        """Whether the protocol is at its end for every role, once all is done that is queued."""
        return all(state.kind is StateKind.END for state in self._states.values())

    def close(self) -> None:
        """Every role says that it is done.

        Raises:
            Fault: a local type asks for more.
        """
        self.queue_close()
        self._stage.settle()

    def queue_close(self) -> None:
        """Every role will say that it is done, behind what is queued."""
        for cell in self._cells.values():
            self._stage.queue_closing(cell)

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
