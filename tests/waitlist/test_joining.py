"""Joining, reading and leaving the waitlist by the API."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pitstop.devstack.stackfile import Stack
from tests.support.crossing import Crossing
from tests.support.people import Customer, Issuer, events
from tests.support.processes import serving, settings
from tests.waitlist.conftest import HOUR, Crowd, Day, ask, join, leave, offered, offers_of, read, sees, wish

Pool = Any


async def test_what_is_free_need_not_be_waited_for(customer: Customer, full: Day) -> None:
    later = {"to": (full.start + timedelta(days=40)).isoformat()}
    answer = await ask(customer, wish(customer, full, **later))
    assert (answer.status_code, answer.json()["code"]) == (409, "slot_available"), answer.text
    slot = answer.json()["slot"]
    body = customer.request(full.shop, full.start) | {"start": slot["start"], "mechanic_id": slot["mechanic_id"]}
    assert (await customer.post(body)).status_code == 201, "and it can be booked"


async def test_times_of_day_count(customer: Customer, full: Day, shop: Any) -> None:
    """Other times of the span are free: the wish is for one that is not."""
    local = full.start.strftime("%H:%M")
    body = wish(customer, full, timezone="UTC", to=(full.start + timedelta(days=40)).isoformat())
    assert (await ask(customer, body)).status_code == 409
    earlier = (full.start - HOUR).strftime("%H:%M")
    narrow = body | {"to": (full.start + HOUR).isoformat(), "earliest": min(local, "23:00"), "latest": "23:59"}
    assert (await ask(customer, narrow)).status_code == 201
    assert (await ask(customer, body | {"earliest": local})).status_code == 422
    assert (await ask(customer, body | {"earliest": local, "latest": earlier})).status_code in (409, 422)


async def test_the_same_wish_is_one_entry(customer: Customer, rival: Customer, full: Day) -> None:
    body = wish(customer, full)
    first = await ask(customer, body, "a key")
    again = await ask(customer, body, "a key")
    other_key = await ask(customer, body, "another key")
    assert [each.status_code for each in (first, again, other_key)] == [201, 200, 200]
    assert len({each.json()["id"] for each in (first, again, other_key)}) == 1
    changed = await ask(customer, body | {"intake": {"vehicle": "another"}}, "a key")
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    assert (await ask(rival, wish(rival, full), "a key")).status_code == 201, "a key is its caller's own"


async def test_many_at_once_are_one_entry(customer: Customer, full: Day, database: Pool) -> None:
    answers = await asyncio.gather(*(ask(customer, wish(customer, full), f"key {n % 2}") for n in range(8)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 7}
    assert await database.fetchval("SELECT count(*) FROM waitlist_entries WHERE customer_id = $1", customer.id) == 1


async def test_so_many_wishes_at_a_time(customer: Customer, full: Day, stack: Stack) -> None:
    async with serving(settings(stack, waitlist_entries_per_customer=2)) as url:
        customer.api_url = url
        bodies = [wish(customer, full, earliest="00:00", latest=f"23:{n:02}") for n in range(6)]
        answers = await asyncio.gather(*(ask(customer, body) for body in bodies))
        assert Counter(answer.status_code for answer in answers) == {201: 2, 429: 4}
        assert {each.json()["code"] for each in answers if each.status_code == 429} == {"too_many_entries"}
        joined = next(each.json() for each in answers if each.status_code == 201)
        await leave(customer, joined)
        refused = next(body for body, each in zip(bodies, answers, strict=True) if each.status_code == 429)
        assert (await ask(customer, refused)).status_code == 201


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"service_id": str(uuid4())}, "body.service_id"),
        ({"plan_id": str(uuid4())}, "body.plan_id"),
        ({"mechanic_id": str(uuid4())}, "body.mechanic_id"),
        ({"to": "2020-01-01T00:00:00Z", "from": "2019-12-31T00:00:00Z"}, "body.to"),
        ({"to": "2099-01-01T00:00:00Z"}, "body.to"),
        ({"from": "2098-12-31T00:00:00Z", "to": "2099-01-01T00:00:00Z"}, "body.to"),
        ({"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:59:59.999999Z"}, "body.to"),
        ({"latest": "09:00"}, "body.latest"),
        ({"earliest": "24:00", "latest": "24:00"}, "body.earliest"),
    ],
)
async def test_what_cannot_be_waited_for(customer: Customer, full: Day, changes: Any, field: str) -> None:
    answer = await ask(customer, wish(customer, full, **changes))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_who_sees_an_entry(
    customer: Customer, rival: Customer, operator: Customer, issuer: Issuer, full: Day
) -> None:
    entry = await join(customer, full)
    mechanic = replace(customer, token=await issuer.token(str(full.shop.mechanic_id), "mechanic"))
    service = replace(customer, token=await issuer.token(f"shop-{uuid4()}", "service"))
    for somebody in (rival, mechanic, service):
        assert (await somebody.get(f"/v1/waitlist/{entry['id']}")).status_code == 404
        assert entry["id"] not in (await somebody.get("/v1/waitlist")).text
        path = f"{somebody.api_url}/v1/waitlist/{entry['id']}"
        assert (await somebody.http.delete(path, headers=somebody.headers)).status_code == 404
    for somebody in (customer, operator):
        assert (await read(somebody, entry))["status"] == "waiting"
    [mine] = (await customer.get("/v1/waitlist")).json()["items"]
    assert mine["id"] == entry["id"]
    assert (await ask(mechanic, wish(customer, full))).status_code == 403


async def test_pages_follow_one_another(customer: Customer, full: Day) -> None:
    made = [(await join(customer, full, earliest="00:00", latest=f"23:{n:02}"))["id"] for n in range(3)]
    first = (await customer.get("/v1/waitlist", limit=2)).json()
    rest = (await customer.get("/v1/waitlist", limit=2, cursor=first["next_cursor"])).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


async def test_a_service_waits_for_its_customers(issuer: Issuer, customer: Customer, full: Day) -> None:
    service = replace(customer, token=await issuer.token(f"shop-{uuid4()}", "service"))
    entry = await join(service, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(service, entry)
    assert booking["payment"]["client_secret"], "whoever made the entry pays"
    assert len(await service.mails()) == 1


async def test_who_leaves_gives_back_what_is_offered(full: Day, crowd: Crowd, database: Pool) -> None:
    first, second = await crowd(2)
    entry, later = await join(first, full), await join(second, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(first, entry)
    await leave(first, entry)
    assert (await read(first, entry))["status"] == "left"
    assert "cancelled" in events(await first.read(booking))
    await offered(second, later)
    await leave(first, entry)
    assert len(await offers_of(database, full.shop)) == 2


async def test_who_leaves_gives_back_what_is_offered_in_that_moment(full: Day, crowd: Crowd, database: Pool) -> None:
    """The offer is made between the look at the entry and the leaving; its slot is not even held yet."""
    first, second = await crowd(2)
    entry, later = await join(first, full), await join(second, full)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM waitlist_entries WHERE id = $1 FOR UPDATE", UUID(entry["id"]))
        meeting = Crossing(database, connection, await connection.fetchval("SELECT pg_backend_pid()"))
        await full.owner.ask(full.booking, "cancel")
        await meeting.comes()
        leaving = asyncio.create_task(leave(first, entry))
        await meeting.comes()
    await leaving
    [offer] = [each for each in await offers_of(database, full.shop) if each["customer_id"] == first.id]
    assert offer["status"] == "cancelled"
    assert (await read(first, entry))["status"] == "left"
    await offered(second, later)


async def test_the_link_in_the_mail_is_enough(full: Day, customer: Customer, rival: Customer) -> None:
    """To see what to pay, and to leave; and it opens nobody else's entry."""
    entry, others = await join(customer, full), await join(rival, full)
    await full.owner.ask(full.booking, "cancel")
    booking = await offered(customer, entry)
    token = (await customer.mails())[0]["text"].split("token=")[1].split()[0]
    http, base = customer.http, customer.api_url
    payment = await http.get(f"{base}/v1/bookings/{booking['id']}/payment", params={"token": token})
    assert payment.json()["client_secret"] == booking["payment"]["client_secret"]
    assert (await http.get(f"{base}/v1/waitlist/{entry['id']}", params={"token": token})).status_code == 200
    for path in (f"/v1/waitlist/{others['id']}", f"/v1/waitlist/{uuid4()}"):
        assert (await http.delete(f"{base}{path}", params={"token": token})).status_code == 404
    assert (await http.delete(f"{base}/v1/waitlist/{entry['id']}", params={"token": "x"})).status_code == 404
    assert (await http.delete(f"{base}/v1/waitlist/{entry['id']}", params={"token": token})).status_code == 204
    await sees(customer, entry, "left")
    await customer.sees(booking, "cancelled")


async def test_there_is_nothing_to_pay(full: Day, customer: Customer) -> None:
    answer = await full.owner.get(f"/v1/bookings/{full.booking['id']}/payment")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_pay")
    assert (await customer.get(f"/v1/bookings/{full.booking['id']}/payment")).status_code == 404
