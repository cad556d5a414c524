"""Resumes recorded runs: in real files, as a user does, and in memory, to look at each step."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from artifact_surgery import Record, Sample, parse
from replay_samples import Host, answer, drive
from troth import dsl, vm
from troth.vm.catch_up import CatchUp
from troth.vm.history import Inputs, survey
from troth.vm.host_signer import HostSigner
from troth.vm.image_codec import decode_image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import Limits
from troth.vm.loader import load
from troth.vm.machine import Machine, Overrides
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.records import Kind

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = ROOT / "docs" / "examples"
EFFECTS: Final[Mapping[str, Callable[..., object]]] = {"price_of": lambda name: 24 * len(name)}

NOT_THE_PROGRAMS: Final = frozenset({Kind.INCARNATION, Kind.SEAL, Kind.END})
"""Records that a resumption adds, or that count the others."""


@dataclass(slots=True)
class Recording:
    """One run in a real file, with the folder of its keys."""

    folder: Path
    image: vm.Image
    effects: Mapping[str, Callable[..., object]]
    data: bytes = b""
    printed: list[str] = field(default_factory=list)

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def trust(self) -> vm.TrustFile:
        keys = sorted(self.keys.glob("*.pub"))
        return vm.parse_trust("".join(path.read_text() for path in keys), "trust")

    def cut(self, size: int, name: str = "cut.replay") -> Path:
        """A file with the first `size` bytes."""
        path = self.folder / name
        path.write_bytes(self.data[:size])
        return path

    def resume(self, path: Path, printed: list[str] | None = None) -> vm.ResumeResult:
        lines: list[str] = [] if printed is None else printed
        return vm.resume(path, keys=self.keys, effects=self.effects, write_line=lines.append)


def record_image(
    folder: Path,
    image: vm.Image,
    *,
    effects: Mapping[str, Callable[..., object]] = EFFECTS,
    seal: str | None = None,
) -> Recording:
    recording = Recording(folder, image, effects)
    options = vm.RunOptions(
        keys=recording.keys,
        record=folder / "whole.replay",
        effects=effects,
        seal=None if seal is None else Seal(seal),
        seed=bytes(32),
    )
    vm.run(image, options=options, write_line=recording.printed.append)
    recording.data = (folder / "whole.replay").read_bytes()
    return recording


def record_example(folder: Path, name: str, seal: str) -> Recording:
    return record_image(folder, dsl.load(EXAMPLES / f"{name}.troth").image, seal=seal)


def done_by_programs(data: bytes) -> list[Record]:
    """What is the same in a run and in one that was resumed."""
    return [items for items in parse(data) if items[0] not in NOT_THE_PROGRAMS]


class MemoryFile:
    """A record in memory: what `catch_up.Recorded` asks of a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.survey = survey(io.BytesIO(data))
        self.written = b""

    @property
    def behind(self) -> bool:
        return len(self.written) < self.survey.loose_from

    @property
    def followed(self) -> bool:
        return len(self.data) > len(self.written)

    def write(self, data: bytes) -> None:
        known = self.data[: self.survey.whole][len(self.written) :][: len(data)]
        assert data.startswith(known), f"another byte after {len(self.written)}"
        self.written += data


@dataclass(slots=True)
class Resumed:
    """A machine that was brought to where a record stops."""

    machine: Machine
    recorder: Recorder
    past: CatchUp
    file: MemoryFile

    def go_on(self, host: Host, steps_max: int) -> Sample:
        """Some more rounds, behind an INCARNATION; returns the whole record."""
        self.recorder.resumed(self.file.survey.incarnations + 1, self.machine.rounds, 0)
        for request in self.past.outstanding.values():
            answer(self.machine, host, request.effect_id, request.name, request.arguments)
        if drive(self.machine, host, steps_max):
            outcome = "ok" if self.machine.report().ok else "failed"
            self.recorder.finish(self.machine.rounds, outcome)
        self.machine.poll_events()
        return Sample(self.file.written + self.recorder.take_bytes(), {})


def resume_in_memory(sample: Sample, size: int, *, seal_every: int) -> Resumed:
    """Catches up with the first `size` bytes of a record, which hold its header and image."""
    file = MemoryFile(sample.data[:size])
    items, data = file.survey.header, file.survey.image
    assert items is not None
    assert data is not None
    header = HeaderFacts(*items[2:])
    image = decode_image(data)
    keys = HostSigner(sample.keys)
    recorder = Recorder(header, data, keys, keys, seal_every=seal_every)
    names = (one.name for one in fields(Limits))
    machine = Machine(
        load(image),
        seed=header.seed,
        signer=keys,
        roster=keys,
        limits=Limits(**dict(zip(names, header.limits, strict=True))),
        quantum=header.quantum,
        overrides=Overrides(
            replay=None if header.replay is None else ReplayMode(header.replay),
            seal=None if header.seal is None else Seal(header.seal),
        ),
        evidence=recorder,
    )
    machine.start()
    inputs = Inputs(io.BytesIO(file.data), file.survey.whole)
    past = CatchUp(machine, recorder, image, inputs)
    past.follow(file)
    return Resumed(machine, recorder, past, file)
