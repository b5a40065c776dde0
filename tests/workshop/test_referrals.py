"""A virtual session leads to an appointment in person: its own booking, which knows where it comes from."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pitstop.gateways.wording import moment_in
from tests.support.crossing import in_order
from tests.support.people import Customer, Json
from tests.support.shop import Shop, open_workshop
from tests.support.time import Clock


@pytest.fixture
async def visit(shop: Shop, database: Any) -> Shop:
    """What the shop's mechanic does in person, in a workshop of its own; `shop` itself is online."""
    service, plan = uuid4(), uuid4()
    await database.execute(
        "INSERT INTO services (id, slug, name, kind, duration_minutes)"
        " VALUES ($1, $2, 'Brake service', 'in_person', 60)",
        service,
        f"brake-service-{service}",
    )
    await database.execute(
        "INSERT INTO plans (id, service_id, slug, name, amount) VALUES ($1, $2, 'standard', 'Standard', 18900)",
        plan,
        service,
    )
    await database.execute("INSERT INTO mechanic_services VALUES ($1, $2)", shop.mechanic_id, service)
    await open_workshop(database, 1, shop.mechanic_id)
    return Shop(shop.mechanic_id, service, plan)


@pytest.fixture
async def session(customer: Customer, mechanic: Customer, shop: Shop, clock: Clock) -> Json:
    """A virtual session that has begun."""
    start = shop.start(days=1)
    booking = await customer.book(shop, start)
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    await clock.forward_to(booking, start)
    assert (await mechanic.ask(booking, "start")).status_code == 200
    return booking


async def refer(mechanic: Customer, session: Json, visit: Shop, **changes: Any) -> Json:
    sent: Json = {
        "service_id": str(visit.service_id),
        "plan_id": str(visit.plan_id),
        "mechanic_id": str(visit.mechanic_id),
        "note": "The rear pads are due.",
    }
    answer = await mechanic.ask(session, "referral", **sent | changes)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def token_for(customer: Customer, session: Json, count: int = 1) -> str:
    """From the newest mail: what only the customer gets."""
    for _ in range(100):
        mails = [mail for mail in await customer.mails() if mail["subject"].startswith("Recommended")]
        if len(mails) == count:
            found = re.search(r"/referrals/([\w=-]+)", mails[-1]["text"])
            assert found is not None, mails[-1]["text"]
            return found[1]
        await asyncio.sleep(0.1)
    raise AssertionError("no mail")


def by_referral(visit: Shop, token: str, **changes: Any) -> Json:
    body: Json = {
        "service_id": str(visit.service_id),
        "plan_id": str(visit.plan_id),
        "mechanic_id": str(visit.mechanic_id),
        "start": visit.start(days=6).isoformat(),
        "timezone": "America/Toronto",
        "referral": token,
    }
    return body | changes


async def test_it_is_booked_by_its_link(
    customer: Customer, mechanic: Customer, session: Json, visit: Shop, database: Any
) -> None:
    proposed = visit.start(days=6)
    made = await refer(mechanic, session, visit, start=proposed.isoformat())
    token = await token_for(customer, session)
    mail = (await customer.mails())[-1]["text"]
    at = moment_in(proposed, "America/Toronto")
    assert f"an appointment in person, on {at}, after" in mail
    link = f"{customer.api_url}/referrals/{token}"
    before = (await customer.http.get(link)).text
    assert (f"Proposed for {at}." in before, "good for one booking" in before) == (True, True)
    shown = await customer.http.get(f"{customer.api_url}/v1/referrals/{token}")
    assert (shown.status_code, shown.json()["service"], shown.json()["amount"]) == (200, "Brake service", 18900)
    assert "rear pads" in (await customer.http.get(f"{customer.api_url}/referrals/{token}")).text
    booked = await customer.post(by_referral(visit, token))
    assert booked.status_code == 201, booked.text
    new = await customer.read(booked.json())
    assert new["referred_from"] == session["id"]
    after = (await customer.http.get(link)).text
    assert ("has been used" in after, "good for one booking" in after, "Proposed for" in after) == (True, False, False)
    row = await database.fetchrow(
        "SELECT customer_name, customer_email, city FROM bookings WHERE id = $1", UUID(new["id"])
    )
    assert tuple(row) == ("Camille Roy", customer.email, "Toronto")
    old = await customer.read(session)
    assert [(each["id"], each["booking_id"], each["note"]) for each in old["referrals"]] == [
        (made["id"], new["id"], "The rear pads are due.")
    ]


async def test_a_repeated_request_is_one_referral(
    customer: Customer, mechanic: Customer, operator: Customer, session: Json, visit: Shop
) -> None:
    sent: Json = {
        "service_id": str(visit.service_id),
        "plan_id": str(visit.plan_id),
        "mechanic_id": str(visit.mechanic_id),
    }

    async def asked(who: Customer, key: str, **changes: Any) -> Any:
        headers = who.headers | {"Idempotency-Key": key}
        url = f"{who.api_url}/v1/bookings/{session['id']}/referral"
        return await who.http.post(url, json=sent | changes, headers=headers)

    answers = await asyncio.gather(*(asked(mechanic, "one") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    again = await asked(mechanic, "one")
    assert (again.status_code, {answer.json()["id"] for answer in answers}) == (200, {again.json()["id"]})
    assert [each["id"] for each in (await customer.read(session))["referrals"]] == [again.json()["id"]]
    other = await asked(mechanic, "one", note="Another.")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await asked(mechanic, "x" * 256)).json()["errors"][0]["field"] == "header.Idempotency-Key"
    for by, key in ((mechanic, "two"), (operator, "one")):
        assert (await asked(by, key)).status_code == 201
    # Whoever sends no key asks anew each time, as before.
    assert (await refer(mechanic, session, visit))["id"] != (await refer(mechanic, session, visit))["id"]
    await token_for(customer, session, 5)


async def test_its_page_is_in_the_customers_language(
    customer: Customer, mechanic: Customer, session: Json, visit: Shop, database: Any
) -> None:
    await refer(mechanic, session, visit)
    token = await token_for(customer, session)
    page = f"{customer.api_url}/referrals/{token}"
    shown = await customer.http.get(page)
    assert '<html lang="en-CA">' in shown.text
    await database.execute("UPDATE bookings SET language = 'fr' WHERE id = $1", UUID(session["id"]))
    shown = await customer.http.get(page)
    for words in ('<html lang="fr-CA">', "189,00\xa0$", "avec ", "vaut pour une réservation, jusqu&#39;au", "HN"):
        assert words in shown.text
    wrong = await customer.http.get(page[:-4], headers={"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.8"})
    assert (wrong.status_code, "n&#39;ouvre aucune" in wrong.text) == (404, True)


async def test_it_is_used_once_and_a_lapsed_hold_gives_it_back(
    customer: Customer, mechanic: Customer, session: Json, visit: Shop, clock: Clock
) -> None:
    await refer(mechanic, session, visit)
    token = await token_for(customer, session)
    starts = [visit.start(days=6 + number).isoformat() for number in range(4)]
    answers = await asyncio.gather(*(customer.post(by_referral(visit, token, start=start)) for start in starts))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"referral_used"}
    held = next(answer.json() for answer in answers if answer.status_code == 201)
    await clock.forward(held, timedelta(minutes=16))
    await customer.sees(held, "expired")
    again = await customer.post(by_referral(visit, token))
    assert again.status_code == 201, again.text


async def test_it_is_its_customers_alone(
    customer: Customer, rival: Customer, mechanic: Customer, operator: Customer, session: Json, visit: Shop
) -> None:
    await refer(mechanic, session, visit)
    token = await token_for(customer, session)
    for who, sent in ((rival, token), (customer, token[:-4] + "AAAA"), (customer, "x")):
        refused = await who.post(by_referral(visit, sent))
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body.referral"), refused.text
    other = await customer.post(by_referral(visit, token, service_id=str(uuid4())))
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "body.service_id")
    booked = await operator.post(by_referral(visit, token))
    assert booked.status_code == 201, booked.text
    assert (await customer.read(booked.json()))["customer_id"] == str(customer.id)


async def test_it_ends(customer: Customer, mechanic: Customer, session: Json, visit: Shop, database: Any) -> None:
    made = await refer(mechanic, session, visit)
    token = await token_for(customer, session)
    await database.execute(
        "UPDATE referrals SET made_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE id = $1",
        UUID(made["id"]),
    )
    refused = await customer.post(by_referral(visit, token))
    assert (refused.status_code, refused.json()["code"]) == (409, "referral_expired")


async def test_what_was_done_is_found_again_when_its_time_is_over(
    customer: Customer, mechanic: Customer, session: Json, visit: Shop, database: Any
) -> None:
    """The clock judges what is new. Here the time goes by for what is on record."""
    wanted = {"service_id": str(visit.service_id), "plan_id": str(visit.plan_id), "mechanic_id": str(visit.mechanic_id)}
    soon = datetime.now(UTC) + timedelta(seconds=8)
    path = f"{mechanic.api_url}/v1/bookings/{session['id']}/referral"

    async def asked() -> Any:
        headers = mechanic.headers | {"Idempotency-Key": "soon"}
        return await mechanic.http.post(path, json=wanted | {"start": soon.isoformat()}, headers=headers)

    made = await asked()
    assert made.status_code == 201, made.text
    token = await token_for(customer, session)
    request = by_referral(visit, token)
    booked = await customer.post(request, "one")
    assert booked.status_code == 201, booked.text
    await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))
    again = await asked()
    assert (again.status_code, again.json()) == (200, made.json())
    await database.execute(
        "UPDATE referrals SET made_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE id = $1",
        UUID(made.json()["id"]),
    )
    found = await customer.post(request, "one")
    assert (found.status_code, found.json()["id"]) == (200, booked.json()["id"])


async def test_who_refers_and_when(
    customer: Customer, rival: Customer, mechanic: Customer, shop: Shop, session: Json, visit: Shop, clock: Clock
) -> None:
    wanted = {"service_id": str(visit.service_id), "plan_id": str(visit.plan_id), "mechanic_id": str(visit.mechanic_id)}
    assert (await customer.ask(session, "referral", **wanted)).status_code == 403
    nothing = await mechanic.ask(session, "referral", **wanted | {"service_id": str(shop.service_id)})
    assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (422, "body.service_id")
    for start in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", shop.start(days=-1).isoformat()):
        never = await mechanic.ask(session, "referral", **wanted, start=start)
        assert (never.status_code, never.json()["errors"][0]["field"]) == (422, "body.start")
    coming = await rival.book(shop, shop.start(days=9))
    too_early = await mechanic.ask(coming, "referral", **wanted)
    assert (too_early.status_code, too_early.json()["code"]) == (409, "not_referable")
    assert (await mechanic.ask(session, "complete")).status_code == 200
    await clock.workflow(session).result()
    await refer(mechanic, session, visit)
    await token_for(customer, session)


async def test_without_a_referral_customer_and_place_are_required(customer: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    for name in ("customer", "location"):
        refused = await customer.post({key: value for key, value in body.items() if key != name})
        assert refused.status_code == 422
        assert refused.json()["errors"] == [
            {"field": f"body.{name}", "message": refused.json()["errors"][0]["message"]}
        ]


_OF_SESSION = """
SELECT count(*) AS made, count(note) AS notes,
    (SELECT count(*) FROM notifications WHERE booking_id = $1 AND kind = 'referral' AND status = 'pending') AS mails
FROM referrals WHERE booking_id = $1
"""


async def _asks(mechanic: Customer, session: Json, visit: Shop) -> tuple[int, str | None]:
    sent = {"service_id": str(visit.service_id), "plan_id": str(visit.plan_id), "mechanic_id": str(visit.mechanic_id)}
    answer = await mechanic.ask(session, "referral", **sent, note="The rear pads are due.")
    return answer.status_code, answer.json().get("code")


async def _erases(operator: Customer, customer: Customer) -> int:
    url = f"{operator.api_url}/v1/customers/{customer.id}/erasure"
    return (await operator.http.post(url, headers=operator.headers)).status_code


@pytest.fixture
async def completed(mechanic: Customer, session: Json, clock: Clock) -> Json:
    assert (await mechanic.ask(session, "complete")).status_code == 200
    await clock.workflow(session).result()
    return session


async def test_who_was_erased_is_not_referred(
    customer: Customer, mechanic: Customer, operator: Customer, completed: Json, visit: Shop, database: Any
) -> None:
    assert await _erases(operator, customer) == 202
    for who in (mechanic, operator):
        assert await _asks(who, completed, visit) == (409, "not_referable")
    assert tuple(await database.fetchrow(_OF_SESSION, UUID(completed["id"]))) == (0, 0, 0)


@pytest.mark.parametrize("erased_first", [True, False])
async def test_a_referral_meets_an_erasure(
    customer: Customer,
    mechanic: Customer,
    operator: Customer,
    completed: Json,
    visit: Shop,
    database: Any,
    erased_first: bool,
) -> None:
    """Whichever is first: nothing that was written to the customer stays."""
    erases, asks = lambda: _erases(operator, customer), lambda: _asks(mechanic, completed, visit)
    if erased_first:
        erased, asked = await in_order(database, completed["id"], erases, asks)
        assert asked == (409, "not_referable")
    else:
        asked, erased = await in_order(database, completed["id"], asks, erases)
        assert asked == (201, None)
    assert erased == 202
    made = 0 if erased_first else 1
    assert tuple(await database.fetchrow(_OF_SESSION, UUID(completed["id"]))) == (made, 0, 0)
