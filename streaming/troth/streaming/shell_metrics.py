"""A small HTTP server for metrics and health: three paths, one request a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

REQUEST_BYTES_MAX: Final = 4_096
REQUEST_S: Final = 5.0
CONNECTIONS_MAX: Final = 32

Page = Callable[[], tuple[int, str]]
"""Status and text of a page, made when somebody asks."""

_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Unavailable"}


class MetricsServer:
    """Serves the pages that it is given, by path."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens, and says on which port."""
        self._server = await asyncio.start_server(
            self._serve, host, port, limit=REQUEST_BYTES_MAX
        )  # fmt: skip
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= CONNECTIONS_MAX:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
                writer.write(self._answer(head))
                await asyncio.wait_for(writer.drain(), REQUEST_S)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            # Whoever asked has gone, or never finished asking.
            return
        except asyncio.LimitOverrunError:
            return
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3 or words[0] != b"GET":
            status, text = 405, "only GET\n"
        else:
            page = self._pages.get(words[1].decode("latin-1").split("?", 1)[0])
            status, text = page() if page is not None else (404, "no such page\n")
        body = text.encode()
        lines = (
            f"HTTP/1.1 {status} {_REASONS[status]}",
            "Content-Type: text/plain; version=0.0.4; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
