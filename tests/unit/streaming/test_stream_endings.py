"""Every way to end a session, each with its reason at both sides in its bound, in virtual time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from stream_play import SMALL, events, shown, when
from troth.streaming.link import Closed, CloseReason
from troth.streaming.media.viewing import Outcome
from troth.streaming.netem import Conditions, Network, Step
from troth.streaming.session import shell_local
from troth.streaming.session.endings import BOUNDS, MEANINGS, Bound, Ending
from troth.streaming.session.shell_client import ClientParty
from troth.streaming.session.shell_end import Wanted
from troth.streaming.session.shell_host import HostParty
from troth.streaming.session.shell_local import LocalOptions, LocalResult
from troth.streaming.session.shell_transport import said_ending
from virtual_time import run_virtually

GOOD: Final = Conditions(delay_ns=20_000_000)
STARVED: Final = Conditions(delay_ns=20_000_000, loss=0.1, rate_bits=100_000, queue_bytes=6_000)
DARK: Final = Conditions(blackout=True)
WAYS: Final = {"good": GOOD, "starved": STARVED}
FRAMES: Final = 3
BAD_FOR_US: Final = 700_000


class World:
    """A session that is about to end, and the hands that end it."""

    def __init__(
        self, host: HostParty, client: ClientParty, network: Network, conditions: Conditions
    ) -> None:
        self.host, self.client, self.network = host, client, network
        self.conditions = conditions
        self.happened_us = time.monotonic_ns() // 1000

    def happens(self, act: Callable[[], None]) -> None:
        """Once it runs: the way becomes as bad as it shall be, is that for a while, and then."""

        def worsen() -> None:
            self.set(self.conditions)
            ends_us = time.monotonic_ns() // 1000 + BAD_FOR_US
            when(lambda: time.monotonic_ns() // 1000 >= ends_us, finish)

        def finish() -> None:
            self.happened_us = time.monotonic_ns() // 1000
            act()

        when(shown(self.client, FRAMES), worsen)

    def happens_when_refused(self) -> None:
        """It counts from when one side refuses the other: until then they have to talk."""
        refused: list[HostParty | ClientParty] = []

        def watch(party: HostParty | ClientParty) -> None:
            stop_media = party.stop_media

            def stopped(reason: str) -> None:
                if not refused:
                    refused.append(party)
                    self.happened_us = time.monotonic_ns() // 1000
                stop_media(reason)

            party.stop_media = stopped  # type: ignore[method-assign] # an effect is watched

        watch(self.host)
        watch(self.client)

    def set(self, conditions: Conditions) -> None:
        for one, other in (("host", "client"), ("client", "host")):
            self.network.set_steps(one, other, [Step(0, conditions)])


def _time(world: World) -> None:
    def now_is_the_end() -> None:
        began_us = world.client.media_began_us
        assert began_us is not None
        world.client._ends_after_us = world.happened_us - began_us
        world.client._demanded.set()

    world.happens(now_is_the_end)


def _revoked(world: World) -> None:
    def at_both() -> None:
        world.host.revoke()
        world.client.revoke()

    world.happens(at_both)


def _fault(party_of: Callable[[World], Any], effect: str) -> Callable[[World], None]:
    """What an effect of that party calls goes wrong, from the next time on."""

    def act(world: World) -> None:
        def broken(*_: object) -> None:
            world.happened_us = time.monotonic_ns() // 1000
            raise RuntimeError("a device is gone")

        def break_it() -> None:
            world.set(world.conditions)
            setattr(party_of(world), effect, broken)

        # With the next report: on a way that is bad already there may be none any more.
        when(shown(world.client, FRAMES), break_it)

    return act


def _no_media(world: World) -> None:
    way: Any = world.host._way
    world.happens(lambda: setattr(way, "send", lambda *_: None))


def _killed(role: str) -> Callable[[World], None]:
    """Nothing of that side gets out any more, and it is not asked how it ended."""

    def act(world: World) -> None:
        other = "client" if role == "host" else "host"
        world.happens(lambda: world.network.set_steps(role, other, [Step(0, DARK)]))

    return act


def _before(change: Callable[[World], None]) -> Callable[[World], None]:
    def act(world: World) -> None:
        world.set(world.conditions)
        world.happens_when_refused()
        change(world)

    return act


def _set(party_of: Callable[[World], Any], name: str, value: object) -> Callable[[World], None]:
    return _before(lambda world: setattr(party_of(world), name, value))


def _client(world: World) -> ClientParty:
    return world.client


def _host(world: World) -> HostParty:
    return world.host


ACTS: Final[dict[str, Callable[[World], None]]] = {
    "user": lambda world: world.happens(lambda: world.client.leave(Ending.USER)),
    "time": _time,
    "client-exit": lambda world: world.happens(lambda: world.client.leave(Ending.EXIT)),
    "host-exit": lambda world: world.happens(lambda: world.host.end(Ending.EXIT)),
    "host-order": lambda world: world.happens(lambda: world.host.end(Ending.REVOKED)),
    "revoked": _revoked,
    "client-fault": _fault(_client, "note_report"),
    "host-fault": _fault(_host, "note_report"),
    "no-media": _no_media,
    "client-killed": _killed("client"),
    "host-killed": _killed("host"),
    "dark": lambda world: world.happens(lambda: world.set(DARK)),
    "identity": _set(_client, "channel_binding", lambda: b"other"),
    "version": _set(_client, "_version", 2),
    "codec": _set(_client, "_codecs", ("av1",)),
    "busy": _set(_host, "_busy", True),
}


def play(act: Callable[[World], None], conditions: Conditions) -> tuple[World, LocalResult]:
    worlds: list[World] = []

    def ready(host: HostParty, client: ClientParty, network: Network) -> None:
        worlds.append(World(host, client, network, conditions))
        act(worlds[0])

    wanted = Wanted(picture=SMALL, bitrate_kbps=600)
    options = LocalOptions(wanted=wanted, steps=(Step(0, GOOD),), on_ready=ready)
    result = run_virtually(functools.partial(shell_local.run_local, options))
    return worlds[0], result


def check(bound: Bound, world: World, within_ns: int) -> None:
    for party, expected in ((world.host, bound.host), (world.client, bound.client)):
        if expected is None:
            continue
        (end,) = events(party, "session_end")
        assert end["reason"] == expected, party.role
        took_us = end["ts_mono_us"] - world.happened_us
        assert took_us * 1000 <= within_ns, (party.role, end, took_us)
        assert party.stopped.is_set()
    assert world.host.keys.down == ()


def test_every_ending_has_an_act_and_every_word_a_bound() -> None:
    assert ACTS.keys() == BOUNDS.keys()
    words = {word for bound in BOUNDS.values() for word in (bound.host, bound.client)} - {None}
    assert words == set(MEANINGS)
    assert all(bound.within_ns <= bound.at_worst_ns for bound in BOUNDS.values())


@pytest.mark.parametrize("way", ["good", pytest.param("starved", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BOUNDS)
def test_an_ending_has_its_reason_at_both_sides_in_its_bound(name: str, way: str) -> None:
    bound = BOUNDS[name]
    world, _ = play(ACTS[name], WAYS[way])
    check(bound, world, bound.within_ns if way == "good" else bound.at_worst_ns)


@pytest.mark.parametrize(
    ("reason", "text", "found"),
    [
        (CloseReason.USER, "user_disconnect", Ending.USER),
        (CloseReason.POLICY, "fault", Ending.FAULT),
        (CloseReason.USER, "revoked", None),
        (CloseReason.CONNECTION_LOST, "nothing came", None),
    ],
)
def test_the_links_last_word_is_believed_when_it_fits(
    reason: CloseReason, text: str, found: Ending | None
) -> None:
    assert said_ending(Closed(reason, text, by_peer=True)) is found


def test_a_session_on_a_starved_way_shows_what_it_sends_and_ends_in_its_time() -> None:
    narrow = Conditions(loss=0.1, rate_bits=1_500_000)
    wanted = Wanted(seconds=2.0)
    options = LocalOptions(wanted=wanted, steps=(Step(0, narrow),))
    result = run_virtually(functools.partial(shell_local.run_local, options))
    assert result.ok
    for party in (result.host, result.client):
        (end,) = events(party, "session_end")
        assert (end["by"], end["reason"]) == ("Client", Ending.TIME)
        assert end["seconds"] <= 2.0 + BOUNDS["time"].at_worst_ns / 1e9
    outcomes = result.client.viewing.outcomes
    assert outcomes[Outcome.SHOWN] > sum(outcomes.values()) / 2, "stale frames are not sent"
