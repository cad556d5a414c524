"""Everything on the list of behaviours has a test of its name, and every ending has one."""

from __future__ import annotations

import re

import pytest

from event_socket_behaviours import BEHAVIOURS, ENDINGS, TESTS, shown


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_behaviour_has_a_test_of_its_name(name: str) -> None:
    assert shown().get(name), f"no test begins with test_{name.lower()}_"


def test_no_test_shows_what_is_not_on_the_list() -> None:
    assert not {*shown()} - {*BEHAVIOURS}


def test_groups_are_whole() -> None:
    counts = dict.fromkeys("FPEIOADCX", 0)
    for name in BEHAVIOURS:
        counts[name[0]] += 1
        assert int(name[1:]) == counts[name[0]]
    assert counts == {"F": 7, "P": 13, "E": 7, "I": 3, "O": 3, "A": 10, "D": 6, "C": 2, "X": 11}


@pytest.mark.parametrize("mark", ENDINGS.values(), ids=ENDINGS)
def test_every_ending_is_tested_over_sockets_with_and_without_a_record(mark: str) -> None:
    """In the tables of scripts, or as a test of its own."""
    files = ["test_esl_server.py", "test_esl_records.py"]
    found = [name for name in files if re.search(re.escape(mark), (TESTS / name).read_text())]
    alone = mark.startswith("test_")
    assert found == files or (alone and found), f"{mark} is in {found}"
