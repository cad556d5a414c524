"""What a record of one party says about its session: control messages, frames, and the end.

The record is read and not judged; `troth verify` does that. A record that stops early gives what
it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO, Final, TypeAlias

from troth.streaming.adaptation import Decision
from troth.streaming.media.viewing import Epoch
from troth.vm.codec import decode
from troth.vm.errors import Malformed
from troth.vm.events import Arrived, Cancelled, Event, Faulted, Opened, Sent, StatusChanged
from troth.vm.host_values import to_python
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

MESSAGES_MAX: Final = 1_000_000
Facts: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One control message."""

    sender: str
    label: str
    values: tuple[Any, ...]


@dataclass(slots=True)
class Recorded:
    """What was found. `counts` has the messages of each protocol and label."""

    control: list[Said] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    statuses: dict[str, tuple[str, str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    torn: bool = False

    def first(self, label: str) -> tuple[Any, ...] | None:
        return next((said.values for said in self.control if said.label == label), None)

    def ending(self) -> tuple[str, str]:
        """Who ended the session and why; nobody and nothing, when nobody said so."""
        for said in reversed(self.control):
            if said.label in ("bye", "reject", "stranger"):
                return said.sender, str(said.values[0])
        return "nobody", ""


def read_recorded(stream: BinaryIO) -> Recorded:
    """
    Raises:
        Malformed: what `ArtifactReader` and `EventDecoder` raise; code `stream.record` when the
            record holds no session of the transport.
        LimitExceeded, Unusable: what `ArtifactReader` raises.
    """
    reader, decoder = ArtifactReader(stream), EventDecoder()
    found = Recorded()
    names: dict[bytes, str] = {}
    for record in reader:
        event = decoder.decode(record)
        if event is not None:
            _take(found, names, event)
    found.torn = reader.torn is not None
    if "Control" not in names.values():
        raise Malformed(
            "stream.record",
            "there is no session of the transport in this record",
            expected="a record of `troth stream`",
            actual=", ".join(sorted(set(names.values()))[:8]) or "none at all",
        )
    return found


def _take(found: Recorded, names: dict[bytes, str], event: Event) -> None:
    if isinstance(event, Opened):
        names[event.session] = event.protocol
    elif isinstance(event, Sent | Arrived):
        protocol = names.get(event.session, "")
        key = (protocol, event.label)
        found.counts[key] = found.counts.get(key, 0) + 1
        if protocol == "Control" and len(found.control) < MESSAGES_MAX:
            found.control.append(Said(event.sender, event.label, _values(event.payload)))
    elif isinstance(event, StatusChanged):
        found.statuses[names.get(event.session, "")] = (event.status.name.lower(), event.detail)
    elif isinstance(event, Faulted | Cancelled):
        found.faults.append(type(event).__name__.lower())


def _values(payload: bytes) -> tuple[Any, ...]:
    """Nothing, where the payload was taken out of the record."""
    if not payload:
        return ()
    values: Any = to_python(decode(payload))
    return tuple(values) if isinstance(values, list) else (values,)


def epoch_of(facts: Facts) -> Epoch:
    """
    Raises:
        Malformed: code `stream.record`.
    """
    return Epoch(**_checked(facts, Epoch, "a report"))


def decision_of(facts: Facts) -> Decision:
    """
    Raises:
        Malformed: code `stream.record`.
    """
    return Decision(**_checked(facts, Decision, "a decision"))


def _checked(facts: object, kind: type[Epoch] | type[Decision], what: str) -> Facts:
    names = {item.name for item in fields(kind)}
    if not isinstance(facts, dict) or set(facts) != names:
        raise Malformed(
            "stream.record",
            f"the record holds {what} of another form",
            expected=", ".join(sorted(names)),
            advice="It is of another version of the transport",
        )
    return facts
