"""A booking has ended, or waits for its payment, and a mail is put on record: it waits for no other that is stuck."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

import worker
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.smtp_mailer import SmtpMailer
from pitstop.ports import MailNotAccepted, OutgoingMail
from tests.life.conftest import Booked, booked, mechanic, operator
from tests.support.histories import replays
from tests.support.people import Customer, Json, events
from tests.support.processes import serving, settings
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock

__all__ = ["booked", "mechanic", "operator"]

MINUTE = timedelta(minutes=1)

_OWE = """
INSERT INTO notifications (key, booking_id, kind, status, created_at)
SELECT $1::text || '/taken', booking_id, 'taken', 'pending', created_at - interval '1 second'
FROM notifications WHERE key = $1::text || '/confirmation'
"""


class Post:
    """Takes confirmations only, while it is `stuck`."""

    stuck = False


@pytest.fixture
async def post(
    stack: Stack,
    temporal: Client,
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Post]:
    """API and worker of the test's own, and what the worker's mails come to."""
    real, post = SmtpMailer.send, Post()

    async def send(self: SmtpMailer, mail: OutgoingMail, attempt: int) -> None:
        if post.stuck and not mail.subject.startswith("Confirmed"):
            raise MailNotAccepted("later, please", permanent=False)
        await real(self, mail, attempt)

    monkeypatch.setattr(SmtpMailer, "send", send)
    own = settings(stack, task_queue=f"last-{uuid4()}")
    async with worker.at_work(temporal, own), serving(own) as url:
        for each in (customer, mechanic, operator):
            each.api_url = url
        yield post


async def _sent_again(operator: Customer, booking: Json) -> None:
    answer = await operator.ask(booking, "notices/resend", key=f"{booking['id']}/confirmation")
    assert answer.status_code == 202, answer.text


async def _is_told_again(customer: Customer, booking: Json) -> None:
    told = lambda read: events(read).count("mail_sent") == 4  # noqa: E731
    await customer.waits_for(booking, told, "the second confirmation")
    assert await customer.subjects() == ["Confirmed", "Reminder", "Reminder", "Confirmed"]


async def _begun(mechanic: Customer, shop: Shop, booked: Booked, clock: Clock) -> Json:
    start = shop.start(days=3)
    booking = await booked(start)
    await clock.forward_to(booking, start - 10 * MINUTE)
    assert (await mechanic.ask(booking, "start")).status_code == 200
    return booking


async def _is_told_the_rest(customer: Customer, clock: Clock, booking: Json, post: Post) -> None:
    assert (await customer.read(booking))["status"] == "completed"
    post.stuck = False
    assert (await clock.workflow(booking).result())["status"] == "completed"
    assert len(await customer.mails()) == 5


async def test_a_run_that_sends_its_last_mails_hears_of_others(
    post: Post,
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
) -> None:
    booking = await _begun(mechanic, shop, booked, clock)
    await database.execute(_OWE, booking["id"])
    post.stuck = True
    assert (await mechanic.ask(booking, "complete")).status_code == 200
    await _sent_again(operator, booking)
    await _is_told_again(customer, booking)
    await _is_told_the_rest(customer, clock, booking, post)
    await replays(clock.workflow(booking), "told_beside_the_last_mails", "completed, a mail stuck, another sent again")


async def test_a_run_of_an_ended_booking_sends_all_side_by_side(
    post: Post,
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    shop: Shop,
    booked: Booked,
    clock: Clock,
    database: Any,
) -> None:
    """The older of the two is stuck."""
    booking = await _begun(mechanic, shop, booked, clock)
    assert (await mechanic.ask(booking, "complete")).status_code == 200
    assert (await clock.workflow(booking).result())["status"] == "completed"
    await database.execute(_OWE, booking["id"])
    post.stuck = True
    await _sent_again(operator, booking)
    await _is_told_again(customer, booking)
    await _is_told_the_rest(customer, clock, booking, post)
    await replays(clock.workflow(booking), "told_after_the_end", "completed, taken up to send two mails, one stuck")


async def test_a_run_that_waits_for_its_refund_hears_of_mails(
    customer: Customer, operator: Customer, booked: Booked, clock: Clock, stripe: StripeControl
) -> None:
    """All its letters have been sent, and Stripe is away."""
    booking = await booked()
    away = await stripe.fault("refund", "error_500", times=None)
    assert (await customer.ask(booking, "cancel")).status_code == 200
    await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 2, "the mail")
    await asyncio.sleep(1)
    answer = await operator.ask(booking, "notices/resend", key=f"{booking['id']}/cancellation")
    assert answer.status_code == 202, answer.text
    again = await customer.waits_for(booking, lambda read: events(read).count("mail_sent") == 3, "the mail again")
    assert "refund_issued" not in events(again)
    await stripe.remove(away)
    assert (await clock.workflow(booking).result())["status"] == "cancelled"
    assert await customer.subjects() == ["Confirmed", "Cancelled", "Cancelled"]
    await replays(
        clock.workflow(booking), "told_beside_the_refund", "cancelled, a mail sent again while Stripe is away"
    )
