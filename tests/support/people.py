"""Customers as clients of the public API: they look, book, pay and wait, and know no more than a client can."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from pitstop.devstack.stackfile import Stack
from tests.support.shop import Shop

GOOD_CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_visa_chargeDeclined"
_PATIENCE_SECONDS = 30.0

Json = dict[str, Any]


class Issuer:
    """Gets tokens from the dev stack's issuer."""

    def __init__(self, http: httpx.AsyncClient, stack: Stack) -> None:
        self._http = http
        self._stack = stack

    async def token(self, subject: str, role: str) -> str:
        answer = await self._http.post(
            f"{self._stack.issuer_url}/token", json={"sub": subject, "role": role, "ttl_seconds": 3600}
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    async def customer(self, api_url: str) -> "Customer":
        identity = uuid4()
        return Customer(self._http, self._stack, api_url, await self.token(str(identity), "customer"), identity)


@dataclass(slots=True)
class Customer:
    """Somebody with a token. `api_url` may be that of another API process than the stack's."""

    http: httpx.AsyncClient
    stack: Stack
    api_url: str
    token: str
    id: UUID
    email: str = field(default_factory=lambda: f"{uuid4().hex[:12]}@example.com")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def request(self, shop: Shop, start: datetime, **changes: Any) -> Json:
        body: Json = {
            "service_id": str(shop.service_id),
            "plan_id": str(shop.plan_id),
            "mechanic_id": str(shop.mechanic_id),
            "start": start.isoformat(),
            "timezone": "America/Toronto",
            "customer": {"name": "Camille Roy", "email": self.email},
            "location": {"country": "CA", "city": "Toronto", "postal_code": "M5V 2T6"},
            "intake": {"vehicle": "2019 Civic"},
        }
        return body | changes

    async def post(self, body: Json, key: str | None = None) -> httpx.Response:
        headers = self.headers | {"Idempotency-Key": key or str(uuid4())}
        return await self.http.post(f"{self.api_url}/v1/bookings", json=body, headers=headers)

    async def book(self, shop: Shop, start: datetime, **changes: Any) -> Json:
        """A held booking; anything but 201 is a failed test."""
        answer = await self.post(self.request(shop, start, **changes))
        assert answer.status_code == 201, answer.text
        booking: Json = answer.json()
        return booking

    async def pay(self, booking: Json, card: str = GOOD_CARD) -> httpx.Response:
        """Confirms the PaymentIntent at Stripe, as the customer's browser does."""
        payment = booking["payment"]
        return await self.http.post(
            f"{self.stack.stripe_api_url}/v1/payment_intents/{payment['payment_intent_id']}/confirm",
            data={
                "payment_method": card,
                "client_secret": payment["client_secret"],
                "key": payment["publishable_key"],
            },
        )

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(f"{self.api_url}{path}", params=query, headers=self.headers)

    async def ask(self, booking: Json, what: str, **sent: Any) -> httpx.Response:
        """`POST /v1/bookings/{id}/<what>`: reschedule, cancel, check-in, start, complete, no-show."""
        path = f"{self.api_url}/v1/bookings/{booking['id']}/{what}"
        return await self.http.post(path, json=sent or None, headers=self.headers)

    async def read(self, booking: Json) -> Json:
        answer = await self.get(f"/v1/bookings/{booking['id']}")
        assert answer.status_code == 200, answer.text
        read: Json = answer.json()
        return read

    async def sees(self, booking: Json, status: str, event: str | None = None) -> Json:
        """Waits until the booking has this status and, if given, this entry in its timeline."""

        def there(read: Json) -> bool:
            return read["status"] == status and (event is None or event in events(read))

        return await self.waits_for(booking, there, f"{status} {event or ''}")

    async def waits_for(self, booking: Json, there: Callable[[Json], bool], what: str) -> Json:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not there(read := await self.read(booking)):
            assert time.monotonic() < deadline, f"waited for {what}, saw {read['status']}: {read['timeline']}"
            await asyncio.sleep(0.1)
        return read

    async def mails(self) -> list[Json]:
        answer = await self.http.get(f"{self.stack.mail_url}/api/messages", params={"to": self.email})
        answer.raise_for_status()
        mails: list[Json] = answer.json()
        return mails

    async def subjects(self) -> list[str]:
        """The first word of each mail's subject, oldest first: Confirmed, Reminder, Cancelled, Refund."""
        return [mail["subject"].split()[0].strip(":") for mail in await self.mails()]

    async def told(self) -> list[str]:
        """The same, of those that differ: a mail in whose sending a worker died comes again, with its Message-ID."""
        mails = {mail["message_id"]: mail["subject"].split()[0].strip(":") for mail in await self.mails()}
        return list(mails.values())


def events(booking: Json) -> list[str]:
    return [entry["event"] for entry in booking["timeline"]]
