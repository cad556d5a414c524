"""Records of calls: made without sockets, and read back as what they tell."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgpack

from artifact_surgery import Sample, key_pair
from event_socket_calls import (
    CONNECT_REPLY,
    LINGER_NOTICE,
    NOTICE,
    OK,
    CallDriver,
    event,
    refusal,
    response,
    set_up,
)
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.privacy import Privacy
from troth.streaming.eventsocket.replies import Expected
from troth.streaming.eventsocket.shell_record import (
    OUTBOUND,
    ConnectionRecorder,
    protocol_image,
)
from troth.vm import Image, RunOptions, seed_from_number
from troth.vm.events import Sent
from troth.vm.host_signer import HostSigner
from troth.vm.reader import ArtifactReader
from troth.vm.record_events import EventDecoder

KEYS: Final = {name: key_pair(name) for name in ("App", "observer")}
CALLER: Final = "+4930901820"
SEED: Final = seed_from_number(8)
LIMITS: Final = Limits(set_up_s=1, reply_s=1, latch_s=1, hooks_s=1, exit_s=1)


class Said(NamedTuple):
    """One message of a record; `values` as they were sent, in order."""

    sender: str
    label: str
    values: tuple[object, ...]


@cache
def outbound() -> Image:
    return protocol_image(OUTBOUND)


def said(data: bytes) -> Iterator[Said]:
    """Every message of a record, in order."""
    decoder = EventDecoder()
    for record in ArtifactReader(io.BytesIO(data)):
        found = decoder.decode(record)
        if isinstance(found, Sent):
            values = msgpack.unpackb(found.payload, use_list=False)
            yield Said(found.sender, found.label, tuple(values))


def last(data: bytes, label: str) -> tuple[object, ...]:
    """The values of the last message of that label."""
    return [one.values for one in said(data) if one.label == label][-1]


def record_call(
    story: Callable[[CallDriver], object], privacy: Privacy | None = None, **options: object
) -> bytes:
    """The record of a call in which `story` happens, after its set-up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.replay"
        recorder = ConnectionRecorder(
            outbound(),
            OUTBOUND,
            privacy or Privacy(),
            RunOptions(record=path, observed=("Switch",), seed=SEED),
            HostSigner(KEYS),
        )
        if options.pop("bare", False):
            driver = CallDriver(LIMITS, recorder)
        else:
            driver = set_up(LIMITS, recorder, **options)
        story(driver)
        if driver.closed is None:
            driver.core.settled(driver.now_ns)
            driver.drain()
            driver.wait(5)
        assert driver.closed is not None, "a call ends"
        assert recorder.failure is None, recorder.failure
        return path.read_bytes()


HANGUP: Final = event("CHANNEL_HANGUP", Hangup_Cause="NORMAL_CLEARING")
COMPLETE: Final = event("CHANNEL_HANGUP_COMPLETE", Hangup_Cause="NORMAL_CLEARING")


def _ivr(driver: CallDriver) -> None:
    driver.execute("answer")
    driver.feed(OK, event("CHANNEL_ANSWER", Caller_Caller_ID_Number=CALLER))
    driver.feed(event("CHANNEL_EXECUTE_COMPLETE", Application="answer", Application_UUID="app-1"))
    driver.core.command("api status", b"api status x\n\n", 0, expected=Expected.RESPONSE)
    driver.feed(response(f"UP {CALLER}"))
    driver.execute("bridge", f"user/{CALLER}")
    driver.feed(refusal(f"-ERR no {CALLER}"))
    driver.command(f"filter Caller {CALLER}")
    driver.feed(OK, HANGUP, COMPLETE, LINGER_NOTICE)


def _notice_first(driver: CallDriver) -> None:
    driver.feed(HANGUP, LINGER_NOTICE, LINGER_NOTICE, event("CHANNEL_STATE"), COMPLETE)


def _late(driver: CallDriver) -> None:
    serial = driver.command("uptime")
    driver.core.forget(serial, driver.now_ns)
    driver.command("status")
    driver.feed(OK, OK, OK, COMPLETE, NOTICE)


def _leave(driver: CallDriver) -> None:
    driver.core.leave(driver.now_ns)
    driver.drain()


STORIES: Final[Mapping[str, tuple[Callable[[CallDriver], object], dict[str, object]]]] = {
    "ivr": (_ivr, {}),
    "notice_first": (_notice_first, {}),
    "late": (_late, {}),
    "cut": (lambda driver: _lose(driver, Ending.CUT), {}),
    "reset": (lambda driver: _lose(driver, Ending.RESET), {}),
    "time_limit": (lambda driver: driver.feed(COMPLETE).wait(3), {}),
    "left": (_leave, {}),
    "no_call": (lambda driver: _lose(driver.feed(NOTICE), Ending.CUT), {"bare": True}),
    "refused": (lambda driver: driver.feed(CONNECT_REPLY, refusal("-ERR no")), {"bare": True}),
    "malformed": (lambda driver: driver.feed(b"Content-Length: -1\n\n"), {}),
}


def _lose(driver: CallDriver, ending: Ending) -> None:
    driver.command("uptime")
    driver.core.lost(ending, "", driver.now_ns)
    driver.drain()


@cache
def sample(name: str, everything: bool = False) -> Sample:
    """The record of a story with keys that are always the same."""
    story, options = STORIES[name]
    privacy = Privacy.everything() if everything else Privacy()
    return Sample(record_call(story, privacy, **options), KEYS)
