"""The demo's booking: what a client of the public API does, from the search to the invite in the mail."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.markup import escape
from temporalio.client import Client
from temporalio.service import RPCError

from pitstop.contracts.names import booking_workflow_id
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.wording import money
from pitstop.settings import Settings

Json = dict[str, Any]

CUSTOMER = {"name": "Camille Roy", "email": "camille.roy@example.com", "phone": "+14165550123"}
ZONE = ZoneInfo("America/Toronto")
CARD = "pm_card_visa"
SERVICE = "video-consultation"
# Days ahead rather than hours, so that both reminders are still to come.
AHEAD, SPAN = timedelta(days=3), timedelta(days=14)
# Somebody else may take a slot between the search and the booking.
CHOICES = 5
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.3

_WORDS = {
    "hold_placed": "the slot is held",
    "awaiting_payment": "the PaymentIntent is there, Pitstop waits for the payment",
    "payment_declined": "the card was declined",
    "payment_succeeded": "the payment has arrived",
    "confirmed": "session and reservation are confirmed",
    "mail_sent": "a mail has gone out",
    "mail_not_sent": "a mail was refused",
}
# What of an entry's detail is worth reading here.
_DETAILS = ("payment_intent_id", "reservation_id", "kind", "code", "why")
_ENDS = ("expired", "payment_failed", "cancelled", "refunded")


class TourFailed(Exception):
    """Something did not go as it should; the text says what."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be booked: a service, a plan, a slot, and the name of its mechanic."""

    service: Json
    plan: Json
    slot: Json
    mechanic: str


async def run(stack: Stack) -> None:
    """Books one appointment and pays for it, showing each step. A failure is shown, and leaves the stack as it is."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        async with asyncio.timeout(3 * PATIENCE_SECONDS), _client(stack) as http:
            await _Tour(stack, http, console).go()
    except TourFailed as failure:
        _say_failed(console, str(failure))
    except httpx.RequestError as failure:
        _say_failed(console, f"{failure.request.url.copy_with(query=None)}: {failure or type(failure).__name__}")
    except (RPCError, RuntimeError, TimeoutError) as failure:
        _say_failed(console, f"{type(failure).__name__}: {failure}".rstrip(": "))


@asynccontextmanager
async def _client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {stack.tokens.customer}"}
    async with httpx.AsyncClient(base_url=stack.api_url, headers=headers, timeout=30, trust_env=False) as http:
        yield http


class _Tour:
    """One booking. What is printed with a tick has happened; what is printed with a dot is the booking's timeline."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient, console: Console) -> None:
        self._stack, self._http, self._console = stack, http, console

    async def go(self) -> None:
        self._console.print(f"\n[bold]One booking, as a client makes it[/]  [dim](times in {ZONE.key})[/]")
        with self._console.status("Looking for a free slot …"):
            choices = await self._choices()
        with self._console.status("Asking for the slot …"):
            choice, booking = await self._book(choices)
        await self._pay_while_following(booking)
        with self._console.status("Looking for the mail …"):
            mail = await self._mail(booking)
        self._done(f"mail to {CUSTOMER['email']}: {mail['subject']}", "with invite.ics")
        self._say_reminders(choice)
        for name, url in (await self._places(booking, mail)).items():
            self._console.print(f"  [bold]{name:<14}[/]{escape(url)}")
        self._console.print()

    async def _choices(self) -> list[Choice]:
        services = (await self._get("/v1/services"))["items"]
        service = next((each for each in services if each["slug"] == SERVICE), services[0])
        plan = service["plans"][0]
        self._done(f"{service['name']}, {plan['name']}, {_price(plan)}", "GET /v1/services")
        mechanics = {each["id"]: each["name"] for each in (await self._get("/v1/mechanics"))["items"]}
        begin = datetime.now(UTC) + AHEAD
        span = {"from": begin.isoformat(), "to": (begin + SPAN).isoformat()}
        slots = (await self._get("/v1/availability", service_id=service["id"], timezone=ZONE.key, **span))["slots"]
        if not slots:
            raise TourFailed(f"there is no free slot of {service['name']} in the two weeks from {_moment(begin)} on")
        self._done(f"{len(slots)} free slots from {_day(begin)} on", "GET /v1/availability")
        return [Choice(service, plan, slot, mechanics[slot["mechanic_id"]]) for slot in slots[:CHOICES]]

    async def _book(self, choices: list[Choice]) -> tuple[Choice, Json]:
        for choice in choices:
            answer = await self._http.post(
                "/v1/bookings", json=_request(choice), headers={"Idempotency-Key": f"tour-{uuid.uuid4()}"}
            )
            if answer.status_code != httpx.codes.CONFLICT:
                booking = _read(answer)
                start = _moment(_instant(choice.slot["start"]))
                self._done(f"{start} with {choice.mechanic}", f"POST /v1/bookings → {answer.status_code}")
                self._done(f"to be paid until {_clock(_instant(booking['hold_expires_at']))}", booking["id"])
                return choice, booking
        raise TourFailed(f"somebody else has taken each of the first {len(choices)} slots")

    async def _pay_while_following(self, booking: Json) -> None:
        """The timeline is read live, so that what the payment sets off shows as it happens."""
        reached = {name: asyncio.Event() for name in ("awaiting_payment", "mail_sent")}

        def note(event: str) -> None:
            if event in reached:
                reached[event].set()

        following = asyncio.create_task(self._follow(booking, note))
        try:
            await self._until(reached["awaiting_payment"], following, "Waiting for the hold …")
            await self._pay(booking)
            await self._until(
                reached["mail_sent"], following, "Paid; waiting for Stripe's webhook and the confirmation …"
            )
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _until(self, reached: asyncio.Event, following: asyncio.Task[None], waiting_for: str) -> None:
        wait = asyncio.create_task(reached.wait())
        try:
            with self._console.status(waiting_for):
                await asyncio.wait((wait, following), timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()
        if reached.is_set():
            return
        if following.done():
            following.result()
            raise TourFailed("the booking's events ended before it was confirmed")
        raise TourFailed(f"nothing has come of it in {PATIENCE_SECONDS} seconds: {waiting_for}")

    async def _follow(self, booking: Json, note: Callable[[str], None]) -> None:
        """Prints each timeline entry as it comes, until the booking has ended."""
        async with self._http.stream("GET", f"/v1/bookings/{booking['id']}/events") as answer:
            if answer.is_error:
                await answer.aread()
                _read(answer)
            async for line in answer.aiter_lines():
                name, _, content = line.partition(": ")
                if name == "data":
                    entry = json.loads(content)
                    self._show(entry)
                    note(entry["event"])

    async def _pay(self, booking: Json) -> None:
        """Confirms the PaymentIntent as the customer's browser does: publishable key and client secret, no more."""
        payment = booking["payment"]
        answer = await self._http.post(
            f"{self._stack.stripe_api_url}/v1/payment_intents/{payment['payment_intent_id']}/confirm",
            data={"payment_method": CARD, "client_secret": payment["client_secret"]},
            headers={"Authorization": f"Bearer {payment['publishable_key']}"},
        )
        state = _read(answer)["status"]
        self._done(f"{_price(booking)} paid with the test card {CARD}: {state}", "at Stripe, as a browser does")

    async def _mail(self, booking: Json) -> Json:
        mail: Json
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            answer = await self._http.get(f"{self._stack.mail_url}/api/messages", params={"to": CUSTOMER["email"]})
            for mail in _read(answer):
                if booking["id"] in mail["text"] and mail["ics"]:
                    return mail
            await asyncio.sleep(POLL_SECONDS)
        raise TourFailed(f"no mail with an invite for booking {booking['id']} has come to {self._stack.mail_url}")

    async def _places(self, booking: Json, mail: Json) -> dict[str, str]:
        """Where this booking can be looked at."""
        stack, workflow = self._stack, booking_workflow_id(uuid.UUID(booking["id"]))
        client = await Client.connect(stack.temporal_address, namespace=stack.temporal_namespace)
        run_id = (await client.get_workflow_handle(workflow).describe()).run_id
        runs = f"{stack.temporal_ui_url}/namespaces/{stack.temporal_namespace}/workflows"
        return {
            "Temporal run": f"{runs}/{workflow.replace('/', '%2F')}/{run_id}",
            "mail": f"{stack.mail_url}/messages/{mail['id']}",
            "payment": f"{stack.stripe_api_url}/ ({booking['payment']['payment_intent_id']})",
            "manage page": booking["manage_url"],
        }

    async def _get(self, path: str, **query: str) -> Json:
        content: Json = _read(await self._http.get(path, params=query))
        return content

    def _say_reminders(self, choice: Choice) -> None:
        start = _instant(choice.slot["start"])
        due = (start - timedelta(seconds=offset) for offset in Settings().reminder_offsets_seconds)
        self._done(f"reminders due {' and '.join(map(_moment, due))}", "timers of the workflow")

    def _done(self, what: str, how: str) -> None:
        self._console.print(f"  [green]✓[/] {escape(what)}  [dim]{escape(how)}[/]")

    def _show(self, entry: Json) -> None:
        event = entry["event"]
        detail = ", ".join(str(entry["detail"][name]) for name in _DETAILS if name in entry["detail"])
        words = _WORDS.get(event, event.replace("_", " "))
        at = _clock(_instant(entry["at"]))
        self._console.print(f"  [cyan]●[/] {at}  [bold]{event}[/]: {words}  [dim]{escape(detail)}[/]")
        if event in _ENDS:
            raise TourFailed(f"the booking has ended as {event}")


def _request(choice: Choice) -> Json:
    return {
        "service_id": choice.service["id"],
        "plan_id": choice.plan["id"],
        "mechanic_id": choice.slot["mechanic_id"],
        "start": choice.slot["start"],
        "timezone": ZONE.key,
        "customer": CUSTOMER,
        "location": {"country": "CA", "city": "Toronto", "postal_code": "M5V 2T6"},
        "intake": {"vehicle": "2019 Honda Civic", "problem": "It squeals when braking."},
    }


def _read(answer: httpx.Response) -> Any:
    """The answer's JSON; `TourFailed` with what was asked and answered when it is no success."""
    if answer.is_error:
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise TourFailed(f"{asked} answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()


def _say_failed(console: Console, why: str) -> None:
    console.print(f"  [red]✗ {escape(why)}[/]")
    console.print("[red]The demo booking did not go through.[/] The stack stays up; its logs say more.")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _price(priced: Json) -> str:
    return money(priced["amount"], priced["currency"])


def _day(moment: datetime) -> str:
    local = moment.astimezone(ZONE)
    return f"{local:%a} {local.day} {local:%b %Y}"


def _moment(moment: datetime) -> str:
    return f"{_day(moment)}, {moment.astimezone(ZONE):%H:%M %Z}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%H:%M:%S %Z}"
