"""Level 1, what introduces things: header, image, principals, protocols, sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

from troth.conformance.divergence import Divergence
from troth.conformance.protocols import ProtocolSource
from troth.conformance.refusals import (
    duplicate,
    no_reference,
    out_of_order,
    over_limit,
    refused_image,
    wrong_id,
    wrong_setting,
)
from troth.conformance.world import (
    ROLES_STRIDE,
    Bundle,
    ChildDue,
    Coroutine,
    Header,
    Principal,
    ProtocolEntry,
    Session,
    World,
)
from troth.vm import statements
from troth.vm.errors import TrothError
from troth.vm.events import EdgeConfig
from troth.vm.image_codec import image_id
from troth.vm.instructions import BufferMode, Policy, ReplayMode, Seal
from troth.vm.limits import Limits
from troth.vm.loaded import LoadedImage
from troth.vm.loader import load_bytes
from troth.vm.record_codec import Items

EDGES_NAMED_MAX: Final = 8
"""How many edges without replay protection the verdict names."""

LOADING_MAX: Final = {
    "registers_max": 1 << 16,
    "roles_max": 1 << 12,
    "buffer_capacity_max": 1 << 24,
}
"""A header may claim any limit; an image is laid out here under no more than these."""

_LIMIT_NAMES: Final = tuple(field.name for field in fields(Limits))


class Introductions:
    """What the head of the file, and the opens in its body, add to the world."""

    def __init__(
        self, world: World, source: ProtocolSource, coroutine: Callable[[int], Coroutine]
    ) -> None:
        self.world = world
        self.source = source
        self._coroutine = coroutine
        self._keys: set[bytes] = set()
        self._peer_keys: set[bytes] = set()
        self._protocols: set[tuple[bytes, str]] = set()

    def header(self, items: Items) -> None:
        world = self.world
        header = Header(*items[1:])
        if len(header.limits) != len(_LIMIT_NAMES):
            raise wrong_setting("limits", f"{len(_LIMIT_NAMES)} limits", len(header.limits))
        world.header = header
        world.limits = Limits(**dict(zip(_LIMIT_NAMES, header.limits, strict=True)))
        world.header_bytes = world.record.data

    def image(self, items: Items) -> None:
        world = self.world
        assert world.header is not None
        if world.record.index != 1:
            raise out_of_order("the image", "right after the header", world.record.index)
        found = image_id(items[1])
        if found != world.header.image_id:
            raise Divergence(
                "structure.image",
                "the image is not the one that the header names",
                expected=world.header.image_id.hex(),
                expected_side="recorded in the header",
                actual=found.hex(),
                actual_side="recomputed from the image",
            )
        world.image = _load_image(items[1], world.limits)
        self.source.add_image(world.image)
        entry = world.header.entry
        if entry is not None and entry >= max(1, len(world.image.image.programs)):
            raise no_reference("the run's entry is no program", "a program", entry)

    def principal(self, items: Items) -> None:
        _, name, key = items
        if key in self._keys:
            raise duplicate("principal", key.hex())
        self._keys.add(key)
        world = self.world
        self._introduces()
        world.principals.append(Principal(len(world.principals), name, key, world.record))
        world.keepers.append(world.principals[-1])

    def peer(self, items: Items) -> None:
        """A principal whose log is kept at another machine."""
        _, name, key = items
        if key in self._keys or key in self._peer_keys:
            raise duplicate("principal", key.hex())
        self._peer_keys.add(key)
        world = self.world
        self._introduces()
        index = len(world.principals)
        world.principals.append(Principal(index, name, key, world.record, here=False))

    def _introduces(self) -> None:
        """What a record introduces may stand between a bundle and its sessions."""
        if self.world.children_reach == self.world.record.index:
            self.world.children_reach += 1

    def protocol(self, items: Items) -> None:
        _, identity, name, roles, labels = items
        self._introduces()
        if (identity, name) in self._protocols:
            raise duplicate("protocol", name)
        self._protocols.add((identity, name))
        if not 0 < len(set(roles)) == len(roles) < ROLES_STRIDE:
            raise wrong_setting("the role list", "distinct role names", ", ".join(roles))
        if list(labels) != sorted(set(labels)):
            raise wrong_setting("the label list", "sorted, distinct labels", ", ".join(labels))
        entry = ProtocolEntry(len(self.world.protocols), identity, name, roles, labels)
        entry.tables = self.source.tables(identity)
        self.world.protocols.append(entry)

    def bundle(self, items: Items) -> None:
        """Sessions that are opened together: those that have a role here come right behind."""
        world = self.world
        assert world.header is not None
        _, identity, name, roles, principals, rows, nonce, coroutine = items
        opener = self._coroutine(coroutine)
        if world.children_due:
            raise out_of_order("a bundle", "the sessions of the bundle before", "another one")
        if len(principals) != len(roles) or len(roles) > world.limits.roles_max:
            raise wrong_setting("the principals", f"{len(roles)} of them", len(principals))
        if max(principals) >= len(world.principals):
            raise no_reference("there is no such principal", "a principal", max(principals))
        signers = [world.principals[index] for index in principals]
        peers, nonces = self._parties(opener, roles, signers)
        expected = (
            statements.joint_nonce(nonces)
            if nonces
            else statements.session_nonce(world.header.seed, opener.id, opener.sessions)
        )
        if nonce != expected:
            raise wrong_id("bundle nonce", expected, nonce)
        opener.sessions += 1
        self._check_rows(name, roles, rows)
        bundle = Bundle(identity, 0)
        for child, protocol, players in rows:
            away = frozenset(role for role, player in enumerate(players) if player in peers)
            if len(away) < len(players):
                own = tuple(principals[player] for player in players)
                shares = tuple(nonces[player] for player in players) if away else ()
                own_nonce = statements.child_nonce(identity, child)
                seen = tuple(
                    role
                    for role, player in enumerate(players)
                    if world.header.is_observed(name, roles[player])
                )
                due = ChildDue(bundle, coroutine, protocol, own, own_nonce, away, shares, seen)
                world.children_due.append(due)
        bundle.expected = len(world.children_due)
        world.children_reach = world.record.index + 1

    def _check_rows(self, name: str, roles: tuple[str, ...], rows: tuple[Items, ...]) -> None:
        """The image has the bundle, where there is an image."""
        world = self.world
        numbers = range(len(world.protocols))
        if not rows or any(protocol not in numbers for _, protocol, _ in rows):
            raise no_reference("there is no such protocol", "a protocol of the file", name)
        if len({child for child, _, _ in rows}) != len(rows) or len(set(roles)) != len(roles):
            raise wrong_setting("the bundle", "names that differ", name)
        for _, protocol, players in rows:
            count = len(world.protocols[protocol].roles)
            if not len(players) == len(set(players)) == count or max(players) >= len(roles):
                raise wrong_setting("the players", f"{count} different roles", players)
        if world.image is None:
            return
        found = tuple((row[0], world.protocols[row[1]].name, row[2]) for row in rows)
        image = world.image.image
        for known in image.bundles:
            children = tuple(
                (child.name, image.protocols[child.protocol].name, child.players)
                for child in known.children
            )
            if (known.name, known.roles, children) == (name, roles, found):
                return
        raise no_reference("the image has no such bundle", "a bundle of the image", name)

    def _child(self, items: Items) -> ChildDue | None:
        """The session that has to be opened now, when a bundle is being opened."""
        world = self.world
        if not world.children_due:
            return None
        due = world.children_due.popleft()
        _, _, number, principals, _, _, _, nonce, coroutine, _ = items
        told = (number, principals, nonce, coroutine)
        if world.children_reach != world.record.index or told != (
            *(due.protocol, due.principals, due.nonce, due.coroutine),
        ):
            raise out_of_order("a session", "the next one of the bundle", "another one")
        world.children_reach += 1
        return due

    def open(self, items: Items) -> None:
        world = self.world
        opener = self._coroutine(items[8])
        due = self._child(items)
        session = self._session(items, opener, due)
        if due is None:
            opener.sessions += 1
        else:
            session.bundle = due.bundle
            due.bundle.sessions.append(session)
        world.sessions[session.index] = session
        world.sessions_by_id[session.id] = session
        world.sessions_opened += 1
        world.session = session
        if len(world.sessions) > world.limits.sessions_max:
            raise over_limit("sessions", "sessions_max", world.limits.sessions_max)

    def _session(self, items: Items, opener: Coroutine, due: ChildDue | None) -> Session:
        world = self.world
        assert world.header is not None
        _, identity, number, principals, rows, seal, linger_ns, nonce, _, observed = items
        if number >= len(world.protocols):
            raise no_reference("there is no such protocol", "a protocol of the file", number)
        protocol = world.protocols[number]
        if len(principals) != len(protocol.roles):
            raise wrong_setting("the principals", f"{len(protocol.roles)} of them", len(principals))
        if max(principals) >= len(world.principals):
            raise no_reference("there is no such principal", "a principal", max(principals))
        if len(protocol.roles) > world.limits.roles_max:
            raise over_limit("roles", "roles_max", world.limits.roles_max)
        if world.header.seal not in (None, seal):
            raise wrong_setting("the session's seal", f"{world.header.seal}, as the run's", seal)
        signers = [world.principals[index] for index in principals]
        if due is not None:
            peers, nonces = due.peers, due.shares
        else:
            peers, nonces = self._parties(opener, protocol.roles, signers)
            expected = (
                statements.joint_nonce(nonces)
                if nonces
                else statements.session_nonce(world.header.seed, opener.id, opener.sessions)
            )
            if nonce != expected:
                raise wrong_id("session nonce", expected, nonce)
        if identity in world.sessions_by_id:
            raise duplicate("session", identity.hex())
        session = Session(world.sessions_opened, identity, protocol, signers, linger_ns, peers)
        session.nonces = nonces
        session.opener = (opener.index, world.record.index)
        session.round_sealed = seal == Seal.ROUND
        if due is None:
            session.observed = self._observed(protocol, observed)
        elif observed != due.observed:
            raise wrong_setting("the observed roles", f"{due.observed}, as the run's", observed)
        else:
            session.observed = frozenset(observed)
        self._add_edges(session, rows)
        self._note_protection(session)
        protocol.sessions += 1
        return session

    def _parties(
        self, opener: Coroutine, roles: tuple[str, ...], signers: list[Principal]
    ) -> tuple[frozenset[int], tuple[bytes, ...]]:
        """The roles of other machines, and the nonces of all roles if there are such."""
        world = self.world
        assert world.header is not None
        met = {role: (key, nonce) for role, key, nonce in world.met.pop(opener.index, ())}
        peers, nonces = set(), []
        for role, (name, signer) in enumerate(zip(roles, signers, strict=True)):
            if name in met:
                key, nonce = met.pop(name)
                if key != signer.key:
                    raise wrong_id(f"key of {name}, which another machine holds,", key, signer.key)
                peers.add(role)
            else:
                seed, index = world.header.seed, opener.sessions
                nonce = statements.role_nonce(seed, opener.id, index, name)
                if not signer.here:
                    raise no_reference(
                        f"{name} is held here by a principal without a log",
                        "a PRINCIPAL record",
                        f"a PEER record of {signer.name}",
                    )
            nonces.append(nonce)
        if met or len(peers) == len(signers):
            raise wrong_setting("the roles of other machines", "some of the roles", ", ".join(met))
        return frozenset(peers), tuple(nonces) if peers else ()

    def _observed(self, protocol: ProtocolEntry, roles: tuple[int, ...]) -> frozenset[int]:
        """The roles that were watched and not played: those that the header says."""
        header = self.world.header
        assert header is not None
        names = enumerate(protocol.roles)
        said = tuple(role for role, name in names if header.is_observed(protocol.name, name))
        if roles != said:
            raise wrong_setting("the observed roles", f"{said}, as the run's", roles)
        return frozenset(roles)

    def _note_protection(self, session: Session) -> None:
        off = [edge for edge in session.edges.values() if edge.config.replay == ReplayMode.OFF]
        if not off:
            return
        world = self.world
        world.tally.unprotected += 1
        for edge in off[:EDGES_NAMED_MAX]:
            if len(world.edges_off) < EDGES_NAMED_MAX:
                world.edges_off[f"{session.protocol.name}: {edge}"] = None

    def _add_edges(self, session: Session, rows: tuple[Items, ...]) -> None:
        roles = session.protocol.roles
        before: tuple[str, str] | None = None
        for sender, receiver, *settings in rows:
            if max(sender, receiver) >= len(roles):
                raise no_reference("there is no such role", "a role", max(sender, receiver))
            names = (roles[sender], roles[receiver])
            if sender == receiver or (before is not None and names <= before):
                raise wrong_setting("the edges", "edges sorted by the names of roles", names)
            before = names
            config = EdgeConfig(*names, *settings)
            self._check_edge(config)
            session.add_edge(config, sender, receiver)

    def _check_edge(self, config: EdgeConfig) -> None:
        edge = f"edge {config.sender} -> {config.receiver}: "
        override = self.world.header.replay if self.world.header is not None else None
        if override is not None and config.replay != override:
            raise wrong_setting(edge + "replay", f"the run's override {override}", config.replay)
        if tuple(sorted(set(config.lossy))) != config.lossy:
            raise wrong_setting(edge + "lossy", "labels in ascending order", config.lossy)
        if config.buffer != BufferMode.FIFO and not config.lossy:
            raise wrong_setting(edge + "buffer", BufferMode.FIFO.value, config.buffer)
        if config.policy == Policy.DROP and not config.lossy:
            raise wrong_setting(edge + "policy", "block, error or resize", config.policy)
        if config.lossy and config.replay == ReplayMode.SEQUENCE:
            raise wrong_setting(edge + "replay", "nullifier or off", config.replay)
        if config.buffer != BufferMode.FIFO and config.policy == Policy.RESIZE:
            raise wrong_setting(edge + "policy", "block, drop or error", config.policy)
        self._check_rotate(config, edge)
        highest = self.world.limits.buffer_capacity_max
        if not 1 <= config.capacity <= config.resize_max <= highest:
            found = f"capacity {config.capacity}, resize {config.resize_max}"
            raise wrong_setting(edge + "capacity", f"1 to {highest}, resize not below", found)
        if config.policy != Policy.RESIZE and config.resize_max != config.capacity:
            raise wrong_setting(edge + "resize", str(config.capacity), config.resize_max)

    def _check_rotate(self, config: EdgeConfig, edge: str) -> None:
        most = self.world.limits.generation_messages_max
        if config.replay != ReplayMode.NULLIFIER:
            most = 0
        least = 0 if config.lossy else min(1, most)
        if not least <= config.rotate <= most:
            raise wrong_setting(edge + "rotate", f"{least} to {most}", config.rotate)


def loading_limits(limits: Limits) -> Limits:
    """What the loader may spend on an image whose run claims to have had `limits`."""
    capped = {name: min(getattr(limits, name), cap) for name, cap in LOADING_MAX.items()}
    return replace(limits, **capped)


def _load_image(data: bytes, limits: Limits) -> LoadedImage:
    try:
        return load_bytes(data, loading_limits(limits))
    except TrothError as error:
        raise refused_image(error) from error
