"""Level 4, how sessions end that other machines hold, too.

What another machine says ends the session here as well. This machine's own file shows its own
part: whether the others were told, and whether what they said was heeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from troth.conformance.closing import Closing, after_its_end, broken, end_together, silent_roles
from troth.conformance.world import World
from troth.vm.events import ENDED_BY_HOST
from troth.vm.instructions import ReplayMode
from troth.vm.record_codec import Items
from troth.vm.records import Kind
from troth.vm.step_end import linger_detail

Handler: TypeAlias = Callable[[Items], None]


class PeerClosing:
    """Judges notices, cancellations and failures of other machines, and what they were told."""

    def __init__(self, world: World, closing: Closing) -> None:
        self.world = world
        self.closing = closing

    def handlers(self) -> Mapping[int, Handler]:
        return {
            Kind.FAIL: self.fail,
            Kind.PEER_NOTICE: self.notice,
            Kind.PEER_CANCEL: self.cancel,
            Kind.PEER_FAIL: self.peer_fail,
        }

    def fail(self, items: Items) -> None:
        """This machine has told the others that it ended the session: it did, right before."""
        _, _, role, code, reason, _ = items
        session, world = self.world.judged, self.world
        if session.bundle is not None:
            session.bundle.goes_on(world.record.index)
        if session.skip:
            return
        if code == ENDED_BY_HOST:
            expected = session.cancelled
            if expected is None and session.end_asked and not session.noticed[role]:
                expected = linger_detail(silent_roles(session))
            holds = expected == reason
            expected = "a cancellation" if expected is None else expected
        else:
            # The fault reaches up to this record, which is a part of what it brings about.
            recent = world.fault_reaches == world.record.index + 1
            expected = world.last_fault if recent else "no fault"
            holds = recent and code == world.last_fault and not reason
            # A session of a bundle ends when another machine has ended one of the others.
            holds |= session.bundle is not None and session.failed == code and not reason
        if not holds:
            raise broken(
                session,
                role,
                "protocol.close",
                "other machines are told of an end that did not happen right before",
                expected=expected,
                actual=f"{code} {reason}".rstrip(),
            )
        session.ending = True

    def notice(self, items: Items) -> None:
        _, _, role, rows, _, _ = items
        session = self.world.judged
        if session.skip:
            return
        if session.ending:
            raise after_its_end(session, role)
        name = session.protocol.roles[role]
        edges = session.edges_from.get(role, [])
        if session.noticed[role] or [row[0] for row in rows] != [e.receiver for e in edges]:
            raise broken(session, role, "protocol.notice", f"{name} cannot give this notice now")
        for edge, (_, generation, count) in zip(edges, rows, strict=True):
            fewer = count < edge.arrived and edge.config.replay != ReplayMode.OFF
            if generation != edge.config.generation_of(count) or fewer:
                raise broken(
                    session,
                    role,
                    "protocol.notice",
                    f"{name} gives notice of fewer messages than arrived",
                    expected=f"generation {edge.config.generation_of(count)}, "
                    f"at least {edge.arrived} on {edge}",
                    actual=f"generation {generation}, {count}",
                )
            edge.final = count
        self.closing.count_notice(session, role)

    def cancel(self, items: Items) -> None:
        self._ended(items[2], cancelled=items[3])

    def peer_fail(self, items: Items) -> None:
        _, _, role, code, reason, *_ = items
        if code == ENDED_BY_HOST:
            self._ended(role, cancelled=reason)
        else:
            self._ended(role, failed=code)

    def _ended(self, role: int, *, cancelled: str | None = None, failed: str | None = None) -> None:
        session = self.world.judged
        if not session.skip and (session.ending or session.latched):
            raise after_its_end(session, role)
        end_together(session, cancelled=cancelled, failed=failed)
