"""A customer's personal data goes from everywhere, and the books add up to what they did before."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from pitstop.contracts import names
from pitstop.devstack.stackfile import Stack
from pitstop.postgres.notices import PostgresNotices
from tests.privacy.conftest import Caller, Words
from tests.support import stack as stacks
from tests.support.histories import replay
from tests.support.opened import opened, plain_text
from tests.support.people import DECLINED_CARD, Customer
from tests.support.shop import Shop
from tests.support.stripe_control import StripeControl
from tests.support.time import Clock
from tests.support.webhooks import event_about, signed
from workflows.privacy import ErasureWorkflow

Json = dict[str, Any]
Pool = Any
# What an accountant asks for: every amount that came and went, of whom (an id), when.
_BOOKS = """
SELECT
    (SELECT jsonb_agg(to_jsonb(x) ORDER BY x.id) FROM (
        SELECT id, status, customer_id, mechanic_id, amount, currency, country, starts_at, created_at
        FROM bookings WHERE customer_id = $1
    ) AS x) AS bookings,
    (SELECT jsonb_agg(to_jsonb(x) ORDER BY x.payment_intent_id) FROM (
        SELECT p.payment_intent_id, p.booking_id, p.amount, p.currency, p.status, p.paid_at
        FROM payments AS p JOIN bookings AS b ON b.id = p.booking_id WHERE b.customer_id = $1
    ) AS x) AS payments,
    (SELECT jsonb_agg(to_jsonb(r) ORDER BY r.idempotency_key)
        FROM refunds AS r JOIN bookings AS b ON b.id = r.booking_id WHERE b.customer_id = $1) AS refunds,
    (SELECT jsonb_agg(to_jsonb(x) ORDER BY x.id) FROM (
        SELECT s.id, s.price_paid, s.currency, s.status FROM sessions AS s WHERE s.customer_id = $1
    ) AS x) AS sessions
"""


async def _rows_with(database: Pool, words: list[str]) -> list[str]:
    """In which columns of which tables any of these words stands, however deep: every table there is."""
    columns = await database.fetch(
        "SELECT c.table_name, c.column_name FROM information_schema.columns AS c"
        " JOIN information_schema.tables AS t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
    )
    found = []
    for table, column in columns:
        query = f'SELECT count(*) FROM "{table}" WHERE "{column}"::text ILIKE ANY($1)'  # noqa: S608 - the catalog's names
        if await database.fetchval(query, [f"%{word}%" for word in words]):
            found.append(f"{table}.{column}")
    return sorted(found)


async def _ended(customer: Customer, shop: Shop, words: Words, clock: Clock, stack: Stack) -> list[Json]:
    """A booking that was completed, one that was cancelled and refunded, one whose cards were declined."""
    made = []
    for hours in (0, 4, 8):
        answer = await customer.post(words.body(customer.request(shop, shop.start(hours=hours))))
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
    completed, cancelled, declined = made
    for booking in (completed, cancelled):
        await customer.pay(booking)
        await customer.sees(booking, "confirmed", "mail_sent")
    await clock.to_the_end(completed)
    await clock.workflow(cancelled).cancel()
    await customer.sees(cancelled, "cancelled", "refund_issued")
    await customer.pay(declined, DECLINED_CARD)
    await customer.waits_for(declined, lambda read: "payment_declined" in str(read["timeline"]), "a decline")
    await clock.to_the_end(declined)
    await _settled(customer, cancelled)
    return made


async def _settled(customer: Customer, booking: Json) -> None:
    def told(read: Json) -> bool:
        return "cancellation" in [e["detail"]["kind"] for e in read["timeline"] if e["event"] == "mail_sent"]

    await customer.waits_for(booking, told, "its last mail")


async def _erase(who: Customer, customer: Customer) -> httpx.Response:
    return await who.http.post(f"{who.api_url}/v1/customers/{customer.id}/erasure", headers=who.headers)


async def _completed(who: Customer, customer: Customer) -> Json:
    for _ in range(150):
        answer = await who.get(f"/v1/customers/{customer.id}/erasure")
        if answer.status_code == 200 and answer.json()["status"] == "completed":
            read: Json = answer.json()
            return read
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)


async def test_nothing_of_the_person_is_left_and_the_books_are_the_same(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    stack: Stack,
    temporal: Client,
    clock: Clock,
    database: Pool,
    http: httpx.AsyncClient,
) -> None:
    bookings = await _ended(customer, shop, words, clock, stack)
    # An event that an earlier release stored whole, and the words of a mail server about the address.
    await database.execute(
        "UPDATE webhook_inbox"
        " SET payload = jsonb_set(payload::jsonb, '{data,object,receipt_email}', to_jsonb($2::text))"
        " WHERE booking_id = $1::uuid",
        bookings[0]["id"],
        customer.email,
    )
    await database.execute(
        "INSERT INTO booking_events (booking_id, at, event, detail)"
        " VALUES ($1::uuid, now(), 'mail_not_sent', jsonb_build_object('kind', 'reminder', 'why', $2::text))",
        bookings[0]["id"],
        f"550 <{customer.email}> unknown",
    )
    # Why somebody has changed it, in their own words.
    await database.execute(
        "INSERT INTO booking_events (booking_id, at, event, detail)"
        " VALUES ($1::uuid, now(), 'rescheduled', jsonb_build_object('by', 'operator', 'reason', $2::text))",
        bookings[0]["id"],
        f"{customer.email} has phoned",
    )
    personal = [*words.all, customer.email]
    before = await database.fetchrow(_BOOKS, customer.id)
    there = await _rows_with(database, personal)
    assert {"bookings.customer_name", "bookings.intake", "sessions.intake", "booking_events.detail"} <= set(there)
    assert "webhook_inbox.payload" in there

    answer = await _erase(operator, customer)
    assert answer.status_code == 202, answer.text
    assert answer.json()["bookings"] == 3
    assert (await _completed(operator, customer))["left_at_stripe"] == 0

    assert await _rows_with(database, personal) == []
    assert await database.fetchrow(_BOOKS, customer.id) == before
    codes = "SELECT detail ->> 'reason' FROM booking_events WHERE booking_id = $1 AND event = 'refund_issued'"
    assert await database.fetchval(codes, bookings[1]["id"]), "a code is nobody's words"
    for booking in bookings:
        history = await clock.workflow(booking).fetch_history()
        for text in (history.to_json(), opened(history, temporal.data_converter).to_json()):
            assert not [word for word in personal if word in plain_text(text)]
        assert (await http.get(booking["manage_url"])).status_code == 404, "the link is void"
        token = booking["manage_url"].partition("token=")[2]
        url = f"{stack.api_url}/v1/bookings/{booking['id']}"
        assert (await http.get(url, params={"token": token})).status_code == 404
        intent = await http.get(
            f"{stack.stripe_api_url}/v1/payment_intents/{booking['payment']['payment_intent_id']}",
            headers={"Authorization": f"Bearer {stack.stripe_secret_key}"},
        )
        assert intent.json()["receipt_email"] is None
        assert intent.json()["amount"] == shop.amount
        # The customer, who knows the ids, still sees what was booked and paid.
        assert (await customer.read(booking))["amount"] == shop.amount
    for name in ("api", "worker"):
        log = (stacks.folder_of(stack) / "logs" / f"{name}.log").read_text()
        assert not [word for word in personal if word in log], name


async def test_asking_again_does_no_harm_and_the_customer_may_come_back(
    customer: Customer, operator: Customer, words: Words, shop: Shop, clock: Clock, database: Pool, temporal: Client
) -> None:
    # One that is asked for while another runs joins it: each is to be one of its own here.
    run = temporal.get_workflow_handle(names.erasure_workflow_id(customer.id))
    assert (await _erase(customer, customer)).json()["bookings"] == 0
    await run.result()
    booking = (await customer.post(words.body(customer.request(shop, shop.start())))).json()
    await clock.to_the_end(booking)
    for _ in range(2):
        answer = await _erase(customer, customer)
        assert (answer.status_code, answer.json()["bookings"]) == (202, 1)
        await run.result()
    assert await _rows_with(database, words.all) == []
    again = await customer.book(shop, shop.start(hours=4))
    assert (await customer.read(again))["status"] == "awaiting_payment"
    log = (await operator.get("/v1/audit-log", object_id=str(customer.id))).json()["items"]
    assert [(entry["action"], entry["actor_role"]) for entry in log] == [("customer.erase", "customer")] * 3


async def test_open_bookings_are_named_and_nothing_is_touched(
    customer: Customer, operator: Customer, words: Words, shop: Shop, clock: Clock, database: Pool
) -> None:
    ended = (await customer.post(words.body(customer.request(shop, shop.start())))).json()
    await clock.to_the_end(ended)
    held = await customer.book(shop, shop.start(hours=4))
    paid = await customer.book(shop, shop.start(hours=8))
    await customer.pay(paid)
    await customer.sees(paid, "confirmed")
    answer = await _erase(operator, customer)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "open_bookings")
    assert held["id"] in problem["detail"]
    assert paid["id"] in problem["detail"]
    assert ended["id"] not in problem["detail"]
    assert "bookings.customer_name" in await _rows_with(database, words.all)
    assert (await operator.get(f"/v1/customers/{customer.id}/erasure")).status_code == 404


async def test_it_is_not_done_by_halves_while_stripe_is_away(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    clock: Clock,
    stripe: StripeControl,
    database: Pool,
) -> None:
    booking = (await customer.post(words.body(customer.request(shop, shop.start())))).json()
    await clock.to_the_end(booking)
    fault = await stripe.fault("update", "error_500", times=3)
    answer = await _erase(operator, customer)
    assert answer.json()["status"] == "at_payment_provider"
    assert await _rows_with(database, words.all) == [], "the database does not wait"
    await stripe.remove(fault)
    assert (await _completed(operator, customer))["left_at_stripe"] == 0
    calls = await stripe.calls("/v1/payment_intents/", booking["payment"]["payment_intent_id"])
    assert len([call for call in calls if call["params"] == {"receipt_email": ""}]) >= 2


async def test_asked_again_while_stripe_is_away_it_erases_what_has_come_since(
    customer: Customer,
    operator: Customer,
    words: Words,
    shop: Shop,
    clock: Clock,
    temporal: Client,
    stripe: StripeControl,
    database: Pool,
) -> None:
    first = (await customer.post(words.body(customer.request(shop, shop.start())))).json()
    await clock.to_the_end(first)
    fault = await stripe.fault("update", "error_500", times=None)
    assert (await _erase(operator, customer)).json()["status"] == "at_payment_provider"
    second = (await customer.post(words.body(customer.request(shop, shop.start(hours=4))))).json()
    refused = await _erase(operator, customer)
    assert (refused.status_code, second["id"] in refused.text) == (409, True), "it is asked of what is there now"
    await clock.to_the_end(second)
    again = await _erase(operator, customer)
    assert (again.status_code, again.json()["status"]) == (202, "at_payment_provider")
    assert await _rows_with(database, words.all) == []
    run = temporal.get_workflow_handle(names.erasure_workflow_id(customer.id))
    assert (await run.describe()).status == WorkflowExecutionStatus.RUNNING, "so it was one run that was asked"
    await stripe.remove(fault)
    assert (await _completed(operator, customer))["left_at_stripe"] == 0
    for booking in (first, second):
        calls = await stripe.calls("/v1/payment_intents/", booking["payment"]["payment_intent_id"])
        assert {"receipt_email": ""} in [call["params"] for call in calls]
    await run.result()
    await replay(await run.fetch_history(), ErasureWorkflow, temporal.data_converter)


async def test_who_may_ask(customer: Customer, rival: Customer, caller: Caller, http: httpx.AsyncClient) -> None:
    url = f"{customer.api_url}/v1/customers/{customer.id}/erasure"
    assert (await http.post(url)).status_code == 401
    assert (await _erase(rival, customer)).status_code == 404
    for role in ("mechanic", "service"):
        stranger = await caller(str(customer.id), role)
        assert (await _erase(stranger, customer)).status_code == 403
    assert (await rival.get(f"/v1/customers/{customer.id}/erasure")).status_code == 404


async def test_a_stripe_event_is_stored_without_what_it_says_of_people(
    customer: Customer, shop: Shop, words: Words, stack: Stack, http: httpx.AsyncClient, database: Pool
) -> None:
    booking = await customer.book(shop, shop.start())
    details = {"name": words.name, "email": customer.email, "address": {"city": words.city}}
    body = event_about(
        booking,
        shop,
        receipt_email=customer.email,
        last_payment_error={"code": "card_declined", "payment_method": {"billing_details": details}},
        metadata={"booking_id": booking["id"], "note": words.vehicle},
    ).replace("payment_intent.succeeded", "payment_intent.payment_failed")
    headers = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret), "Content-Type": "application/json"}
    answer = await http.post(f"{stack.api_url}/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 204
    declined = await customer.waits_for(booking, lambda read: "card_declined" in str(read["timeline"]), "a decline")
    assert declined["status"] == "awaiting_payment"
    rows = await _rows_with(database, [words.name, customer.email, words.city, words.vehicle])
    assert rows == ["bookings.customer_email"], "which the customer gave for the booking itself"


async def test_nobody_writes_to_somebody_erased(
    customer: Customer, operator: Customer, shop: Shop, clock: Clock, stack: Stack, database: Pool
) -> None:
    booking = await customer.book(shop, shop.start())
    await clock.to_the_end(booking)
    await customer.sees(booking, "expired")
    keys = [f"{booking['id']}/{kind}" for kind in ("refund", "cancellation")]
    async with asyncpg.create_pool(stack.worker_database_url, min_size=0, max_size=1) as pool:
        notices = PostgresNotices(pool, lambda _booking, _end: "", lambda _number: [], lambda _referral: "")
        await _owe(database, booking, keys[0])
        assert await notices.claim(keys[0], datetime.now(UTC)) is not None, "so the rest of this test can fail"
        await _erase(operator, customer)
        await _completed(operator, customer)
        await _owe(database, booking, keys[1])
        for key in keys:
            assert await notices.claim(key, datetime.now(UTC)) is None
    assert await customer.mails() == []


async def _owe(database: Pool, booking: Json, key: str) -> None:
    sql = "INSERT INTO notifications (key, booking_id, kind, status) VALUES ($1, $2::uuid, $3, 'pending')"
    await database.execute(sql, key, booking["id"], key.rpartition("/")[2])


@pytest.mark.parametrize("path", ["/v1/customers/not-a-uuid/erasure"])
async def test_what_is_no_id_is_refused(operator: Customer, path: str) -> None:
    assert (await operator.http.post(f"{operator.api_url}{path}", headers=operator.headers)).status_code == 422
