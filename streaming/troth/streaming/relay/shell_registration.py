"""A relay's registration: what its program asks the relay for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.registered_relays import Place, address_text
from troth.streaming.paths.addresses import Address
from troth.streaming.relay.core import RelayCore


class RelayRegistration(LegOwner):
    """The relay's effects of one registration.

    Attributes:
        known: the gateway has registered the relay.
        refusal: why the gateway refuses it; "" when it does not.
    """

    def __init__(
        self,
        core: RelayCore,
        name: str,
        public: Address,
        *,
        on_registered: Callable[[], None],
        on_drain: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> None:
        """
        Attributes:
            on_drain: is called when the gateway wants the relay to take no new sessions.
            on_failed: is called when the program has ended otherwise than it should.
        """
        self.known = False
        self.refusal = ""
        self._core = core
        self._name = name
        self._public = public
        self._on_registered = on_registered
        self._on_drain = on_drain
        self._on_failed = on_failed
        self._waiting: asyncio.Future[None] | None = None
        self._leaves = False
        self._cut = False

    def leave(self) -> None:
        """The relay wants to leave: the program says so."""
        self._leaves = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def cut(self) -> None:
        """There is no gateway any more to leave: nothing is waited for."""
        self._cut = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the gateway's connection ended"))

    def over(self, ok: bool) -> None:
        if self.refusal or not ok:
            self._on_failed()

    # --- effects -----------------------------------------------------------------------------

    def relay_place(self) -> Place:
        address = address_text(self._public.host, self._public.port)
        most = self._core.limits.sessions_max
        return {"name": self._name, "address": address, "sessions_max": most}

    def registered(self) -> None:
        self.known = True
        self._on_registered()

    def registration_refused(self, reason: str) -> None:
        self.refusal = reason

    async def relay_leaving(self) -> None:
        """Waits until the relay leaves. An earlier wait has run out of time: nobody hears it."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = asyncio.get_running_loop().create_future()
        if self._cut:
            raise ConnectionError("the gateway's connection ended")
        if not self._leaves and not self._core.draining:
            await self._waiting

    def relay_load(self) -> int:
        return self._core.sessions

    def drain(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._on_drain()
