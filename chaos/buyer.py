"""A client of the public API and of Stripe: it tries again with its key, as a good one does, and keeps the answers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from temporalio.service import RPCError, RPCStatusCode

from chaos.plan import Trade
from chaos.story import Json, Story, customer_id
from chaos.world import CALLER, World
from pitstop.domain.identity import booking_id

GOOD_CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_visa_chargeDeclined"
# So long after the last fault: a client that still has no answer then has something to complain of.
PATIENCE_SECONDS = 120.0
_CALL_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_LOOK_SECONDS = 0.4
_DEFINITE = frozenset((200, 201, 202, 204, 409, 422))
# What the API may answer while something is down; everything else is a mistake of its own.
PASSING = frozenset((429, 503))


class Buyer:
    """The steps that a customer takes, each until it is done or patience has run out."""

    def __init__(self, world: World, story: Story) -> None:
        self._world = world
        self.dice = random.Random(f"{world.name}/{story.plan.number}")  # noqa: S311 - no secret
        self.story = story

    @property
    def booking_id(self) -> UUID:
        """Known before there is an answer: it is made from caller and key."""
        return booking_id(CALLER, self.story.key)

    async def opens(self) -> bool:
        """Asks for the booking with its key until there is an answer that says what became of it."""
        began = time.monotonic()
        while self._patient(began):
            answer = await self._asks(_CALL_SECONDS)
            if answer is not None and answer.status_code in _DEFINITE:
                self._remembers(answer, time.monotonic() - began)
                return self.story.opened is not None
            await asyncio.sleep(_PAUSE_SECONDS)
        self.story.complaints.append(f"no answer in {PATIENCE_SECONDS:.0f} s: {self.story.answers}")
        return False

    def _patient(self, since: float) -> bool:
        """While faults go on nobody can ask for an answer; then, and where there are none, it has to come."""
        peace = self._world.peace
        return peace is None or time.monotonic() < max(since, peace) + PATIENCE_SECONDS

    async def _asks(self, seconds: float) -> httpx.Response | None:
        now = self._world.stack.now
        headers = {"Authorization": f"Bearer {now.tokens.service}", "Idempotency-Key": self.story.key}
        try:
            answer = await self._world.http.post(
                f"{now.api_url}/v1/bookings", json=self._order(), headers=headers, timeout=seconds
            )
        except httpx.TransportError:
            self.story.answers.append(None)
            return None
        self.story.answers.append(answer.status_code)
        if answer.status_code not in _DEFINITE | PASSING:
            self.story.complaints.append(f"answered {answer.status_code}: {answer.text[:300]}")
        return answer

    def _remembers(self, answer: httpx.Response, seconds: float) -> None:
        body: Json = answer.json()
        if answer.status_code in (200, 201):
            self.story.opened = body
            self.story.hold_seconds = seconds
            if body["payment"] is None:
                self.story.complaints.append("opened without a PaymentIntent")
        else:
            self.story.refused = body["code"]

    async def _leaves(self) -> None:
        """Hangs up while the API is at it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.dice.uniform(0.005, 0.15)):
                await self._asks(_CALL_SECONDS)

    async def pays_with(self, card: str) -> None:
        opened = self.story.opened
        if opened and opened["payment"] and await self._confirms(opened["payment"], card):
            self.story.paid_at = self.story.paid_at or datetime.now(UTC)

    async def pays_the_difference(self) -> None:
        """As long as it may be paid."""
        if self.story.difference is not None:
            self.story.difference_paid = await self._confirms(self.story.difference, GOOD_CARD)

    async def _confirms(self, payment: Json, card: str) -> bool:
        """Confirms the PaymentIntent, as a browser does, until Stripe has said yes or no. Whether it is paid."""
        now, paid = self._world.stack.now, False
        url = f"{now.stripe_api_url}/v1/payment_intents/{payment['payment_intent_id']}"
        secret = {"client_secret": payment["client_secret"], "key": payment["publishable_key"]}

        async def confirm() -> bool:
            nonlocal paid
            answer = await self._world.http.post(f"{url}/confirm", data=secret | {"payment_method": card}, timeout=8)
            if answer.status_code == 400:  # cancelled meanwhile, or paid by a try whose answer was lost
                answer = await self._world.http.get(url, params=secret, timeout=8)
            state = answer.json().get("status")
            paid = state == "succeeded"
            return paid or state == "canceled" or answer.status_code == 402

        await self._insists(confirm, "paying")
        return paid

    async def _lets_the_hold_lapse(self) -> None:
        opened = self.story.opened
        if not opened or not opened["payment"]:
            return
        intent = opened["payment"]["payment_intent_id"]
        ends = datetime.fromisoformat(opened["hold_expires_at"])
        rule = {"match": "cancel", "kind": "error_500", "times": None, "payment_intent": intent}
        await self._orders("faults", rule)
        # The workflow's timer, then the grace after which the database itself lets go.
        await asyncio.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + self._world.spans.grace + 0.5)

    async def _webhooks(self, rule: Json) -> None:
        if self.story.opened:
            await self._orders("webhooks", rule | {"metadata": {"booking_id": self.story.opened["id"]}})

    async def _orders(self, kind: str, rule: Json) -> None:
        async def order() -> bool:
            url = f"{self._world.stack.now.stripe_api_url}/_control/{kind}"
            (await self._world.http.post(url, json=rule, timeout=8)).raise_for_status()
            return True

        await self._insists(order, "ordering a fault")

    async def says_stop(self) -> None:
        """Replies to a text message that no more are wanted."""

        async def reply() -> bool:
            url = f"{self._world.stack.now.twilio_api_url}/_control/inbound"
            body = {"from": self.story.phone, "body": "STOP"}
            (await self._world.http.post(url, json=body, timeout=8)).raise_for_status()
            self.story.stopped_at = datetime.now(UTC)
            return True

        await self._insists(reply, "replying STOP")

    async def calls_off(self) -> None:
        """As an operator cancels the run in the engine's UI."""
        assert self.story.opened is not None
        handle = self._world.temporal.get_workflow_handle(f"booking/{self.story.opened['id']}")

        async def cancel() -> bool:
            try:
                await handle.cancel(rpc_timeout=timedelta(seconds=5))
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND  # it has ended by itself
            self.story.called_off = True
            return True

        await self._insists(cancel, "calling off")

    async def asks(
        self,
        what: str,
        *,
        operator: bool = False,
        mechanic: UUID | None = None,
        gone: bool = False,
        once: bool = False,
        **sent: Any,
    ) -> Json | None:
        """Asks for a change until there is an answer that says what became of it; None: it was refused, or nothing.

        As the customer's service, unless it is an operator or this mechanic who asks. `gone`: once it is done, whoever
        has asked does not see the booking any more. `once`: with an Idempotency-Key.
        """
        definite = _DEFINITE | ({httpx.codes.NOT_FOUND} if gone else set())
        own = await self._world.token_of(mechanic) if mechanic else None
        answered: list[httpx.Response] = []

        async def post() -> bool:
            assert self.story.opened is not None
            now = self._world.stack.now
            token = own or (now.tokens.operator if operator else now.tokens.service)
            url = f"{now.api_url}/v1/bookings/{self.story.opened['id']}/{what}"
            headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": self.story.key} if once else {})
            answer = await self._world.http.post(url, json=sent or None, headers=headers, timeout=_CALL_SECONDS)
            if answer.status_code not in definite | PASSING:
                self.story.complaints.append(f"{what} answered {answer.status_code}: {answer.text[:300]}")
            answered.append(answer)
            return answer.status_code in definite

        await self._insists(post, what)
        done = answered and answered[-1].is_success and answered[-1].content
        body: Json | None = answered[-1].json() if done else None
        return body

    async def moves(self, start: datetime) -> bool:
        body = await self.asks("reschedule", start=start.isoformat())
        if body is not None:
            self.story.moved_to = datetime.fromisoformat(body["start"])
        return body is not None

    async def ends(self, what: str, *, operator: bool = False, mechanic: UUID | None = None) -> None:
        body = await self.asks(what, operator=operator, mechanic=mechanic)
        if body is not None:
            self.story.ended = body["status"]

    async def erases(self) -> None:
        """An operator has the customer's personal data removed, which is done when nothing is open any more."""
        customer = customer_id(self.story.key)

        async def erase() -> bool:
            now = self._world.stack.now
            headers = {"Authorization": f"Bearer {now.tokens.operator}"}
            url = f"{now.api_url}/v1/customers/{customer}/erasure"
            answer = await self._world.http.post(url, headers=headers, timeout=_CALL_SECONDS)
            if answer.status_code == httpx.codes.ACCEPTED:
                self.story.erased = True
                if answer.json()["bookings"] != 1:
                    self.story.complaints.append(f"the erasure speaks of {answer.json()['bookings']} bookings")
            elif answer.status_code not in PASSING | {httpx.codes.CONFLICT}:
                self.story.complaints.append(f"the erasure answered {answer.status_code}: {answer.text[:300]}")
            return self.story.erased

        await self._insists(erase, "the erasure")

    async def _sees(self, *statuses: str, seconds: float) -> str | None:
        """Waits for one of them, as a page does that asks again and again; goes on without it in the end."""
        assert self.story.opened is not None
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            read = await self._reads(f"/v1/bookings/{self.story.opened['id']}")
            if read is not None and read["status"] in statuses:
                return str(read["status"])
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    async def _reads(self, path: str, mechanic: UUID | None = None, also: int = httpx.codes.OK) -> Json | None:
        """None while it cannot be had. As the customer's service, or as this mechanic. `also` is no mistake either."""
        own = await self._world.token_of(mechanic) if mechanic else None
        now = self._world.stack.now
        headers = {"Authorization": f"Bearer {own or now.tokens.service}"}
        with suppress(httpx.TransportError):
            answer = await self._world.http.get(f"{now.api_url}{path}", headers=headers, timeout=8)
            if answer.status_code in (httpx.codes.OK, also):
                body: Json = answer.json()
                return body
            if answer.status_code not in PASSING:
                self.story.complaints.append(f"reading answered {answer.status_code}: {answer.text[:300]}")
        return None

    async def _insists(self, act: Callable[[], Awaitable[bool]], what: str) -> None:
        began = time.monotonic()
        while self._patient(began):
            with suppress(httpx.HTTPError):
                if await act():
                    return
            await asyncio.sleep(_PAUSE_SECONDS)
        self.story.complaints.append(f"{what} did not get through in {PATIENCE_SECONDS:.0f} s")

    def _order(self) -> Json:
        story, trade = self.story, self.story.plan.trade
        offer = self._world.offer_of(trade)
        anybody = trade is Trade.VISIT or (trade is Trade.AT_ONCE and story.plan.number % 2 == 0)
        return {
            "service_id": str(offer.service_id),
            "plan_id": str(offer.plan_id),
            "mechanic_id": None if anybody else str(offer.mechanics[story.plan.mechanic % len(offer.mechanics)]),
            "start": None if trade is Trade.AT_ONCE else story.start.isoformat(),
            "timezone": "America/Toronto",
            **({"referral": story.referral} if story.referral else {}),
            **self._own(),
        }

    def _own(self) -> Json:
        """What is the customer's own, whatever is asked for."""
        return {
            "customer": {
                "id": str(customer_id(self.story.of or self.story.key)),
                "name": "Camille Roy",
                "email": self.story.email,
                "phone": self.story.phone,
                "sms_consent": self.story.phone is not None,
            },
            "location": {"country": "CA", "city": "Toronto", "postal_code": "M5V 2T6"},
            "intake": {"vehicle": "2019 Civic", "problem": "Squeals when braking"},
        }
