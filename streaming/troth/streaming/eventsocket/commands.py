"""Commands as bytes. Nothing that a caller passes in can become a line of its own.

Names after `CUSTOM` in a subscription are subclasses, so `CUSTOM` is always written last.
An application's argument that a header line cannot hold goes as a body, which is length-framed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from troth.streaming.eventsocket.event import EventFormat
from troth.vm.errors import Unusable

CUSTOM: Final = "CUSTOM"
COMMAND_BYTES_MAX: Final = 16 << 20
"""The switch drops a connection on which a command's body is longer."""

FORMAT_WORDS: Final = {EventFormat.PLAIN: "plain", EventFormat.JSON: "json", EventFormat.XML: "xml"}
_BREAKS: Final = ("\n", "\r", "\0")


def line(text: str) -> bytes:
    """Any command of one line."""
    stripped = text.strip()
    if not stripped:
        raise _unusable("a command is empty", "a command", repr(text))
    return _checked(stripped, "a command").encode() + b"\n\n"


def auth(password: str) -> bytes:
    return line(f"auth {_secret(password)}")


def userauth(user: str, password: str) -> bytes:
    """`user` is as in `1000@example.com`."""
    if ":" in user:
        raise _unusable("a user's name has a colon in it", "user@domain", repr(user))
    return line(f"userauth {_word(user, 'a user')}:{_secret(password)}")


def myevents(form: EventFormat = EventFormat.PLAIN, uuid: str | None = None) -> bytes:
    words = ["myevents"]
    if uuid is not None:
        words.append(_word(uuid, "a UUID"))
    if form is not EventFormat.PLAIN:
        words.append(FORMAT_WORDS[form])
    return line(" ".join(words))


def linger(seconds: int | None = None) -> bytes:
    return line("linger" if seconds is None else f"linger {seconds}")


def subscribe(
    names: Iterable[str], custom: Iterable[str] = (), form: EventFormat = EventFormat.PLAIN
) -> bytes:
    """`names` of events, and subclasses of custom ones; without either, all events."""
    return line(" ".join(["event", FORMAT_WORDS[form], *(_event_words(names, custom) or ["ALL"])]))


def unsubscribe(names: Iterable[str], custom: Iterable[str] = ()) -> bytes:
    return line(" ".join(["nixevent", *(_event_words(names, custom) or ["ALL"])]))


def _event_words(names: Iterable[str], custom: Iterable[str]) -> list[str]:
    words = [_word(name, "an event's name") for name in names]
    if CUSTOM in words:
        raise _unusable(
            "CUSTOM stands among the names of events, where it turns the rest into subclasses",
            "subclasses in custom=",
            CUSTOM,
        )
    subclasses = [_word(name, "a subclass") for name in custom]
    return [*words, *([CUSTOM, *subclasses] if subclasses else [])]


def filter_events(header: str, value: str) -> bytes:
    return line(f"filter {_word(header, 'a header name')} {_checked(value, 'a filter value')}")


def unfilter_events(header: str | None = None, value: str | None = None) -> bytes:
    """Takes back one filter, those of one header, or all."""
    words = ["filter delete", "all" if header is None else _word(header, "a header name")]
    if value is not None:
        words.append(_checked(value, "a filter value"))
    return line(" ".join(words))


def api(command: str, arguments: str = "") -> bytes:
    return line(f"api {_word(command, 'an api command')} {_checked(arguments, 'arguments')}")


def bgapi(command: str, arguments: str, job_uuid: str) -> bytes:
    text = f"bgapi {_word(command, 'an api command')} {_checked(arguments, 'arguments')}"
    return text.rstrip().encode() + f"\nJob-UUID: {_word(job_uuid, 'a UUID')}\n\n".encode()


def sendmsg(
    headers: Iterable[tuple[str, str]], uuid: str | None = None, body: str | None = None
) -> bytes:
    """A message to a channel: by its UUID, or to the one that the connection belongs to."""
    first = "sendmsg" if uuid is None else f"sendmsg {_word(uuid, 'a UUID')}"
    return _with_headers(first, headers, body)


def execute(
    application: str,
    argument: str = "",
    *,
    application_uuid: str,
    uuid: str | None = None,
    event_lock: bool = True,
    loops: int = 1,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Runs an application. Its completion carries `application_uuid`."""
    if loops < 1:
        raise _unusable("an application is to run less than once", "loops=1 or more", str(loops))
    lines = list((headers or {}).items())
    if loops > 1:
        lines.append(("loops", str(loops)))
    lines.append(("event-lock", "true" if event_lock else "false"))
    lines.append(("call-command", "execute"))
    lines.append(("execute-app-name", _word(application, "an application's name")))
    if "\0" in argument:
        raise _unusable("an application's argument has a NUL byte in it", "text", "byte 0")
    fits = argument == argument.strip() and not any(mark in argument for mark in _BREAKS)
    if fits:
        lines.append(("execute-app-arg", argument))
    lines.append(("Event-UUID", application_uuid))
    return sendmsg(lines, uuid, None if fits else argument)


def hangup(cause: str, uuid: str | None = None) -> bytes:
    return sendmsg([("call-command", "hangup"), ("hangup-cause", cause)], uuid)


def sendevent(name: str, headers: Mapping[str, str], body: str | None = None) -> bytes:
    return _with_headers(f"sendevent {_word(name, 'an event name')}", headers.items(), body)


def _with_headers(first: str, headers: Iterable[tuple[str, str]], body: str | None) -> bytes:
    lines = [first]
    for name, value in headers:
        lines.append(f"{_word(name, 'a header name')}: {_checked(value, f'the header {name}')}")
    content = b"" if body is None else body.encode("utf-8", "replace")
    if body is not None:
        if len(content) > COMMAND_BYTES_MAX:
            raise _unusable(
                "a body is longer than the switch takes",
                f"at most COMMAND_BYTES_MAX={COMMAND_BYTES_MAX} bytes",
                str(len(content)),
            )
        lines += ["content-type: text/plain", f"content-length: {len(content)}"]
    return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + content


def _secret(text: str) -> str:
    """A password, which no message shows."""
    if not text or any(mark in text for mark in _BREAKS):
        raise _unusable("this cannot be a password", "text without line breaks", "something else")
    return text


def _word(text: str, what: str) -> str:
    if not text or any(character.isspace() for character in text) or "\0" in text:
        raise _unusable(f"{what} is not one word", "one word without blanks", repr(text[:80]))
    return text


def _checked(text: str, what: str) -> str:
    if any(mark in text for mark in _BREAKS):
        raise _unusable(
            f"{what} would make lines of its own", "text without line breaks", repr(text[:80])
        )
    return text


def _unusable(message: str, expected: str, actual: str) -> Unusable:
    return Unusable(
        "esl.argument",
        message,
        expected=expected,
        actual=actual,
        advice="Check what comes from outside before it goes into a command",
    )
