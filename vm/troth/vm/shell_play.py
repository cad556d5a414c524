"""One machine whose only coroutine the host drives, on the host's event loop.

The machine goes on by itself, in a task: it answers the other machines while the role thinks. An
action is given to it, and is done once what it did is in the record and has been let out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from troth.vm.errors import Unusable
from troth.vm.hosted import Action, Player
from troth.vm.shell_run import Run, RunResult
from troth.vm.shell_spread import ExpectedKeys, LinkOptions, Spread
from troth.vm.values import RegisterValue


class Play:
    """
    Attributes:
        left: an action whose caller was cancelled when it could no longer be taken back.
    """

    def __init__(
        self,
        one: Run,
        roles: tuple[str, ...],
        links: LinkOptions,
        expected_key: ExpectedKeys,
    ) -> None:
        assert one.player is not None, "the run is one that plays"
        self.player: Player = one.player
        self.left: Action | None = None
        self._one = one
        self._spread = Spread(one, roles, links, expected_key, self._committed)
        self._done: asyncio.Future[None] | None = None
        self._ticked = asyncio.Event()
        self._task: asyncio.Task[RunResult] | None = None

    async def start(self) -> None:
        """
        Raises:
            Unusable: codes `link.…`, `artifact.…`, `machine.…`.
        """
        self._one.begin()
        self._task = asyncio.create_task(self._spread.to_the_end())
        self._task.add_done_callback(self._over)
        await self._settled()

    async def act(self, action: Action, values: Mapping[int, RegisterValue] | None = None) -> None:
        """Does `action`, and waits until it is done.

        Cancelled while it waits for another party it is taken back; what has happened has.

        Raises:
            Fault: the action was refused, and the session has ended.
            Unusable: code `role.busy`, `role.over`; and what stopped the machine.
        """
        if self._done is not None:
            raise Unusable(
                "role.busy",
                "the role is still at something else",
                expected="one call after the other",
                actual="a call while another waits",
                advice="Await each call before the next; several roles can run side by side",
            )
        if self.left is not None:
            await self.settle()
        if self.player.ended or self._task is None or self._task.done():
            raise _over(self.player)
        self.player.act(action, values)
        self._spread.wake()
        try:
            await self._settled()
        except asyncio.CancelledError:
            if not self.player.withdraw():
                self.left = action
            raise
        self._raise_fault()

    async def until_late(self) -> None:
        """Until the clock that was started last has run out, or the machine has ended."""
        while self.player.clock_runs and not self.player.ended:
            self._ticked.clear()
            await self._ticked.wait()

    async def settle(self) -> bool:
        """Waits for what was left over, if anything was; whether it was done.

        Raises:
            Fault: it was refused.
        """
        if self.left is None:
            return False
        if not self.player.parked and not self.player.ended:
            await self._settled()
        done, self.left = self.left is not None, None
        self._raise_fault()
        return done

    async def finish(self) -> RunResult:
        """When the machine has ended: the session is over, and the record whole."""
        assert self._task is not None, "it has been started"
        return await self._task

    async def abandon(self) -> None:
        """Stops where it is: the record is incomplete."""
        assert self._task is not None, "it has been started"
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _raise_fault(self) -> None:
        fault = self.player.fault() if self.player.ended else None
        if fault is not None:
            raise fault

    async def _settled(self) -> None:
        self._done = asyncio.get_running_loop().create_future()
        try:
            await self._done
        finally:
            self._done = None

    def _committed(self) -> None:
        self._ticked.set()
        if self.left is not None and self.player.withdraw():
            # Nobody waits for it any more: it need not go on waiting for others.
            self.left = None
        done = self._done
        if done is not None and not done.done() and (self.player.parked or self.player.ended):
            done.set_result(None)

    def _over(self, task: asyncio.Task[RunResult]) -> None:
        self._ticked.set()
        done = self._done
        error = None if task.cancelled() else task.exception()
        if done is None or done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_exception(_over(self.player))


def _over(player: Player) -> Unusable:
    fault = player.fault()
    return Unusable(
        "role.over",
        "the role has played to its end",
        expected="a role that goes on",
        actual="one that has ended" if fault is None else f"one that faulted with {fault.code}",
        advice="Join another session",
    )
