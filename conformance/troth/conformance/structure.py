"""Level 1: is this a well-formed artifact?

The reader has checked every record's bytes and shape. Here every reference is resolved to what
earlier records introduced, every id is derived again, and the order of records, rounds and
lives holds. A record that fails here cannot be interpreted, so verification stops there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from troth.conformance.divergence import Divergence
from troth.conformance.peers_structure import FAIL_CODES, PeerStructure
from troth.conformance.protocols import ProtocolSource
from troth.conformance.refusals import (
    backwards,
    known_word,
    no_edge,
    no_reference,
    not_here,
    out_of_order,
    over_limit,
    wrong_id,
)
from troth.conformance.structure_head import Introductions
from troth.conformance.world import (
    ROLES_STRIDE,
    Coroutine,
    Principal,
    Session,
    World,
    program_name,
)
from troth.vm import statements
from troth.vm.events import Status
from troth.vm.faults import FAULT_CODES
from troth.vm.lifecycle import TRANSITIONS
from troth.vm.record_codec import Items
from troth.vm.records import Kind
from troth.vm.trouble_kind import Trouble

Handler: TypeAlias = Callable[[Items], None]

_LIFE: Final = frozenset(
    (source, target) for (source, _), (target, _) in TRANSITIONS.items() if source != target
)


class Structure:
    """The checks of level 1, one method a kind."""

    def __init__(self, world: World, source: ProtocolSource) -> None:
        self.world = world
        self._introductions = Introductions(world, source, self._coroutine)
        self._input_round = 0
        self._last_seal: tuple[int, int] = (-1, -1)
        self._peers = PeerStructure(world, self._coroutine, self._input)

    def handlers(self) -> Mapping[int, Handler]:
        introductions = self._introductions
        return {
            **self._peers.handlers(),
            Kind.PEER: introductions.peer,
            Kind.FAIL: self.fail,
            Kind.HEADER: introductions.header,
            Kind.IMAGE: introductions.image,
            Kind.PRINCIPAL: introductions.principal,
            Kind.PROTOCOL: introductions.protocol,
            Kind.OPEN: introductions.open,
            Kind.BUNDLE: introductions.bundle,
            Kind.SEND: self.send,
            Kind.RECEIVE: self.receive,
            Kind.DELEGATE: self.delegate,
            Kind.NOTICE: self.notice,
            Kind.RECEIPT: self.receive,
            Kind.ROTATE: self.rotate,
            Kind.RETIRE: self.receive,
            Kind.STATUS: self.status,
            Kind.UNDELIVERED: self.undelivered,
            Kind.OVERWRITE: self.edge_of_sender,
            Kind.DROP: self.drop,
            Kind.REJECT: self.reject,
            Kind.CANCEL: self.cancel,
            Kind.FAULT: self.fault,
            Kind.SPAWN: self.spawn,
            Kind.TRANSFER: self.transfer,
            Kind.HALT: self.halt,
            Kind.PRINT: self.print,
            Kind.INVOKE: self.invoke,
            Kind.COMPLETE: self.complete,
            Kind.TIME: self.time,
            Kind.TIMER: self.timer,
            Kind.EXPIRE: self.expire,
            Kind.DEPART: self.depart,
            Kind.DETECT: self.receive,
            Kind.ASK_END: self.ask_end,
            Kind.TROUBLE: self.trouble,
            Kind.ACQUIRE: self.guard,
            Kind.RELEASE: self.guard,
            Kind.END: self.end,
            Kind.SEAL: self.seal,
            Kind.INCARNATION: self.incarnation,
        }

    # --- sessions ---

    def send(self, items: Items) -> None:
        world = self.world
        session = world.sessions.get(items[1])
        if session is None:
            raise self._no_session(items[1])
        edge = session.edges.get(items[2] * ROLES_STRIDE + items[3])
        if edge is None:
            raise no_edge(session, items[2], items[3])
        if items[2] in session.peers:
            raise not_here(session, items[2])
        if items[5] >= len(session.protocol.labels):
            raise no_reference("there is no such label", "a label of the protocol", items[5])
        world.session = session
        world.edge = edge
        if items[9] is None:
            world.tally.withheld += 1

    def receive(self, items: Items) -> None:
        """For records that say session, receiver, sender."""
        world = self.world
        session = world.sessions.get(items[1])
        if session is None:
            raise self._no_session(items[1])
        edge = session.edges.get(items[3] * ROLES_STRIDE + items[2])
        if edge is None:
            raise no_edge(session, items[3], items[2])
        if items[2] in session.peers:
            raise not_here(session, items[2])
        world.session = session
        world.edge = edge

    def edge_of_sender(self, items: Items) -> None:
        """For records that say session, sender, receiver."""
        session = self._session(items[1])
        edge = session.edges.get(items[2] * ROLES_STRIDE + items[3])
        if edge is None:
            raise no_edge(session, items[2], items[3])
        self.world.edge = edge

    def rotate(self, items: Items) -> None:
        self.edge_of_sender(items)
        session = self._session(items[1])
        if items[2] in session.peers:
            raise not_here(session, items[2])

    def undelivered(self, items: Items) -> None:
        self.edge_of_sender(items)
        self._after_fault()

    def drop(self, items: Items) -> None:
        self.edge_of_sender(items)
        session = self._session(items[1])
        if items[2] in session.peers:
            raise not_here(session, items[2])
        if items[4] >= len(session.protocol.labels):
            raise no_reference("there is no such label", "a label of the protocol", items[4])

    def reject(self, items: Items) -> None:
        self.edge_of_sender(items)
        known_word(items[4], REJECT_CODES)

    def delegate(self, items: Items) -> None:
        self._role_here(items[1], items[2])
        self._principal(items[3])

    def fail(self, items: Items) -> None:
        self._role_here(items[1], items[2])
        known_word(items[3], FAIL_CODES)
        self._after_fault()

    def notice(self, items: Items) -> None:
        session = self._role_here(items[1], items[2])
        for receiver, _, _ in items[3]:
            if items[2] * ROLES_STRIDE + receiver not in session.edges:
                raise no_edge(session, items[2], receiver)

    def status(self, items: Items) -> None:
        session = self._session(items[1])
        self._after_fault()
        target = Status(items[2])
        if (session.status, target) not in _LIFE:
            raise Divergence(
                "structure.lifecycle",
                "the session cannot go there from where it is",
                expected=_after(session.status),
                expected_side="lifecycle table",
                actual=target.name.lower(),
                session=session,
            )
        session.status = target
        self.world.tally.add_status(target)

    def cancel(self, items: Items) -> None:
        if items[2] is not None:
            self._role_here(items[1], items[2])
            return
        self._session(items[1])
        if items[4] is None:
            self._after_fault()
        else:
            self._input(items[4])

    # --- coroutines ---

    def spawn(self, items: Items) -> None:
        world = self.world
        assert world.header is not None
        _, parent_index, program, identity = items
        if (parent_index is None) != (world.coroutines_spawned == 0):
            raise no_reference("only the first coroutine has no parent", "a parent", parent_index)
        programs = None if world.image is None else world.image.image.programs
        if programs is not None and program is not None and program >= len(programs):
            raise no_reference("there is no such program", "a program of the image", program)
        if parent_index is None:
            expected = statements.coroutine_id(world.header.seed, b"", 0)
            if program != world.header.entry:
                entry = program_name(world.header.entry)
                raise no_reference("the run starts elsewhere", entry, program_name(program))
        elif world.header.entry is None:
            raise no_reference("what the host plays spawns nothing", "no parent", parent_index)
        else:
            parent = self._coroutine(parent_index)
            expected = statements.coroutine_id(world.header.seed, parent.id, parent.children)
            parent.children += 1
        if identity != expected:
            raise wrong_id("coroutine id", expected, identity)
        index = world.coroutines_spawned
        world.coroutines_spawned += 1
        world.coroutines[index] = Coroutine(index, identity, program)
        if len(world.coroutines) > world.limits.coroutines_max:
            raise over_limit("coroutines", "coroutines_max", world.limits.coroutines_max)

    def halt(self, items: Items) -> None:
        del self.world.coroutines[self._coroutine(items[1]).index]

    def guard(self, items: Items) -> None:
        """For records that say coroutine, guard."""
        self._coroutine(items[1])
        image = self.world.image
        # Without the image the names of guards are not known, and their numbers are bounded by it.
        if image is not None and items[2] >= len(image.image.guards):
            raise no_reference("there is no such guard", "a guard of the image", items[2])

    def fault(self, items: Items) -> None:
        world = self.world
        _, index, code, _, program, pc, session, role = items
        coroutine = self._coroutine(index)
        known_word(code, FAULT_CODES)
        if session is not None:
            self._role_if_alive(session, role)
        if world.image is not None and coroutine.program is not None:
            running = world.image.image.programs[coroutine.program]
            if program != running.name or pc > len(running.code):
                raise no_reference(
                    "the fault is elsewhere than its coroutine",
                    f"program {running.name}, at most instruction {len(running.code)}",
                    f"program {program}, instruction {pc}",
                )
        del world.coroutines[coroutine.index]
        # Who crashes may have waited for an effect; nobody answers that any more.
        world.effects.pop(coroutine.asked, None)
        world.last_fault = code
        world.fault_reaches = world.record.index + 1
        world.tally.faults += 1

    def _after_fault(self) -> None:
        """The record can be what the fault right before brought about, and so can the next.

        The machine writes them in one piece: the fault, and of each session that it ends what
        is undelivered and the status; and the sessions cancelled for endpoints lost with that.
        """
        world = self.world
        if world.fault_reaches == world.record.index:
            world.fault_reaches += 1

    def print(self, items: Items) -> None:
        self._coroutine(items[1])
        self.world.tally.prints += 1

    def transfer(self, items: Items) -> None:
        self._role_if_alive(items[1], items[2])
        session = self.world.sessions.get(items[1])
        if session is not None and items[2] in session.peers:
            raise not_here(session, items[2])
        self._coroutine(items[3])
        self._coroutine(items[4])

    def invoke(self, items: Items) -> None:
        world = self.world
        _, index, effect, identity, _ = items
        coroutine = self._coroutine(index)
        if world.image is not None and effect >= len(world.image.image.effects):
            raise no_reference("there is no such effect", "an effect of the image", effect)
        expected = statements.effect_id(coroutine.id, coroutine.effects)
        if identity != expected:
            raise wrong_id("effect id", expected, identity)
        coroutine.effects += 1
        coroutine.asked = identity
        world.effects[identity] = effect
        world.effect = effect
        world.tally.effects += 1

    # --- inputs and the end ---

    def complete(self, items: Items) -> None:
        effect = self.world.effects.pop(items[1], None)
        if effect is None:
            raise no_reference("nobody waits for this effect", "one asked for", items[1].hex())
        self.world.effect = effect
        self._input(items[4])

    def ask_end(self, items: Items) -> None:
        self._session(items[1])
        self._time(items[2], items[3])

    def time(self, items: Items) -> None:
        self._time(items[1], items[2])

    def timer(self, items: Items) -> None:
        self._role_here(items[1], items[2])
        self._time(items[3], items[4])

    def expire(self, items: Items) -> None:
        self._role_here(items[1], items[2])
        # If it waited for an effect, it waits no longer.
        self.world.effects.pop(self._coroutine(items[3]).asked, None)

    def depart(self, items: Items) -> None:
        self._role_here(items[1], items[2])
        self._after_fault()

    def trouble(self, items: Items) -> None:
        _, number, trouble, role, peer, _, round_number = items
        # A message is corrupted where its buffer is.
        here = peer if trouble == Trouble.CORRUPT and peer is not None else role
        session = self._role_here(number, here)
        if (peer is None) != (trouble in (Trouble.CRASH, Trouble.TIMEOUT)):
            raise no_reference("the trouble is of one role, or of two", "what its kind says", peer)
        if (items[5] is None) != (trouble != Trouble.TIMEOUT):
            raise no_reference("only a timeout has a time", "what its kind says", items[5])
        if peer is not None:
            edges = {role * ROLES_STRIDE + peer}
            if trouble != Trouble.CORRUPT:
                edges.add(peer * ROLES_STRIDE + role)
            if not edges & session.edges.keys():
                raise no_edge(session, role, peer)
        self._input(round_number)

    def _time(self, now_ns: int, round_number: int) -> None:
        if now_ns < self.world.now_ns:
            raise backwards("time", self.world.now_ns, now_ns)
        self.world.now_ns = now_ns
        self._input(round_number)

    def incarnation(self, items: Items) -> None:
        world = self.world
        number, expected = items[1], world.incarnations + 1
        if number != expected:
            raise out_of_order("a resumption", f"number {expected}", f"number {number}")
        world.incarnations = number
        self._input(items[2])

    def _input(self, round_number: int) -> None:
        if round_number < self._input_round:
            raise backwards("the round", self._input_round, round_number)
        self._input_round = round_number

    def end(self, items: Items) -> None:
        world = self.world
        _, rounds, records, outcome = items
        if world.children_due:
            raise out_of_order("the end", "the sessions of a bundle", "the end of the run")
        if records != world.record.index:
            raise Divergence(
                "structure.count",
                "the end record counts other records than there are before it",
                expected=str(world.record.index),
                actual=str(records),
            )
        if rounds < max(self._input_round, world.round):
            raise backwards("the round", max(self._input_round, world.round), rounds)
        self._outcome(outcome)
        world.round = rounds
        world.outcome = outcome
        world.ended = True

    def _outcome(self, outcome: str) -> None:
        """The outcome is `ok` exactly when nothing faulted and everything came to its end."""
        world = self.world
        known_word(outcome, OUTCOMES)
        sessions = world.sessions_opened - world.tally.closed
        left = sessions + len(world.coroutines) + world.tally.faults
        if (outcome == OUTCOME_OK) != (left == 0):
            raise Divergence(
                "structure.count",
                "the end record says that the run went otherwise than it did",
                expected=OUTCOME_FAILED if left else OUTCOME_OK,
                actual=f"{outcome}, with {sessions} sessions not closed, "
                f"{len(world.coroutines)} coroutines not ended, {world.tally.faults} faults",
            )

    def seal(self, items: Items) -> None:
        world = self.world
        index, round_number = items[1], items[5]
        principal = self._principal(index)
        if round_number < world.round:
            raise backwards("the round", world.round, round_number)
        world.round = round_number
        record = world.record.index
        previous_record, previous_index = self._last_seal
        if not principal.here:
            raise no_reference("its log is kept elsewhere", "a principal with a log here", index)
        if world.ended:
            due = world.keepers[world.final_seals :][:1]
            if due != [principal]:
                expected = f"the seal of principal {due[0].index}" if due else "no further seal"
                raise out_of_order("a final seal", expected, f"that of principal {index}")
            world.final_seals += 1
            principal.final_sealed = True
        elif previous_record == record - 1 and index <= previous_index:
            # Seals are no leaves: only this rule notices two that change places.
            expected = f"one of a principal after {previous_index}"
            raise out_of_order("a seal", expected, f"that of principal {index}")
        self._last_seal = (record, index)
        world.tally.seals += 1

    # --- references ---

    def _session(self, number: int) -> Session:
        session = self.world.sessions.get(number)
        if session is None:
            raise self._no_session(number)
        self.world.session = session
        return session

    def _no_session(self, number: int) -> Divergence:
        opened = self.world.sessions_opened
        what = "the session has ended" if number < opened else "there is no such session"
        return no_reference(what, f"a live session, {opened} were opened", f"session {number}")

    def _role(self, number: int, role: int) -> Session:
        session = self._session(number)
        if role >= len(session.signers):
            raise no_reference("there is no such role", "a role of the protocol", f"role {role}")
        return session

    def _role_here(self, number: int, role: int) -> Session:
        session = self._role(number, role)
        if role in session.peers:
            raise not_here(session, role)
        return session

    def _role_if_alive(self, number: int, role: int) -> None:
        """Endpoints outlive their sessions, whose roles are forgotten then."""
        if number in self.world.sessions:
            self._role(number, role)
        elif number >= self.world.sessions_opened:
            raise self._no_session(number)

    def _principal(self, index: int) -> Principal:
        if index >= len(self.world.principals):
            raise no_reference(
                "there is no such principal", "a principal of the file", f"principal {index}"
            )
        return self.world.principals[index]

    def _coroutine(self, index: int) -> Coroutine:
        coroutine = self.world.coroutines.get(index)
        if coroutine is None:
            known = index < self.world.coroutines_spawned
            what = "the coroutine has ended" if known else "there is no such coroutine"
            raise no_reference(what, "a live coroutine", f"coroutine {index}")
        return coroutine


OUTCOME_OK: Final = "ok"
"""The END record's word for a run whose coroutines all halted and whose sessions all closed."""

OUTCOME_FAILED: Final = "failed"
OUTCOMES: Final = (OUTCOME_OK, OUTCOME_FAILED)
REJECT_CODES: Final = (
    "vm.fault.label",
    "vm.fault.limit",
    "vm.fault.replay.duplicate",
    "vm.fault.replay.generation",
    "vm.fault.replay.sequence",
    "vm.fault.type",
    "vm.fault.verification",
)
"""Why a receiver can refuse a message."""


def _after(status: Status) -> str:
    return " or ".join(target.name.lower() for source, target in sorted(_LIFE) if source == status)
