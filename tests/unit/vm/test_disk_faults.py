"""Disks that are full or failing: nothing is released that was not written, nothing is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from artifact_surgery import parse
from resume_samples import EXAMPLES
from troth import conformance, dsl, vm
from troth.vm.host_signer import HostSigner
from troth.vm.records import Kind

SYSTEM_WRITE: Final = os.write
SYSTEM_SYNC: Final = os.fsync
SIGN: Final = HostSigner.sign
ERRORS: Final = (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT)


@dataclass(slots=True)
class Disk:
    """Stands in the way of writes to artifacts.

    Attributes:
        fails_at: the number of the write that fails, from 1; 0 for none.
        error: how it fails.
        part: how many of its bytes are written before that.
        at_once: how many bytes one call writes at most.
        broken: it has failed.
        signed_after: signatures that were made after that.
    """

    fails_at: int = 0
    error: int = errno.ENOSPC
    part: int = 0
    at_once: int = 1 << 30
    writes: int = 0
    syncs: int = 0
    sync_fails_at: int = 0
    broken: bool = False
    signed_after: int = 0

    def write(self, file: int, data: memoryview) -> int:
        self.writes += 1
        if self.broken or self.writes == self.fails_at:
            if not self.broken and self.part:
                SYSTEM_WRITE(file, data[: min(self.part, len(data) - 1)])
            self.broken = True
            raise OSError(self.error, os.strerror(self.error))
        return SYSTEM_WRITE(file, data[: self.at_once])

    def sync(self, file: int) -> None:
        self.syncs += 1
        if self.syncs == self.sync_fails_at:
            self.broken = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        SYSTEM_SYNC(file)


@dataclass(slots=True)
class Trial:
    """A run of `two_buyer` on such a disk, and what left it."""

    folder: Path
    disk: Disk
    printed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def record(self) -> Path:
        return self.folder / "a.replay"

    def price_of(self, name: str) -> int:
        self.asked.append(name)
        return 24 * len(name)

    def run(self, *, durable: bool = False, seal: str = "message") -> vm.RunResult:
        options = vm.RunOptions(
            keys=self.folder / "keys",
            record=self.record,
            effects={"price_of": self.price_of},
            durable=durable,
            seal=vm.Seal(seal),
        )
        image = dsl.load(EXAMPLES / "two_buyer.troth").image
        return vm.run(image, options=options, write_line=self.printed.append)

    def resume(self) -> vm.ResumeResult:
        return vm.resume(
            self.record,
            keys=self.folder / "keys",
            effects={"price_of": self.price_of},
            write_line=self.printed.append,
        )

    def require_nothing_unwritten_left(self) -> None:
        records = parse(self.record.read_bytes())
        assert sum(items[0] == Kind.PRINT for items in records) >= len(self.printed)
        assert sum(items[0] == Kind.INVOKE for items in records) >= len(set(self.asked))

    def require_whole(self) -> None:
        trust_text = b"".join(p.read_bytes() for p in sorted((self.folder / "keys").glob("*.pub")))
        verdict = conformance.verify(self.record, trust=vm.parse_trust(trust_text, "trust"))
        assert (verdict.exit_code, verdict.findings) == (0, ())


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Disk], Trial]:
    def make(disk: Disk) -> Trial:
        folder = tmp_path / f"{disk.fails_at} {disk.error} {disk.part}"
        folder.mkdir()
        monkeypatch.setattr(os, "write", disk.write)
        monkeypatch.setattr(os, "fsync", disk.sync)

        def counted(signer: HostSigner, principal: bytes, statement: bytes) -> bytes:
            disk.signed_after += disk.broken
            return SIGN(signer, principal, statement)

        monkeypatch.setattr(HostSigner, "sign", counted)
        return Trial(folder, disk)

    return make


@pytest.mark.parametrize("seal", ["message", "round"])
@pytest.mark.parametrize("error", ERRORS)
def test_a_write_that_fails_ends_the_run_and_loses_nothing(
    error: int, seal: str, trial: Callable[[Disk], Trial]
) -> None:
    writes = trial(Disk())
    writes.run(seal=seal)
    assert writes.disk.writes >= 4
    for fails_at in range(1, writes.disk.writes + 1):
        for part in (0, 1, 700):
            one = trial(Disk(fails_at=fails_at, error=error, part=part))
            with pytest.raises(vm.Unusable) as caught:
                one.run(seal=seal)
            _require_harmless(one, caught.value, error)


def _require_harmless(one: Trial, refusal: vm.Unusable, error: int) -> None:
    assert refusal.code == "artifact.io"
    assert os.strerror(error) in refusal.message
    assert any("incomplete" in note for note in refusal.__notes__)
    assert one.disk.signed_after == 0
    one.require_nothing_unwritten_left()
    assert conformance.verify(one.record).exit_code == 4
    one.disk.fails_at, one.disk.broken = 0, False
    if len(parse(one.record.read_bytes())) < 2:
        assert not one.printed
        assert not one.asked
        return
    result = one.resume()
    assert (result.ok, result.incarnation in (0, 1)) == (True, True)
    assert list(dict.fromkeys(one.printed)) == ["refused"]
    one.require_whole()


def test_a_disk_that_takes_little_at_once_is_written_to_the_end(
    trial: Callable[[Disk], Trial],
) -> None:
    one = trial(Disk(at_once=7))
    assert one.run().ok
    assert one.disk.writes > 100
    one.require_whole()


def test_a_disk_that_takes_nothing_more_is_an_error(trial: Callable[[Disk], Trial]) -> None:
    with pytest.raises(vm.Unusable, match=r"nothing more is taken .*artifact\.io"):
        trial(Disk(at_once=0)).run()


def test_a_failing_disk_stops_a_resumed_run_too(trial: Callable[[Disk], Trial]) -> None:
    one = trial(Disk(fails_at=2))
    with pytest.raises(vm.Unusable):
        one.run()
    one.disk.broken, one.disk.writes, one.disk.fails_at = False, 0, 2
    with pytest.raises(vm.Unusable, match="No space left"):
        one.resume()
    assert one.disk.signed_after == 0
    one.require_nothing_unwritten_left()
    one.disk.broken, one.disk.fails_at = False, 0
    assert one.resume().ok
    one.require_whole()


def test_durable_waits_for_the_disk_after_each_round(trial: Callable[[Disk], Trial]) -> None:
    one = trial(Disk())
    result = one.run(durable=True)
    # One for the folder, one a round, one for the end.
    assert one.disk.syncs == result.rounds + 2
    one.disk.syncs = 0
    one.run()
    assert one.disk.syncs == 0


@pytest.mark.parametrize("number", range(2, 7))
def test_what_is_not_on_the_disk_is_not_released(
    number: int, trial: Callable[[Disk], Trial]
) -> None:
    one = trial(Disk(sync_fails_at=number))
    with pytest.raises(vm.Unusable, match=r"artifact\.io"):
        one.run(durable=True)
    assert one.disk.signed_after == 0
    one.require_nothing_unwritten_left()
    written = parse(one.record.read_bytes())
    if written[-1][0] == Kind.INVOKE:
        assert len(one.asked) < sum(items[0] == Kind.INVOKE for items in written)


# --- interruptions -------------------------------------------------------------------------


def test_an_interrupted_run_writes_what_it_has_and_can_be_resumed(tmp_path: Path) -> None:
    one = Trial(tmp_path, Disk())

    def price_of(name: str) -> int:
        one.asked.append(name)
        raise KeyboardInterrupt

    options = vm.RunOptions(
        keys=tmp_path / "keys", record=one.record, effects={"price_of": price_of}
    )
    image = dsl.load(EXAMPLES / "two_buyer.troth").image
    with pytest.raises(KeyboardInterrupt) as caught:
        vm.run(image, options=options, write_line=one.printed.append)
    assert any("troth resume" in note for note in caught.value.__notes__)
    assert one.resume().ok
    assert len(one.asked) == 2
    one.require_whole()


def test_rounds_that_released_nothing_are_written_on_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has seen them, but whoever looks at the record wants to."""
    signed = 0
    sign = HostSigner.sign

    def interrupted(signer: HostSigner, principal: bytes, statement: bytes) -> bytes:
        nonlocal signed
        signed += 1
        if signed == 12:
            raise KeyboardInterrupt
        return sign(signer, principal, statement)

    image = dsl.load(EXAMPLES / "ring.troth").image
    options = vm.RunOptions(keys=tmp_path / "keys", record=tmp_path / "a.replay")
    with monkeypatch.context() as patched:
        patched.setattr(HostSigner, "sign", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vm.run(image, options=options)
    assert [items[0] for items in parse(options_record(options))].count(Kind.SEND) >= 5
    printed: list[str] = []
    result = vm.resume(tmp_path / "a.replay", keys=tmp_path / "keys", write_line=printed.append)
    assert (result.ok, result.rounds_recorded > 3, len(printed) > 0) == (True, True, True)


def options_record(options: vm.RunOptions) -> bytes:
    return Path(str(options.record)).read_bytes()
