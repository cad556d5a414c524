"""Seconds of fuzzing for every run of the tests; `python -m fuzz.run` goes on for longer.

The counts are fixed, so the same seed tries the same inputs everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from artifact_surgery import Sample
from fuzz import campaigns, event_socket, network
from fuzz.edges import Edges, TooManyLinesError
from fuzz.fuzzer import Campaign, all_problems, for_executions, fuzz
from fuzz.mutations import BYTES_MAX, RECORDS_MAX, changed_bytes, changed_records

SEED = 1
HERE = (str(Path(__file__).parent),)

EXECUTIONS: dict[Callable[[Sequence[Sample]], Campaign], int] = {
    campaigns.verify_bytes: 120,
    campaigns.verify_records: 60,
    campaigns.read_artifacts: 300,
    campaigns.read_images: 2_000,
    campaigns.read_trust: 2_000,
    network.stun: 1_000,
    network.lease_tokens: 1_000,
    network.relay: 300,
    network.relay_leg: 300,
    network.paths: 300,
    network.discovery: 300,
    network.gateway: 300,
    event_socket.messages: 2_000,
    event_socket.calls: 200,
    event_socket.clients: 500,
    event_socket.traffic: 100,
}


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return campaigns.corpus()


@pytest.mark.slow
@pytest.mark.parametrize(
    "build", [*campaigns.ALL, *network.ALL, *event_socket.ALL], ids=lambda build: build.__name__
)
def test_nothing_is_thrown_accepted_or_without_end(
    build: Callable[[Sequence[Sample]], Campaign], samples: list[Sample]
) -> None:
    report = fuzz(build(samples), SEED, for_executions(EXECUTIONS[build]))
    print(f"seed {SEED}; {report.summary()}")
    assert all_problems([report]) == []
    assert report.executions >= EXECUTIONS[build]
    assert report.edges > report.edges_at_first > 0
    assert report.kept > 0
    assert len(report.outcomes) > 2


# --- the fuzzer itself ----------------------------------------------------------------------


def _maze(data: bytes) -> str:
    """Behind each right byte there is another question; nobody guesses all of them at once."""
    if data[:1] == b"t":
        if data[1:2] == b"r":
            if data[2:3] == b"o":
                if data[3:4] == b"t":
                    raise ZeroDivisionError("found")
                return "three"
            return "two"
        return "one"
    return "none"


def _any_byte(data: bytes, _other: bytes, rng: Random) -> bytes:
    place = rng.randrange(4)
    return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]


def _campaign(run: Callable[[bytes], str], **changed: object) -> Campaign:
    values: dict[str, object] = {
        "name": "maze",
        "run": run,
        "change": _any_byte,
        "corpus": (b"....",),
        "lines_max": 1_000,
        "memory_bytes_max": 1 << 20,
        "edges": lambda lines_max: Edges(lines_max, HERE),
    }
    return Campaign(**{**values, **changed})  # type: ignore[arg-type]


def test_it_finds_what_only_its_own_finds_lead_to() -> None:
    campaign = _campaign(_maze)
    report = fuzz(campaign, SEED, lambda report: not report.problems and report.executions < 40_000)
    assert [what for what, _ in report.problems] == ["ZeroDivisionError: found"]
    assert report.problems[0][1] == b"trot"
    again = fuzz(campaign, SEED, for_executions(report.executions))
    assert again.problems == report.problems, "the same seed tries the same inputs"
    assert "1 problems" in report.summary()


def test_what_goes_on_for_ever_is_a_problem() -> None:
    def endless(data: bytes) -> str:
        while data:
            data = bytes(data)
        return "ended"

    report = fuzz(_campaign(endless), SEED, for_executions(3))
    assert len(report.problems) == 3
    assert "more than 1000 lines" in report.problems[0][0]


def test_what_takes_much_memory_is_a_problem() -> None:
    report = fuzz(_campaign(lambda _: str(len(bytes(5 << 20)))), SEED, for_executions(1))
    assert [what.split()[1:] for what, _ in report.problems] == [["bytes", "of", "memory"]]


def test_edges_are_those_of_the_watched_code_only() -> None:
    edges = Edges(1_000, HERE)
    with edges:
        _maze(b"tr")
    first = edges.found
    with edges:
        _maze(b"tr")
    assert edges.found == first
    maze = [edge for edge in first if edge[0] == 0]
    assert len(maze) == 4, "into the function, twice from one question to the next, and out"
    with edges:
        _maze(b"t")
    assert edges.found - first
    with Edges(1_000, ("nowhere",)) as nothing:
        _maze(b"tr")
    assert nothing.found == set()
    few = Edges(2, HERE)
    with pytest.raises(TooManyLinesError), few:
        _maze(b"trot")


def _changes(samples: list[Sample]) -> Iterator[bytes]:
    rng = Random(SEED)
    for _ in range(300):
        yield changed_bytes(samples[0].data, samples[1].data, rng)


def test_changes_stay_within_their_bounds(samples: list[Sample]) -> None:
    changed = list(_changes(samples))
    assert changed == list(_changes(samples))
    assert len(set(changed)) > 280
    rng, data = Random(SEED), samples[0].data
    records = campaigns._records(data)
    seen = set()
    for _ in range(300):
        data = changed_bytes(data, samples[1].data, rng)
        assert len(data) <= BYTES_MAX
        records = changed_records(records, campaigns._records(samples[1].data), rng)
        assert len(records) <= RECORDS_MAX
        seen.add(len(records))
    assert len(seen) > 5
