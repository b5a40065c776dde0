"""A client that costs next to nothing: answers of a millisecond must not be measured with a client of two.

It speaks as much of HTTP/1.1 as an API process that is asked directly: kept connections, answers with a length.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from bench.shop import Unexpected

_HEAD_END = b"\r\n\r\n"


class Connections:
    """So many connections to one server, lent to whoever calls; no more than that can call at once."""

    def __init__(self, host: str, connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        self._host = host
        self._idle = connections

    async def get(self, target: str) -> bytes:
        """The body of a 200; anything else is `Unexpected`."""
        return await self._ask(f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())

    async def post(self, target: str, body: bytes) -> bytes:
        head = f"POST {target} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        return await self._ask(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = connection = self._idle.pop()
        writer.write(request)
        head = await reader.readuntil(_HEAD_END)
        body = await reader.readexactly(_length(head))
        self._idle.append(connection)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Unexpected(f"{request.split(_HEAD_END)[0].decode()}: {(head + body).decode()}")
        return body


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])


@asynccontextmanager
async def connected(url: str, most: int) -> AsyncIterator[Connections]:
    parts = urlsplit(url)
    opened = [await asyncio.open_connection(parts.hostname, parts.port, limit=2**20) for _ in range(most)]
    try:
        yield Connections(parts.netloc, opened)
    finally:
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()
