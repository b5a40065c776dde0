"""Which invite a booking has, by its status."""

from uuid import uuid4

import httpx
import pytest

from tests.invites.conftest import Pool
from tests.invites.reader import read
from tests.support.people import Issuer
from tests.support.rows import add_booking, add_session
from tests.support.shop import Shop

# The booking's status and its session's; the METHOD, or None where there is no invite.
STATES = [
    ("holding", None, None),
    ("awaiting_payment", None, None),
    ("expired", None, None),
    ("payment_failed", None, None),
    ("refunded", None, None),
    ("cancelled", None, None),
    ("confirmed", "scheduled", "REQUEST"),
    ("in_progress", "in_progress", "REQUEST"),
    ("completed", "completed", "REQUEST"),
    ("no_show", "no_show", "REQUEST"),
    ("cancelled", "cancelled", "CANCEL"),
    # An immediate session, before somebody takes it, and when nobody has.
    ("pending", "pending", None),
    ("refunded", "cancelled", None),
]


@pytest.mark.parametrize(("status", "session", "method"), STATES)
async def test_the_invite_of_a_booking(
    http: httpx.AsyncClient,
    issuer: Issuer,
    api_url: str,
    rows: Pool,
    own_shop: Shop,
    status: str,
    session: str | None,
    method: str | None,
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start(), status)
    if session:
        await add_session(rows, case, session)
    headers = {"Authorization": f"Bearer {await issuer.token(str(case.customer_id), 'customer')}"}
    base = f"{api_url}/v1/bookings/{case.booking_id}"
    answer = await http.get(f"{base}/invite.ics", headers=headers)
    links = await http.get(f"{base}/calendar-links", headers=headers)
    assert links.status_code == (200 if status in ("confirmed", "in_progress") else 404)
    if method is None:
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        return
    assert answer.headers["Content-Type"] == f"text/calendar; charset=utf-8; method={method}"
    assert read(answer.text)["METHOD"].value == method


async def test_it_is_in_the_customers_language(
    http: httpx.AsyncClient, issuer: Issuer, api_url: str, rows: Pool, own_shop: Shop
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start(), "confirmed")
    await add_session(rows, case, "scheduled")
    await rows.execute("UPDATE bookings SET language = 'fr' WHERE id = $1", case.booking_id)
    headers = {"Authorization": f"Bearer {await issuer.token(str(case.customer_id), 'customer')}"}
    base = f"{api_url}/v1/bookings/{case.booking_id}"
    invite = await http.get(f"{base}/invite.ics", headers=headers)
    links = await http.get(f"{base}/calendar-links", headers=headers)
    assert " avec " in invite.text
    assert "%20avec%20" in links.json()["google"]


@pytest.mark.parametrize(("role", "status"), [("mechanic", 403), ("operator", 200), ("customer", 200)])
async def test_a_mechanic_does_not_read_who_the_customer_is(
    http: httpx.AsyncClient, issuer: Issuer, api_url: str, rows: Pool, own_shop: Shop, role: str, status: int
) -> None:
    """The invite names the customer and its mail address; the links to calendars on the web do not."""
    case = await add_booking(rows, own_shop, own_shop.start(), "confirmed")
    await add_session(rows, case, "scheduled")
    subject = {"mechanic": own_shop.mechanic_id, "customer": case.customer_id}.get(role, uuid4())
    headers = {"Authorization": f"Bearer {await issuer.token(str(subject), role)}"}
    base = f"{api_url}/v1/bookings/{case.booking_id}"
    invite = await http.get(f"{base}/invite.ics", headers=headers)
    links = await http.get(f"{base}/calendar-links", headers=headers)
    assert (invite.status_code, links.status_code) == (status, 200)
    assert ("camille@example.com" in invite.text.replace("\r\n ", "")) == (status == 200)
    assert "amille" not in links.text
