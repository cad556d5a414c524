"""Runs an image on this machine: the loop around the sans-IO core.

Each round: run, write its records, then release what it asked for (printed lines, effects).
The order is what makes a recorded run trustworthy: nothing leaves before it is written, and
nothing is written before what the last round released has left. So a run that was killed can be
resumed (`shell_resume`): whatever had left the process is in the file, and what the file holds
behind a round proves that the round's lines are out.

Time is virtual. All roles of a script are at home, so when nothing can run and no effect is
outstanding the clock jumps to the next deadline instead of waiting for it. It stands still while
effects are awaited: however long they really take, no session's time runs out meanwhile. Only
while the clock of a timed choice runs, time is the host's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from troth.vm.blobs import BlobStore
from troth.vm.errors import TrothError, Unusable
from troth.vm.events import Completed, Event, Printed, Troubled
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.instructions import Open, Seal
from troth.vm.limits import Limits
from troth.vm.loaded import LoadedImage
from troth.vm.loader import load
from troth.vm.machine import SEED_BYTES, EffectRequest, Machine, MachineState, Overrides
from troth.vm.recorder import HeaderFacts, Recorder
from troth.vm.report import Report
from troth.vm.run_lanes import Workers
from troth.vm.shell_artifact import ArtifactWriter
from troth.vm.shell_blobs import DirectoryBlobStore, MemoryBlobStore
from troth.vm.shell_cores import cores
from troth.vm.shell_effect_door import EffectDoor
from troth.vm.shell_effects import BoundEffect, bind_effects
from troth.vm.shell_keys import directory_signer, ephemeral_signer
from troth.vm.shell_options import Runner, RunOptions
from troth.vm.shell_performer import EffectPerformer
from troth.vm.shell_workers import SerialRoster, ThreadWorkers
from troth.vm.trouble_schedule import Missed, TroubleSchedule

FLUSH_BYTES: Final = 1 << 16
COMPARED: Final = "any"
_OUTSIDE: Final = frozenset({Printed, Completed, Troubled})

TURN_NS: Final = 10_000_000
"""How long a run on an event loop keeps the loop to itself."""


class _Next(Enum):
    """What a run does after a step."""

    STEP = "another step"
    WAIT = "wait for effects"
    END = "end"


@dataclass(frozen=True, slots=True)
class RunResult:
    """`ok` when every coroutine halted and every session closed; `report` says what did not.

    `trouble_left` is what was planned and could not come.
    """

    ok: bool
    rounds: int
    events: int
    seed: bytes
    report: Report
    trouble_left: tuple[Missed, ...] = ()


def run(
    image: Image | LoadedImage,
    *,
    options: RunOptions | None = None,
    write_line: Callable[[str], None] = print,
    on_events: Callable[[list[Event]], None] | None = None,
) -> RunResult:
    """Runs `image` from its entry program to the end.

    `write_line` gets each printed line, `on_events` the events of each round.

    Raises:
        Invalid: the image is refused, or has no entry.
        Unusable: the image, keys, effects or the artifact file cannot be used.
        LimitExceeded: the run took more rounds than its limits allow.
    """
    one = Run(image, options or RunOptions(), write_line, on_events)
    one.begin()
    return one.to_the_end()


async def run_async(
    image: Image | LoadedImage,
    *,
    options: RunOptions | None = None,
    write_line: Callable[[str], None] = print,
    on_events: Callable[[list[Event]], None] | None = None,
) -> RunResult:
    """Like `run`, on the running event loop: asynchronous effects are tasks of this loop.

    Ordinary functions that are not concurrent are called on the loop's thread, and hold it up.
    A run that is cancelled leaves an incomplete record.
    """
    loop = asyncio.get_running_loop()
    one = Run(image, options or RunOptions(), write_line, on_events, loop=loop)
    one.begin()
    return await one.to_the_end_async()


class Writer(Protocol):
    """Where the bytes of the record go."""

    def write(self, data: bytes) -> None:
        """When it returns, what the bytes say may be released."""

    def close(self) -> None: ...


class Compared(NamedTuple):
    """A run whose record is compared with others byte for byte: its header names no runner.

    `workers` execute its lanes in the place of threads.
    """

    workers: Workers | None = None


class Plays(NamedTuple):
    """What a host plays itself: what faults call it, and how many registers it has."""

    name: str
    registers: int


class Run:
    """One run on this machine, from its beginning or from where a record stopped.

    Attributes:
        writer: takes the record; None when nobody keeps it.
        events: how many there were.
        ended: the record has its end already.
        player: what the host plays itself; None when a program runs.
    """

    def __init__(
        self,
        image: Image | LoadedImage,
        options: RunOptions,
        write_line: Callable[[str], None],
        on_events: Callable[[list[Event]], None] | None,
        *,
        anchor_unix_ns: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        compared: Compared | None = None,
        signer: HostSigner | None = None,
        plays: Plays | None = None,
    ) -> None:
        """`anchor_unix_ns` is when the run began, None for now; `loop` that of an async run.

        A loaded image is not checked again. `signer` replaces the keys of the options. `plays`
        runs no program of the image: the host says what its `player` does.
        """
        loaded = _loaded(image, options.observed)
        self.options = options
        self.write_line = write_line
        self.on_events = on_events
        self.seed = options.seed if options.seed is not None else os.urandom(SEED_BYTES)
        self.image = loaded.image
        bound: dict[str, BoundEffect] = {}
        if plays is None:
            # What the host plays itself asks for no effects.
            bound = bind_effects(self.image, options.effects or {}, options.effects_from)
        self.signer: HostSigner = signer or (
            ephemeral_signer() if options.keys is None else directory_signer(Path(options.keys))
        )
        self._runner_name = str(options.runner) if compared is None else COMPARED
        entry = (self.image.entry or 0) if plays is None else None
        self.recorder = self._make_recorder(loaded, entry, anchor_unix_ns)
        self.writer: Writer | None = None
        self.workers: ThreadWorkers | None = None
        workers: Workers | None = None
        if compared is not None and compared.workers is not None:
            workers = compared.workers
        elif options.runner is Runner.THREADED:
            workers = self.workers = ThreadWorkers(options.workers or cores(), lanes=False)
        self.machine = Machine(
            loaded,
            seed=self.seed,
            signer=self.signer,
            roster=self.signer if self.workers is None else SerialRoster(self.signer),
            limits=options.limits,
            quantum=options.quantum,
            policy=options.scheduling,
            workers=workers,
            overrides=Overrides(replay=options.replay, seal=options.seal),
            evidence=self.recorder,
            home=options.roles,
            observed=options.observed,
        )
        self.player = None if plays is None else self.machine.play(plays.name, plays.registers)
        self.blobs = _blob_store(options)
        self.performer = EffectPerformer(bound, blobs=self.blobs, loop=loop)
        self.door = EffectDoor(self.machine, self.performer)
        self.schedule = TroubleSchedule(options.troubles)
        self.events, self.now_ns = 0, 0
        self._read_ns: int | None = None
        self.ended = False

    def _make_recorder(
        self, loaded: LoadedImage, entry: int | None, anchor_unix_ns: int | None
    ) -> Recorder | None:
        """The recorder keeps the principals' logs, so a run sealed by round needs one anyway."""
        options = self.options
        if options.record is None and not _seals_by_round(self.image, options):
            return None
        header = HeaderFacts(
            image_id=loaded.id,
            seed=self.seed,
            quantum=options.quantum,
            policy=options.scheduling.text,
            limits=tuple(getattr(options.limits, field.name) for field in fields(Limits)),
            runner=self._runner_name,
            replay=options.replay,
            seal=options.seal,
            entry=entry,
            anchor_unix_ns=time.time_ns() if anchor_unix_ns is None else anchor_unix_ns,
            home=options.roles,
            observed=options.observed or None,
        )
        return Recorder(header, loaded.data, self.signer, self.signer)

    def begin(self) -> None:
        """Starts the machine and, when the run is recorded, its file."""
        if self.player is None:
            self.machine.start()
        # Not before the run can begin: an earlier artifact of this name is gone from here on.
        if self.options.record is not None:
            path = Path(self.options.record)
            self.writer = ArtifactWriter(path, durable=self.options.durable)

    def to_the_end(self, catch_up: Callable[[], None] | None = None) -> RunResult:
        """Goes on until nothing can run; `catch_up` is done first. The writer is closed then."""
        with self.stopping():
            if catch_up is not None:
                catch_up()
            while not self.ended and (following := self._step()) is not _Next.END:
                if following is _Next.WAIT:
                    self.performer.wait(self._seconds_to_choose())
            return self.finish()

    async def to_the_end_async(self) -> RunResult:
        """Likewise, on the event loop that the run was given."""
        with self.stopping():
            try:
                turn_ends_ns = time.monotonic_ns() + TURN_NS
                while (following := self._step()) is not _Next.END:
                    if following is _Next.WAIT:
                        await self.performer.wait_async(self._seconds_to_choose())
                    elif self.performer.outstanding or time.monotonic_ns() >= turn_ends_ns:
                        # Tasks that have just been made begin here, before the next step.
                        await asyncio.sleep(0)
                        turn_ends_ns = time.monotonic_ns() + TURN_NS
                return self.finish()
            finally:
                await self.performer.aclose()

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """However the run ends: effects are given up, and the record is closed."""
        try:
            yield
        except BaseException as error:
            self._end_threads()
            self._stopped(error)
            raise
        self._end_threads()

    def _end_threads(self) -> None:
        self.performer.close()
        if self.workers is not None:
            self.workers.close()

    def finish(self) -> RunResult:
        """Ends the record and says how the run went."""
        report = self.machine.report()
        if self.recorder is not None and not self.ended:
            self.recorder.finish(self.machine.rounds, "ok" if report.ok else "failed")
            self.flush(force=True)
        self._close()
        left = self.schedule.missed()
        return RunResult(report.ok, self.machine.rounds, self.events, self.seed, report, left)

    def _close(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()

    def _stopped(self, error: BaseException) -> None:
        """Whoever stopped the run needs to know what became of the record."""
        if self.writer is None:
            return
        # Bytes that could not be written are not tried again: nothing follows them.
        for work in (partial(self.flush, force=True), self._close):
            try:
                work()
            except TrothError as late:
                error.add_note(str(late))
        if isinstance(error, TrothError) and error.code.startswith("resume."):
            return
        resumable = self.options.keys is not None and self.player is None
        more = "" if not resumable else "; `troth resume` goes on with it"
        error.add_note(
            f"the record {self.options.record} is incomplete: `troth verify` ends with 4{more}"
        )

    def _step(self) -> _Next:
        """One round, or what must happen before the next."""
        delivered = self.door.deliver()
        self._read_clock()
        if not delivered and not self.is_late(self.now_ns):
            return self._await_effects()
        if self.schedule.left and self.schedule.come(self.machine, self.now_ns):
            self.commit()
        if self.machine.run_round(self.now_ns):
            self.commit()
            return _Next.STEP
        state = self.machine.state
        over = state in (MachineState.FINISHED, MachineState.STUCK)
        if not over and self.performer.outstanding:
            return self._await_effects()
        deadline_ns = self.machine.deadline_ns()
        # Where a partition holds everybody up, nobody but the plan is here who would heal it.
        if over or (deadline_ns is None and self.machine.awaits_heal):
            came = bool(self.schedule.left) and self.schedule.come(
                self.machine, self.now_ns, idle=True
            )
            self.commit()
            return _Next.STEP if came else _Next.END
        if deadline_ns is not None:
            self.now_ns = max(self.now_ns, deadline_ns)
        return _Next.STEP

    def _read_clock(self) -> None:
        """While the clock of a timed choice runs, time goes on as it does for the host."""
        if self.machine.choice_deadline_ns() is None:
            self._read_ns = None
            return
        before, self._read_ns = self._read_ns, time.monotonic_ns()
        if before is not None:
            self.now_ns += self._read_ns - before

    def is_late(self, now_ns: int) -> bool:
        """Whether the time of somebody who waits is over: no effect is waited for then."""
        deadline_ns = self.machine.choice_deadline_ns()
        return deadline_ns is not None and now_ns >= deadline_ns

    def _seconds_to_choose(self) -> float | None:
        deadline_ns = self.machine.choice_deadline_ns()
        return None if deadline_ns is None else max(0.0, (deadline_ns - self.now_ns) / 1e9)

    def _await_effects(self) -> _Next:
        """What has happened is written before a wait that may be long."""
        if self.recorder is not None:
            self.flush(force=True)
        return _Next.WAIT

    def commit(self) -> None:
        """Takes what a round did into the record, and lets it out."""
        events = self.machine.poll_events()
        requests = self.machine.poll_effects()
        if self.recorder is not None:
            # What came from outside is written at once, too: nobody could make it again.
            outside = any(type(event) in _OUTSIDE for event in events)
            self.flush(force=bool(requests) or outside or self.on_events is not None)
        self.events += len(events)
        self.schedule.watch(events)
        self.release(events, requests)

    def release_written(self, events: list[Event], requests: Iterable[EffectRequest]) -> None:
        """Writes what has been recorded, and then lets it out."""
        if self.recorder is not None:
            self.flush(force=True)
        self.events += len(events)
        self.release(events, requests)

    def release(self, events: list[Event], requests: Iterable[EffectRequest]) -> None:
        """Lets out what is in the record: printed lines, and effects that are asked for."""
        if self.on_events is not None and events:
            self.on_events(events)
        for event in events:
            if type(event) is Printed:
                self.write_line(event.text)
        self.door.release(requests, events)

    def flush(self, *, force: bool) -> None:
        """Writes what has been recorded, unless it is little and nobody needs it yet."""
        recorder = self.recorder
        assert recorder is not None
        if force or self.options.durable or recorder.pending_bytes >= FLUSH_BYTES:
            data = recorder.take_bytes()
            if self.writer is not None and data:
                self.writer.write(data)


def _blob_store(options: RunOptions) -> BlobStore:
    blobs = options.blobs
    if blobs is None:
        return MemoryBlobStore()
    if isinstance(blobs, str | os.PathLike):
        return DirectoryBlobStore(blobs, durable=options.durable)
    return blobs


def _loaded(image: Image | LoadedImage, observed: tuple[str, ...]) -> LoadedImage:
    if not isinstance(image, Image | LoadedImage):
        raise Unusable(
            "run.image",
            "what was given to run is not an image",
            expected="an Image, loaded or not; a module has it as .image",
            actual=f"a {type(image).__name__}",
            advice="Pass `dsl.load(path).image`, or what `decode_image` gives",
        )
    loaded = image if isinstance(image, LoadedImage) else load(image)
    _require_roles(loaded.image, observed)
    return loaded


def _require_roles(image: Image, observed: tuple[str, ...]) -> None:
    """A name that is no role would leave the word of an observer for that of the role."""
    names = {
        name
        for protocol in image.protocols
        for role in protocol.roles
        for name in (role, f"{protocol.name}.{role}")
    }
    unknown = [name for name in observed if name not in names]
    if unknown:
        raise Unusable(
            "run.observed",
            "what is to be observed is no role of the image",
            expected=", ".join(sorted(names)[:20]),
            actual=ascii(unknown[0])[:80],
            advice="Name roles, as `Role` or `Protocol.Role`",
        )


def _seals_by_round(image: Image, options: RunOptions) -> bool:
    if options.seal is not None:
        return options.seal is Seal.ROUND
    return any(
        isinstance(instruction, Open) and instruction.options.seal is Seal.ROUND
        for program in image.programs
        for instruction in program.code
    )
