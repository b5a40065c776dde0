"""The address of a mechanic's calendar: who may have it, and what else opens nothing."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from pitstop.devstack.stackfile import Stack
from pitstop.gateways.feed_links import FeedLinks
from pitstop.gateways.manage_links import ManageLinks
from pitstop.settings import Settings
from tests.gateways.samples import NOW
from tests.invites.conftest import Pool, Seat, entries, seat
from tests.support.databases import Urls
from tests.support.people import Issuer
from tests.support.processes import serving, settings
from tests.support.shop import Shop, open_shop

MECHANIC, FEED = UUID(int=1), UUID(int=2)


async def status(http: httpx.AsyncClient, url: str) -> int:
    return (await http.get(url)).status_code


async def test_a_new_address_makes_the_old_one_useless(http: httpx.AsyncClient, mechanic: Seat) -> None:
    assert (await mechanic.call("GET")).status_code == 404
    first = await mechanic.make()
    assert await status(http, first) == 200
    second = await mechanic.make()
    assert [await status(http, url) for url in (first, second)] == [404, 200]
    shown = (await mechanic.call("GET")).json()
    assert shown["url"].endswith(second.rpartition("/")[2])
    assert shown["webcal_url"].startswith("webcal://")


async def test_of_several_made_at_once_one_opens(http: httpx.AsyncClient, mechanic: Seat) -> None:
    made = await asyncio.gather(*(mechanic.make() for _ in range(5)))
    assert sorted([await status(http, url) for url in made]) == [200, 404, 404, 404, 404]
    shown = (await mechanic.call("GET")).json()["url"].partition("=")[2]
    assert await status(http, next(url for url in made if shown in url)) == 200


async def test_one_that_is_removed_opens_nothing_also_when_there_is_another(
    http: httpx.AsyncClient, mechanic: Seat
) -> None:
    url = await mechanic.make()
    assert (await mechanic.call("DELETE")).status_code == 204
    assert (await mechanic.call("DELETE")).status_code == 404
    assert await status(http, url) == 404
    another = await mechanic.make()
    assert [await status(http, each) for each in (url, another)] == [404, 200]


def _changed(url: str) -> str:
    return url[:-1] + ("A" if url[-1] != "A" else "B")


@pytest.mark.parametrize(
    "wrong",
    [
        _changed,
        lambda url: url[:-8],
        lambda url: f"{url}A",
        lambda url: url.partition("=")[0] + "=" + "é" * 64,
        lambda url: url.partition("=")[0] + "=" + "!" * 64,
        lambda url: url.partition("=")[0] + "=",
        lambda url: url.partition("=")[0] + "=" + "A" * 64,
    ],
    ids=["forged", "short", "long", "not ASCII", "not base64", "empty", "of nothing"],
)
async def test_a_wrong_token(http: httpx.AsyncClient, mechanic: Seat, wrong: Callable[[str], str]) -> None:
    answer = await http.get(wrong(await mechanic.make()))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_without_a_token(http: httpx.AsyncClient, mechanic: Seat) -> None:
    assert await status(http, (await mechanic.make()).partition("?")[0]) == 422


async def test_the_token_of_one_mechanic_opens_no_other(http: httpx.AsyncClient, mechanic: Seat, rows: Pool) -> None:
    other = await open_shop(rows)
    url = await mechanic.make()
    assert await status(http, url.replace(str(mechanic.shop.mechanic_id), str(other.mechanic_id))) == 404


async def test_who_may_have_the_address(
    http: httpx.AsyncClient, issuer: Issuer, api_url: str, own_shop: Shop, rows: Pool, mechanic: Seat
) -> None:
    another = await seat(http, issuer, api_url, await open_shop(rows), "mechanic")
    another.shop = own_shop
    nobody = Seat(http, api_url, own_shop, {})
    refused: list[tuple[Seat, int]] = [(another, 404), (nobody, 401)]
    refused += [(await seat(http, issuer, api_url, own_shop, role), 403) for role in ("customer", "service")]
    await mechanic.make()
    for who, expected in refused:
        for method in ("POST", "GET", "DELETE"):
            assert (await who.call(method)).status_code == expected, (who, method)
    assert (await mechanic.call("GET")).status_code == 200


async def test_an_operator_makes_one_and_that_is_on_record(
    http: httpx.AsyncClient, issuer: Issuer, api_url: str, own_shop: Shop, rows: Pool
) -> None:
    operator = await seat(http, issuer, api_url, own_shop, "operator")
    url = await operator.make()
    assert await entries(http, url) == {}
    for method in ("GET", "DELETE"):
        assert (await operator.call(method)).is_success
    noted = await rows.fetch(
        "SELECT actor_role, action, detail::text FROM audit_log WHERE object_id = $1 ORDER BY id",
        str(own_shop.mechanic_id),
    )
    assert [tuple(row)[:2] for row in noted] == [
        ("operator", "calendar_address.make"),
        ("operator", "calendar_address.read"),
        ("operator", "calendar_address.remove"),
    ]
    assert url.partition("=")[2] not in str(noted)


async def test_an_operator_makes_none_for_nobody(
    http: httpx.AsyncClient, issuer: Issuer, api_url: str, own_shop: Shop
) -> None:
    stranger = Shop(uuid4(), own_shop.service_id, own_shop.plan_id)
    assert (await (await seat(http, issuer, api_url, stranger, "operator")).call("POST")).status_code == 404


async def test_the_database_holds_no_token(mechanic: Seat, rows: Pool) -> None:
    token = (await mechanic.make()).partition("=")[2]
    held = await rows.fetch("SELECT calendar_feeds::text FROM calendar_feeds")
    assert token not in str(held)


async def test_a_feed_has_a_budget_of_its_own_whatever_the_address(
    stack: Stack, urls: Urls, http: httpx.AsyncClient, issuer: Issuer, own_shop: Shop, rows: Pool
) -> None:
    """A calendar service fetches many mechanics' from one address."""
    limits = settings(stack, api_database_url=urls.api, rate_caller_reads=3, rate_address_reads=1)
    async with serving(limits) as api_url:
        first = await (await seat(http, issuer, api_url, own_shop, "mechanic")).make()
        second = await (await seat(http, issuer, api_url, await open_shop(rows), "mechanic")).make()
        statuses = [await status(http, first) for _ in range(8)]
        assert (statuses[0], statuses[-1]) == (200, 429)
        assert await status(http, second) == 200


async def test_wrong_tokens_count_as_failures(stack: Stack, urls: Urls, http: httpx.AsyncClient) -> None:
    async with serving(settings(stack, api_database_url=urls.api, rate_address_failures=2)) as api_url:
        url = f"{api_url}/v1/mechanics/{uuid4()}/calendar.ics?token={'A' * 64}"
        statuses = [await status(http, url) for _ in range(6)]
        assert (statuses[0], statuses[-1]) == (404, 429)


def links(secret: str, *former: str) -> FeedLinks:
    secrets: Any = {"manage_link_secret": SecretStr(secret), "manage_link_former_secrets": [*map(SecretStr, former)]}
    return FeedLinks(Settings(**secrets))


def test_a_former_secret_is_good_to_check_with() -> None:
    token = links("old" * 20).token(MECHANIC, FEED)
    assert links("new" * 20, "old" * 20).feed_of(MECHANIC, token) == FEED
    assert links("new" * 20).feed_of(MECHANIC, token) is None
    assert links("old" * 20).feed_of(UUID(int=3), token) is None


def test_it_is_no_manage_link_and_a_manage_link_is_no_feed() -> None:
    secret: Any = {"manage_link_secret": SecretStr("s" * 60)}
    manage, feeds = ManageLinks(Settings(**secret)), FeedLinks(Settings(**secret))
    assert manage.booking_of(feeds.token(MECHANIC, FEED)) is None
    assert feeds.feed_of(MECHANIC, manage.token(MECHANIC, NOW)) is None
