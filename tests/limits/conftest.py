"""APIs with limits of a test's own: another secret, so that what they count nobody else counts."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings
from tests.support.processes import environment, free_port, running, settings, until_live

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
def another_process(stack: Stack, secret: str) -> Callable[..., AbstractAsyncContextManager[str]]:
    """An API in a process of its own, run as a deployment runs it; gives its URL."""

    @asynccontextmanager
    async def start(**changes: object) -> AsyncIterator[str]:
        port, variables = free_port(), environment(stack, **{"manage_link_secret": secret} | changes)
        async with running("api", ["--port", str(port)], variables):
            await until_live(url := f"http://127.0.0.1:{port}")
            yield url

    return start
