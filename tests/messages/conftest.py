"""The Twilio server of the running stack, and telephone numbers that only one test knows."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from pitstop.gateways.twilio_messages import TwilioMessages
from pitstop.settings import Settings

Json = dict[str, Any]
_PATIENCE_SECONDS = 20.0
_numbers = count(uuid4().int % 700_000)


@pytest.fixture
def number() -> str:
    """Valid and new: 416 555 and 647 555, of which nobody rings."""
    place = next(_numbers) % 800_000
    return f"+1{('416', '647', '437', '905')[place % 4]}{2_000_000 + place * 7 % 7_900_000:07d}"


@dataclass(slots=True)
class Texts:
    """What one number was sent, and the server's controls for it."""

    http: httpx.AsyncClient
    url: str
    number: str

    async def order(self, what: str, **rule: Any) -> None:
        answer = await self.http.post(f"{self.url}/_control/{what}", json=rule | {"to": self.number})
        answer.raise_for_status()

    async def reply(self, body: str) -> None:
        answer = await self.http.post(f"{self.url}/_control/inbound", json={"from": self.number, "body": body})
        answer.raise_for_status()

    async def _list(self, what: str, **query: Any) -> list[Json]:
        answer = await self.http.get(f"{self.url}/_control/{what}", params=query)
        listed: list[Json] = answer.raise_for_status().json()
        return listed

    async def messages(self) -> list[Json]:
        return await self._list("messages", to=self.number)

    async def calls(self) -> list[Json]:
        return await self._list("calls", to=self.number)

    async def callbacks(self) -> list[Json]:
        return await self._list("callbacks", number=self.number)

    async def all_told(self, count: int) -> list[Json]:
        """Waits until so many callbacks have been taken or given up, and brings them back."""

        def over(callbacks: list[Json]) -> bool:
            return len(callbacks) >= count and all(each["state"] != "pending" for each in callbacks)

        told: list[Json] = await waits_for(self.callbacks, over)
        return told

    async def repeat(self, callback: Json) -> None:
        (await self.http.post(f"{self.url}/_control/callbacks/{callback['seq']}/repeat")).raise_for_status()


async def waits_for(look: Callable[[], Any], there: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not there(seen := await look()):
        assert time.monotonic() < deadline, f"waited in vain, saw {seen}"
        await asyncio.sleep(0.1)
    return seen


@pytest.fixture
def texts(http: httpx.AsyncClient, stack: Stack, number: str) -> Texts:
    return Texts(http, stack.twilio_api_url, number)


@pytest.fixture(scope="session")
def twilio_settings(stack: Stack) -> Settings:
    """The product's settings, as the stack's worker has them."""
    names = ("twilio_account_sid", "twilio_auth_token", "twilio_from", "twilio_base_url", "manage_link_secret")
    given = {name: stack.environment[f"PITSTOP_{name.upper()}"] for name in names}
    return Settings.model_validate(given | {"public_url": stack.api_url})


@pytest.fixture
async def messenger(twilio_settings: Settings) -> AsyncIterator[TwilioMessages]:
    async with httpx.AsyncClient() as client:
        yield TwilioMessages(twilio_settings, client)
