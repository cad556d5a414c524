"""The applications of the dialplan as typed methods; any other goes through `execute`.

What comes from a caller may end up in arguments. Where an argument has a syntax of its own, values
that would break out of it are refused, or a separator is chosen that they do not hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

from troth.streaming.eventsocket.completion import Completion
from troth.vm.errors import Unusable

_SEPARATORS: Final = ("|", ";", "~", "!", "^", "#", "@")


def channel_variables(variables: Mapping[str, str] | None) -> str:
    """`{name=value,…}`; the empty text for None."""
    if not variables:
        return ""
    for name, value in variables.items():
        _refuse(name, "{},= \n", "a variable's name")
        _refuse(value, "{}\n", "a variable's value")
    pairs = [f"{name}={value}" for name, value in variables.items()]
    if not any("," in pair for pair in pairs):
        return "{" + ",".join(pairs) + "}"
    separator = _separator(pairs)
    return "{^^" + separator + separator.join(pairs) + "}"


def several(variables: Mapping[str, str]) -> str:
    """The argument of `multiset`."""
    if not variables:
        raise _unusable("there is no variable to set", "a variable or more", "none")
    for name in variables:
        _refuse(name, "= \n", "a variable's name")
    pairs = [f"{name}={value}" for name, value in variables.items()]
    separator = _separator(pairs)
    return f"^^{separator}" + separator.join(pairs)


def endpoints(targets: Sequence[str | Sequence[str]]) -> str:
    """Texts ring at the same time; lists are tried one after the other: `a,b|c,d`."""
    if not targets:
        raise _unusable("there is nobody to call", "an endpoint or more", "none")
    groups: list[str] = []
    together: list[str] = []
    for target in targets:
        if isinstance(target, str):
            together.append(target)
        else:
            groups.append(",".join(target))
    if together:
        groups.insert(0, ",".join(together))
    return "|".join(groups)


class DialplanApplications(ABC):
    """Mixed into whatever can run an application on a channel."""

    @abstractmethod
    async def execute(
        self,
        application: str,
        argument: str = "",
        *,
        event_lock: bool = True,
        loops: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        """Runs any application and waits for its own completion."""

    async def pre_answer(self) -> Completion:
        return await self.execute("pre_answer")

    async def ring_ready(self) -> Completion:
        return await self.execute("ring_ready")

    async def answer(self) -> Completion:
        return await self.execute("answer")

    async def respond(self, code: int | str) -> Completion:
        """Refuses the call with a SIP code."""
        return await self.execute("respond", str(code))

    async def redirect(self, target: str) -> Completion:
        return await self.execute("redirect", target)

    async def playback(self, path: str, *, loops: int = 1) -> Completion:
        return await self.execute("playback", path, loops=loops)

    async def speak(self, engine: str, voice: str, text: str) -> Completion:
        _refuse(engine + voice, "|", "an engine or a voice")
        return await self.execute("speak", f"{engine}|{voice}|{text}")

    async def say(
        self, text: str, *, language: str = "en", kind: str = "NUMBER", method: str = "pronounced"
    ) -> Completion:
        return await self.execute("say", f"{language} {kind} {method} {text}")

    async def sleep(self, milliseconds: int) -> Completion:
        """Silence on the call; the handler alone waits with `asyncio.sleep`."""
        return await self.execute("sleep", str(milliseconds))

    async def play_and_get_digits(
        self,
        file: str,
        *,
        invalid_file: str = "invalid",
        min_digits: int = 1,
        max_digits: int = 2,
        tries: int = 3,
        timeout_ms: int = 5000,
        terminators: str = "#",
        variable: str = "read_digits_var",
        pattern: str = r"\d+",
        digit_timeout_ms: int | None = None,
    ) -> str | None:
        """The digits, or None when the caller gave none that match."""
        words = [
            str(min_digits), str(max_digits), str(tries), str(timeout_ms), terminators or "none",
            one_word(file), one_word(invalid_file), one_word(variable), one_word(pattern),
        ]  # fmt: skip
        if digit_timeout_ms is not None:
            words.append(str(digit_timeout_ms))
        done = await self.execute("play_and_get_digits", " ".join(words))
        return _known(done.variable(variable))

    async def read(
        self,
        file: str,
        *,
        min_digits: int = 1,
        max_digits: int = 2,
        timeout_ms: int = 5000,
        terminators: str = "#",
        variable: str = "read_digits_var",
    ) -> str | None:
        """The digits, or None when the caller gave none."""
        words = [
            str(min_digits), str(max_digits), one_word(file), one_word(variable),
            str(timeout_ms), terminators or "none",
        ]  # fmt: skip
        done = await self.execute("read", " ".join(words))
        return _known(done.variable(variable))

    async def record(self, path: str, *, limit_s: int | None = None) -> Completion:
        return await self.execute(
            "record", one_word(path) + ("" if limit_s is None else f" {limit_s}")
        )

    async def record_session(self, path: str) -> Completion:
        return await self.execute("record_session", path)

    async def bridge(
        self, *targets: str | Sequence[str], variables: Mapping[str, str] | None = None
    ) -> Completion:
        """Calls endpoints and connects the call with the first that answers."""
        return await self.execute("bridge", channel_variables(variables) + endpoints(targets))

    async def transfer(
        self, extension: str, *, dialplan: str | None = None, context: str | None = None
    ) -> Completion:
        words = [one_word(extension)]
        if dialplan is not None or context is not None:
            words.append(one_word(dialplan or "XML"))
        if context is not None:
            words.append(one_word(context))
        return await self.execute("transfer", " ".join(words))

    async def park(self) -> Completion:
        return await self.execute("park")

    async def echo(self) -> Completion:
        return await self.execute("echo")

    async def set(self, name: str, value: str) -> Completion:
        _refuse(name, "= \n", "a variable's name")
        return await self.execute("set", f"{name}={value}")

    async def multiset(self, variables: Mapping[str, str]) -> Completion:
        return await self.execute("multiset", several(variables))

    async def unset(self, name: str) -> Completion:
        return await self.execute("unset", one_word(name))

    async def export(self, name: str, value: str, *, local: bool = True) -> Completion:
        """Sets a variable for the other leg too; with `local=False` only for it."""
        _refuse(name, "= \n", "a variable's name")
        prefix = "" if local else "nolocal:"
        return await self.execute("export", f"{prefix}{name}={value}")

    async def bind_meta_app(
        self, key: str, *, legs: str, application: str, parameters: str = "", flags: str = "s"
    ) -> Completion:
        """Runs an application when `*` and a key are pressed on the call."""
        tail = f"::{parameters}" if parameters else ""
        words = [one_word(key), one_word(legs), one_word(flags), application + tail]
        return await self.execute("bind_meta_app", " ".join(words))

    async def send_dtmf(self, digits: str) -> Completion:
        return await self.execute("send_dtmf", digits)

    async def start_dtmf(self) -> Completion:
        return await self.execute("start_dtmf")

    async def conference(self, name: str, *, profile: str = "default") -> Completion:
        return await self.execute("conference", f"{name}@{profile}")

    async def log(self, level: str, text: str) -> Completion:
        return await self.execute("log", f"{one_word(level)} {text}")


def _known(value: str | None) -> str | None:
    return None if value in (None, "", "_undef_") else value


def one_word(text: str) -> str:
    _refuse(text, " \n\t", "a part of an argument")
    if not text:
        raise _unusable("a part of an argument is empty", "a word", "nothing")
    return text


def _separator(pairs: Sequence[str]) -> str:
    for separator in _SEPARATORS:
        if not any(separator in pair for pair in pairs):
            return separator
    raise _unusable("the values use up every separator", f"one of {_SEPARATORS} unused", "none")


def _refuse(text: str, characters: str, what: str) -> None:
    found = [character for character in characters if character in text]
    if found:
        raise _unusable(
            f"{what} would break out of its place", f"none of {characters!r}", repr(text[:80])
        )


def _unusable(message: str, expected: str, actual: str) -> Unusable:
    return Unusable(
        "esl.argument",
        message,
        expected=expected,
        actual=actual,
        advice="Check what comes from outside before it goes into an argument",
    )
