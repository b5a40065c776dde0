"""Pages that a customer opens from a mail are in that customer's language; those that know nobody, in the browser's."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api.languages import preferred
from api.page_words import WORDS, PageWords, catalogue
from pitstop.devstack.stackfile import Stack
from pitstop.domain.changes import ChangeRefusal
from pitstop.domain.notices import Language, NoticeKind
from tests.support.people import Customer
from tests.support.shop import Shop

Json = dict[str, Any]
FRENCH = {"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.8"}
# To workshops only.
NOT_FOR_CUSTOMERS = {NoticeKind.WORKSHOP_REQUEST}


def text(page: httpx.Response) -> str:
    """What a reader sees, with plain spaces."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def entries(texts: Json, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, value in texts.items():
        if isinstance(value, dict):
            yield from entries(value, *path, name)
        else:
            yield (*path, name), value


def variables(entry: str) -> set[str]:
    return set(re.findall(r"{{ (\w+)|{% if (\w+)", entry))


def test_both_languages_say_the_same_with_the_same_facts() -> None:
    english, french = (dict(entries(catalogue(language))) for language in Language)
    assert english.keys() == french.keys()
    for path, entry in english.items():
        assert variables(entry) == variables(french[path]), path
        assert bool(entry) == bool(french[path]), path


@pytest.mark.parametrize("words", WORDS.values(), ids=lambda words: words.tag)
def test_every_mail_has_a_name(words: PageWords) -> None:
    assert words["mails"].keys() == set(NoticeKind) - NOT_FOR_CUSTOMERS | {"other"}
    assert words.say("events", "something_new") == words["events"]["other"]
    assert {"no_proposal", "slot_unavailable", "slot_not_offered"} <= words["answer"].keys() & set(ChangeRefusal)


@pytest.fixture
async def booking(customer: Customer, shop: Shop) -> Json:
    who = {"name": "Zoé Bélanger", "email": customer.email, "language": "fr"}
    return await customer.book(shop, shop.start(), customer=who)


async def test_the_page_of_a_booking(customer: Customer, booking: Json, http: httpx.AsyncClient) -> None:
    # What the browser would rather have does not count: mails are in the customer's language, too.
    page = await http.get(booking["manage_url"], headers={"Accept-Language": "en"})
    assert '<html lang="fr-CA">' in page.text
    for said in ("En attente du paiement", "L'heure est à vous jusqu'au", "Brake check avec Zoé", "Prix 89,00 $"):
        assert said in text(page)
    assert re.search(r"Quand \w+ \d+ \w+ \d{4}, (de )?\d+ h .* H[NA]E \(America/Toronto\)", text(page))
    await customer.pay(booking)
    await customer.sees(booking, "confirmed", "mail_sent")
    confirmed = text(await http.get(booking["manage_url"]))
    for said in (
        "C'est payé",
        "La réservation a été confirmée.",
        "Nous vous avons envoyé la confirmation par courriel.",
    ):
        assert said in confirmed
    assert not re.search(r"\b(the|your|booking|Refresh|Calendar)\b", confirmed)


async def test_the_page_to_pay_on(customer: Customer, booking: Json, http: httpx.AsyncClient) -> None:
    page = await http.get(booking["manage_url"].replace("?", "/pay?"))
    assert "Payer 89,00 $" in text(page)
    assert 'data-locale="fr-CA"' in page.text


async def test_an_answer_that_is_not_taken(booking: Json, http: httpx.AsyncClient) -> None:
    parts = urlsplit(booking["manage_url"])
    url = f"{parts.scheme}://{parts.netloc}{parts.path}/proposal/accept?{parts.query}"
    for form, headers, said in (
        ({"start": "soon"}, {}, "Ce n'est pas une des heures proposées."),
        ({"start": "2036-01-01T00:00:00Z"}, {}, "Ces heures ne sont plus proposées."),
        ({}, {"Sec-Fetch-Site": "cross-site"}, "Le formulaire a été envoyé par un autre site."),
    ):
        answer = await http.post(url, data=form, headers=headers)
        assert answer.status_code in (403, 409, 422)
        assert '<html lang="fr-CA">' in answer.text
        assert said in text(answer)


@pytest.mark.parametrize(
    "path", ["/manage/nothing?token=x", "/manage/nothing/pay", "/bookings/x/waiver", "/referrals/x", "/b/x"]
)
async def test_a_link_that_opens_nothing(path: str, stack: Stack, http: httpx.AsyncClient) -> None:
    for headers, tag, said in (({}, "en-CA", "What you can do:"), (FRENCH, "fr-CA", "Ce que vous pouvez faire :")):
        page = await http.get(f"{stack.api_url}{path}", headers=headers)
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert f'<html lang="{tag}">' in page.text
        assert said in text(page)


async def test_the_waivers_page_begins_in_the_customers_language(
    customer: Customer, booking: Json, http: httpx.AsyncClient
) -> None:
    await customer.pay(booking)
    await customer.sees(booking, "confirmed")
    url = re.sub(r"/manage/([^?]*)", r"/bookings/\1/waiver", booking["manage_url"])
    assert '<html lang="fr">' in (await http.get(url)).text


def test_what_a_browser_would_rather_have() -> None:
    assert (preferred(FRENCH["Accept-Language"]), preferred("")) == (Language.FR, Language.EN)
