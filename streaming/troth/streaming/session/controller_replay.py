"""Makes a recorded session's decisions again, from nothing but the reports in its record."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from troth.streaming.adaptation import Controller, Decision, LadderController
from troth.streaming.session.recorded import Facts, Recorded, decision_of, epoch_of
from troth.vm.errors import Malformed


@dataclass(frozen=True, slots=True)
class Row:
    """One epoch: what was decided then, and what is decided now."""

    recorded: Decision
    again: Decision
    delay_us: int
    lost_before_repair_ppm: int

    def text(self) -> str:
        then, now = self.recorded, self.again
        said = "same" if then == now else f"now {now.bitrate_kbps} kbit/s, {now.cause}"
        return (
            f"epoch {then.epoch}: delay {self.delay_us} us, loss "
            f"{self.lost_before_repair_ppm / 10_000:.2f} %: {then.bitrate_kbps} kbit/s, "
            f"{then.frames_per_second} fps, scale {then.scale_percent} %, "
            f"parity {then.parity_percent} %, {then.cause}; {said}"
        )

    def facts(self) -> Facts:
        return {
            "recorded": asdict(self.recorded),
            "again": asdict(self.again),
            "delay_us": self.delay_us,
            "lost_before_repair_ppm": self.lost_before_repair_ppm,
        }


def compare(recorded: Recorded, controller: Controller | None = None) -> list[Row]:
    """One row for each decision; another `controller` shows what it would have done.

    Raises:
        Malformed: code `stream.record`.
    """
    deciding = controller or _controller_of(recorded)
    rows: list[Row] = []
    report = None
    for said in recorded.control:
        if said.label == "report" and said.values:
            report = epoch_of(said.values[0])
        elif said.label == "cap" and said.values:
            deciding.cap(said.values[0])
        elif said.label == "adapt" and said.values and report is not None:
            then = decision_of(said.values[0])
            again = deciding.decide(report, then.way_kbps)
            rows.append(Row(then, again, report.delay_us, report.lost_before_repair_ppm))
            report = None
    return rows


def _controller_of(recorded: Recorded) -> Controller:
    """The controller as the host made it, from what host and client agreed on."""
    hello, accept = recorded.first("hello"), recorded.first("accept")
    if not hello or not accept:
        raise Malformed(
            "stream.record",
            "the record does not say what host and client agreed on",
            expected="the messages hello and accept with their contents",
            advice="Take a record that is whole and not redacted",
        )
    admission = accept[0]
    picture = admission["picture"]
    return LadderController(
        admission["bitrate_kbps"],
        picture["frames_per_second"],
        hello[0]["bitrate_kbps_max"],
        pixels=picture["width"] * picture["height"],
        scale_percent_min=admission["scale_percent_min"],
    )
