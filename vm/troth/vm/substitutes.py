"""What a re-execution puts in the place of parts of the machine; a run leaves all as they are.

Re-executing a record must do exactly what the run did, but it holds no private keys, checks no
signature a second time, watches what somebody else's program does to this host, and looks at
every event as it happens. These are the places where it steps in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from troth.vm.coroutine import Coroutine
from troth.vm.events import Event, Proof
from troth.vm.image import Image
from troth.vm.peer_heads import PeerHeads, included
from troth.vm.run_coop import TurnEnd, take_turn
from troth.vm.signatures import acceptable_key, verify
from troth.vm.statements import payload_commitment
from troth.vm.step_code import ProgramCode
from troth.vm.turn import Turn


class Substitutes(NamedTuple):
    """
    Attributes:
        verify: says whether a key signed a statement, given both and the signature.
        acceptable_key: says whether a public key is sound.
        included: says whether a log of another machine holds a statement, given the heads
            known, the principal, the proof and the statement.
        commitment: commits to a payload, given its salt.
        before_linger: is called before the time is noted at which a session starts to linger.
        before_timer: is called before the clock of a timed choice is started.
        execute: runs one turn of at most so many instructions.
        decode: makes the steps of an image's programs; None for the machine's own way.
        events: gets every event in the moment it happens, instead of `Machine.poll_events`; it
            has to stay empty.
    """

    verify: Callable[[bytes, bytes, bytes], bool] = verify
    acceptable_key: Callable[[bytes], bool] = acceptable_key
    included: Callable[[PeerHeads, bytes, Proof, bytes], bool] = included
    commitment: Callable[[bytes, bytes], bytes] = payload_commitment
    before_linger: Callable[[], None] | None = None
    before_timer: Callable[[], None] | None = None
    execute: Callable[[Turn, Coroutine, int], TurnEnd] = take_turn
    decode: Callable[[Image], tuple[ProgramCode, ...]] | None = None
    events: list[Event] | None = None


NO_SUBSTITUTES = Substitutes()
