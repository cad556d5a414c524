"""Many calls at once, some of them reset at random moments: all end, and nothing is left."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_socket_load import RESET_SHARE, allow_files, load, verified
from event_socket_loop import run
from troth.streaming.eventsocket import Ending, Recording

SEED = 20261125
CALLS = 1_000
RECORDED = 50


@pytest.fixture
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_files(6 * CALLS)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_a_thousand_calls_of_which_one_in_a_hundred_is_reset() -> None:
    print(f"seed {SEED}")
    found = run(lambda: load(CALLS, SEED))
    assert not found.problems(CALLS)
    assert found.endings[Ending.RESET.value] >= 1
    assert found.endings[Ending.LATCHED.value] >= CALLS * (1 - RESET_SHARE)


@pytest.mark.usefixtures("many_files")
def test_calls_on_record_of_which_some_are_reset_all_verify(tmp_path: Path) -> None:
    """`python -m event_socket_load --calls 1000 --record FOLDER` is the same for a thousand."""
    print(f"seed {SEED}")
    found = run(lambda: load(RECORDED, SEED, Recording(folder=tmp_path)))
    assert not found.problems(RECORDED)
    assert found.endings[Ending.RESET.value] == 1
    assert verified(found.reports) == (RECORDED, [])
    assert len(list(tmp_path.iterdir())) == RECORDED
