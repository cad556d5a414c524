"""Between one machine and the performer of its effects: what was asked for, and what came of it.

The machine is told in the order in which effects end, and that order is what its evidence
records; so a run can be done again from its record, however its effects overlapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from troth.vm.events import Event, Status, StatusChanged
from troth.vm.machine import Machine
from troth.vm.shell_performer import EffectPerformer
from troth.vm.turn import EffectRequest

STRANDED: Final = "it was cancelled: all sessions of the program that asked have broken off"
_BROKEN_OFF: Final = (Status.CANCELLED, Status.FAULTED)


class EffectDoor:
    """The way from `poll_effects` to `complete` and `complete_failed`."""

    def __init__(self, machine: Machine, performer: EffectPerformer) -> None:
        self._machine = machine
        self.performer = performer

    def release(self, requests: Iterable[EffectRequest], events: Sequence[Event]) -> None:
        """Starts what the machine asks for, and cancels what `events` made pointless.

        Both are what the machine gave since the last call, and are in the evidence already.
        """
        self.performer.start(requests, clocked=self._machine.choice_deadline_ns() is not None)
        for effect_id in self._machine.abandoned():
            self.performer.give_up(effect_id)
        if any(type(event) is StatusChanged and event.status in _BROKEN_OFF for event in events):
            for effect_id in self.performer.cancellable():
                if self._machine.stranded(effect_id):
                    self.performer.cancel(effect_id, STRANDED)

    def deliver(self) -> bool:
        """Tells the machine what has finished; False when it must not run another round yet.

        It must not while serial effects are outstanding: they are answered before the next
        round, so a run that has no others repeats exactly.

        Raises:
            KeyboardInterrupt: when a function of the host raised it.
        """
        for effect_id, failure, value in self.performer.poll():
            if not self._machine.awaits(effect_id):
                # Somebody else has told the machine, so there is nothing left to say.
                continue
            if failure is None:
                self._machine.complete(effect_id, value)
            else:
                self._machine.complete_failed(effect_id, failure)
        return not self.performer.serial_outstanding
