"""The switch's api commands as typed methods; any other goes through `api`.

An `-ERR` in the output is an error. A variable is read with `uuid_getvar`, whose answer is framed
by its length: `getvar` puts the raw value into a header line, where a value with newlines in it
forges replies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from troth.streaming.eventsocket.dialplan import channel_variables, one_word
from troth.streaming.eventsocket.errors import CommandRefused
from troth.streaming.eventsocket.event import Event
from troth.streaming.eventsocket.headers import NO_HEADERS, Headers
from troth.streaming.eventsocket.messages import content_of

UNDEFINED: Final = "_undef_"
NO_REPLY: Final = "-ERR no reply\n"
"""What the switch says when an api command has no output: an empty value."""


@dataclass(frozen=True, slots=True)
class Job:
    """What came of a `bgapi` command: its `BACKGROUND_JOB` event."""

    uuid: str
    event: Event

    @property
    def text(self) -> str:
        return self.event.text

    @property
    def is_error(self) -> bool:
        return self.text.startswith("-ERR")


class ApiCommands(ABC):
    """Mixed into whatever can send an api command."""

    @abstractmethod
    async def api(
        self, command: str, arguments: str = "", *, check: bool = True, limit_s: float | None = None
    ) -> str:
        """Runs an api command and gives its output; see `Call.api`."""

    async def status(self) -> str:
        return await self.api("status")

    async def version(self) -> str:
        return await self.api("version")

    async def originate(
        self,
        endpoint: str,
        *,
        extension: str,
        dialplan: str | None = None,
        context: str | None = None,
        variables: Mapping[str, str] | None = None,
        limit_s: float | None = None,
    ) -> str:
        """Makes a call. It blocks the connection until somebody answers: prefer `bgapi`."""
        arguments = originate_arguments(endpoint, extension, dialplan, context, variables)
        return await self.api("originate", arguments, limit_s=limit_s)

    async def fsctl(self, *words: str) -> str:
        return await self.api("fsctl", " ".join(words))

    async def hupall(self, cause: str | None = None) -> str:
        return await self.api("hupall", cause or "")

    async def hash_insert(self, realm: str, key: str, value: str) -> str:
        return await self.api("hash", f"insert/{realm}/{key}/{value}")

    async def hash_select(self, realm: str, key: str) -> str:
        return await self.api("hash", f"select/{realm}/{key}")

    async def hash_delete(self, realm: str, key: str) -> str:
        return await self.api("hash", f"delete/{realm}/{key}")

    async def uuid_park(self, uuid: str) -> str:
        return await self.api("uuid_park", one_word(uuid))

    async def uuid_bridge(self, uuid: str, other_uuid: str) -> str:
        return await self.api("uuid_bridge", f"{one_word(uuid)} {one_word(other_uuid)}")

    async def uuid_kill(self, uuid: str, cause: str | None = None) -> str:
        return await self.api("uuid_kill", f"{one_word(uuid)} {cause or ''}".strip())

    async def uuid_break(self, uuid: str, *, everything: bool = False) -> str:
        """Ends what is being played."""
        return await self.api("uuid_break", one_word(uuid) + (" all" if everything else ""))

    async def uuid_transfer(self, uuid: str, extension: str) -> str:
        return await self.api("uuid_transfer", f"{one_word(uuid)} {extension}")

    async def uuid_getvar(self, uuid: str, name: str) -> str | None:
        """A channel's variable as it is now, or None."""
        text = await self.api("uuid_getvar", f"{one_word(uuid)} {one_word(name)}", check=False)
        if text.startswith("-ERR No such channel"):
            raise CommandRefused("api uuid_getvar", text.strip())
        return None if text in (UNDEFINED, NO_REPLY) else text

    async def uuid_setvar(self, uuid: str, name: str, value: str) -> str:
        return await self.api("uuid_setvar", f"{one_word(uuid)} {one_word(name)} {value}")

    async def uuid_dump(self, uuid: str) -> Headers:
        """Everything that the switch knows of a channel."""
        text = await self.api("uuid_dump", one_word(uuid))
        return content_of(text.encode()) or NO_HEADERS


def originate_arguments(
    endpoint: str,
    extension: str,
    dialplan: str | None,
    context: str | None,
    variables: Mapping[str, str] | None,
) -> str:
    words = [(channel_variables(variables) or "{}") + endpoint, extension]
    if dialplan is not None or context is not None:
        words.append(dialplan or "XML")
    if context is not None:
        words.append(context)
    return " ".join(words)
