"""Runs an image of which other machines hold some roles: the loop around core, lines and effects.

As for every run, nothing leaves before it is written: what other machines said is in the record
before it is acknowledged, what they are told before it is sent. Time is real here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from troth.vm.errors import Unusable
from troth.vm.events import Event
from troth.vm.host_signer import HostSigner
from troth.vm.image import Image
from troth.vm.keys import KeyPair, VerifierKey
from troth.vm.link_frames import ID_BYTES, Frame, Prove
from troth.vm.machine import EffectRequest, MachineState
from troth.vm.peer_history import PeerHistory
from troth.vm.shell_hub import MeetingLines, MeetingPlace
from troth.vm.shell_keys import PUBLIC_SUFFIX, load_public_key
from troth.vm.shell_line import Address, AnyLine, Lines
from troth.vm.shell_options import RunOptions
from troth.vm.shell_run import Run, RunResult
from troth.vm.statements import derived_hash, link_statement
from troth.vm.switchboard import Switchboard

PATIENCE_SECONDS_DEFAULT: Final = 30.0
FAREWELL_SECONDS_MAX: Final = 5.0
"""How long a run that is over waits for the others to have heard its last word."""

QUIET_NS: Final = 500_000_000
"""When so long nothing has happened, trouble that was planned for later comes."""

Known: TypeAlias = Mapping[str, VerifierKey | KeyPair]

_ENDED: Final = (MachineState.FINISHED, MachineState.STUCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """How a machine meets the others.

    Attributes:
        listen: where others can call; None for nowhere.
        connect: where to call others.
        hub: where to meet others instead: a `Hub` for machines of the same event loop.
        patience_seconds: how long a machine that is needed may be off the line before its
            session is given up.
        meeting_seconds: how long machines are waited for that have not come yet; None for as long.
        any_key: take whoever comes for a role whose public key is not in the folder of keys.
        on_listening: is given the address, once others can call.
        on_note: is given what a person may want to know.
    """

    listen: tuple[str, int] | None = None
    connect: Sequence[tuple[str, int]] = ()
    hub: MeetingPlace | None = None
    patience_seconds: float = PATIENCE_SECONDS_DEFAULT
    meeting_seconds: float | None = None
    any_key: bool = False
    on_listening: Callable[[Address], None] | None = None
    on_note: Callable[[str], None] | None = None


async def run_spread(
    image: Image,
    *,
    options: RunOptions,
    links: LinkOptions,
    write_line: Callable[[str], None] = print,
    on_events: Callable[[list[Event]], None] | None = None,
    signer: HostSigner | None = None,
    expect: Known | None = None,
) -> RunResult:
    """Runs the roles of `options.roles`, and meets the machines that hold the others.

    `signer` signs in the place of the options' folder of keys, and `expect` has the public keys
    of the other roles that this folder would have.

    Raises:
        Unusable: codes `run.roles`, `link.…`; and all that `run` raises.
    """
    if options.roles is None:
        raise Unusable(
            "run.roles",
            "a machine that meets others has to say which roles it holds",
            expected="at least one role",
            advice="Name them with --role",
        )
    require_links(links)
    loop = asyncio.get_running_loop()
    one = Run(image, options, write_line, on_events, loop=loop, signer=signer)
    one.begin()
    expected = None if expect is None else ExpectedKeys(one, links, expect)
    return await Spread(one, options.roles, links, expected).to_the_end()


def require_links(links: LinkOptions) -> None:
    """
    Raises:
        Unusable: code `link.nowhere`.
    """
    if links.listen is None and not links.connect and links.hub is None:
        raise Unusable(
            "link.nowhere",
            "there is no way to meet the other machines",
            expected="an address to listen at, or to connect to",
            advice="Give --listen HOST:PORT, --connect HOST:PORT, or both",
        )


class ExpectedKeys:
    """Who has to stand behind the roles of others."""

    def __init__(
        self, one: Run, links: LinkOptions, known: Known | str | os.PathLike[str] | None
    ) -> None:
        """`known` are their public keys, or the folder that has them; None expects nobody."""
        self._signer = one.signer
        self._links = links
        self._known = known

    def __call__(self, role: str) -> bytes | None:
        """
        Raises:
            Unusable: code `link.key`, when a role has no public key here and needs one.
        """
        if self._known is None:
            # Without keys that last, nobody can be expected.
            return None
        key, where = self._find(self._known, role)
        if key is not None:
            self._signer.introduce(key.public_key, key.name)
            return key.public_key
        if self._links.any_key:
            return None
        raise Unusable(
            "link.key",
            f"nobody has said who {role} is",
            expected=f"the public key of {role} in {where}",
            actual="no such file" if isinstance(where, Path) else "none",
            advice=f"Copy {role}{PUBLIC_SUFFIX} from whoever plays {role}, or give --any-key "
            "(any_key) to take whoever comes",
        )

    def _find(
        self, known: Known | str | os.PathLike[str], role: str
    ) -> tuple[VerifierKey | KeyPair | None, Path | str]:
        if isinstance(known, Mapping):
            return known.get(role), "the keys that are expected"
        path = Path(known) / f"{role}{PUBLIC_SUFFIX}"
        return (load_public_key(path) if path.exists() else None), path


class Spread:
    """One run, which has begun, and its lines."""

    def __init__(
        self,
        one: Run,
        roles: tuple[str, ...],
        links: LinkOptions,
        expected_key: ExpectedKeys | None = None,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """The keys that are expected are in the folder of the run's own, if they are not given.

        `on_commit` is told whenever what happened is in the record and has been let out.
        """
        self._one = one
        self._links = links
        self._on_commit = on_commit
        self._started_ns = time.monotonic_ns()
        self._begun_at_ns = 0
        self._woken = asyncio.Event()
        self._came: list[tuple[AnyLine, Frame]] = []
        self._lines_up: dict[bytes, AnyLine] = {}
        self._alone_since_ns: int | None = None
        self._board = Switchboard(
            one.machine,
            derived_hash("troth/v1 party", one.seed)[:ID_BYTES],
            os.urandom(ID_BYTES),
            roles,
            one.signer.principal,
            expected_key or ExpectedKeys(one, links, one.options.keys),
        )
        make_lines: Callable[..., Lines | MeetingLines] = (
            Lines if links.hub is None else links.hub.lines
        )
        self._lines = make_lines(
            self._board.hello,
            prove=self._prove,
            on_line=self._on_line,
            on_frame=self._on_frame,
            on_lost=self._on_lost,
        )

    def wake(self) -> None:
        """The machine has something to do that did not come on a line."""
        self._woken.set()

    def _now_ns(self) -> int:
        return self._begun_at_ns + time.monotonic_ns() - self._started_ns

    # --- lines -----------------------------------------------------------------------------

    def _prove(self, challenge: bytes) -> Prove:
        """That this machine holds the keys of its roles."""
        signer, hello = self._one.signer, self._board.hello
        statement = link_statement(challenge, hello.party, hello.incarnation)
        names = dict.fromkeys(role.rpartition(".")[2] for role in hello.roles)
        keys = dict.fromkeys(signer.principal("any protocol", name) for name in names)
        return Prove(tuple((key, signer.sign(key, statement)) for key in keys))

    def _on_line(self, line: AnyLine) -> None:
        """
        Raises:
            Malformed: code `link.party`.
        """
        self._board.connected(line.hello, line.keys)
        self._lines_up[line.hello.party] = line
        self._woken.set()

    def _on_frame(self, line: AnyLine, frame: Frame) -> None:
        self._came.append((line, frame))
        self._woken.set()

    def _on_lost(self, line: AnyLine) -> None:
        party = line.hello.party
        # An older connection to the same party may end after a newer one has begun.
        if self._lines_up.get(party) is line:
            del self._lines_up[party]
            self._board.lost(party, self._now_ns())
        self._woken.set()

    def _send(self) -> None:
        now_ns = self._now_ns()
        for party, line in self._lines_up.items():
            if line.congested:
                continue
            line.send(self._board.frames(party, now_ns))
        if self._links.on_note is not None:
            for note in self._board.notes:
                self._links.on_note(note)
        self._board.notes.clear()

    # --- the loop --------------------------------------------------------------------------

    def resume(self, history: PeerHistory, now_ns: int) -> None:
        """The run is gone on with: what is known of the others, and the machine's time."""
        self._begun_at_ns = now_ns
        self._started_ns = time.monotonic_ns()
        self._board.resume(history, now_ns)

    async def to_the_end(self, catch_up: Callable[[Spread], None] | None = None) -> RunResult:
        """Goes on until nothing can happen any more; `catch_up` is done first."""
        one = self._one
        with one.stopping():
            try:
                if catch_up is not None:
                    catch_up(self)
                    if one.ended:
                        return one.finish()
                await self._open_lines()
                while await self._step():
                    pass
                await self._say_farewell()
                return one.finish()
            finally:
                await self._lines.close()
                await one.performer.aclose()

    async def _open_lines(self) -> None:
        if self._links.listen is not None:
            await self._lines.listen(Address(*self._links.listen))
            if self._links.on_listening is not None and self._lines.address is not None:
                self._links.on_listening(self._lines.address)
        for address in self._links.connect:
            self._lines.call(Address(*address))
        if not isinstance(self._lines, Lines):
            self._lines.attach()

    async def _step(self) -> bool:
        """Takes what came, runs what can run, lets out what came of it; False at the end."""
        one = self._one
        came, self._came = self._came, []
        for line, frame in came:
            self._board.take(line.hello.party, frame)
        ready = one.door.deliver()
        now_ns = self._now_ns()
        if one.schedule.left:
            one.schedule.come(one.machine, now_ns)
        ran = (ready or one.is_late(now_ns)) and one.machine.run_round(now_ns)
        self._commit()
        self._lose_patience()
        if ran or self._came or one.machine.state is MachineState.READY:
            await asyncio.sleep(0)
            return True
        if one.machine.state in _ENDED and not one.performer.outstanding:
            return False
        await self._wait()
        return True

    def _commit(self) -> None:
        """Everything that happened is in the record before any of it is let out."""
        one = self._one
        events: list[Event] = []
        requests: list[EffectRequest] = []
        while True:
            new = one.machine.poll_events()
            requests += one.machine.poll_effects()
            self._board.collect(new)
            if not new:
                break
            events += new
        one.schedule.watch(events)
        one.release_written(events, requests)
        self._send()
        if self._on_commit is not None:
            self._on_commit()

    async def _wait(self) -> None:
        """Until something comes, an effect ends, or a deadline is reached."""
        one, since_ns = self._one, self._now_ns()
        deadlines = [one.machine.deadline_ns(), self._board.deadline_ns(), self._patience_ends_ns()]
        known = [deadline for deadline in deadlines if deadline is not None]
        timeout = None
        if one.schedule.left:
            known.append(self._now_ns() + QUIET_NS)
        if known:
            timeout = max(0.0, (min(known) - self._now_ns()) / 1e9)
        waits: set[asyncio.Future[None]] = {asyncio.ensure_future(self._until_woken())}
        if one.performer.outstanding:
            waits.add(asyncio.ensure_future(one.performer.wait_async()))
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if one.schedule.left and not self._came and self._now_ns() - since_ns >= QUIET_NS:
            # It may be that nobody but the plan can let anything happen any more.
            one.schedule.come(one.machine, self._now_ns(), idle=True)
        self._woken.clear()

    async def _until_woken(self) -> None:
        await self._woken.wait()

    async def _say_farewell(self) -> None:
        """The others have to hear how it ended; for those who do not answer it does not wait."""
        ends_ns = self._now_ns() + int(FAREWELL_SECONDS_MAX * 1e9)
        while not self._board.idle and self._now_ns() < ends_ns and self._lines_up:
            self._woken.clear()
            deadline_ns = min(self._board.deadline_ns() or ends_ns, ends_ns)
            timeout = max(0.0, (deadline_ns - self._now_ns()) / 1e9)
            try:
                async with asyncio.timeout(timeout):
                    await self._woken.wait()
            except TimeoutError:
                # Time to say it again.
                self._send()
            came, self._came = self._came, []
            for line, frame in came:
                self._board.take(line.hello.party, frame)
            self._commit()

    # --- patience --------------------------------------------------------------------------

    def _patience_ends_ns(self) -> int | None:
        patience_ns = int(self._links.patience_seconds * 1e9)
        since = [
            link.down_since_ns
            for link in self._board.links.values()
            if link.down_since_ns is not None
        ]
        lost_since_ns = self._board.lost_since_ns()
        if lost_since_ns is not None:
            since.append(lost_since_ns)
        ends = [one + patience_ns for one in since]
        if self._alone_since_ns is not None:
            ends.append(self._alone_since_ns + self._meeting_ns)
        return None if not ends else max(self._now_ns() + 10_000_000, min(ends))

    @property
    def _meeting_ns(self) -> int:
        meeting = self._links.meeting_seconds
        return int((self._links.patience_seconds if meeting is None else meeting) * 1e9)

    def _lose_patience(self) -> None:
        now_ns = self._now_ns()
        patience_ns = int(self._links.patience_seconds * 1e9)
        waiting_for = self._board.waiting_for()
        if not waiting_for:
            self._alone_since_ns = None
        elif self._alone_since_ns is None:
            self._alone_since_ns = now_ns
        elif now_ns - self._alone_since_ns >= self._meeting_ns:
            self._alone_since_ns = None
            self._board.give_up()
            self._commit()
        for session, roles in self._board.silent(now_ns, patience_ns):
            seconds = f"{self._links.patience_seconds:g}"
            self._one.machine.cancel_session(session, f"{roles} off the line for {seconds} s")
            self._commit()
