"""The real mail sink, as a process of its own."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import pytest

from pitstop.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


class Sink:
    """A running sink and its JSON API."""

    def __init__(self, process: Popen[bytes], smtp_port: int, http_port: int) -> None:
        self.process = process
        self.smtp_port = smtp_port
        self.url = f"http://127.0.0.1:{http_port}"
        self.settings = Settings(smtp_port=smtp_port, smtp_timeout_seconds=5)

    async def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url) as client:
            return await client.request(method, path, **arguments)

    async def messages(self, to: str | None = None) -> list[dict[str, Any]]:
        response = await self.call("GET", "/api/messages", params={} if to is None else {"to": to})
        messages: list[dict[str, Any]] = response.raise_for_status().json()
        return messages

    async def order(self, **fault: Any) -> None:
        (await self.call("POST", "/api/faults", json=fault)).raise_for_status()

    async def ready(self) -> None:
        for _ in range(200):
            try:
                (await self.call("GET", "/health")).raise_for_status()
                return
            except httpx.TransportError:
                assert self.process.poll() is None, "the mail sink has ended"
                await asyncio.sleep(0.05)
        pytest.fail("the mail sink has not come up in 10 s")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@contextmanager
def running_sink(data: Path) -> Iterator[Sink]:
    smtp_port, http_port = free_ports(2)
    command = [sys.executable, "-m", "pitstop.devstack.mail_sink"]
    options = ["--smtp-port", str(smtp_port), "--http-port", str(http_port), "--data", str(data)]
    with Popen(command + options, cwd=ROOT) as process:
        try:
            yield Sink(process, smtp_port, http_port)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def sink_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    with running_sink(tmp_path_factory.mktemp("sink") / "mail.sqlite") as sink:
        yield sink


@pytest.fixture
async def sink(sink_process: Sink) -> AsyncIterator[Sink]:
    """The sink, ready, without mails; without orders afterwards."""
    await sink_process.ready()
    await sink_process.call("DELETE", "/api/messages")
    yield sink_process
    await sink_process.call("DELETE", "/api/faults")
