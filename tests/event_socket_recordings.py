"""The recorded event-socket traffic: outside of the project, see `fixtures_path`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import fixtures_path
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.messages import Message
from troth.streaming.eventsocket.parser import MessageParser

RECORDINGS_MIN: Final = 50
"""Fewer than this means that the tests over all recordings stopped looking."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a timeline: `direction` is `rx_chunk`, `rx`, `tx` or `note`."""

    at_s: float
    direction: str
    offset: int
    length: int
    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One connection: `received` came from the switch, `sent` went to it."""

    name: str
    received: bytes
    sent: bytes
    steps: tuple[Step, ...]

    def chunks(self) -> Iterator[bytes]:
        """What was received, in the pieces in which it came."""
        for step in self.steps:
            if step.direction == "rx_chunk":
                yield self.received[step.offset : step.offset + step.length]


def names() -> list[str]:
    """Every recording there is; one that is always there when the fixtures are missing."""
    folder = fixtures_path.fixtures_dir()
    if folder is None:
        return ["d1_auth_ok_status_exit"]
    found = sorted(path.name.removesuffix(".rx.bin") for path in folder.glob("esl/*.rx.bin"))
    assert len(found) >= RECORDINGS_MIN
    return found


def load(name: str) -> Recording:
    """The recording of that name, or of the only one that begins with it."""
    folder = fixtures_path.fixtures_dir()
    if folder is not None and not (folder / "esl" / f"{name}.rx.bin").is_file():
        name = next(found for found in names() if found.startswith(name + "_"))
    received = fixtures_path.require(f"esl/{name}.rx.bin").read_bytes()
    sent = fixtures_path.require(f"esl/{name}.tx.bin").read_bytes()
    timeline = json.loads(fixtures_path.require(f"esl/{name}.timeline.json").read_text("utf-8"))
    steps = tuple(
        Step(
            float(line["t"]),
            str(line["dir"]),
            int(line.get("off", 0)),
            int(line.get("len", 0)),
            str(line.get("text", "")),
        )
        for line in timeline["timeline"]
    )
    return Recording(name, received, sent, steps)


def parse(chunks: Iterable[bytes], limits: Limits | None = None) -> list[Message]:
    """All messages of a stream that ends after the last chunk."""
    parser = MessageParser(limits)
    found: list[Message] = []
    for chunk in chunks:
        parser.feed(chunk)
        while (message := parser.next_message()) is not None:
            found.append(message)
    parser.finish()
    return found


def one_by_one(data: bytes) -> Iterator[bytes]:
    for index in range(len(data)):
        yield data[index : index + 1]
