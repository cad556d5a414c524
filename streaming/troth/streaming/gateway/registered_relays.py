"""Relays at the gateway: what the program of a registration asks it for."""

from __future__ import annotations

from typing import Final, TypedDict

from troth.streaming.gateway.hub import Hub, Party
from troth.streaming.gateway.legs import LegOwner
from troth.streaming.gateway.watchers import RELAYS

SESSIONS_MAX: Final = 1 << 20
NOT_REGISTERED: Final = (0, 0)
"""The load of a relay that is given no session."""


class Place(TypedDict):
    """What a relay says of itself, in its program's first message."""

    name: str
    address: str
    sessions_max: int


class RelayDesk(LegOwner):
    """The gateway's effects of one relay's registration."""

    def __init__(self, hub: Hub, relay: Party) -> None:
        self._hub = hub
        self._relay = relay

    def over(self, ok: bool) -> None:
        """However it went: a relay whose program has ended is given no more sessions."""
        if not ok and self._relay.load != NOT_REGISTERED:
            self.relay_gone("lost")
        self._relay.load = NOT_REGISTERED

    def register_relay(self, place: Place) -> str:
        """Why not; "" when it is registered. Its connection has proved name and address."""
        relay = self._relay
        registration = relay.registration
        if registration is None or place["name"] != relay.name:
            return "name"
        if place["address"] != address_text(registration.host, registration.port):
            return "address"
        if not 0 < place["sessions_max"] <= SESSIONS_MAX:
            return "sessions_max"
        relay.load = (0, place["sessions_max"])
        self._hub.watchers.changed(RELAYS)
        return ""

    def take_beat(self, sessions: int) -> bool:
        """Notes how many sessions the relay carries; whether it is to go on."""
        relay = self._relay
        fewer = sessions < relay.load[0]
        relay.load = (max(0, sessions), relay.load[1])
        if fewer:
            self._hub.watchers.changed(RELAYS)
        return not relay.draining

    def relay_gone(self, reason: str) -> None:
        """It gets no more sessions; those that it has go on."""
        self._relay.load = NOT_REGISTERED
        self._hub.happenings.note("relay_gone", reason=reason)


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
