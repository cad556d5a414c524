"""The named limits of a gateway. A refusal for one of them says which."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from troth.vm.errors import Unusable

SECOND_NS: Final = 1_000_000_000
MINUTE_S: Final = 60
FRAME_BYTES_MAX: Final = 65_536
"""The longest message, its length not counted. Longer ones end the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Each is above 0.

    Attributes:
        connections_max: connections at once.
        connections_per_address: of them from one IP address.
        register_s: seconds from the connection to the registration.
        silence_s: seconds without a message after which a connection is closed.
        messages_per_second: of one connection.
        registrations_per_minute: of one IP address.
        offers_per_minute: of one client.
        leases_per_minute: of one party.
        offers_pending_max: offers without an answer, of one host.
        sessions_per_host: sessions of one host at once.
        session_s: seconds for which a session may get leases.
        lease_s: seconds that a lease lasts.
        lease_bytes_per_s: bytes a second that a lease allows.
        lease_packets_per_s: datagrams a second that a lease allows.
        revoke_s: seconds for the parties to confirm a revocation before its report.
        send_bytes_max: bytes that wait for a slow connection before it is closed.
    """

    connections_max: int = 8_192
    connections_per_address: int = 64
    register_s: int = 10
    silence_s: int = 20
    messages_per_second: int = 200
    registrations_per_minute: int = 120
    offers_per_minute: int = 30
    leases_per_minute: int = 30
    offers_pending_max: int = 16
    sessions_per_host: int = 32
    session_s: int = 86_400
    lease_s: int = 300
    lease_bytes_per_s: int = 6_250_000
    lease_packets_per_s: int = 10_000
    revoke_s: int = 1
    send_bytes_max: int = 1 << 20

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise Unusable(
                    "gateway.limits",
                    f"the limit {field.name} is {getattr(self, field.name)}",
                    expected="a number above 0",
                    actual=str(getattr(self, field.name)),
                    advice="Leave it out to get the default",
                )
