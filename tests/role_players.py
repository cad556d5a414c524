"""Sessions whose roles Python plays, at a hub, and what their records say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from artifact_surgery import key_pair
from troth import conformance, dsl, vm

SECONDS_MAX: Final = 60
Part = Callable[[vm.RoleEndpoint], Awaitable[None]]

LEVEL_5: Final = "was played by Python code, whose decisions are not in the file"


def view(module: dsl.Module, role: str) -> dsl.LocalView:
    """The role of the script's last protocol."""
    return module.protocol(module.protocol_names[-1]).role(role)


def endpoint(
    module: dsl.Module, role: str, hub: vm.Hub, record: Path | None = None, **options: object
) -> vm.RoleEndpoint:
    return vm.join(
        view(module, role),
        hub,
        key=key_pair(role),
        record=record,
        **options,  # type: ignore[arg-type]  # whatever the test wants to try
    )


def _silent(line: str) -> None:
    """Nobody reads what is printed."""


async def _one(endpoint: vm.RoleEndpoint, part: Part) -> BaseException | None:
    try:
        async with endpoint as held:
            await part(held)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # told to the test
        return error
    return None


async def _all(
    module: dsl.Module,
    parts: Mapping[str, Part],
    folder: Path,
    options: Mapping[str, object],
    programs: Iterable[str],
) -> dict[str, BaseException | None]:
    hub = vm.Hub()
    roles = tuple(programs)
    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as group:
        tasks = {
            role: group.create_task(
                _one(endpoint(module, role, hub, folder / f"{role}.replay", **options), part)
            )
            for role, part in parts.items()
        }
        if roles:
            run = vm.RunOptions(
                roles=roles,
                record=folder / "programs.replay",
                effects={"price_of": len},
                **options,  # type: ignore[arg-type]
            )
            links = vm.LinkOptions(hub=hub)
            group.create_task(
                vm.run_spread(module.image, options=run, links=links, write_line=_silent)
            )
    return {role: task.result() for role, task in tasks.items()}


def play(
    module: dsl.Module,
    parts: Mapping[str, Part],
    folder: Path,
    *,
    programs: Iterable[str] = (),
    **options: object,
) -> dict[str, BaseException | None]:
    """Plays `parts` in Python and the roles `programs` as the script does; what they raised."""
    return asyncio.run(_all(module, parts, folder, options, programs))


def verdict(folder: Path, role: str) -> conformance.Verdict:
    names = ("Alice", "Bob", "Seller", "Client", "Server", "A", "B", "C", "D", role)
    trust = vm.parse_trust(
        "".join(key_pair(name).public_text + "\n" for name in dict.fromkeys(names)), "trust"
    )
    return conformance.verify(folder / f"{role}.replay", trust=trust)


def holds(found: conformance.Verdict) -> bool:
    """Levels 1 to 4 hold, and level 5 says why it cannot be."""
    *four, fifth = found.levels
    return (
        found.exit_code == 0
        and all(level.ran and level.ok for level in four)
        and not fifth.ran
        and fifth.why.endswith(LEVEL_5)
    )
