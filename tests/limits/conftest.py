"""APIs with limits of a test's own: another secret, so that what they count nobody else counts."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings
from tests.support.processes import ROOT, environment, free_port, settings

Changed = Callable[..., Settings]


@pytest.fixture
def secret() -> str:
    return uuid4().hex


@pytest.fixture
def changed(stack: Stack, secret: str) -> Changed:
    """The stack's settings with changes; all of one test share the counts."""

    def change(**changes: object) -> Settings:
        return settings(stack, **{"manage_link_secret": secret} | changes)

    return change


@pytest.fixture
def another_process(
    stack: Stack, secret: str, http: httpx.AsyncClient
) -> Callable[..., AbstractAsyncContextManager[str]]:
    """An API in a process of its own, started as a deployment starts it; gives its URL."""

    @asynccontextmanager
    async def start(**changes: object) -> AsyncIterator[str]:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api", "--port", str(port)),
            cwd=ROOT,
            env=environment(stack, **{"manage_link_secret": secret} | changes),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield await _live(http, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            await process.wait()

    return start


async def _live(http: httpx.AsyncClient, url: str) -> str:
    for _ in range(400):
        try:
            if (await http.get(f"{url}/health/live")).status_code == 200:
                return url
        except httpx.TransportError:
            await asyncio.sleep(0.05)
    raise RuntimeError(f"the API at {url} does not answer")
