"""What goes wrong between a party and its gateway."""

from __future__ import annotations

from troth.streaming.gateway.messages import Refused
from troth.vm.errors import TrothError


class GatewayFailure(TrothError):
    """The gateway cannot be reached, or has refused."""


def refused(message: Refused) -> GatewayFailure:
    """The error of a refusal, with the limit and the wait when there are some."""
    wait = f"; try again in {message.wait_ms / 1_000:g} s" if message.wait_ms else ""
    return GatewayFailure(
        "gateway.refused",
        f"the gateway refuses: {message.text}",
        actual=message.code,
        advice=f"See the page on gateways for {message.code}{wait}",
    )


def gateway_failure(code: str, what: str, expected: str, actual: str) -> GatewayFailure:
    return GatewayFailure(
        code,
        what,
        expected=expected,
        actual=actual,
        advice="See that the gateway runs and that the address is right",
    )


def gateway_ended(expected: str) -> GatewayFailure:
    return gateway_failure("gateway.ended", "the gateway's connection ended", expected, "its end")
