"""From a connection to a known party: the challenge, the proof, and who takes whose place."""

from __future__ import annotations

from troth.streaming.gateway import messages as m
from troth.streaming.gateway.binding import RegistrationRecord, registration_of
from troth.streaming.gateway.codec import KEY_BYTES, VERSION
from troth.streaming.gateway.hub import Close, Hub, Party, Refusal
from troth.streaming.gateway.limits import SECOND_NS
from troth.streaming.gateway.messages import PartyKind
from troth.streaming.gateway.proofs import (
    Challenge,
    Registration,
    bound_statement,
    is_registered_by,
    sign,
)
from troth.streaming.gateway.store import Principal
from troth.streaming.paths.addresses import address_of, why_unusable
from troth.streaming.relay.buckets import TokenBucket
from troth.vm.errors import Invalid, Malformed
from troth.vm.signatures import acceptable_key

_KINDS = {kind.value: kind for kind in PartyKind}


def connect(hub: Hub, connection: int, address: str, now_ns: int) -> Party:
    """A new connection gets a challenge of its own, or is told that there are too many."""
    challenge = Challenge(VERSION, hub.public_key, hub.random(KEY_BYTES))
    rate = hub.limits.messages_per_second
    bucket = TokenBucket(rate, 2 * rate, now_ns)
    party = Party(connection, address, challenge, now_ns, now_ns, bucket)
    hub.counters.connections += 1
    same = sum(other.address == address for other in hub.parties.values())
    hub.parties[connection] = party
    if len(hub.parties) > hub.limits.connections_max:
        _turn_away(hub, party, "connections_max")
    elif same >= hub.limits.connections_per_address:
        _turn_away(hub, party, "connections_per_address")
    return party


def _turn_away(hub: Hub, party: Party, limit: str) -> None:
    hub.over_limit(party, 0, limit)
    hub.out.append(Close(party.connection))


def begin(hub: Hub, party: Party, now_ns: int) -> bool:
    """The first word of a party's program: whether it may go on, which is counted."""
    if not party.binding:
        wait_ns = hub.rates.wait_ns("registrations_per_minute", party.address, now_ns)
        if wait_ns:
            hub.over_limit(party, 0, "registrations_per_minute", wait_ns)
            hub.out.append(Close(party.connection))
            return False
        party.binding = True
    return True


def register(
    hub: Hub, party: Party, record: RegistrationRecord, keys: frozenset[bytes]
) -> m.Refused | bytes:
    """Makes a party known: what the gateway signs for it; or why not.

    `keys` are those that the party's machine has proved.
    """
    try:
        registration = registration_of(record)
    except Malformed as error:
        return hub.refusal(
            Refusal.MESSAGE, detail=f"expected {error.expected}, found {error.actual}"
        )
    refusal, detail = _why_not(hub, party, registration, keys)
    if refusal is not None:
        return hub.refusal(refusal, detail=detail)
    kind = _KINDS[registration.kind]
    party.kind, party.name, party.key = kind, registration.name, registration.key
    party.registration = registration
    _take_place(hub, party, kind)
    hub.store.keep_principal(Principal(registration.key, registration.name))
    hub.counters.registrations += 1
    hub.happenings.note("registered", kind=kind.value)
    return sign(hub.signing_key, bound_statement(party.challenge, registration))


def _why_not(
    hub: Hub, party: Party, message: Registration, keys: frozenset[bytes]
) -> tuple[Refusal | None, str]:
    kind = _KINDS.get(message.kind)
    if kind is None:
        return Refusal.KIND, ""
    proved = message.key in keys and acceptable_key(message.key)
    if not proved or not is_registered_by(party.challenge, message):
        return Refusal.SIGNATURE, ""
    admitted = hub.admitted.get(kind, frozenset())
    if admitted is not None and message.key not in admitted:
        return Refusal.NOT_ADMITTED, message.kind
    known = hub.store.principal(message.key)
    if known is not None and known.banned:
        return Refusal.BANNED, ""
    named = hub.store.principal_named(message.name)
    if named is not None and named.key != message.key:
        return Refusal.NAME_TAKEN, ""
    return _relay_part(message) if kind is PartyKind.RELAY else (None, "")


def _relay_part(message: Registration) -> tuple[Refusal | None, str]:
    """A relay has to be reachable at the address that it gives: parties are sent there."""
    if len(message.exchange_key) != KEY_BYTES:
        return Refusal.MESSAGE, "a relay has an exchange key"
    try:
        reason = why_unusable(address_of(message.host, message.port))
    except Invalid as error:
        reason = error.message
    if reason is not None:
        return Refusal.MESSAGE, f"the relay's address {ascii(message.host)[:60]}: {reason}"
    return None, ""


def _take_place(hub: Hub, party: Party, kind: PartyKind) -> None:
    old = hub.by_key.get((kind, party.key))
    if old is not None:
        forget(hub, old)
        hub.refuse(old, Refusal.REPLACED)
        hub.out.append(Close(old.connection))
    hub.by_key[kind, party.key] = party
    if kind is PartyKind.HOST:
        hub.hosts[party.name] = party
    elif kind is PartyKind.RELAY:
        hub.relays[party.name] = party


def forget(hub: Hub, party: Party) -> None:
    """Takes a connection's entries away, and never those of the one that replaced it."""
    if party.kind is not None and hub.by_key.get((party.kind, party.key)) is party:
        del hub.by_key[party.kind, party.key]
    for table in (hub.hosts, hub.relays):
        if table.get(party.name) is party:
            del table[party.name]


def overdue(hub: Hub, party: Party, now_ns: int) -> Refusal | None:
    """Whether a connection has been silent, or unregistered, for too long."""
    limits = hub.limits
    if party.kind is None and now_ns - party.opened_ns >= limits.register_s * SECOND_NS:
        return Refusal.SILENT
    if now_ns - party.heard_ns >= limits.silence_s * SECOND_NS:
        return Refusal.SILENT
    return None
