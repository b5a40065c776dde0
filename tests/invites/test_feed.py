"""A mechanic's calendar, as a calendar program fetches it."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from tests.invites.conftest import Pool, Seat, entries
from tests.invites.reader import read
from tests.support.rows import Case, add_booking, add_reservation
from tests.support.shop import Shop, open_shop, open_workshop


def uid(case: Case) -> str:
    return f"{case.booking_id}.session@pitstop"


@pytest.fixture
async def feed(mechanic: Seat) -> str:
    return await mechanic.make()


async def test_it_has_what_a_mechanic_needs(http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop) -> None:
    case = await add_booking(rows, own_shop, own_shop.start())
    event = (await entries(http, feed))[uid(case)]
    assert event["SUMMARY"].text == "Brake check: Camille"
    assert event["LOCATION"].text == "Online, by video"
    assert event["DTSTART"].value == f"{case.start:%Y%m%dT%H%M%SZ}"
    assert event["DTEND"].value == f"{case.start + own_shop.duration:%Y%m%dT%H%M%SZ}"
    assert str(case.booking_id) in event["DESCRIPTION"].text


async def test_it_has_nothing_else_of_a_booking(http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop) -> None:
    """Each value of the booking's row is looked for, so that a column that is added joins by itself."""
    case = await add_booking(rows, own_shop, own_shop.start())
    secret = {
        "customer_phone": "+14165550123",
        "city": "Moosonee",
        "postal_code": "K9K 9K9",
        "created_by": str(uuid4()),
        "customer_name": "Camille Vandenbroucke",
    }
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(secret, 2))
    await rows.execute(f"UPDATE bookings SET {sets} WHERE id = $1", case.booking_id, *secret.values())  # noqa: S608
    await rows.execute("""UPDATE bookings SET intake = '{"vehicle": "Lada"}' WHERE id = $1""", case.booking_id)
    text = (await http.get(feed)).text.replace("\r\n ", "")
    row = dict(await rows.fetchrow("SELECT * FROM bookings WHERE id = $1", case.booking_id))
    shown = {"id", "invite_sequence", "starts_at", "ends_at", "updated_at"}
    short = {name for name, value in row.items() if len(str(value)) < 5 and name != "amount"}
    for name in row.keys() - shown - short:
        assert str(row[name]) not in text, name
    for word in ("Vandenbroucke", "Lada", "89.00", "manage", "token", "@example.com", "ATTENDEE", "ORGANIZER"):
        assert word not in text


@pytest.mark.parametrize(
    ("status", "there"),
    [
        *((status, True) for status in ("confirmed", "in_progress", "completed", "no_show")),
        *((status, False) for status in ("holding", "awaiting_payment", "expired", "payment_failed")),
        *((status, False) for status in ("cancelled", "refunded", "pending")),
    ],
)
async def test_it_has_what_stands_or_has_been(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop, status: str, there: bool
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start(), status)
    assert (uid(case) in await entries(http, feed)) == there


@pytest.mark.parametrize(("days", "there"), [(-40, False), (-20, True), (-1, True), (300, True), (400, False)])
async def test_it_reaches_a_month_back_and_a_year_ahead(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop, days: int, there: bool
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start(days))
    assert (uid(case) in await entries(http, feed)) == there


async def test_a_booking_that_moves_is_the_same_entry(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start())
    before = (await entries(http, feed))[uid(case)]
    await rows.execute(
        "UPDATE bookings SET starts_at = starts_at + '1 day'::interval, ends_at = ends_at + '1 day'::interval,"
        " invite_sequence = invite_sequence + 1 WHERE id = $1",
        case.booking_id,
    )
    after = (await entries(http, feed))[uid(case)]
    assert after["DTSTART"].value == f"{case.start + timedelta(days=1):%Y%m%dT%H%M%SZ}"
    assert int(after["SEQUENCE"].value) == int(before["SEQUENCE"].value) + 1
    assert after["LAST-MODIFIED"].value >= before["LAST-MODIFIED"].value


async def test_one_that_is_handed_over_leaves(http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop) -> None:
    case = await add_booking(rows, own_shop, own_shop.start())
    other = await open_shop(rows)
    await rows.execute("UPDATE bookings SET mechanic_id = $2 WHERE id = $1", case.booking_id, other.mechanic_id)
    assert await entries(http, feed) == {}


async def test_in_person_it_says_where(http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop) -> None:
    """The workshop of the bay that is held, also when the mechanic works in another one since."""
    await rows.execute("UPDATE services SET kind = 'in_person' WHERE id = $1", own_shop.service_id)
    workshop = await open_workshop(rows, 1, own_shop.mechanic_id)
    case = await add_booking(rows, own_shop, own_shop.start())
    reservation = await add_reservation(rows, case)
    bay = await rows.fetchval("SELECT id FROM bays WHERE workshop_id = $1", workshop)
    await rows.execute("UPDATE slot_reservations SET bay_id = $2 WHERE id = $1", reservation, bay)
    await rows.execute("UPDATE mechanics SET workshop_id = NULL WHERE id = $1", own_shop.mechanic_id)
    assert (await entries(http, feed))[uid(case)]["LOCATION"].text == "5 Yard Lane"


@pytest.mark.parametrize("word", ["awaiting", "proposed", "confirmed", None])
async def test_a_session_that_its_workshop_has_not_confirmed_is_tentative(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop, word: str | None
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start())
    for step in ("awaiting", word) if word else ():
        await rows.execute(
            "UPDATE bookings SET workshop_status = $2,"
            " workshop_answer_by = CASE WHEN $2 IN ('awaiting', 'proposed') THEN starts_at END WHERE id = $1",
            *(case.booking_id, step),
        )
    event = (await entries(http, feed))[uid(case)]
    tentative = word in ("awaiting", "proposed")
    assert event["STATUS"].value == ("TENTATIVE" if tentative else "CONFIRMED")
    assert event["X-MICROSOFT-CDO-BUSYSTATUS"].value == ("TENTATIVE" if tentative else "BUSY")
    assert ("not confirmed by the workshop yet" in event["DESCRIPTION"].text) == tentative
    await rows.execute("UPDATE bookings SET status = 'in_progress' WHERE id = $1", case.booking_id)
    assert (await entries(http, feed))[uid(case)]["STATUS"].value == "CONFIRMED"


async def test_time_off_is_busy_and_says_no_more(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop
) -> None:
    start = own_shop.start()
    id = await rows.fetchval(
        "INSERT INTO time_off (mechanic_id, during, reason) VALUES ($1, tstzrange($2, $3), 'Surgery') RETURNING id",
        *(own_shop.mechanic_id, start, start + timedelta(days=2)),
    )
    text = (await http.get(feed)).text
    assert "Surgery" not in text
    event = (await entries(http, feed))[f"{id}.time-off@pitstop"]
    assert (event["SUMMARY"].text, event["TRANSP"].value) == ("Time off", "OPAQUE")
    assert event["DTEND"].value == f"{start + timedelta(days=2):%Y%m%dT%H%M%SZ}"


async def test_a_customer_who_is_erased_has_no_name(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start(-2), "completed")
    await rows.execute("UPDATE bookings SET erased_at = now() WHERE id = $1", case.booking_id)
    assert (await entries(http, feed))[uid(case)]["SUMMARY"].text == "Brake check"


async def test_nothing_of_other_mechanics(http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop) -> None:
    other = await open_shop(rows)
    await add_booking(rows, other, other.start())
    await rows.execute(
        "INSERT INTO time_off (mechanic_id, during) VALUES ($1, tstzrange(now(), now() + '1 day'))", other.mechanic_id
    )
    case = await add_booking(rows, own_shop, own_shop.start())
    assert (await entries(http, feed)).keys() == {uid(case)}


async def test_what_has_not_changed_is_not_sent_again(
    http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop
) -> None:
    case = await add_booking(rows, own_shop, own_shop.start())
    tag = (await http.get(feed)).headers["ETag"]
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await http.get(feed, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), header
        assert again.headers["Cache-Control"] == "private, no-cache"
    assert (await http.get(feed, headers={"If-None-Match": '"other"'})).status_code == 200
    await rows.execute("UPDATE bookings SET status = 'cancelled' WHERE id = $1", case.booking_id)
    changed = await http.get(feed, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


_MANY = """
INSERT INTO bookings (
    id, status, request_fingerprint, created_by, customer_id, customer_name, customer_email, country, city, postal_code,
    timezone, service_id, plan_id, mechanic_id, starts_at, ends_at, buffer_before_minutes, buffer_after_minutes, amount,
    currency
) SELECT gen_random_uuid(), 'confirmed', '', 'x', gen_random_uuid(), 'Camille Roy', 'c@example.com', 'CA', 'Toronto',
    'M5V', 'UTC', $1, $2, $3, start, start + interval '50 minutes', 0, 0, 8900, 'cad'
FROM generate_series(1, 2000) AS n, LATERAL (SELECT $4::timestamptz + n * interval '1 hour' AS start) AS nth
"""


async def test_two_thousand_bookings(http: httpx.AsyncClient, feed: str, rows: Pool, own_shop: Shop) -> None:
    ids = (own_shop.service_id, own_shop.plan_id, own_shop.mechanic_id)
    await rows.execute(_MANY, *ids, own_shop.start())
    assert len(await entries(http, feed)) == 2000


async def test_the_calendar_says_whose_it_is_and_how_often_to_look(http: httpx.AsyncClient, feed: str) -> None:
    calendar = read((await http.get(feed)).text)
    assert calendar["X-WR-CALNAME"].text == "Pitstop: Zoé Bélanger"
    assert calendar["X-PUBLISHED-TTL"].value == calendar["REFRESH-INTERVAL"].value == "PT15M"
    assert "METHOD" not in calendar.names
