"""What a customer says about itself when it books: number, consent, language; kept as they are to be used."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.languages import preferred
from api.opening import request_of
from api.schemas import BookingIn
from pitstop.domain.caller import Caller, Role
from pitstop.domain.identity import fingerprint
from pitstop.domain.notices import Language
from pitstop.domain.phone import NotANumber, normalised
from pitstop.domain.text_length import parts
from tests.support.people import Customer
from tests.support.shop import Shop


@pytest.mark.parametrize(
    ("written", "country", "kept"),
    [
        ("+14165550123", "CA", "+14165550123"),
        ("+1 416 555 0123", "CA", "+14165550123"),
        ("(416) 555-0123", "CA", "+14165550123"),
        ("416.555.0123", "US", "+14165550123"),
        ("+33 6 12 34 56 78", "CA", "+33612345678"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("020 7946 0123", "GB", "+442079460123"),
    ],
)
def test_a_number_is_kept_in_one_form(written: str, country: str, kept: str) -> None:
    assert normalised(written, country) == kept


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0",
        "555-0123",
        "+1 416 155 0123",
        "+1416555012",
        "+0165550123",
        "+999123456789",
        "1-800-FLOWERS",
        "+1416555O123",
    ],
)
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(NotANumber):
        normalised(written, "CA")


async def _kept(database: Any, booking: dict[str, Any]) -> dict[str, Any]:
    query = "SELECT customer_phone, sms_consent, language, reminder_offsets FROM bookings WHERE id = $1"
    return dict(await database.fetchrow(query, UUID(booking["id"])))


async def test_they_are_kept_with_the_booking(customer: Customer, shop: Shop, database: Any) -> None:
    offsets = [timedelta(hours=48), timedelta(minutes=30)]
    await database.execute("UPDATE services SET reminder_offsets = $2 WHERE id = $1", shop.service_id, offsets)
    who = {"name": "Zoé", "email": customer.email, "phone": "(416) 555-0123", "sms_consent": True, "language": "fr"}
    booking = await customer.book(shop, shop.start(), customer=who)
    assert await _kept(database, booking) == {
        "customer_phone": "+14165550123",
        "sms_consent": True,
        "language": "fr",
        "reminder_offsets": offsets,
    }
    await database.execute("UPDATE services SET reminder_offsets = NULL WHERE id = $1", shop.service_id)
    assert (await _kept(database, booking))["reminder_offsets"] == offsets, "as at the booking's moment"


@pytest.mark.parametrize(
    "offsets", ["{}", "{24:00:00,24:00:00}", "{00:00:30}", "{31 days}", "{1:00,2:00,3:00,4:00,5:00,6:00}"]
)
async def test_offsets_of_a_service_are_few_apart_and_within_a_month(database: Any, shop: Shop, offsets: str) -> None:
    query = f"UPDATE services SET reminder_offsets = '{offsets}'::interval[] WHERE id = $1"  # noqa: S608 - our own words
    if offsets == "{}":
        await database.execute(query, shop.service_id)
        return
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(query, shop.service_id)


@pytest.mark.parametrize(
    ("who", "field"),
    [
        ({"phone": "+14161550123"}, "body.customer.phone"),
        ({"phone": "555-0123"}, "body.customer.phone"),
        ({"phone": "0612345678"}, "body.customer.phone"),
        ({"sms_consent": True}, "body.customer"),
        ({"sms_consent": "yes", "phone": "+14165550123"}, "body.customer.sms_consent"),
        ({"language": "de"}, "body.customer.language"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    customer: Customer, shop: Shop, who: dict[str, Any], field: str
) -> None:
    body = customer.request(shop, shop.start())
    answer = await customer.post(body | {"customer": body["customer"] | who})
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("en-CA", "en"),
        ("de", "en"),
        ("", "en"),
        ("*", "en"),
        ("en;q=0.5, fr;q=0.7", "fr"),
    ],
)
async def test_the_language_is_what_the_client_prefers(
    customer: Customer, shop: Shop, database: Any, header: str, language: str
) -> None:
    headers = customer.headers | {"Idempotency-Key": "key", "Accept-Language": header}
    body = customer.request(shop, shop.start())
    answer = await customer.http.post(f"{customer.api_url}/v1/bookings", json=body, headers=headers)
    assert (await _kept(database, answer.json()))["language"] == language
    again = await customer.http.post(
        f"{customer.api_url}/v1/bookings", json=body, headers=headers | {"Accept-Language": "fr;q=0.3"}
    )
    assert (again.status_code, again.json()["id"]) == (200, answer.json()["id"]), "another browser, the same request"


@pytest.mark.parametrize("header", ["fr;q=0", "fr;q=x", ";;,,", "fr;level=1;q=0.0,en;q=0.1", "q=1"])
def test_what_cannot_be_read_is_english(header: str) -> None:
    assert preferred(header) is Language.EN


def test_a_request_of_before_has_the_fingerprint_of_before(customer: Customer, shop: Shop) -> None:
    body = customer.request(shop, shop.start())
    body["customer"] |= {"phone": "+14165550123"}
    caller = Caller(Role.CUSTOMER, str(customer.id))

    def of(**who: Any) -> bytes:
        sent = BookingIn.model_validate(body | {"customer": body["customer"] | who})
        return request_of(sent, "key", caller, Language.FR).fingerprint

    before = BookingIn.model_validate(body).model_dump(mode="json")
    del before["customer"]["sms_consent"], before["customer"]["language"], before["referral"]
    assert of() == of(sms_consent=False, language=None) == fingerprint(before)
    assert len({of(), of(sms_consent=True), of(language="fr"), of(language="en")}) == 4


GSM = [("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("é" * 160, 1), ("€" * 80, 1)]
UCS2 = [("ê" * 70, 1), ("ê" * 71, 2), ("a" * 70 + "ê", 2), ("😀" * 35, 1), ("😀" * 36, 2)]


@pytest.mark.parametrize(("text", "count"), [*GSM, *UCS2])
def test_the_length_of_a_text_is_known(text: str, count: int) -> None:
    assert parts(text) == count
