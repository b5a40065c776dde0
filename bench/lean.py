"""A client that costs next to nothing: answers of a millisecond must not be measured with a client of two.

It speaks as much of HTTP/1.1 as an API process that is asked directly: kept connections, answers with a length.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from bench.shop import Unexpected

_HEAD_END = b"\r\n\r\n"


class Connections:
    """To one server, one for each who calls at once. The server closes what was idle for long: it is opened again."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, target: str) -> bytes:
        """The body of a 200; anything else is `Unexpected`."""
        return await self._ask(f"GET {target} HTTP/1.1\r\nHost: {self._to.netloc}\r\n\r\n".encode())

    async def post(self, target: str, body: bytes) -> bytes:
        head = f"POST {target} HTTP/1.1\r\nHost: {self._to.netloc}\r\nContent-Type: application/json\r\n"
        return await self._ask(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def close(self) -> None:
        for _, writer in self._idle:
            await _close(writer)

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await self._connection()
        writer.write(request)
        head = await reader.readuntil(_HEAD_END)
        body = await reader.readexactly(_length(head))
        self._idle.append((reader, writer))
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Unexpected(f"{request.split(_HEAD_END)[0].decode()}: {(head + body).decode()}")
        return body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            await _close(writer)
        return await asyncio.open_connection(self._to.hostname, self._to.port, limit=2**20)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connections]:
    connections = Connections(url)
    try:
        yield connections
    finally:
        await connections.close()
