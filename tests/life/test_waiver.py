"""The waiver is asked for on the day, and the session does not start without it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.histories import replays
from tests.support.people import Customer, Issuer
from tests.support.shop import Shop
from tests.support.time import Clock


async def test_asked_for_on_the_day_and_signed_before_the_start(
    customer: Customer, issuer: Issuer, shop: Shop, clock: Clock, database: Any
) -> None:
    await database.execute("UPDATE services SET kind = 'diagnostic' WHERE id = $1", shop.service_id)
    mechanic = replace(customer, token=await issuer.token(str(shop.mechanic_id), "mechanic"), id=shop.mechanic_id)
    # 15:00 in the customer's Toronto.
    day = (datetime.now(UTC) + timedelta(days=4)).date()
    start = datetime(day.year, day.month, day.day, 20, tzinfo=UTC)
    booking = await customer.book(shop, start)
    await customer.pay(booking)
    assert (await customer.sees(booking, "confirmed", "mail_sent"))["waiver_status"] == "required"

    await clock.forward_to(booking, start - timedelta(hours=9))
    assert await _asked(database, booking) == ["pending"]
    await clock.forward_to(booking, start - timedelta(hours=6))
    assert await _asked(database, booking) == ["sent"]
    [mail] = [mail for mail in await customer.mails() if f"/bookings/{booking['id']}/waiver?token=" in mail["text"]]
    assert mail["text"]

    await clock.forward_to(booking, start - timedelta(minutes=5))
    refused = await mechanic.ask(booking, "start")
    assert (refused.status_code, refused.json()["code"]) == (409, "waiver_missing"), refused.text
    current = (await customer.get("/v1/waiver-documents/current", language="en")).json()
    signed = await customer.ask(
        booking, "waiver", signed_name="Camille Roy", document_version=current["version"], accepted=True
    )
    assert signed.status_code == 200, signed.text
    started = await mechanic.ask(booking, "start")
    assert (started.status_code, started.json()["waiver_status"]) == (200, "signed"), started.text
    await replays(clock.workflow(booking), "waiver_signed", "asked for a waiver on the day, signed, started")


async def test_who_has_signed_is_not_asked(customer: Customer, shop: Shop, clock: Clock, database: Any) -> None:
    await database.execute("UPDATE services SET kind = 'diagnostic' WHERE id = $1", shop.service_id)
    start = shop.start(days=3)
    booking = await customer.book(shop, start)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    current = (await customer.get("/v1/waiver-documents/current", language="en")).json()
    sent = {"signed_name": "Camille Roy", "document_version": current["version"], "accepted": True}
    assert (await customer.ask(booking, "waiver", **sent)).status_code == 200
    await clock.forward_to(booking, start - timedelta(minutes=5))
    assert await _asked(database, booking) == ["skipped"]


async def _asked(database: Any, booking: dict[str, Any]) -> list[str]:
    rows = await database.fetch(
        "SELECT status FROM notifications WHERE booking_id = $1 AND kind = 'waiver_request'", booking["id"]
    )
    return [row["status"] for row in rows]
