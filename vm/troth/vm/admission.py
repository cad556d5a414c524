"""What a session needs before it can be opened: settings that hold, and sound keys."""

from __future__ import annotations

from typing import Final

from troth.vm.errors import TrothError
from troth.vm.faults import fault
from troth.vm.instructions import Open, Seal
from troth.vm.settings import Settled, settle
from troth.vm.turn import Context, Turn

OBSERVER: Final = "observer"
"""Whose key it is that signs for the roles that are observed."""


def settle_session(context: Context, instruction: Open) -> Settled:
    """What the machines of a session have to agree on, besides who stands behind its roles.

    Raises:
        Fault: `vm.fault.open` or `vm.fault.limit`.
    """
    tables = context.loaded.protocols[instruction.protocol]
    protocol = tables.protocol
    if len(instruction.targets) != len(protocol.roles):
        raise fault(
            "vm.fault.open",
            f"{protocol.name} is opened with the wrong number of endpoints",
            expected=f"{len(protocol.roles)} registers",
            actual=str(len(instruction.targets)),
        )
    if len(protocol.roles) > context.limits.roles_max:
        raise fault(
            "vm.fault.limit",
            f"{protocol.name} has too many roles",
            expected=f"at most roles_max = {context.limits.roles_max} roles",
            actual=str(len(protocol.roles)),
        )
    settled = settle(
        tables, instruction.options, instruction.handlers, context.overrides, context.limits
    )
    if settled.seal is Seal.ROUND and not context.keeps_logs:
        raise fault(
            "vm.fault.open",
            f"{protocol.name} cannot be sealed by round: this machine keeps no logs",
            expected="seal = message, or a machine that was given an evidence log",
            actual="seal = round",
        )
    return settled


def principal_of(turn: Turn, name: str, role: str) -> bytes:
    """The sound public key of who stands behind a role of this machine.

    `name` is that of the protocol, or of the bundle.

    Raises:
        Fault: `vm.fault.key`.
    """
    try:
        key = turn.context.roster.principal(name, role)
    except TrothError as error:
        raise fault(
            "vm.fault.key",
            f"nobody stands behind {role} of {name}: {error.message}",
            expected=error.expected,
            actual=error.actual,
            advice=error.advice,
        ) from error
    require_sound_key(turn.context, name, role, key)
    return key


def require_sound_key(context: Context, protocol: str, role: str, key: bytes) -> None:
    """
    Raises:
        Fault: `vm.fault.key`.
    """
    if not context.substitutes.acceptable_key(key):
        raise fault(
            "vm.fault.key",
            f"the key of {role} of {protocol} is not a sound Ed25519 public key",
            expected="32 bytes, canonical, of the prime order",
            actual=key.hex(),
        )
