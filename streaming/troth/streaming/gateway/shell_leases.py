"""Leases as programs: what those of `lease.troth` ask the gateway for, and what the party."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from troth.streaming.gateway.hub import Hub, Party
from troth.streaming.gateway.introductions import (
    NO_REFUSAL,
    RefusalRecord,
    refusal_of,
    refusal_record,
)
from troth.streaming.gateway.leasing import LEAVE, RELAY, RENEWAL, Holding, Leasing, Ticket, Want
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.messages import Refused
from troth.streaming.gateway.shell_line import now_ns
from troth.streaming.gateway.watchers import RELAYS

LEG: Final = "lease"
NONE: Final = ""


class LeaseDesk(LegOwner):
    """The gateway's effects for one party of one session."""

    def __init__(self, hub: Hub, leasing: Leasing, party: Party) -> None:
        self._hub = hub
        self._leasing = leasing
        self._party = party
        self._session = b""
        self._chosen: dict[str, Party] = {}
        self._given = NONE
        self._asked = 0
        self._left = False
        self._cut = False
        self._waits: set[asyncio.Event] = set()

    def cut(self) -> None:
        self._cut = True
        self._wake()

    def over(self, ok: bool) -> None:  # noqa: ARG002 - however it went, nobody waits here now
        for key in (self._session, RELAYS):
            self._hub.watchers.unwatch(key, self._wake)

    # --- effects -----------------------------------------------------------------------------

    def lease_session(self, holding: Holding) -> None:
        self._session, self._given = holding["session"], holding["relay"]
        self._hub.watchers.watch(self._session, self._wake)
        self._wake()

    async def relay_for(self, want: Want) -> str:
        """The clock of the choice runs."""
        self._asked += 1
        asked = self._asked
        self._hub.watchers.watch(RELAYS, self._wake)
        while asked == self._asked and not self._why_not():
            relay = self._leasing.choose(self._session, want)
            if relay is not None:
                return self._choose(relay)
            await self._change()
        return NONE

    def no_relay_came(self) -> None:
        self._asked += 1
        self._wake()
        self._hub.watchers.unwatch(RELAYS, self._wake)
        self._leasing.nothing_came()

    def refusal(self) -> RefusalRecord:
        found = self._leasing.refusal(self._party, self._session, now_ns())
        return NO_REFUSAL if found is None else refusal_record(found)

    def issue_lease(self, relay: str) -> Ticket:
        self._given = relay
        return self._leasing.issue(self._party, self._session, self._chosen[relay], now_ns())

    async def relay_taken(self) -> str:
        while not self._left:
            relay = self._leasing.moved_to(self._session, self._given)
            if relay is not None and not self._why_not():
                return self._choose(relay)
            await self._change()
        return NONE

    def session_left(self) -> None:
        self._left = True
        self._wake()

    # --- waiting -----------------------------------------------------------------------------

    def _why_not(self) -> bool:
        return self._leasing.why_not(self._party, self._session, now_ns()) is not None

    def _choose(self, relay: Party) -> str:
        self._chosen[relay.name] = relay
        return relay.name

    def _wake(self) -> None:
        for wait in self._waits:
            wait.set()

    async def _change(self) -> None:
        if self._cut:
            raise ConnectionError("nobody is there any more who would be given a lease")
        wait = asyncio.Event()
        self._waits.add(wait)
        try:
            await wait.wait()
        finally:
            self._waits.discard(wait)


class LeaseHolder(Protocol):
    """Who uses a party's leases."""

    def leased(self, ticket: Ticket) -> None: ...
    def not_leased(self, refused: Refused) -> None: ...
    def no_relay(self) -> None:
        """The gateway has waited for one for as long as it does."""

    def lease_failed(self, lease: PartyLease) -> None:
        """The program has ended otherwise than it should."""


class PartyLease(LegOwner):
    """A party's effects for one session: it says what it wants, and is given leases."""

    def __init__(self, session: bytes, relay: str, holder: LeaseHolder) -> None:
        """`relay` is the one that there is a lease for already; "" for none."""
        self._holding: Holding = {"session": session, "relay": relay}
        self._holder = holder
        self._excluded: list[str] | None = None
        self._renew = False
        self._left = False
        self._cut = False
        self._changed = asyncio.Event()

    def need(self, except_relays: Sequence[str]) -> None:
        """There is no way without a relay, and not with these."""
        self._excluded = list(except_relays)
        self._changed.set()

    def renew(self) -> None:
        """Most of the time of the lease in use is over."""
        self._renew = True
        self._changed.set()

    def leave(self) -> None:
        self._left = True
        self._changed.set()

    def cut(self) -> None:
        self._cut = True
        self._changed.set()

    def over(self, ok: bool) -> None:
        if not ok and not self._left:
            self._holder.lease_failed(self)

    # --- effects -----------------------------------------------------------------------------

    def own_holding(self) -> Holding:
        return self._holding

    async def next_want(self) -> Want:
        while True:
            want = self._want()
            if want is not None:
                return want
            if self._cut:
                raise ConnectionError("nobody is there any more who would give a lease")
            self._changed.clear()
            await self._changed.wait()

    def use_lease(self, ticket: Ticket) -> None:
        self._holder.leased(ticket)

    def lease_refused(self, refusal: RefusalRecord) -> None:
        self._holder.not_leased(refusal_of(refusal))

    def no_relay_there(self) -> None:
        self._holder.no_relay()

    def _want(self) -> Want | None:
        if self._left:
            return {"kind": LEAVE, "except_relays": []}
        if self._excluded is not None:
            excluded, self._excluded = self._excluded, None
            return {"kind": RELAY, "except_relays": excluded}
        if self._renew:
            self._renew = False
            return {"kind": RENEWAL, "except_relays": []}
        return None
