"""A gate before a server: what goes through it can be refused, or left without an answer, and let through again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Outage = Literal["refuses", "hangs"]
HOST = "127.0.0.1"


class Gate:
    """Stands before `host:port`; `address` is where it listens. Open until told otherwise."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host or HOST, int(port))
        self._port = 0
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._through: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    async def close(self, outage: Outage) -> None:
        """`refuses`: connections break, and no new one comes about. `hangs`: all stay, and nothing goes through."""
        if outage == "hangs":
            self._flowing.clear()
        else:
            await self._stop()

    async def open(self) -> None:
        """What waited at a gate that hung breaks: it has waited too long to be of use."""
        if self._server is not None and not self._flowing.is_set():
            await self._stop()
        self._flowing.set()
        self._server = await asyncio.start_server(self._pass, HOST, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def shut_down(self) -> None:
        await self._stop()

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for passage in list(self._through):
            passage.cancel()
        await asyncio.gather(*self._through, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passage = asyncio.current_task()
        assert passage is not None
        self._through.add(passage)
        passage.add_done_callback(self._through.discard)
        others = None
        try:
            await self._flowing.wait()
            answers, others = await asyncio.open_connection(*self._target)
            await asyncio.gather(self._pump(reader, others), self._pump(answers, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, others):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()
        with suppress(OSError):
            sink.write_eof()


@asynccontextmanager
async def gate(target: str) -> AsyncIterator[Gate]:
    """A gate before a URL's server, or before `host:port`."""
    parts = urlsplit(target if "//" in target else f"//{target}")
    standing = Gate(f"{parts.hostname}:{parts.port}")
    await standing.open()
    try:
        yield standing
    finally:
        await standing.shut_down()


def through(url: str, standing: Gate) -> str:
    """The URL by way of the gate."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@{standing.address}" if login else standing.address).geturl()
