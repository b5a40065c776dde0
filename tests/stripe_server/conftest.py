"""The Stripe server as a process of its own, the official client, and a webhook receiver over real HTTP."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

ROOT = Path(__file__).parents[2]
SECRET_KEY = "sk_test_of_the_dev_stack"
PUBLISHABLE_KEY = "pk_test_of_the_dev_stack"
WEBHOOK_SECRET = "whsec_of_the_dev_stack"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stripe's library calls httpx in a way that httpx means to drop."""
    known = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes/text content:DeprecationWarning")
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(known)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A server process that can die and come back with its data."""

    port: int
    data: Path
    webhook_url: str
    process: subprocess.Popen[bytes] | None = None
    clients: list[stripe.HTTPXClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        options = {
            "--port": str(self.port),
            "--data": str(self.data),
            "--webhook-url": self.webhook_url,
            "--webhook-secret": WEBHOOK_SECRET,
            "--secret-key": SECRET_KEY,
            "--publishable-key": PUBLISHABLE_KEY,
            "--retry-first": "0.1",
            "--retry-longest": "0.4",
            "--webhook-timeout": "2",
        }
        arguments = [part for pair in options.items() for part in pair]
        command = [sys.executable, "-m", "pitstop.devstack.stripe_server", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT)

    async def ready(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(400):
                assert self.process is not None
                assert self.process.poll() is None, "the server ended at its start"
                try:
                    if (await http.get(f"{self.url}/health")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        raise AssertionError("the server did not become ready")

    async def end(self, with_: signal.Signals) -> int:
        """Closes its clients, stops it and answers its exit code."""
        for client in self.clients:
            await client.close_async()  # type: ignore[no-untyped-call]
        return self.stop(with_)

    def stop(self, with_: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        os.kill(self.process.pid, with_)
        return self.process.wait(timeout=10)


@pytest.fixture(scope="package")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One for all tests, which tell their payments apart by metadata. Its default endpoint answers nobody."""
    data = tmp_path_factory.mktemp("stripe") / "stripe.sqlite"
    running = Server(free_port(), data, f"http://127.0.0.1:{free_port()}/nobody")
    running.start()
    await running.ready()
    yield running
    assert await running.end(signal.SIGTERM) in (0, -signal.SIGTERM)


def client_of(server: Server, key: str = SECRET_KEY) -> stripe.StripeClient:
    """Closed with the server. It does not retry, so that each fault shows."""
    http = stripe.HTTPXClient(timeout=10, verify_ssl_certs=False)
    server.clients.append(http)
    return stripe.StripeClient(key, base_addresses={"api": server.url}, http_client=http, max_network_retries=0)


@pytest.fixture(scope="package")
def client(server: Server) -> stripe.StripeClient:
    return client_of(server)


@pytest.fixture(scope="package")
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=10) as raw:
        yield raw


@pytest.fixture
def mark() -> dict[str, str]:
    """Metadata that only this test's payments bear."""
    return {"booking_id": str(uuid4())}


@dataclass
class Receiver:
    """A webhook endpoint. It verifies each event as Stripe's library does; `answers` are the statuses of the next ones,
    200 after that."""

    url: str = ""
    secret: str = WEBHOOK_SECRET
    answers: list[int] = field(default_factory=list)
    events: list[stripe.Event] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    forged: int = 0

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def until(self, met: Callable[[list[str]], Any], seconds: float = 5) -> None:
        """Waits until the types received meet the condition."""
        for _ in range(int(seconds / 0.02)):
            if met(self.types):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"not met within {seconds} s: {self.types}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request, unless the sender is killed meanwhile."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        status = self._take(body, headers.get("stripe-signature", ""))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    def _take(self, body: bytes, signature: str) -> int:
        try:
            event = stripe.Webhook.construct_event(body, signature, self.secret)
        except stripe.SignatureVerificationError:
            self.forged += 1
            return 400
        self.events.append(event)
        self.arrivals.append(asyncio.get_running_loop().time())
        return self.answers.pop(0) if self.answers else 200


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Listening, known to no server yet."""
    receiving = Receiver()
    listener = await asyncio.start_server(receiving.serve, "127.0.0.1", 0)
    receiving.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/webhook"
    yield receiving
    listener.close()


@pytest.fixture
async def inbox(receiver: Receiver, http: httpx.AsyncClient, mark: dict[str, str]) -> AsyncIterator[Receiver]:
    """Receives the events of this test's payments, under a secret of its own."""
    receiver.secret = "whsec_of_one_endpoint"
    wanted = {"url": receiver.url, "secret": receiver.secret, "metadata": mark}
    endpoint = (await http.post("/_control/endpoints", json=wanted)).raise_for_status().json()
    yield receiver
    (await http.delete(f"/_control/endpoints/{endpoint['id']}")).raise_for_status()
