"""What is fuzzed of the event socket: bytes from a switch, at a parser, a call, a client, a record.

Whatever comes, there is one typed end, everybody who waits has an answer, no more is held than the
limits allow, and a call on record keeps its protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from artifact_surgery import Sample, key_pair
from event_socket_calls import (
    CONNECT_REPLY,
    LINGER_NOTICE,
    OK,
    CallDriver,
    event,
    inbound,
    refusal,
    response,
)
from fuzz.edges import ROOT
from fuzz.fuzzer import Campaign
from fuzz.typed import byte_campaign, typed
from troth.streaming.eventsocket.endings import Ending
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.limits import Limits
from troth.streaming.eventsocket.narrator import SWITCH
from troth.streaming.eventsocket.parser import MessageParser
from troth.streaming.eventsocket.privacy import Privacy
from troth.streaming.eventsocket.shell_record import (
    INBOUND,
    OUTBOUND,
    ConnectionRecorder,
    protocol_image,
)
from troth.streaming.eventsocket.testing.shell_traffic import check_traffic
from troth.vm.host_signer import HostSigner
from troth.vm.loader import load
from troth.vm.shell_options import RunOptions

WATCHED: Final = (f"{ROOT / 'streaming' / 'troth' / 'streaming' / 'eventsocket'}/",)
LIMITS: Final = Limits(
    header_bytes_max=4_000, event_bytes_max=8_000, body_bytes_max=8_000, header_count_max=200,
    json_items_max=200, stray_replies_max=4, pending_commands_max=4,
)  # fmt: skip
LINES_MAX: Final = 300_000
MEMORY_BYTES_MAX: Final = 4 << 20
_campaign: Final = partial(
    byte_campaign, lines_max=LINES_MAX, memory_bytes_max=MEMORY_BYTES_MAX, watched=WATCHED
)
_COMPLETED: Final = event("CHANNEL_EXECUTE_COMPLETE", Application="a", Application_UUID="app-1")
_JSON: Final = b'{"Event-Name":"CHANNEL_HANGUP","Unique-ID":"x","a":["b","c"],"_body":"d"}'
_XML: Final = (
    b"<event><headers><Event-Name>HEARTBEAT</Event-Name></headers><body>&lt;a</body></event>\n"
)
_CALLS: Final = (
    CONNECT_REPLY + OK + OK + OK + _COMPLETED + event("CHANNEL_HANGUP", Hangup_Cause="X")
    + event("CHANNEL_HANGUP_COMPLETE") + LINGER_NOTICE,
    CONNECT_REPLY + OK + refusal("-ERR no") + event("X", None, Body_="%0A%zz") + LINGER_NOTICE
    + event("CHANNEL_HANGUP_COMPLETE", "another") + event("CHANNEL_HANGUP_COMPLETE"),
    CONNECT_REPLY + OK + OK + response("-ERR x\n") + OK + OK
    + b"Content-Type: text/event-json\nContent-Length: %d\n\n%b" % (len(_JSON), _JSON)
    + b"Content-Type: text/event-xml\nContent-Length: %d\n\n%b" % (len(_XML), _XML)
    + b"Content-Type: log/data\nContent-Length: 2\nLog-Level: 7\n\nab",
    b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
)  # fmt: skip
_CLIENTS: Final = (
    b"Content-Type: auth/request\n\n" + OK + OK + OK + event("HEARTBEAT", None)
    + b"Content-Type: command/reply\nReply-Text: +OK Job-UUID: j\nJob-UUID: j\n\n"
    + event("BACKGROUND_JOB", None, Job_UUID="j") + response("UP 0 years\n"),
    b"Content-Type: auth/request\n\n" + refusal("-ERR invalid") + LINGER_NOTICE,
)  # fmt: skip


def messages(_: Sequence[Sample]) -> Campaign:
    """The parser, and the inside of every event."""

    def run(data: bytes) -> str:
        parser, found = MessageParser(LIMITS), "nothing"
        parser.feed(data)
        while (message := parser.next_message()) is not None:
            found = type(message).__name__
            if isinstance(message, Event):
                found = f"{message.format.name}{'' if message.defect is None else ', defect'}"
                assert message.headers is not None
                assert len(str(message)) < 1_000_000
        assert parser.bytes_held <= len(data)
        parser.finish()
        return found

    return _campaign("event socket, messages", typed(run), (*_CALLS, *_CLIENTS))


def calls(_: Sequence[Sample]) -> Campaign:
    """A call on record, with a command and an application that wait for what comes."""
    image, signer = load(protocol_image(OUTBOUND)), _signer()

    def run(data: bytes) -> str:
        options = RunOptions(observed=(SWITCH,))
        recorder = ConnectionRecorder(image, OUTBOUND, Privacy.everything(), options, signer)
        driver, asked = CallDriver(LIMITS, recorder), list[int]()
        for at in range(0, len(data), 400):
            driver.feed(data[at : at + 400])
            if at == 400:
                asked = [driver.execute("a"), driver.command("c"), driver.command("d")]
        driver.core.lost(Ending.CUT, "", driver.now_ns)
        driver.drain()
        driver.core.settled(driver.now_ns)
        driver.drain()
        driver.wait(1_000)
        recorder.flush()
        assert driver.closed is not None
        assert driver.closed == driver.settled
        answered = {*driver.errors(), *driver.answered(), *driver.completed()}
        assert answered >= {*asked}, "somebody waits for ever"
        assert recorder.failure is None, recorder.failure
        return driver.closed.ending.value

    return _campaign("event socket, calls on record", typed(run), _CALLS)


def clients(_: Sequence[Sample]) -> Campaign:
    """A client's connection."""

    def run(data: bytes) -> str:
        core = inbound(LIMITS)
        core.receive(data, 0)
        core.lost(Ending.CUT, "", 0)
        assert core.outcome is not None
        assert core.deadline_ns() is None
        return core.outcome.ending.value

    return _campaign("event socket, clients", typed(run), _CLIENTS)


def traffic(_: Sequence[Sample]) -> Campaign:
    """Recorded traffic, both ways: what the switch sends is fuzzed."""
    image = load(protocol_image(INBOUND))
    commands = b"auth ClueCon\n\nevent plain ALL\n\nlog 7\n\nbgapi status\n\napi status\n\n"

    def run(data: bytes) -> str:
        head, rest = data[:28], data[28:]
        told = check_traffic([(True, head), (False, commands), (True, rest)], INBOUND, image=image)
        return f"{told.messages} messages"

    return _campaign("event socket, traffic", typed(run), _CLIENTS)


ALL: Final[tuple[Callable[[Sequence[Sample]], Campaign], ...]] = (messages, calls, clients, traffic)


def _signer() -> HostSigner:
    return HostSigner({name: key_pair(name) for name in ("App", "observer")})
