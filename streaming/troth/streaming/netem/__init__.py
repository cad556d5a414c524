"""A network in memory: seeded, without a clock, the same run from the same seed.

`Conditions` say what one direction does to datagrams, a table of `Step`s says when, `Network`
carries datagrams between addresses through channels and NAT boxes, and `World` drives the parts
that speak over it in virtual time.
"""

from __future__ import annotations

from troth.streaming.netem.channel import Channel as Channel
from troth.streaming.netem.channel import ChannelCounts as ChannelCounts
from troth.streaming.netem.conditions import PERFECT as PERFECT
from troth.streaming.netem.conditions import Bursts as Bursts
from troth.streaming.netem.conditions import Conditions as Conditions
from troth.streaming.netem.conditions import Step as Step
from troth.streaming.netem.nat import Nat as Nat
from troth.streaming.netem.nat import NatBehaviour as NatBehaviour
from troth.streaming.netem.network import Network as Network
from troth.streaming.netem.network import Parcel as Parcel
from troth.streaming.netem.world import Node as Node
from troth.streaming.netem.world import World as World

__all__ = [
    "PERFECT",
    "Bursts",
    "Channel",
    "ChannelCounts",
    "Conditions",
    "Nat",
    "NatBehaviour",
    "Network",
    "Node",
    "Parcel",
    "Step",
    "World",
]
