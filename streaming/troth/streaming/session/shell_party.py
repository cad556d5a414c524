"""What host and client have in common: the clock, the end, and the effects that both ask for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from blake3 import blake3

from troth.streaming.load import LoadJudge
from troth.streaming.session.endings import Ending, label_of, meaning_of
from troth.streaming.shell_load import LoadMeter
from troth.streaming.telemetry import Clock, Event, Telemetry
from troth.vm.events import Event as RunEvent
from troth.vm.events import Faulted
from troth.vm.image import Image

CLOCK: Final = Clock(lambda: time.time_ns() // 1000, lambda: time.monotonic_ns() // 1000)


SESSION_ID_CHARACTERS: Final = 32
DECIDED: Final = ("bitrate_kbps", "frames_per_second", "scale_percent", "parity_percent")
"""Of a decision, what is also a gauge."""
ENDED_BY: Final = {Ending.BUSY: "Host", Ending.REVOKED: "Gateway", Ending.PEER_LOST: "nobody"}
"""Who ends a session without a word of its programs; else whichever side closed the link."""


class Party:
    """One side of a session, as its programs' effects see it.

    Attributes:
        ending: who ended it and why, once it is known.
        ways: the kinds of paths that were taken, in order.
        leaving: the reason why this side wants to end; "" while it does not.
        parting: somebody wants to end the session, or has ended it.
    """

    role = ""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self.telemetry = Telemetry(self.role, "", CLOCK, on_event)
        self.telemetry.emit("handshake_start", "control")
        self.ending: tuple[str, str] | None = None
        self.ways: list[str] = []
        self.leaving = ""
        self.parting = asyncio.Event()
        self.stopped = asyncio.Event()
        self.media_began_us: int | None = None
        self.load = LoadMeter()
        self._judge = LoadJudge()
        self._binding = b""
        self._heard = ""
        self._frames = 0
        self._digest = bytes(32)

    def effects_for(self, image: Image) -> Mapping[str, object]:
        """The functions of this role; those of the other are there and refuse."""
        return {effect.name: getattr(self, effect.name, _elsewhere) for effect in image.effects}

    def bind(self, binding: bytes) -> None:
        """The link is there; both sides name the session after what they have seen of it."""
        self._binding = binding
        self.telemetry.session_id = binding.hex()[:SESSION_ID_CHARACTERS]
        self.telemetry.emit("session_start", "control")
        self.telemetry.path_begins()

    def ends_because(self, reason: str) -> None:
        """Media stop now; the programs say why when they can, and the link when they cannot."""
        self.leaving = self.leaving or reason
        self.parting.set()
        self.stopped.set()

    @property
    def farewell(self) -> str:
        """The reason that the other side is to hear: what was agreed on, or what we want."""
        return self._heard or self.leaving or Ending.FAULT.value

    def note_faults(self, events: Sequence[RunEvent]) -> None:
        """Without the program that speaks for this side nobody would end what the others do."""
        for event in events:
            if isinstance(event, Faulted) and event.program == self.role.lower():
                self.ends_because(Ending.FAULT.value)

    async def keep_watch(self) -> None:
        """Looks at the clock of this side, also while its program waits for the other one."""
        await self.parting.wait()

    def let_go(self) -> None:
        """However it ended: nothing that the session holds stays held."""
        self.stopped.set()

    def revoke(self) -> None:
        """The session is taken away: media stop now, and the programs say so when they can."""
        self.stopped.set()

    def note_frame(self, digest: bytes) -> None:
        """Both sides say at the end how many frames there were, and which, in one digest."""
        self._frames += 1
        self._digest = blake3(self._digest + digest).digest()

    def close_books(self, *, ok: bool, lost: Ending | None, by: str) -> None:
        """The run is over; a session that its programs did not end is given a word, and a side."""
        if self.ending is None:
            reason = lost or Ending.FAULT
            if reason is Ending.PEER_LOST:
                self.telemetry.emit("peer_lost", "control")
            elif reason is Ending.REVOKED:
                self.telemetry.emit("revoked", "control")
            elif reason is Ending.BUSY:
                self.telemetry.emit("handshake_fail", "control", reason=reason.value)
                self.telemetry.count("handshake_fail_total", reason=reason.value)
            self.ending = (ENDED_BY.get(reason, by), reason.value)
        self.stopped.set()
        by, reason_text = self.ending
        self.telemetry.path_ends()
        self.telemetry.count("sessions_total", reason=label_of(reason_text))
        self.telemetry.emit(
            "session_end",
            meaning_of(reason_text).plane,
            reason=reason_text,
            by=by,
            ok=ok,
            frames=self._frames,
            seconds=0.0
            if self.media_began_us is None
            else round((now_us() - self.media_began_us) / 1e6, 3),
        )

    def note_load(self) -> None:
        """Once an epoch: how busy this process and its machine are."""
        load, telemetry = self.load.look(), self.telemetry
        telemetry.gauges["cpu_own_percent"] = load.own_percent
        telemetry.gauges["cpu_others_percent"] = load.others_percent
        state = self._judge.judge(load)
        if state is not None:
            telemetry.emit(
                "load",
                state=state.value,
                own_percent=load.own_percent,
                others_percent=load.others_percent,
            )

    def note_decision(self, before: Mapping[str, Any], decision: Mapping[str, Any]) -> None:
        """What the host has decided, as events of what changed and as gauges."""
        telemetry = self.telemetry
        for what in DECIDED:
            telemetry.gauges[what] = decision[what]
            if not before or before[what] == decision[what]:
                continue
            if what == "parity_percent":
                telemetry.moved("fec_change", before[what], decision[what])
            else:
                cause = decision["cause"]
                telemetry.moved("adapt", before[what], decision[what], what=what, cause=cause)

    def note_report(self, report: Mapping[str, Any]) -> None:
        """What the client has seen in the last epoch."""
        gauges = self.telemetry.gauges
        gauges["loss_pre_repair"] = report["lost_before_repair_ppm"] / 1e6
        gauges["loss_post_repair"] = report["lost_after_repair_ppm"] / 1e6
        gauges["jitter_us"] = report["jitter_us"]

    # --- effects -----------------------------------------------------------------------------

    def channel_binding(self) -> bytes:
        self.telemetry.emit("handshake_ok", "control", binding=self._binding.hex()[:16])
        return self._binding

    def standing(self) -> dict[str, object]:
        return {"frames": self._frames, "digest": self._digest}

    def ended(self, by: str, reason: str) -> None:
        self.ending = (by, reason)
        self.stopped.set()

    def begin_media(self, codec: str, picture: dict[str, int]) -> None:
        self.media_began_us = now_us()
        self.telemetry.emit(
            "media_start",
            codec=codec,
            width=picture["width"],
            height=picture["height"],
            frames_per_second=picture["frames_per_second"],
        )

    def stop_media(self, reason: str) -> None:
        if reason in (Ending.IDENTITY, Ending.VERSION, Ending.CODEC, Ending.BUSY):
            self.telemetry.emit("handshake_fail", "control", reason=reason)
            self.telemetry.count("handshake_fail_total", reason=reason)
        elif reason == Ending.REVOKED:
            self.telemetry.emit("revoked", "control")
        self._heard = reason
        self.parting.set()
        self.stopped.set()

    async def wait(self, until_us: int) -> bool:
        """Until a time, or the end; whether it ended."""
        seconds = (until_us - now_us()) / 1e6
        if seconds > 0 and not self.stopped.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.stopped.wait()
            except TimeoutError:
                return False
        return self.stopped.is_set()


def now_us() -> int:
    return CLOCK.mono_us()


def _elsewhere(*_: object) -> object:
    raise RuntimeError("this effect belongs to the other role")
