"""A role written in Python: an ordinary coroutine that holds a typed endpoint.

    async with vm.join(seller, session, key=key) as s:
        title = await s.recv("Alice", "title")
        await s.send("Alice", "quote", price=120)

Whatever it does is a step of a machine of its own: checked against the local type, signed,
recorded. Only what it decides is not in the record.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from pathlib import Path
from types import TracebackType

# What a message holds is up to the script.
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from troth.vm.blobs import BlobStore
from troth.vm.errors import Place, Unusable
from troth.vm.host_signer import HostSigner
from troth.vm.hosted import FIRST_PARK
from troth.vm.image import Image
from troth.vm.image import Protocol as ImageProtocol
from troth.vm.instructions import (
    Branch,
    Cancel,
    Case,
    Close,
    Halt,
    Open,
    OpenOptions,
    Recv,
    ReplayMode,
    Seal,
    Select,
    Send,
    Timer,
)
from troth.vm.keys import KeyPair, VerifierKey, parse_verifier
from troth.vm.limits import DEFAULT_LIMITS, Limits
from troth.vm.role_values import Choice, arguments, content
from troth.vm.session import EndpointState
from troth.vm.shell_hub import Hub
from troth.vm.shell_keys import load_key
from troth.vm.shell_options import RunOptions
from troth.vm.shell_play import Play
from troth.vm.shell_run import Plays, Run, RunResult
from troth.vm.shell_spread import ExpectedKeys, Known, LinkOptions, require_links
from troth.vm.step_tables import StateTable, TransitionTable
from troth.vm.values import RegisterValue

_NOT_HERE: Final = "nothing: its endpoint is given up"
PathLike: TypeAlias = str | os.PathLike[str]


class RoleView(Protocol):
    """One role of a protocol of an image, as `dsl` gives it."""

    @property
    def image(self) -> Image: ...

    @property
    def protocol(self) -> ImageProtocol: ...

    @property
    def role(self) -> str: ...


def join(
    role: RoleView,
    session: LinkOptions | Hub,
    *,
    key: KeyPair | PathLike | None = None,
    expect: Mapping[str, KeyPair | VerifierKey | str] | PathLike | None = None,
    record: PathLike | None = None,
    durable: bool = False,
    seal: Seal | str | None = None,
    replay: ReplayMode | str | None = None,
    blobs: BlobStore | PathLike | None = None,
    limits: Limits = DEFAULT_LIMITS,
    seed: bytes | None = None,
) -> RoleEndpoint:
    """Plays `role` in a session with machines that are met through `session`.

    `key` is the role's key, its file, or a folder as for `run`; without one it gets a fresh key.
    `expect` are the public keys of the other roles, or the folder that has them, which is that of
    `key` when that is a folder; without any, whoever comes is taken. The session is opened as the
    script's entry program opens it; `seal` and `replay` replace what it says, as for `run`.

    Raises:
        Unusable: codes `role.…`, `run.…`, `link.nowhere`, `key.…`.
    """
    links = LinkOptions(hub=session) if isinstance(session, Hub) else session
    if not isinstance(links, LinkOptions):
        raise _unusable("session", "a LinkOptions, or a Hub", type(session).__name__)
    require_links(links)
    if role.role not in role.protocol.roles or role.protocol not in role.image.protocols:
        raise _unusable("role", "a role as `protocol(…).role(…)` gives it", ascii(role.role)[:80])
    signer, folder = _signer(role.role, key)
    options = RunOptions(
        keys=folder,
        record=record,
        durable=durable,
        blobs=blobs,
        seed=seed,
        # Words will do: the options check them.
        replay=replay,  # type: ignore[arg-type]
        seal=seal,  # type: ignore[arg-type]
        roles=(f"{role.protocol.name}.{role.role}",),
        limits=limits,
    )
    return RoleEndpoint(role, options, links, signer, _known(expect, folder))


Decided = TypeVar("Decided")

SECONDS_MAX: Final = 31_536_000.0
"""The longest that a receive can be given: a year."""


class _Asked(NamedTuple):
    """A receive: of `label`, or of any when that is None, where these were possible."""

    peer: str
    label: str | None
    transitions: Mapping[str, TransitionTable]


class RoleEndpoint:
    """What a role in Python holds: it can do what its local type allows, and nothing else.

    It is an asynchronous context manager: entering it opens the session with the others, and
    leaving it waits until the session has ended and the record is whole. Left by an exception
    the session is cancelled.

    Attributes:
        result: how the machine's run went, once it has ended.
    """

    def __init__(
        self,
        view: RoleView,
        options: RunOptions,
        links: LinkOptions,
        signer: HostSigner | None,
        known: Known | PathLike | None,
    ) -> None:
        """Made by `join`."""
        self.result: RunResult | None = None
        self._view = view
        self._options = options
        self._links = links
        self._signer = signer
        self._known = known
        self._register = view.protocol.roles.index(view.role)
        self._first = len(view.protocol.roles)
        self._play: Play | None = None
        self._one: Run | None = None
        self._clocked = False
        self._asked: _Asked | None = None
        self._kept: _Asked | None = None

    # --- what is known -----------------------------------------------------------------------

    @property
    def protocol(self) -> str:
        return self._view.protocol.name

    @property
    def role(self) -> str:
        return self._view.role

    @property
    def session(self) -> bytes:
        """The id of the session, 32 bytes; b"" before it is open."""
        endpoint = self._held()
        return b"" if endpoint is None else endpoint.session.id

    @property
    def principals(self) -> dict[str, bytes]:
        """The public key behind each role of the session."""
        endpoint = self._held()
        if endpoint is None:
            return {}
        descriptor = endpoint.session.descriptor
        return dict(zip(descriptor.roles, descriptor.principals, strict=True))

    @property
    def position(self) -> str:
        """What the local type allows here, in words."""
        state = self._state()
        return _NOT_HERE if state is None else state.describe()

    def _held(self) -> EndpointState | None:
        """The role's endpoint, also after it has been closed."""
        if self._play is None:
            return None
        cell = self._play.player.cell(self._register)
        return cell if isinstance(cell, EndpointState) else None

    def _state(self) -> StateTable | None:
        if self._play is None:
            return None
        endpoint = self._play.player.endpoint(self._register)
        return None if endpoint is None else endpoint.state

    # --- what it does ------------------------------------------------------------------------

    async def send(self, peer: str, label: str, /, *values: object, **fields: object) -> None:
        """Sends a message; its fields in their order, or by name.

        Where the local type offers several labels, this chooses one of them. It waits while the
        edge is full.

        Raises:
            Fault: it is not what the local type asks for here; the session has ended.
            Unusable: codes `role.fields`, `role.value`: nothing was sent; `role.busy`, `role.over`.
        """
        await self._settle()
        state = self._state()
        several = state is not None and len(state.sends) > 1
        await self._say(Select if several else Send, peer, label, values, fields)

    async def select(self, peer: str, label: str, /, *values: object, **fields: object) -> None:
        """As `send`, where the local type offers several labels: elsewhere it is a fault."""
        await self._settle()
        await self._say(Select, peer, label, values, fields)

    async def _say(
        self,
        instruction: type[Send] | type[Select],
        peer: str,
        label: str,
        values: tuple[object, ...],
        fields: Mapping[str, object],
    ) -> None:
        play = self._playing()
        self._asked = self._kept = None
        state = self._state()
        transition = None if state is None else state.sends.get(label)
        if transition is None and self._clocked and not play.player.clock_runs:
            # It decided in time, and the clock was faster than this call.
            raise self._late()
        given: list[RegisterValue] = []
        if transition is not None and transition.peer == peer:
            what = f"{label} to {peer}"
            given = arguments(transition.fields, values, fields, what, self._blobs)
        registers = range(self._first, self._first + len(given))
        action = instruction(self._register, _text(peer), _text(label), tuple(registers))
        await play.act(action, dict(zip(registers, given, strict=True)))
        self._clocked = False

    async def in_time(self, decision: Awaitable[Decided]) -> Decided:
        """Starts the clock of the timed choice that is next, and awaits what decides it.

        When the clock runs out first, `decision` is cancelled, and the role is at the late choice.
        It can also run out between this and the send of the choice.

        Raises:
            Fault: the local type has no clock here.
            Unusable: code `role.late`: nothing was sent, and what is to be sent is the late choice;
                `role.busy`, `role.over`. What `decision` raises.
        """
        play = self._playing()
        task = asyncio.ensure_future(decision)
        clock: asyncio.Future[None] | None = None
        try:
            await self._settle()
            self._asked = self._kept = None
            await play.act(Timer(self._register, FIRST_PARK))
            self._clocked = True
            clock = asyncio.ensure_future(play.until_late())
            await asyncio.wait((clock, task), return_when=asyncio.FIRST_COMPLETED)
            if not task.done() or not play.player.clock_runs:
                raise self._late()
            return task.result()
        finally:
            for one in (task, clock):
                if one is not None and not one.done():
                    one.cancel()

    def _late(self) -> Unusable:
        return Unusable(
            "role.late",
            "the time for the choice is over",
            expected=self.position,
            advice="Send what the protocol has after `timeout:`",
        )

    # ruff's ANN401 is about types that could be given: a field's type is in the script.
    async def recv(self, peer: str, label: str, /, *, within_seconds: float | None = None) -> Any:
        """Receives the only message that the local type expects here.

        When it has not come `within_seconds`, the session is cancelled: only who chooses may
        choose to be late, so whoever waits can do nothing else about it.

        A message of one field is the field's value, one of several a `Message`, one of none None.
        A call that is cancelled can be made again: what it received at the last moment is kept.

        Raises:
            Fault: it is not what the local type asks for here, or the message is refused, or
                the session is over; it has ended.
            Unusable: codes `role.busy`, `role.over`, `role.within`; `role.deadline` when it has
                not come in time.
        """
        return (await self._hear_within(_text(peer), _text(label), within_seconds)).value

    async def recv_any(self, peer: str, /, *, within_seconds: float | None = None) -> Choice:
        """Receives whichever message the other side has chosen: its label and content.

        Raises: as `recv`.
        """
        return await self._hear_within(_text(peer), None, within_seconds)

    async def _hear_within(self, peer: str, label: str | None, seconds: float | None) -> Choice:
        if seconds is None:
            return await self._hear(peer, label)
        if type(seconds) not in (int, float) or not 0 < seconds <= SECONDS_MAX:
            raise _unusable("within", f"seconds above 0, at most {SECONDS_MAX:g}", ascii(seconds))
        try:
            async with asyncio.timeout(seconds) as clock:
                return await self._hear(peer, label)
        except TimeoutError:
            if not clock.expired():
                raise
        await self._settle()
        if self._kept is not None:
            # It came at the last moment.
            return await self._hear(peer, label)
        wanted = label or "anything"
        await self.cancel(f"{self.role} has waited {seconds:g} s for {wanted} from {peer}")
        raise Unusable(
            "role.deadline",
            f"{wanted} from {peer} has not come in time, and the session is cancelled",
            expected=f"within {seconds:g} s",
            advice="Give more time, or let who is awaited have a timed choice",
        )

    async def _hear(self, peer: str, label: str | None) -> Choice:
        """Receives `label`, or any."""
        play = self._playing()
        await self._settle()
        kept, self._kept = self._kept, None
        if kept is not None and kept.peer == peer and kept.label == label:
            return self._heard(kept)
        state = self._state()
        transitions = {} if state is None else state.receives
        if label is not None or not transitions:
            # Where nothing can be received the machine says so.
            label = label or "anything"
            known = transitions.get(label)
            transitions = {} if known is None else {label: known}
            targets = self._targets(known)
            action: Recv | Branch = Recv(self._register, peer, label, targets)
        else:
            action = Branch(
                self._register,
                peer,
                tuple(
                    Case(name, self._targets(transitions[name]), FIRST_PARK + place)
                    for place, name in enumerate(sorted(transitions))
                ),
            )
        self._asked = _Asked(peer, label, transitions)
        await play.act(action)
        return self._heard(self._asked)

    async def _settle(self) -> None:
        """A call that was cancelled may have been done all the same."""
        if await self._playing().settle():
            self._kept, self._asked = self._asked, None

    def _heard(self, asked: _Asked) -> Choice:
        player = self._playing().player
        label = sorted(asked.transitions)[player.case]
        transition = asked.transitions[label]
        self._asked = None
        cells = [player.cell(register) for register in self._targets(transition)]
        return Choice(label, content(transition.fields, cells, self._blobs))

    def _targets(self, transition: TransitionTable | None) -> tuple[int, ...]:
        count = 0 if transition is None else len(transition.fields)
        return tuple(range(self._first, self._first + count))

    async def close(self) -> None:
        """Says that the role is done. Leaving the block does so, too.

        Raises:
            Fault: the local type asks for more.
        """
        await self._playing().act(Close(self._register))

    async def cancel(self, reason: str) -> None:
        """Ends the session for everybody, for a reason that everybody is told."""
        if type(reason) is not str:
            raise _unusable("reason", "a str", type(reason).__name__)
        await self._playing().act(Cancel(self._register, self._first), {self._first: reason})

    def _playing(self) -> Play:
        if self._play is None:
            raise Unusable(
                "role.outside",
                "the role has not joined its session",
                expected="a call inside of `async with`",
                actual="one outside",
            )
        return self._play

    @property
    def _blobs(self) -> BlobStore:
        assert self._one is not None, "it plays"
        return self._one.blobs

    # --- joining and leaving -----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._play is not None:
            raise _unusable("session", "a role that has not joined yet", "one that has")
        view = self._view
        one = self._one = Run(
            view.image,
            self._options,
            print,
            None,
            loop=asyncio.get_running_loop(),
            signer=self._signer,
            plays=Plays(view.role, self._first + _widest(view)),
        )
        expected = ExpectedKeys(one, self._links, self._known)
        roles = self._options.roles or ()
        play = self._play = Play(one, roles, self._links, expected)
        try:
            await play.start()
            await play.act(opening(view))
        except asyncio.CancelledError:
            await play.abandon()
            raise
        except BaseException:
            if play.player.ended:
                self.result = await play.finish()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        play = self._playing()
        try:
            if error is not None and not play.player.ended:
                await self._break_off(play, error)
            elif not play.player.ended:
                await play.act(Halt())
        finally:
            self.result = await play.finish()

    async def _break_off(self, play: Play, error: BaseException) -> None:
        """What the others hear is the kind of the exception: its text may not be for them."""
        if play.player.endpoint(self._register) is not None:
            if isinstance(error, asyncio.CancelledError):
                reason = f"{self.role} was cancelled"
            else:
                reason = f"{self.role} failed with {type(error).__name__}"
            await self.cancel(reason)
        await play.act(Halt())


def opening(view: RoleView) -> Open:
    """The session as the script's entry program opens it, or with the defaults."""
    image, protocol = view.image, view.protocol
    number = image.protocols.index(protocol)
    targets = tuple(range(len(protocol.roles)))
    code = () if image.entry is None else image.programs[image.entry].code
    for instruction in code:
        if isinstance(instruction, Open) and instruction.protocol == number:
            return Open(number, targets, instruction.options, instruction.handlers)
    return Open(number, targets, OpenOptions())


def _widest(view: RoleView) -> int:
    """Registers for the fields of one message, or a reason to cancel."""
    local = view.protocol.local_types[view.protocol.roles.index(view.role)]
    counts = [len(step.fields) for state in local.states for step in state.transitions]
    return max([1, *counts])


def _signer(role: str, key: KeyPair | PathLike | None) -> tuple[HostSigner | None, PathLike | None]:
    """Who signs, or the folder whose keys do."""
    if isinstance(key, KeyPair):
        return HostSigner({role: key}), None
    if key is None:
        return None, None
    if not isinstance(key, str | os.PathLike):
        raise _unusable("key", "a KeyPair, the file of one, or a folder", type(key).__name__)
    path = Path(key)
    return (HostSigner({role: load_key(path)}), None) if path.is_file() else (None, path)


def _known(
    expect: Mapping[str, KeyPair | VerifierKey | str] | PathLike | None, folder: PathLike | None
) -> Known | PathLike | None:
    if expect is None:
        return folder
    if isinstance(expect, str | os.PathLike):
        return expect
    return {
        role: parse_verifier(key.strip(), Place(role=role)) if isinstance(key, str) else key
        for role, key in expect.items()
    }


def _text(value: str) -> str:
    """A peer or a label: the machine compares it, and says what it was."""
    if type(value) is not str:
        raise _unusable("name", "a str", type(value).__name__)
    return value[:255]


def _unusable(what: str, expected: str, actual: str) -> Unusable:
    return Unusable(
        f"role.{what}", f"the {what} of a role cannot be used", expected=expected, actual=actual
    )
