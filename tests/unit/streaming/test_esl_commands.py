"""Commands and arguments as bytes, and that nothing in them can become a line of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from troth.streaming.eventsocket import commands
from troth.streaming.eventsocket.api import ApiCommands
from troth.streaming.eventsocket.completion import Completion
from troth.streaming.eventsocket.dialplan import DialplanApplications
from troth.streaming.eventsocket.errors import CommandRefused
from troth.streaming.eventsocket.event import Event, EventFormat
from troth.streaming.eventsocket.subscriptions import Subscriptions
from troth.vm.errors import Unusable


class Scribe(DialplanApplications, ApiCommands):
    """Writes down what it is asked to do."""

    def __init__(self, answer: str = "+OK") -> None:
        self.asked: list[str] = []
        self.output = answer

    async def execute(
        self,
        application: str,
        argument: str = "",
        *,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        assert event_lock
        assert not headers
        self.asked.append(f"{application} {argument}".strip() + (f" x{loops}" * (loops > 1)))
        return Completion(Event(b"Event-Name: X\nvariable_read_digits_var: 42\n\n"))

    async def api(
        self, command: str, arguments: str = "", *, check: bool = True, limit_s: float | None = None
    ) -> str:
        assert limit_s is None
        self.asked.append(f"{command} {arguments}".strip())
        if check and self.output.startswith("-ERR"):
            raise CommandRefused(command, self.output)
        return self.output


def asked(work: Callable[[Scribe], Awaitable[object]], answer: str = "+OK") -> str:
    scribe = Scribe(answer)

    async def run() -> None:
        await work(scribe)

    asyncio.run(run())
    (text,) = scribe.asked
    return text


C1: list[tuple[Callable[[Scribe], Awaitable[object]], str]] = [
    (lambda s: s.status(), "status"),
    (lambda s: s.version(), "version"),
    (lambda s: s.originate("user/coltrane", extension="4000"), "originate {}user/coltrane 4000"),
    (lambda s: s.originate("user/c", extension="4", variables={"k": "v", "k2": "v2"}),
     "originate {k=v,k2=v2}user/c 4"),
    (lambda s: s.originate("user/c", extension="4", dialplan="xml", context="public"),
     "originate {}user/c 4 xml public"),
    (lambda s: s.originate("user/c", extension="4", context="public"),
     "originate {}user/c 4 XML public"),
    (lambda s: s.fsctl("hupall", "normal_clearing"), "fsctl hupall normal_clearing"),
    (lambda s: s.hupall(), "hupall"),
    (lambda s: s.hupall("some_cause"), "hupall some_cause"),
    (lambda s: s.hash_insert("r", "k", "v"), "hash insert/r/k/v"),
    (lambda s: s.hash_select("r", "k"), "hash select/r/k"),
    (lambda s: s.hash_delete("r", "k"), "hash delete/r/k"),
    (lambda s: s.uuid_park("u"), "uuid_park u"),
    (lambda s: s.uuid_bridge("a", "b"), "uuid_bridge a b"),
    (lambda s: s.uuid_kill("u"), "uuid_kill u"),
    (lambda s: s.uuid_kill("u", "USER_BUSY"), "uuid_kill u USER_BUSY"),
    (lambda s: s.uuid_break("u", everything=True), "uuid_break u all"),
    (lambda s: s.uuid_transfer("u", "5000"), "uuid_transfer u 5000"),
    (lambda s: s.uuid_setvar("u", "n", "a b"), "uuid_setvar u n a b"),
    (lambda s: s.uuid_dump("u"), "uuid_dump u"),
]  # fmt: skip

C2: list[tuple[Callable[[Scribe], Awaitable[object]], str]] = [
    (lambda s: s.bridge("a", "b"), "bridge a,b"),
    (lambda s: s.bridge("a", "b", variables={"foo": "bar", "lol": "cat"}),
     "bridge {foo=bar,lol=cat}a,b"),
    (lambda s: s.bridge(["a", "b"], ["c", "d"]), "bridge a,b|c,d"),
    (lambda s: s.bridge("a", variables={"foo": "1,2"}), "bridge {^^|foo=1,2}a"),
    (lambda s: s.bind_meta_app("2", legs="a", application="hangup"),
     "bind_meta_app 2 a s hangup"),
    (lambda s: s.bind_meta_app("2", legs="a", application="x", parameters="p"),
     "bind_meta_app 2 a s x::p"),
    (lambda s: s.export("x", "1"), "export x=1"),
    (lambda s: s.export("x", "1", local=False), "export nolocal:x=1"),
    (lambda s: s.play_and_get_digits("f"),
     r"play_and_get_digits 1 2 3 5000 # f invalid read_digits_var \d+"),
    (lambda s: s.read("f"), "read 1 2 f read_digits_var 5000 #"),
    (lambda s: s.record("f"), "record f"),
    (lambda s: s.record("f", limit_s=5), "record f 5"),
    (lambda s: s.set("k", "v w"), "set k=v w"),
    (lambda s: s.multiset({"k": "v", "k2": "v2"}), "multiset ^^|k=v|k2=v2"),
    (lambda s: s.multiset({"k": "a|b", "k2": "c;d"}), "multiset ^^~k=a|b~k2=c;d"),
    (lambda s: s.respond(404), "respond 404"),
    (lambda s: s.redirect("sip:x@y"), "redirect sip:x@y"),
    (lambda s: s.unset("k"), "unset k"),
    (lambda s: s.transfer("5000"), "transfer 5000"),
    (lambda s: s.transfer("5000", context="public"), "transfer 5000 XML public"),
    (lambda s: s.playback("x.wav", loops=3), "playback x.wav x3"),
    (lambda s: s.speak("flite", "kal", "hello | there"), "speak flite|kal|hello | there"),
    (lambda s: s.say("12"), "say en NUMBER pronounced 12"),
    (lambda s: s.sleep(200), "sleep 200"),
    (lambda s: s.conference("room"), "conference room@default"),
    (lambda s: s.log("INFO", "a b"), "log INFO a b"),
    (lambda s: s.send_dtmf("12#"), "send_dtmf 12#"),
    (lambda s: s.record_session("f"), "record_session f"),
    (lambda s: s.answer(), "answer"),
    (lambda s: s.pre_answer(), "pre_answer"),
    (lambda s: s.ring_ready(), "ring_ready"),
    (lambda s: s.park(), "park"),
    (lambda s: s.echo(), "echo"),
    (lambda s: s.start_dtmf(), "start_dtmf"),
]  # fmt: skip


@pytest.mark.parametrize(("work", "text"), C1, ids=[text for _, text in C1])
def test_c1_api_commands(work: Callable[[Scribe], Awaitable[object]], text: str) -> None:
    assert asked(work) == text


@pytest.mark.parametrize(("work", "text"), C2, ids=[text for _, text in C2])
def test_c2_applications(work: Callable[[Scribe], Awaitable[object]], text: str) -> None:
    assert asked(work) == text


def test_prompts_give_the_digits() -> None:
    async def run() -> list[str | None]:
        scribe = Scribe()
        return [
            await scribe.read("f"),
            await scribe.play_and_get_digits("f", digit_timeout_ms=5),
            await scribe.read("f", variable="other"),
        ]

    assert asyncio.run(run()) == ["42", "42", None]


@pytest.mark.parametrize(
    ("answer", "value"), [("a\n\nb", "a\n\nb"), ("_undef_", None), ("-ERR no reply\n", None)]
)
def test_a_variable_is_read_by_length(answer: str, value: str | None) -> None:
    assert asyncio.run(Scribe(answer).uuid_getvar("u", "n")) == value


def test_a_variable_of_no_channel_is_an_error() -> None:
    with pytest.raises(CommandRefused, match="No such channel"):
        asyncio.run(Scribe("-ERR No such channel!\n").uuid_getvar("u", "n"))


def test_f7_a_command_of_one_line() -> None:
    assert commands.auth("ClueCon") == b"auth ClueCon\n\n"
    assert commands.line(" status ") == b"status\n\n"
    assert commands.userauth("1000@example.com", "p:w") == b"userauth 1000@example.com:p:w\n\n"
    assert commands.linger() == b"linger\n\n"
    assert commands.linger(3) == b"linger 3\n\n"
    assert commands.myevents(EventFormat.JSON, "u") == b"myevents u json\n\n"
    assert commands.api("status") == b"api status\n\n"
    assert commands.bgapi("status", "", "j") == b"bgapi status\nJob-UUID: j\n\n"


def test_i2_custom_is_always_last_and_never_a_name() -> None:
    sent = commands.subscribe(["CHANNEL_EXECUTE", "HEARTBEAT"], ["my::a", "my::b"])
    assert sent == b"event plain CHANNEL_EXECUTE HEARTBEAT CUSTOM my::a my::b\n\n"
    assert commands.subscribe([]) == b"event plain ALL\n\n"
    assert commands.subscribe([], ["a"], EventFormat.JSON) == b"event json CUSTOM a\n\n"
    assert commands.unsubscribe(["A"]) == b"nixevent A\n\n"
    with pytest.raises(Unusable, match="CUSTOM"):
        commands.subscribe(["CUSTOM", "CHANNEL_EXECUTE"])


def test_filters() -> None:
    assert commands.filter_events("Caller-Context", "a b") == b"filter Caller-Context a b\n\n"
    assert commands.unfilter_events() == b"filter delete all\n\n"
    assert commands.unfilter_events("H", "v") == b"filter delete H v\n\n"


def test_messages_carry_their_headers_and_a_body_by_length() -> None:
    assert commands.hangup("USER_BUSY") == (
        b"sendmsg\ncall-command: hangup\nhangup-cause: USER_BUSY\n\n"
    )
    assert commands.sendevent("CUSTOM", {"Event-Subclass": "a::b"}, "grüß") == (
        "sendevent CUSTOM\nEvent-Subclass: a::b\ncontent-type: text/plain\ncontent-length: 6\n\n"
        "grüß".encode()
    )
    with_break = commands.execute("set", "a=1\n\nexit\n\n", application_uuid="u")
    head, _, body = with_break.partition(b"\n\n")
    assert b"exit" not in head
    assert b"content-length: 11" in head
    assert body == b"a=1\n\nexit\n\n"
    for edge in (" a", "a ", "a\r"):
        assert commands.execute("set", edge, application_uuid="u").endswith(edge.encode())


def bad(work: Callable[[], object]) -> Unusable:
    with pytest.raises(Unusable) as caught:
        work()
    return caught.value


@pytest.mark.parametrize(
    "work",
    [
        lambda: commands.line(""),
        lambda: commands.line("api a\n\nexit"),
        lambda: commands.line("a\0"),
        lambda: commands.api("a b"),
        lambda: commands.api("a", "b\nc"),
        lambda: commands.bgapi("a", "b\r", "u"),
        lambda: commands.bgapi("a", "b", "u\n\nexit"),
        lambda: commands.auth(""),
        lambda: commands.userauth("a:b", "c"),
        lambda: commands.userauth("a\nb", "c"),
        lambda: commands.subscribe(["A B"]),
        lambda: commands.subscribe(["A"], [""]),
        lambda: commands.filter_events("A B", "c"),
        lambda: commands.filter_events("A", "c\n"),
        lambda: commands.execute("a b", application_uuid="u"),
        lambda: commands.execute("a", "\0", application_uuid="u"),
        lambda: commands.execute("a", loops=0, application_uuid="u"),
        lambda: commands.execute("a", application_uuid="u", headers={"a": "b\nc"}),
        lambda: commands.execute("a", application_uuid="u", headers={"a\n": "b"}),
        lambda: commands.sendmsg([], "u v"),
        lambda: commands.sendmsg([], None, "x" * (commands.COMMAND_BYTES_MAX + 1)),
    ],
)
def test_what_would_make_lines_of_its_own_is_refused(work: Callable[[], object]) -> None:
    error = bad(work)
    assert error.code == "esl.argument"
    assert error.expected
    assert error.advice


def test_a_password_is_never_shown() -> None:
    for error in (
        bad(lambda: commands.auth("geheim\nx")),
        bad(lambda: commands.userauth("a@b", "geheim\n")),
    ):
        assert "geheim" not in str(error)


@pytest.mark.parametrize(
    "work",
    [
        lambda s: s.bridge(),
        lambda s: s.bridge("a", variables={"b": "}user/evil"}),
        lambda s: s.bridge("a", variables={"b,c": "d"}),
        lambda s: s.set("a=b", "c"),
        lambda s: s.multiset({}),
        lambda s: s.multiset({"a": "|;~!^#@"}),
        lambda s: s.read("a b"),
        lambda s: s.read(""),
        lambda s: s.speak("a|b", "c", "d"),
        lambda s: s.uuid_kill("u v"),
    ],
)
def test_what_would_break_out_of_an_argument_is_refused(
    work: Callable[[Scribe], Awaitable[object]],
) -> None:
    with pytest.raises(Unusable, match=r"esl\.argument"):
        asked(work)


def test_subscriptions_are_asked_for_again() -> None:
    wanted = Subscriptions(EventFormat.JSON)
    assert list(wanted.commands()) == []
    wanted.add(["A", "B"], ["x::y"])
    wanted.add(["A"], [])
    wanted.remove(["B"], [])
    wanted.add_filter("H", "1")
    wanted.add_filter("H", "2")
    wanted.add_filter("G", "1")
    wanted.remove_filter("H", "2")
    wanted.log_level = "7"
    assert [data for _, data in wanted.commands()] == [
        b"event json A CUSTOM x::y\n\n",
        b"filter H 1\n\n",
        b"filter G 1\n\n",
        b"log 7\n\n",
    ]
    assert (wanted.includes("A"), wanted.includes("B")) == (True, False)
    wanted.add([], [])
    assert next(wanted.commands())[1] == b"event json ALL\n\n"
    wanted.remove([], [])
    wanted.remove_filter(None, None)
    wanted.log_level = None
    assert list(wanted.commands()) == []
