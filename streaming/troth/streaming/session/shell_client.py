"""The client of a session: what its programs ask for, answered by a screen and a user."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from troth import vm
from troth.streaming.adaptation import SCALE_PERCENT_MAX
from troth.streaming.lane import Content, Lane, MediaWay
from troth.streaming.media.input_acts import ActQueue
from troth.streaming.media.interfaces import (
    Act,
    ActKind,
    InputSource,
    Picture,
    SoundSink,
    VideoSink,
)
from troth.streaming.media.viewing import Outcome, Viewing, delay_text
from troth.streaming.session.arrivals import Arrivals, is_content
from troth.streaming.session.endings import Ending
from troth.streaming.session.limits import (
    CODECS,
    CONNECTION_LOST_US,
    DEGRADED_US,
    DEMANDS_MAX,
    EPOCH_US,
    KEY_FRAME_EVERY_US,
    PLAYOUT_DEADLINE_US,
    VERSION,
)
from troth.streaming.session.shell_party import Party, now_us
from troth.streaming.telemetry import Event
from troth.vm.errors import Malformed, Unusable

Facts = dict[str, Any]
INPUT_TICK_US = 4_000
MOVE_EVERY_US = 15_000
"""Two moves in the time of a frame look like one."""
WATCH_EVERY_US = 50_000
SOUND_GONE_GROUPS = 25
"""So many groups in a row that nobody heard are half a second."""


class ClientParty(Party):
    """Receives, shows, measures, demands and types."""

    role = "Client"

    def __init__(
        self,
        *,
        way: MediaWay,
        screen: VideoSink,
        loudspeaker: SoundSink,
        user: InputSource,
        picture: Picture,
        bitrate_kbps_max: int,
        scale_percent_min: int = SCALE_PERCENT_MAX,
        ends_after_us: int | None = None,
        version: int = VERSION,
        codecs: tuple[str, ...] = CODECS,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(on_event)
        self.viewing = Viewing(now_us())
        self.decision: Facts = {}
        self.last_report: Facts = {}
        self.tones: dict[int, int] = {}
        self.sounds_missed = 0
        self._unheard_in_a_row = 0
        self._sound_gone = False
        self.degraded = False
        self.stands: Callable[[int], bool] | None = None
        self._way = way
        self._screen = screen
        self._loudspeaker = loudspeaker
        self._user = user
        self._picture = picture
        self._bitrate_kbps_max = bitrate_kbps_max
        self._scale_percent_min = scale_percent_min
        self._ends_after_us = ends_after_us
        self._version = version
        self._codecs = codecs
        self._arrivals = Arrivals()
        self._arrived = asyncio.Event()
        self._acts = ActQueue()
        self._demands: deque[Facts] = deque()
        self._demanded = asyncio.Event()
        self._epoch_ends_us = 0
        self._key_frame_asked_us = -KEY_FRAME_EVERY_US
        self._nonce = b""
        self._moves_from_us = 0

    def arrive(self, content: Content) -> None:
        """A content has come."""
        self._arrivals.add(content)
        self._arrived.set()

    def leave(self, reason: Ending) -> None:
        """The session ends with the next thing that the client says."""
        self.ends_because(reason.value)
        self._demanded.set()

    def revoke(self) -> None:
        super().revoke()
        self.leave(Ending.REVOKED)

    def demand(self, kind: str, number: int, text: str = "") -> None:
        """
        Raises:
            Unusable: code `stream.demands`, when nothing is taken any more.
        """
        if len(self._demands) >= DEMANDS_MAX:
            raise Unusable(
                "stream.demands",
                "the session does not keep up with what is asked of it",
                expected=f"at most {DEMANDS_MAX} demands that wait",
                actual="one more",
            )
        self._demands.append({"kind": kind, "number": number, "text": text})
        self._demanded.set()

    def lines(self) -> list[str]:
        """The summary that a person reads."""
        viewing = self.viewing
        outcomes = viewing.outcomes
        by, reason = self.ending or ("nobody", "")
        missed = sum(outcomes.values()) - outcomes[Outcome.SHOWN]
        return [
            f"ended: {reason} by {by}",
            f"frames: {outcomes[Outcome.SHOWN]} shown, {missed} not",
            f"delay: {delay_text(viewing.delays_us)}",
            f"freezes: {viewing.freezes_count}, {viewing.frozen_us // 1000} ms",
            f"sound: {sum(self.tones.values())} groups of {len(self.tones)} tones",
            *([f"path: {', then '.join(self.ways)}"] if self.ways else []),
        ]

    # --- control -----------------------------------------------------------------------------

    def wish(self) -> Facts:
        return {
            "version": self._version,
            "codecs": list(self._codecs),
            "picture": asdict(self._picture),
            "bitrate_kbps_max": self._bitrate_kbps_max,
            "scale_percent_min": self._scale_percent_min,
        }

    def begin_media(self, codec: str, picture: dict[str, int]) -> None:
        super().begin_media(codec, picture)
        now = now_us()
        self.viewing.last_shown_at_us = now
        self._epoch_ends_us = now + EPOCH_US

    @vm.effect(cancellable=True)
    async def next_demand(self) -> Facts:
        while True:
            now = now_us()
            self._watch(now)
            if self.leaving:
                return {"kind": "leave", "number": 0, "text": self.leaving}
            if self._demands:
                return self._demands.popleft()
            if now >= self._epoch_ends_us:
                self._epoch_ends_us = max(self._epoch_ends_us + EPOCH_US, now + EPOCH_US // 2)
                return {"kind": "report", "number": 0, "text": ""}
            self._demanded.clear()
            try:
                async with asyncio.timeout((self._epoch_ends_us - now) / 1e6):
                    await self._demanded.wait()
            except TimeoutError:
                continue

    async def keep_watch(self) -> None:
        """The program asks for the next demand only when the one before has been answered."""
        while not await self.wait(now_us() + WATCH_EVERY_US):
            if self.media_began_us is not None:
                self._watch(now_us())

    def _watch(self, now: int) -> None:
        """Liveness: degraded, recovered, and the end when policy says so."""
        began = self.media_began_us
        ends_after_us = self._ends_after_us
        if began is not None and ends_after_us is not None and now - began >= ends_after_us:
            self.leave(Ending.TIME)
        silent_us = self.viewing.silent_us(now)
        if silent_us >= CONNECTION_LOST_US:
            if not self.leaving:
                self.telemetry.emit("peer_lost", silent_ms=silent_us // 1000)
            self.leave(Ending.CONNECTION_LOST)
        elif silent_us >= DEGRADED_US and not self.degraded:
            self.degraded = True
            self.telemetry.emit("peer_degraded", silent_ms=silent_us // 1000)
        elif silent_us < DEGRADED_US and self.degraded:
            self.degraded = False
            self.telemetry.emit("peer_recovered")

    def measure(self) -> Facts:
        report = asdict(self.viewing.report(now_us(), self._way.counts))
        self.last_report = report
        self.note_report(report)
        self.note_load()
        return report

    def adapted(self, decision: Facts) -> None:
        self.note_decision(self.decision, decision)
        self.decision = decision

    def key_frame_promised(self, number: int) -> None:
        self.telemetry.emit("idr_request", promised=number)

    def monitor_selected(self, selection: Facts) -> None:
        self.telemetry.emit("monitor_selected", "control", refusal=selection["refusal"])

    def capped(self, bitrate_kbps: int) -> None:
        self.telemetry.emit("cap", "control", bitrate_kbps=bitrate_kbps)

    def path_nonce(self, path: int) -> bytes:  # noqa: ARG002
        self._nonce = os.urandom(16)
        return self._nonce

    def path_answered(self, path: int, nonce: bytes) -> bool:
        """The answer is to our question, and the path is still the one that is wanted."""
        return nonce == self._nonce and (self.stands is None or self.stands(path))

    def path_taken(self, path: int) -> None:
        before, self.telemetry.path_id = self.telemetry.path_id, path
        self.telemetry.moved("path_change", before, path)
        self.telemetry.count("path_changes_total")

    def path_kept(self, path: int) -> None:
        self.telemetry.emit("path_change", to=self.telemetry.path_id, refused=path)

    # --- media -------------------------------------------------------------------------------

    async def _content(self, lane: Lane, number: int) -> bytes | None:
        """What was announced, when it comes before its deadline."""
        ends_us = now_us() + PLAYOUT_DEADLINE_US
        while (data := self._arrivals.take(lane, number)) is None:
            left_us = ends_us - now_us()
            passed = self._arrivals.passed(lane, number)
            if passed or left_us <= 0 or self.stopped.is_set():
                return None
            self._arrived.clear()
            try:
                async with asyncio.timeout(left_us / 1e6):
                    await self._arrived.wait()
            except TimeoutError:
                continue
        return data

    @vm.effect(cancellable=True)
    async def show(self, number: int, key: bool, at_us: int, data: vm.BlobValue) -> str:  # noqa: ARG002
        if number <= self.viewing.last_shown:
            return self._missed(Outcome.LATE)
        content = await self._content(Lane.VIDEO, number)
        if content is None:
            return self._missed(Outcome.LOST)
        self.viewing.received(len(content))
        if not is_content(content, data.digest):
            return self._missed(Outcome.FORGED)
        try:
            shown = self._screen.present(content)
        except Malformed:
            self._need_key_frame()
            return self._missed(Outcome.BROKEN)
        self.note_frame(data.digest)
        now = now_us()
        ahead_us = self._way.clock_ahead_us
        freeze = self.viewing.shown(shown, at_us, now, ahead_us=ahead_us)
        if ahead_us is not None:
            self.telemetry.tally.queue_delay_ms.add(self.viewing.delays_us[-1] // 1000)
            self.telemetry.gauges["clock_ahead_us"] = ahead_us
        self.telemetry.count("frames_shown_total")
        if freeze is not None:
            self.telemetry.emit("freeze", ms=freeze.ms)
            self.telemetry.count("freezes_total")
            self.telemetry.count("freeze_seconds_total", freeze.ms / 1000)
        return Outcome.SHOWN.value

    def _missed(self, outcome: Outcome) -> str:
        self.viewing.missed(outcome)
        self.telemetry.count("frames_missed_total", outcome=outcome.value)
        return outcome.value

    def _need_key_frame(self) -> None:
        now = now_us()
        if now - self._key_frame_asked_us >= KEY_FRAME_EVERY_US and not self.leaving:
            self._key_frame_asked_us = now
            self.demand("key_frame", max(0, self.viewing.last_shown))

    @vm.effect(cancellable=True)
    async def play(self, number: int, at_us: int, data: vm.BlobValue) -> str:  # noqa: ARG002
        content = await self._content(Lane.SOUND, number)
        if content is None:
            return self._unheard(Outcome.LOST)
        if not is_content(content, data.digest):
            return self._unheard(Outcome.FORGED)
        try:
            tone = self._loudspeaker.play(content)
        except Malformed:
            # The host sent it so: a source that is silent, or another one than was meant.
            return self._unheard(Outcome.BROKEN)
        self.tones[tone] = self.tones.get(tone, 0) + 1
        self.telemetry.count("sound_played_total")
        self._hear(Outcome.SHOWN)
        return Outcome.SHOWN.value

    def _unheard(self, outcome: Outcome) -> str:
        self.sounds_missed += 1
        self.telemetry.count("sound_missed_total", outcome=outcome.value)
        self._hear(outcome)
        return outcome.value

    def _hear(self, outcome: Outcome) -> None:
        """Says when the sound goes away for some time, and when it is back."""
        self._unheard_in_a_row = 0 if outcome is Outcome.SHOWN else self._unheard_in_a_row + 1
        gone = self._unheard_in_a_row >= SOUND_GONE_GROUPS
        if gone != self._sound_gone and (gone or outcome is Outcome.SHOWN):
            self._sound_gone = gone
            self.telemetry.emit("sound", state="gone" if gone else "heard", outcome=outcome.value)

    # --- input -------------------------------------------------------------------------------

    @vm.effect(cancellable=True)
    async def next_act(self) -> Facts:
        while True:
            now = now_us()
            for done in self._user.acts(now):
                self._acts.add(done)
            # A newer move would do as well as one that has to wait, or that nobody could see.
            may_move = self._way.acts_backlog_us == 0 and now >= self._moves_from_us
            act = self._acts.take(lone_moves=may_move)
            if act is not None:
                if act.kind is ActKind.MOVE:
                    self._moves_from_us = now + MOVE_EVERY_US
                return _facts(act)
            if await self.wait(now + INPUT_TICK_US):
                return _facts(Act(ActKind.END, now))


def _facts(act: Act) -> Facts:
    x = act.code if act.kind in (ActKind.PRESS, ActKind.RELEASE) else act.x
    return {"kind": act.kind.value, "number": act.number, "x": x, "y": act.y, "at_us": act.at_us}
