"""The metrics, health and last events of a host or client process, over all of its sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from troth.streaming.session.shell_party import Party
from troth.streaming.shell_metrics import MetricsServer
from troth.streaming.tally import Tally
from troth.vm.errors import Unusable
from troth.vm.shell_line import Address

EVENTS_SHOWN: Final = 512


class RoleMetrics:
    """Counts on from one session to the next. `present` is the session that there is now."""

    def __init__(
        self,
        role: str,
        ready: Callable[[], bool],
        before_reading: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        """`before_reading` puts in what the process counts outside of sessions."""
        self._role = role
        self._before_reading = before_reading
        self._ready = ready
        self._past = Tally()
        self._present: Party | None = None
        self._server: MetricsServer | None = None

    def begins(self, party: Party) -> None:
        """A session begins; the one before it is over."""
        self._settle()
        self._present = party

    def _settle(self) -> None:
        if self._present is not None:
            self._past.take_in(self._present.telemetry.read())

    def text(self) -> str:
        """Of all sessions together."""
        present = Tally() if self._present is None else self._present.telemetry.read()
        together = self._past.with_other(present)
        self._before_reading(together)
        return together.prometheus(self._role)

    def _events(self) -> tuple[int, str]:
        if self._present is None:
            return 200, ""
        newest = list(self._present.telemetry.events)[-EVENTS_SHOWN:]
        return 200, "".join(f"{event.line()}\n" for event in newest)

    def _readiness(self) -> tuple[int, str]:
        return (200, "ok\n") if self._ready() else (503, "no session can be had now\n")

    async def serve(self, address: Address) -> int:
        """Serves four pages there, and says at which port.

        Raises:
            Unusable: code `stream.metrics`.
        """
        self._server = MetricsServer(
            {
                "/metrics": lambda: (200, self.text()),
                "/health": lambda: (200, f"ok {self._role.lower()}\n"),
                "/ready": self._readiness,
                "/events": self._events,
            }
        )
        try:
            return await self._server.start(address.host, address.port)
        except OSError as error:
            raise Unusable(
                "stream.metrics",
                f"metrics cannot be served at {address}: {error.strerror or error}",
                expected="an address of this machine and a port that is free",
                advice="Choose another port, or 0 for any",
            ) from error

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
