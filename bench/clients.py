"""HTTP clients, one for each caller: a pool that hundreds share costs more than the calls, and callers are not one."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

ANSWER_SECONDS = 60.0


class Clients:
    """Makes them. Making the context for TLS takes longest, so they share one."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._context = ssl.create_default_context()

    async def another(self) -> httpx.AsyncClient:
        # Shorter than any server here keeps idle connections: none is used that is just being closed.
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=4, keepalive_expiry=3)
        client = httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS, limits=limits, verify=self._context)
        return await self._stack.enter_async_context(client)


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(stack)
