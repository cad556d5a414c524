"""Records of roles that Python played, changed by somebody who holds the keys."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artifact_surgery import Record, find, key_pair, parse, reseal, with_field
from role_players import play
from troth import conformance, dsl, vm
from troth.vm import statements
from troth.vm.records import Kind

SCRIPT = """
protocol Hi(Client, Server):
    Client -> Server: hi()

program idle():
    print "nothing"

main:
    spawn idle()
"""
ENTRY = 10
PROGRAM = 2


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("played")
    module = dsl.compile_module(SCRIPT, "hi.troth")

    async def client(s: vm.RoleEndpoint) -> None:
        await s.send("Server", "hi")

    async def server(s: vm.RoleEndpoint) -> None:
        await s.recv("Client", "hi")

    assert play(module, {"Client": client, "Server": server}, folder) == {
        "Client": None,
        "Server": None,
    }
    return parse(Path(folder / "Client.replay").read_bytes())


def _verify(changed: list[Record]) -> conformance.Verdict:
    return conformance.verify(io.BytesIO(reseal(changed, [key_pair("Client")])))


def _replace(records: list[Record], kind: Kind, field: int, value: Any) -> list[Record]:
    place = find(records, kind)
    return [*records[:place], with_field(records[place], field, value), *records[place + 1 :]]


def test_unchanged_it_holds(records: list[Record]) -> None:
    assert all(level.ok for level in _verify(records).levels[:4])


def _claims_a_program(records: list[Record]) -> list[Record]:
    return _replace(records, Kind.SPAWN, PROGRAM, 0)


def _claims_an_entry(records: list[Record]) -> list[Record]:
    return _replace(records, Kind.HEADER, ENTRY, 0)


def _spawns(records: list[Record]) -> list[Record]:
    """What the host plays begins a program."""
    place = find(records, Kind.SPAWN)
    seed = records[0][3]
    parent = statements.coroutine_id(seed, b"", 0)
    child = (int(Kind.SPAWN), 0, 0, statements.coroutine_id(seed, parent, 0))
    return [*records[: place + 1], child, *records[place + 1 :]]


@pytest.mark.parametrize("change", [_claims_a_program, _claims_an_entry, _spawns])
def test_a_run_is_either_a_program_s_or_the_host_s(
    records: list[Record], change: Callable[[list[Record]], list[Record]]
) -> None:
    found = _verify(change(records))
    assert found.exit_code == 2
    assert found.findings[0].code == "structure.reference", conformance.to_prose(found)


def test_claiming_both_does_not_pass_level_5(records: list[Record]) -> None:
    """Somebody says that a program did it: running the program shows that it did not."""
    found = _verify(_claims_an_entry(_claims_a_program(records)))
    assert found.exit_code == 2
    assert found.findings[0].level in (1, 2, 5)
