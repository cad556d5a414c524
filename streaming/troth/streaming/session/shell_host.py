"""The host of a session: what its programs ask for, answered by a source and a controller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from troth import vm
from troth.streaming.adaptation import (
    BITRATE_KBPS_MIN,
    Controller,
    LadderController,
    lowest_scale,
    scaled,
)
from troth.streaming.lane import Content, Lane, MediaWay
from troth.streaming.link.outputs import PathState
from troth.streaming.media.input_acts import PressedKeys
from troth.streaming.media.interfaces import InputSink, Picture, SoundSource, VideoSource
from troth.streaming.media.tones import GROUP_MS
from troth.streaming.media.viewing import Epoch
from troth.streaming.session.endings import Ending
from troth.streaming.session.limits import (
    BACKLOG_US_MAX,
    BITRATE_KBPS_DEFAULT,
    BITRATE_KBPS_MAX,
    CAPTURED_US_MAX,
    CODECS,
    FRAME_RATE_MAX,
    QUEUE_US_MAX,
    VERSION,
    WORDS_BACKLOG_US_MAX,
)
from troth.streaming.session.shell_party import Party, now_us
from troth.streaming.telemetry import Event
from troth.vm.errors import TrothError

Facts = dict[str, Any]

PATH_EVENTS: Final = {
    PathState.GOOD: "peer_recovered",
    PathState.DEGRADED: "peer_degraded",
    PathState.LOST: "peer_lost",
}


class HostParty(Party):
    """Captures, sends, decides and injects."""

    role = "Host"

    def __init__(
        self,
        *,
        way: MediaWay,
        video: VideoSource,
        sound: SoundSource,
        keyboard: InputSink,
        bitrate_kbps: int = BITRATE_KBPS_DEFAULT,
        busy: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(on_event)
        self.keys = PressedKeys(keyboard)
        self.decision: Facts = {}
        self.reports: list[Epoch] = []
        self.parity_percent = 0
        self.reaches: Callable[[int], Awaitable[bool]] | None = None
        self._way = way
        self._video = video
        self._sound = sound
        self._bitrate_kbps = bitrate_kbps
        self._busy = busy
        self._controller: Controller = LadderController(bitrate_kbps, 1, bitrate_kbps)
        self._picture = self._whole = Picture(1, 1, 1)
        """What is captured now, and what was agreed on."""

        self._frame_due_us = 0
        self._captured_us = 0
        self._sound_due_us = 0

    def end(self, reason: Ending) -> None:
        """The client hears of it in answer to its next report."""
        self.ends_because(reason.value)

    def revoke(self) -> None:
        super().revoke()
        self.end(Ending.REVOKED)

    def need_key_frame(self) -> None:
        """The way has lost what it cannot repair; it says so before the client does."""
        self.telemetry.emit("idr_request", by="way")
        self.telemetry.count("idr_requests_total")
        self._video.force_key_frame()

    def path_state(self, state: PathState, silent_ms: int) -> None:
        """The way has fallen silent, or speaks again."""
        self.telemetry.emit(PATH_EVENTS[state], silent_ms=silent_ms)

    def let_go(self) -> None:
        """No key stays down, and nothing is captured for nobody."""
        super().let_go()
        self.keys.release_all()
        self._video.stop()
        self._sound.stop()

    def input_line(self) -> str:
        return f"input: {self.keys.injected} acts injected, {len(self.keys.down)} keys down"

    # --- control -----------------------------------------------------------------------------

    def admit(self, wish: Facts, same_channel: bool) -> Facts:
        refusal = self._refusal(wish) if same_channel else Ending.IDENTITY.value
        asked = wish["picture"]
        kbps = max(1, min(self._bitrate_kbps, int(wish["bitrate_kbps_max"]), BITRATE_KBPS_MAX))
        rate = max(1, min(int(asked["frames_per_second"]), FRAME_RATE_MAX))
        self._picture = Picture(int(asked["width"]), int(asked["height"]), rate)
        self._whole = self._picture
        scale_min = lowest_scale(self._picture, int(wish["scale_percent_min"]))
        self._controller = LadderController(
            kbps,
            rate,
            min(wish["bitrate_kbps_max"], 1 << 31),
            pixels=self._picture.width * self._picture.height,
            scale_percent_min=scale_min,
        )
        self._bitrate_kbps = kbps
        return {
            "refusal": refusal,
            "codec": "" if refusal else CODECS[0],
            "picture": asdict(self._picture),
            "bitrate_kbps": kbps,
            "scale_percent_min": scale_min,
            "monitors": list(self._video.monitors),
        }

    def _refusal(self, wish: Facts) -> str:
        if wish["version"] != VERSION:
            return Ending.VERSION.value
        if CODECS[0] not in wish["codecs"]:
            return Ending.CODEC.value
        return Ending.BUSY.value if self._busy else ""

    def begin_media(self, codec: str, picture: dict[str, int]) -> None:
        self._video.start(self._picture, self._bitrate_kbps)
        self._frame_due_us = self._sound_due_us = now_us()
        super().begin_media(codec, picture)

    def stop_media(self, reason: str) -> None:
        super().stop_media(reason)
        self._video.stop()
        self._sound.stop()

    def host_order(self) -> str:
        return self.leaving

    def decide(self, report: Facts) -> Facts:
        epoch = Epoch(**report)
        self.reports.append(epoch)
        del self.reports[:-4096]
        decision = asdict(self._controller.decide(epoch, self._way.allowed_kbps))
        self.note_report(report)
        self.note_load()
        self.note_decision(self.decision, decision)
        self.decision = decision
        self._bitrate_kbps = decision["bitrate_kbps"]
        self._picture = scaled(
            self._whole, decision["scale_percent"], decision["frames_per_second"]
        )
        self.parity_percent = decision["parity_percent"]
        self._video.adapt(decision["bitrate_kbps"], decision["frames_per_second"])
        self._video.resize(self._picture.width, self._picture.height)
        return decision

    def force_key_frame(self, after: int) -> int:
        self.telemetry.emit("idr_request", after=after)
        self.telemetry.count("idr_requests_total")
        return self._video.force_key_frame()

    def select_monitor(self, number: int) -> Facts:
        try:
            self._video.select(number)
            refusal = ""
        except TrothError as error:
            refusal = error.code
        self.telemetry.emit("monitor_selected", "control", monitor=number, refusal=refusal)
        return {"refusal": refusal, "picture": asdict(self._picture)}

    def cap_bitrate(self, bitrate_kbps: int) -> int:
        self._bitrate_kbps = min(self._bitrate_kbps, self._controller.cap(bitrate_kbps))
        self._video.adapt(self._bitrate_kbps, self._picture.frames_per_second)
        self.telemetry.emit("cap", bitrate_kbps=self._bitrate_kbps)
        return self._bitrate_kbps

    @vm.effect(cancellable=True)
    async def path_reached(self, path: int) -> bool:
        """Without routes there is one path; another one has not been opened."""
        if self.reaches is None:
            return path == self.telemetry.path_id
        return await self.reaches(path)

    def take_path(self, path: int) -> None:
        self.telemetry.path_id = path
        self.telemetry.emit("path_change", to=path)
        self.telemetry.count("path_changes_total")

    def path_kept(self, path: int) -> None:
        self.telemetry.emit("path_change", to=self.telemetry.path_id, refused=path)

    # --- media -------------------------------------------------------------------------------

    def _gets_through(self, now: int) -> bool:
        """Else a piece of media, or the message that names it, would come after its time."""
        way = self._way
        if way.words_backlog_us > WORDS_BACKLOG_US_MAX:
            return False
        return way.queue_us <= QUEUE_US_MAX or now - self._captured_us >= CAPTURED_US_MAX

    @vm.effect(cancellable=True)
    async def next_frame(self) -> Facts:
        while True:
            if await self.wait(self._frame_due_us):
                return {"more": False, "number": 0, "key": False, "at_us": 0, "data": b""}
            now = now_us()
            interval_us = 1_000_000 // self._picture.frames_per_second
            if self._way.backlog_us <= BACKLOG_US_MAX and self._gets_through(now):
                break
            # What would only wait is not captured: the next picture is newer.
            self._frame_due_us = now + interval_us
            self.telemetry.count("frames_skipped_total")
        # A host that is late does not send a burst: what was missed is not made up for.
        self._frame_due_us = max(self._frame_due_us + interval_us, now + interval_us // 2)
        self._fit_way()
        self._captured_us = now
        frame = self._video.capture(now)
        self.telemetry.gauges["capture_us"] = now_us() - now
        return {
            "more": True,
            "number": frame.number,
            "key": frame.key,
            "at_us": frame.captured_at_us,
            "data": frame.data,
        }

    def _fit_way(self) -> None:
        """A way that has become narrow is not filled until the next report comes through it."""
        allowed_kbps = self._way.allowed_kbps
        if 0 < allowed_kbps < self._bitrate_kbps:
            kbps = max(allowed_kbps, BITRATE_KBPS_MIN)
            self._video.adapt(kbps, self._picture.frames_per_second)

    def transmit_frame(self, number: int, key: bool, data: vm.BlobValue) -> None:
        self.note_frame(data.digest)
        self.telemetry.count("frames_sent_total")
        self.telemetry.count("bytes_sent_total", len(data))
        self._way.send(Content(Lane.VIDEO, number, data.read(), key), now_us(), self.parity_percent)

    @vm.effect(cancellable=True)
    async def next_sound(self) -> Facts:
        while True:
            if await self.wait(self._sound_due_us):
                return {"more": False, "number": 0, "at_us": 0, "data": b""}
            now = now_us()
            self._sound_due_us = max(self._sound_due_us + GROUP_MS * 1000, now)
            if self._gets_through(now):
                break
            self.telemetry.count("sound_skipped_total")
        group = self._sound.capture(now)
        return {
            "more": True,
            "number": group.number,
            "at_us": group.captured_at_us,
            "data": group.data,
        }

    def transmit_sound(self, number: int, data: vm.BlobValue) -> None:
        self._way.send(Content(Lane.SOUND, number, data.read(), key=True), now_us(), 0)

    # --- input -------------------------------------------------------------------------------

    def move_pointer(self, x: int, y: int, at_us: int) -> None:
        self.telemetry.gauges["input_latency_us"] = self._since(at_us)
        self.keys.move(x, y)

    def press(self, code: int, at_us: int) -> None:
        self._note_input(at_us)
        self.keys.press(code)

    def release(self, code: int, at_us: int) -> None:
        self._note_input(at_us)
        self.keys.release(code)

    def _since(self, at_us: int) -> int:
        """How long ago that was by the client's clock; 0 while nobody knows what that shows."""
        ahead_us = self._way.clock_ahead_us
        return 0 if ahead_us is None else max(0, now_us() + ahead_us - at_us)

    def _note_input(self, at_us: int) -> None:
        latency_us = self._since(at_us)
        self.telemetry.gauges["input_latency_us"] = latency_us
        self.telemetry.emit("input_latency", us=latency_us)

    def release_all(self) -> int:
        return self.keys.release_all()
