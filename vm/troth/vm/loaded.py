"""What the loader hands to the machine: an image that passed every check, with its tables.

Everything here is derived from the image alone and never changes; a machine, a verifier and
several threads can share one `LoadedImage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from troth.vm.image import EdgeSettings, Image, Protocol
from troth.vm.types import State, Transition

if TYPE_CHECKING:
    from troth.vm.step_tables import StateTable


@dataclass(frozen=True, slots=True)
class ProtocolTables:
    """One protocol, laid out for walking.

    Attributes:
        id: the 32-byte content id.
        role_index: a role's place in `protocol.roles`.
        states: per role index, the states of its local type.
        branches: per role index and state, the transition of each label.
        labels: every label of the protocol, sorted; `label_index` is its inverse.
        edges: the directed (sender, receiver) pairs on which the protocol sends, sorted.
        edge_settings: what the protocol fixes, for those edges that it mentions.
        lossy: of the edges that have any, the sorted labels of messages that may be lost.
    """

    protocol: Protocol
    id: bytes
    role_index: Mapping[str, int]
    states: tuple[tuple[State, ...], ...]
    branches: tuple[tuple[Mapping[str, Transition], ...], ...]
    labels: tuple[str, ...]
    label_index: Mapping[str, int]
    edges: tuple[tuple[str, str], ...]
    edge_settings: Mapping[tuple[str, str], EdgeSettings]
    lossy: Mapping[tuple[str, str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A checked image. `protocols[i]` belongs to `image.protocols[i]`.

    Attributes:
        data: its canonical bytes.
        id: the image's 32-byte content id.
        protocol_ids: the 32-byte content id of each protocol.
        protocol_index: a protocol's place in the image, by its name.
        initial_states: per protocol and role, where its local type begins.
    """

    image: Image
    data: bytes
    id: bytes
    protocol_ids: tuple[bytes, ...]
    protocols: tuple[ProtocolTables, ...]
    protocol_index: Mapping[str, int]
    initial_states: tuple[tuple[StateTable, ...], ...]
