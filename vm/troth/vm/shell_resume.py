"""Goes on with a recorded run that was stopped: by a crash, a signal, a full disk.

The file is locked and read, the recorded part is run again and compared with it byte by byte
(`catch_up`), and then the run goes on as any other, behind an INCARNATION record. Nothing that
was sealed or released is made anew with another content: the file comes first, always.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO, cast

from troth.vm.blobs import BlobStore
from troth.vm.catch_up import DIFFERS_ADVICE, CatchUp
from troth.vm.errors import Place, TrothError, Unusable
from troth.vm.events import Event
from troth.vm.history import Inputs, Survey, survey
from troth.vm.image import Image
from troth.vm.image_codec import decode_image
from troth.vm.instructions import ReplayMode, Seal
from troth.vm.limits import Limits
from troth.vm.reader import ArtifactReader
from troth.vm.record_codec import Items
from troth.vm.recorder import HeaderFacts
from troth.vm.records import Kind
from troth.vm.report import Report
from troth.vm.scheduling import parse_policy
from troth.vm.shell_artifact import close, open_to_resume, unusable, write_all
from troth.vm.shell_keys import load_role_key
from troth.vm.shell_options import Runner, RunOptions
from troth.vm.shell_run import Run, RunResult
from troth.vm.shell_spread import LinkOptions, Spread

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class ResumeResult:
    """How going on with a run went.

    Attributes:
        ok: every coroutine halted and every session closed; True when there was nothing to do.
        incarnation: how often the run has been resumed, this time included.
        ended_before: the record was complete, and nothing has been done.
        rounds: rounds of the whole run; `rounds_recorded` of them were in the record.
        report: what did not end well; None when nothing has been done.
    """

    ok: bool
    incarnation: int
    ended_before: bool
    rounds: int = 0
    rounds_recorded: int = 0
    report: Report | None = None


def resume(
    path: str | os.PathLike[str],
    *,
    keys: str | os.PathLike[str] | None = None,
    effects: Mapping[str, object] | ModuleType | None = None,
    effects_from: str = "the given functions",
    blobs: BlobStore | str | os.PathLike[str] | None = None,
    durable: bool = False,
    links: LinkOptions | None = None,
    write_line: Callable[[str], None] = print,
    on_events: Callable[[list[Event]], None] | None = None,
) -> ResumeResult:
    """Goes on with the run that the artifact `path` holds, to its end.

    `keys` is the folder of the run's keys. `write_line` gets the lines of which the record does
    not prove that they were printed before the stop, and all later ones; `on_events` likewise.
    Effects that were asked for and not answered are asked for again, under the same id. Blobs
    of the recorded part are found in `blobs`, when that is where the run kept them. A record that
    has ended is left as it is. A run whose sessions other machines hold as well meets them again
    by `links`, and says again what they may not have heard.

    Raises:
        Unusable: codes `resume.…`, `artifact.…`; and as `run`.
        Malformed, LimitExceeded: the file is no artifact, or was damaged; and as `run`.
    """
    place = Path(path)
    file = open_to_resume(place)
    artifact = ResumedArtifact(file, place, durable=durable)
    try:
        if artifact.survey.ended:
            artifact.close()
            return ResumeResult(True, artifact.survey.incarnations, ended_before=True)
        header, image = _what_ran(artifact.survey, place)
        options = replace(
            _recorded_options(header, place),
            effects=effects,
            effects_from=effects_from,
            keys=keys,
            blobs=blobs,
            durable=durable,
        )
        _require_keys(artifact.survey, options, place)
        _require_links(links, options, place)
    except BaseException:
        artifact.close()
        raise

    def begin(loop: asyncio.AbstractEventLoop | None) -> Run:
        try:
            anchor_unix_ns = header.anchor_unix_ns
            one = Run(
                image, options, write_line, on_events, anchor_unix_ns=anchor_unix_ns, loop=loop
            )
            one.machine.start()
        except BaseException:
            artifact.close()
            raise
        one.writer = artifact
        return one

    if options.roles is None or links is None:
        return _go_on(begin(None), image, artifact)
    return asyncio.run(_go_on_spread(begin, image, artifact, options.roles, links))


def _recorded_options(header: HeaderFacts, path: Path) -> RunOptions:
    """What the run was made with, as far as its record says."""
    return RunOptions(
        record=path,
        seed=header.seed,
        replay=header.replay,
        seal=header.seal,
        limits=_limits(header, path),
        quantum=header.quantum,
        roles=header.home,
        observed=header.observed or (),
        policy=header.policy,
        runner=header.runner,
    )


def _go_on(one: Run, image: Image, artifact: ResumedArtifact) -> ResumeResult:
    """Closes the artifact, whatever happens."""
    going_on = _GoingOn(one, image, artifact)
    return going_on.result(one.to_the_end(going_on.catch_up))


async def _go_on_spread(
    begin: Callable[[asyncio.AbstractEventLoop], Run],
    image: Image,
    artifact: ResumedArtifact,
    roles: tuple[str, ...],
    links: LinkOptions,
) -> ResumeResult:
    """Likewise, with the other machines."""
    one = begin(asyncio.get_running_loop())
    going_on = _GoingOn(one, image, artifact)

    def catch_up(spread: Spread) -> None:
        going_on.catch_up()
        spread.resume(going_on.past.peers, one.now_ns)

    return going_on.result(await Spread(one, roles, links).to_the_end(catch_up))


class _GoingOn:
    """From the recorded part to what comes after it."""

    def __init__(self, one: Run, image: Image, artifact: ResumedArtifact) -> None:
        assert one.recorder is not None, "who resumes records"
        inputs = Inputs(artifact.stream(), artifact.survey.whole)
        self.past = CatchUp(one.machine, one.recorder, image, inputs)
        for key, name in artifact.survey.peers.items():
            one.signer.introduce(key, name)
        self._one = one
        self._recorder = one.recorder
        self._artifact = artifact
        self._incarnation = artifact.survey.incarnations
        self._rounds_recorded = 0

    def catch_up(self) -> None:
        one, past = self._one, self.past
        past.follow(self._artifact)
        self._artifact.go_live()
        self._rounds_recorded = one.machine.rounds
        one.events, one.now_ns, one.ended = past.events, past.now_ns, past.ended
        # These first: an incarnation in the file proves that they are out.
        one.release(past.unproven, ())
        if not past.ended:
            self._incarnation += 1
            self._recorder.resumed(self._incarnation, self._rounds_recorded, time.time_ns())
            one.flush(force=True)
            # What was given up meanwhile nobody waits for.
            waited = [r for r in past.outstanding.values() if one.machine.awaits(r.effect_id)]
            one.release([], waited)

    def result(self, run: RunResult) -> ResumeResult:
        return ResumeResult(
            run.ok, self._incarnation, False, run.rounds, self._rounds_recorded, run.report
        )


class ResumedArtifact:
    """The file of a run that is gone on with: first compared, then written to its end."""

    def __init__(self, file: int, path: Path, *, durable: bool) -> None:
        """Takes over the open file.

        Raises:
            Malformed, LimitExceeded, Unusable: as `history.survey`.
        """
        self._file = file
        self._path = path
        self._durable = durable
        self._position = 0
        try:
            self._size = os.fstat(file).st_size
            self.survey = survey(self.stream())
            self._whole = self.survey.whole
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise unusable(path, "read", error) from error
            raise

    def stream(self) -> BinaryIO:
        """The file from its beginning, until it is closed."""
        # A reader of artifacts asks for nothing that only a buffered stream has.
        return cast(BinaryIO, _Reading(self._file))

    @property
    def behind(self) -> bool:
        return self._position < self.survey.loose_from

    @property
    def followed(self) -> bool:
        return self._size > self._position

    def write(self, data: bytes) -> None:
        """Compares `data` with the whole records of the file, and writes what goes beyond.

        Raises:
            Unusable: codes `resume.differs`, `artifact.io`.
        """
        known = max(0, min(len(data), self._whole - self._position))
        if known and (recorded := self._read(known)) != data[:known]:
            raise self._differs(data, recorded)
        self._position += known
        if len(data) > known:
            self.go_live()
            write_all(self._file, data[known:], self._path, durable=self._durable)
            self._position += len(data) - known

    def go_live(self) -> None:
        """From now on the file is written: what has not been reproduced of it is cut off."""
        try:
            if self._position < self._size:
                os.ftruncate(self._file, self._position)
            if self._durable:
                # What the stopped run has written may not be on the disk, and is released next.
                os.fsync(self._file)
        except OSError as error:
            raise unusable(self._path, "cut", error) from error
        self._size = self._whole = 0

    def _read(self, size: int) -> bytes:
        try:
            return os.pread(self._file, size, self._position)
        except OSError as error:
            raise unusable(self._path, "read", error) from error

    def close(self) -> None:
        """
        Raises:
            Unusable: code `artifact.io`.
        """
        close(self._file, self._path)

    def _differs(self, data: bytes, recorded: bytes) -> Unusable:
        pairs = enumerate(zip(data, recorded, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), len(recorded)) + self._position
        for record in ArtifactReader(self.stream()):
            if record.offset + len(record.data) > at:
                break
        return Unusable(
            "resume.differs",
            "running the recorded part again does something else than the record says",
            place=Place(file=str(self._path), offset=record.offset, record=record.index),
            expected="the same bytes",
            actual=f"a {Kind(record.items[0]).name} record that differs at byte {at}",
            advice=DIFFERS_ADVICE,
        )


class _Reading(io.RawIOBase):
    """Reads a file from a place of its own, whatever else is done with it."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only from the beginning")
        self._offset = offset
        return offset

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = os.pread(self._file, len(view), self._offset)
        view[: len(data)] = data
        self._offset += len(data)
        return len(data)


def _what_ran(known: Survey, path: Path) -> tuple[HeaderFacts, Image]:
    """The settings and the program of the run.

    Raises:
        Unusable: codes `resume.empty`, `resume.played`, `resume.image`, `resume.policy`.
        Malformed: the image cannot be read.
    """
    if known.header is None or (known.image is None and known.records == 1):
        raise _cannot("empty", path, "the record stops before the run began")
    header = _header(known.header)
    if header.entry is None:
        raise _cannot("played", path, "Python code played its role, and what it had done is gone")
    if known.image is None:
        raise _cannot("image", path, "the record does not hold the image that ran")
    try:
        parse_policy(header.policy)
    except Unusable as error:
        raise _cannot("policy", path, f"the run had the policy {header.policy[:40]!a}") from error
    if header.runner not in list(Runner):
        raise _cannot("runner", path, f"the run had the runner {header.runner[:40]!a}")
    return header, decode_image(known.image)


def _header(items: Items) -> HeaderFacts:
    header = HeaderFacts(*items[2:])
    return header._replace(
        replay=None if header.replay is None else ReplayMode(header.replay),
        seal=None if header.seal is None else Seal(header.seal),
    )


def _limits(header: HeaderFacts, path: Path) -> Limits:
    names = Limits.__dataclass_fields__
    if len(names) != len(header.limits):
        raise _cannot("limits", path, f"the run had {len(header.limits)} limits")
    return Limits(**dict(zip(names, header.limits, strict=True)))


def _require_keys(known: Survey, options: RunOptions, path: Path) -> None:
    """The keys of the recorded part have to be there before a new one is made by mistake.

    Raises:
        Unusable: code `resume.keys`; and as `shell_keys.load_key`.
    """
    if not known.principals:
        return
    roles = ", ".join(known.principals)
    if options.keys is None:
        raise Unusable(
            "resume.keys",
            "a run can only be resumed with its keys",
            place=Place(file=str(path)),
            expected=f"the folder that holds the keys of {roles}",
            actual="no folder of keys",
            advice="Give --keys the folder that the run was given; a run without one had keys "
            "that were gone with it, and cannot be resumed",
        )
    for role, public_key in known.principals.items():
        try:
            held = load_role_key(Path(options.keys), role).public_key
        except TrothError as error:
            raise _wrong_key(path, role, public_key, error.message) from error
        if held != public_key:
            raise _wrong_key(path, role, public_key, f"key {held.hex()}")


def _require_links(links: LinkOptions | None, options: RunOptions, path: Path) -> None:
    """
    Raises:
        Unusable: code `resume.links`.
    """
    if options.roles is not None and links is None:
        raise Unusable(
            "resume.links",
            "other machines take part in this run, and there is no way to meet them",
            place=Place(file=str(path)),
            expected="an address to listen at, or to connect to",
            advice="Give --listen or --connect as the run was given them",
        )


def _wrong_key(path: Path, role: str, public_key: bytes, found: str) -> Unusable:
    return Unusable(
        "resume.keys",
        f"the key of {role!a} is not the one that the run had",
        place=Place(file=str(path)),
        expected=f"key {public_key.hex()}",
        actual=found,
        advice="Resume with the folder that the run was given with --keys; keys that a run "
        "without one had were gone with it",
    )


def _cannot(what: str, path: Path, message: str) -> Unusable:
    advice = "Use a Troth and a record that go together"
    if what in ("empty", "played"):
        advice = "Run it anew"
    return Unusable(f"resume.{what}", message, place=Place(file=str(path)), advice=advice)
