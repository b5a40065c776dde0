"""Operators see how notices fare, and have one sent again: on the same row, as another sending."""

from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pitstop.devstack.stackfile import Stack
from tests.messages.conftest import Texts, waits_for
from tests.messages.rows import add_text
from tests.support.people import Customer, Issuer
from tests.support.rows import add_booking, add_session
from tests.support.shop import Shop
from tests.support.time import Clock

Json = dict[str, Any]


@pytest.fixture
async def operator(issuer: Issuer, stack: Stack, http: httpx.AsyncClient) -> Customer:
    subject = f"operator-{uuid4()}"
    return Customer(http, stack, stack.api_url, await issuer.token(subject, "operator"), uuid4())


async def notices(operator: Customer, booking: Json) -> dict[str, Json]:
    answer = await operator.get(f"/v1/bookings/{booking['id']}/notices")
    assert answer.status_code == 200, answer.text
    return {item["key"].removeprefix(f"{booking['id']}/"): item for item in answer.json()["items"]}


async def resend(who: Customer, booking: Json, name: str) -> httpx.Response:
    url = f"{who.api_url}/v1/bookings/{booking['id']}/notices/resend"
    return await who.http.post(url, json={"key": f"{booking['id']}/{name}"}, headers=who.headers)


@pytest.fixture
async def confirmed(customer: Customer, shop: Shop) -> Json:
    booking = await customer.book(shop, shop.start())
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    return booking


async def test_operators_see_every_notice(operator: Customer, confirmed: Json) -> None:
    seen = await notices(operator, confirmed)
    assert list(seen) == ["confirmation", "reminder/86400s", "reminder/3600s"]
    assert [(each["channel"], each["status"], each["attempts"]) for each in seen.values()] == [
        ("email", "sent", 1),
        ("email", "pending", 0),
        ("email", "pending", 0),
    ]


async def test_a_notice_of_an_ended_booking_is_sent_again_by_a_run_of_its_own(
    operator: Customer, customer: Customer, confirmed: Json, clock: Clock
) -> None:
    await clock.to_the_end(confirmed)
    await customer.sees(confirmed, "completed")
    answer = await resend(operator, confirmed, "confirmation")
    assert answer.status_code == 202, answer.text

    async def mails() -> list[str]:
        return [mail["message_id"] for mail in await customer.mails() if mail["subject"].startswith("Confirmed")]

    first, second = await waits_for(mails, lambda seen: len(seen) == 2)
    assert first != second, "mail programs drop a second mail with an ID that they know"
    seen = await waits_for(lambda: notices(operator, confirmed), lambda seen: seen["confirmation"]["status"] == "sent")
    assert (seen["confirmation"]["sending"], seen["confirmation"]["attempts"]) == (2, 2)
    timeline = (await customer.read(confirmed))["timeline"]
    assert [entry["detail"]["sending"] for entry in timeline if entry["event"] == "notice_resent"] == [2]


async def test_one_that_waits_for_its_time_is_not_sent_before_it(
    operator: Customer, customer: Customer, confirmed: Json
) -> None:
    due = (await notices(operator, confirmed))["reminder/3600s"]["due_at"]
    for _ in range(2):
        answer = await resend(operator, confirmed, "reminder/3600s")
        assert (answer.status_code, answer.json()["code"]) == (409, "notice_pending")
        assert due.replace("T", " ")[:16] in answer.json()["detail"]
    seen = await notices(operator, confirmed)
    assert (seen["reminder/3600s"]["status"], seen["reminder/3600s"]["sending"]) == ("pending", 1)
    assert "notice_resent" not in str((await customer.read(confirmed))["timeline"])


async def test_one_that_is_being_tried_says_so_and_what_went_wrong(
    operator: Customer, database: Any, shop: Shop
) -> None:
    case = await add_booking(database, shop, shop.start(), "confirmed", "customer")
    await add_session(database, case, "scheduled")
    await database.execute(
        "INSERT INTO notifications (key, booking_id, kind, status, attempts, detail)"
        " VALUES ($1::uuid || '/confirmation', $1, 'confirmation', 'sending', 3, 'no route to host')",
        case.booking_id,
    )
    answer = await resend(operator, {"id": str(case.booking_id)}, "confirmation")
    assert answer.status_code == 409, answer.text
    assert "3 times so far: no route to host" in answer.json()["detail"]


async def test_news_of_the_former_sending_are_not_of_the_new_one(
    operator: Customer, database: Any, shop: Shop, texts: Texts, number: str, stack: Stack
) -> None:
    row = await add_text(database, shop, number, status="failed")
    await database.execute(
        "UPDATE notifications SET message_sid = 'SM1', delivery_status = 'undelivered', delivery_code = 30003,"
        " detail = 'why', claimed_at = now() WHERE key = $1",
        row.key,
    )
    booking = {"id": str(row.case.booking_id)}
    answer = await resend(operator, booking, row.key.removeprefix(f"{row.case.booking_id}/"))
    assert answer.status_code == 202, answer.text
    after = await row.read()
    assert after["sending"] == 2
    [earlier] = answer.json()["items"][0]["earlier"]
    assert (earlier["sending"], earlier["status"], earlier["delivery_status"]) == (1, "failed", "undelivered")
    assert (after["delivery_status"], after["delivery_code"]) != ("undelivered", 30003)


async def test_what_was_delivered_stays_to_be_seen_when_the_next_sending_is_skipped(
    operator: Customer, customer: Customer, confirmed: Json, database: Any
) -> None:
    """Cancelled meanwhile: nobody is sent a confirmation, and that it had been there is no secret."""
    sent = (await notices(operator, confirmed))["confirmation"]["sent_at"]
    assert (await customer.ask(confirmed, "cancel")).status_code == 200
    for count in (1, 2):
        assert (await resend(operator, confirmed, "confirmation")).status_code == 202
        seen = await waits_for(
            lambda: notices(operator, confirmed), lambda seen: seen["confirmation"]["status"] == "skipped"
        )
        earlier = [(each["sending"], each["status"], each["sent_at"]) for each in seen["confirmation"]["earlier"]]
        assert earlier == [(1, "sent", sent), (2, "skipped", None)][:count]


@pytest.mark.parametrize("who", ["customer", "rival"])
async def test_nobody_else_may(
    request: pytest.FixtureRequest, customer: Customer, rival: Customer, confirmed: Json, who: str
) -> None:
    caller: Customer = {"customer": customer, "rival": rival}[who]
    assert (await resend(caller, confirmed, "confirmation")).status_code == 403
    assert (await caller.get(f"/v1/bookings/{confirmed['id']}/notices")).status_code == 403


async def test_what_is_not_there_is_not_found(operator: Customer, confirmed: Json) -> None:
    assert (await resend(operator, confirmed, "nonsense")).status_code == 404
    assert (await resend(operator, {"id": str(uuid4())}, "confirmation")).status_code == 404
    url = f"/v1/bookings/{uuid4()}/notices"
    assert (await operator.get(url)).status_code == 404
    wrong = await operator.http.post(
        f"{operator.api_url}/v1/bookings/{confirmed['id']}/notices/resend", json={"key": 5}, headers=operator.headers
    )
    assert wrong.status_code == 422


@pytest.mark.parametrize(
    ("role", "asked", "changes"),
    [
        *(("operator", "resend_notice", True), ("webhook", "resend_notice", False)),
        *(("customer", "resend_notice", False), ("link", "resend_notice", False), ("", "resend_notice", False)),
        *(("webhook", "record_text_delivery", True), ("customer", "record_text_delivery", False)),
        *(("link", "record_text_delivery", False), ("", "record_text_delivery", False)),
    ],
)
async def test_the_database_itself_asks_who_wants_it(
    stack: Stack, database: Any, shop: Shop, number: str, role: str, asked: str, changes: bool
) -> None:
    """The API's role changes notices through two functions, and they go by who is asking."""
    row = await add_text(database, shop, number, status="sent")
    call = {
        "resend_notice": "SELECT resend_notice($1::uuid, $2)",
        "record_text_delivery": "SELECT record_text_delivery($2, 1, $1::uuid::text, 'sent', NULL)",
    }[asked]
    subject = {"customer": row.case.customer_id, "link": row.case.booking_id}.get(role, "")
    connection = await asyncpg.connect(stack.api_database_url)
    try:
        async with connection.transaction():
            become = "SELECT set_config('pitstop.role', $1, TRUE), set_config('pitstop.subject', $2, TRUE)"
            await connection.execute(become, role, str(subject))
            assert await connection.fetchval(call, row.case.booking_id, row.key) is changes
    finally:
        await connection.close()


@pytest.mark.parametrize(("role", "seen"), [("webhook", 1), ("operator", 0), ("customer", 0), ("", 0)])
async def test_who_wants_no_texts_is_known_to_webhooks_alone(stack: Stack, database: Any, role: str, seen: int) -> None:
    digest = uuid4().bytes
    await database.execute("INSERT INTO text_opt_outs (number_digest) VALUES ($1)", digest)
    connection = await asyncpg.connect(stack.api_database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('pitstop.role', $1, TRUE)", role)
            query = "SELECT count(*) FROM text_opt_outs WHERE number_digest = $1"
            assert await connection.fetchval(query, digest) == seen
            removed = await connection.execute("DELETE FROM text_opt_outs WHERE number_digest = $1", digest)
            assert removed == f"DELETE {seen}"
    finally:
        await connection.close()
