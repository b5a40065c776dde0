"""So many calls a minute, counted for all processes together, by who really calls."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest

from api.problems import Problem
from api.rates import RateLimiter
from pitstop.devstack.stackfile import Stack
from pitstop.domain.limits import Budget, Grant
from pitstop.gateways.manage_links import ManageLinks
from pitstop.postgres.limits import SharedBudgets
from pitstop.postgres.pool import open_pool
from tests.limits.conftest import Changed
from tests.support.people import Customer, Issuer
from tests.support.processes import serving
from tests.support.shop import Shop
from tests.support.webhooks import event_about, signed

Process = Callable[..., AbstractAsyncContextManager[str]]


async def _calls(
    http: httpx.AsyncClient, urls: Sequence[str], times: int, headers: Callable[[int], dict[str, str]]
) -> list[httpx.Response]:
    """Calls the addresses in turn, some at a time."""
    few = asyncio.Semaphore(10)

    async def call(n: int) -> httpx.Response:
        async with few:
            return await http.get(urls[n % len(urls)], headers=headers(n))

    return await asyncio.gather(*(call(n) for n in range(times)))


def _passed(answers: list[httpx.Response]) -> int:
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 429}
    return statuses[200]


async def test_two_processes_share_a_callers_limit(
    http: httpx.AsyncClient, customer: Customer, changed: Changed, another_process: Process
) -> None:
    limit = 40
    async with serving(changed(rate_caller_reads=limit)) as one, another_process(rate_caller_reads=limit) as two:
        began = time.monotonic()
        urls = [f"{url}/v1/bookings" for url in (one, two)]
        answers = await _calls(http, urls, 3 * limit, lambda _: customer.headers)
        refilled = (time.monotonic() - began) / 60 * limit
    # Each process may have kept calls that it had drawn ahead.
    assert limit / 2 <= _passed(answers) <= limit + refilled + 1


async def test_processes_that_share_nothing_let_through_twice_as_much(
    http: httpx.AsyncClient, customer: Customer, changed: Changed
) -> None:
    """The control: what the test above sees comes from counting together."""
    limit = 40
    mine, other = changed(rate_caller_reads=limit), changed(rate_caller_reads=limit, manage_link_secret=uuid4().hex)
    async with serving(mine) as one, serving(other) as two:
        urls = [f"{url}/v1/bookings" for url in (one, two)]
        answers = await _calls(http, urls, 3 * limit, lambda _: customer.headers)
    assert _passed(answers) > 1.5 * limit


async def test_what_a_refused_caller_is_told(
    http: httpx.AsyncClient, customer: Customer, rival: Customer, changed: Changed
) -> None:
    async with serving(changed(rate_caller_reads=1)) as url:
        answers = await _calls(http, [f"{url}/v1/bookings"], 3, lambda _: customer.headers)
        [first, *_] = [answer for answer in answers if answer.status_code == 429]
        assert first.headers["Content-Type"] == "application/problem+json"
        assert first.json()["code"] == "rate_limited"
        assert 1 <= int(first.headers["Retry-After"]) <= 60
        assert first.headers["RateLimit-Policy"] == '"caller-reads";q=1;w=60'
        assert first.headers["RateLimit"] == f'"caller-reads";r=0;t={first.headers["Retry-After"]}'
        rival.api_url = url
        assert (await rival.get("/v1/bookings")).status_code == 200, "another caller at the same address"


async def test_an_invented_header_is_no_other_address(http: httpx.AsyncClient, changed: Changed) -> None:
    def invented(n: int) -> dict[str, str]:
        return {"X-Forwarded-For": f"198.51.100.{n}", "Forwarded": f"for=198.51.100.{n}", "X-Real-IP": f"8.8.8.{n}"}

    async with serving(changed(rate_address_reads=10)) as url:
        assert _passed(await _calls(http, [f"{url}/v1/services"], 40, invented)) <= 12


async def test_unless_uvicorn_is_told_not_to_it_believes_an_invented_header(
    http: httpx.AsyncClient, changed: Changed
) -> None:
    """The control: this is what `--no-proxy-headers` is for."""
    async with serving(changed(rate_address_reads=10), proxy_headers=True) as url:
        answers = await _calls(http, [f"{url}/v1/services"], 40, lambda n: {"X-Forwarded-For": f"198.51.100.{n}"})
        assert _passed(answers) == 40


async def test_a_trusted_proxy_names_the_address(http: httpx.AsyncClient, changed: Changed) -> None:
    """Clients of one proxy have a limit each; what a client itself has sent through it does not give it another."""
    async with serving(changed(rate_address_reads=10, trusted_proxies="127.0.0.1")) as url:
        many = await _calls(http, [f"{url}/v1/services"], 40, lambda n: {"X-Forwarded-For": f"8.8.8.8, 198.51.100.{n}"})
        assert _passed(many) == 40
        one = await _calls(http, [f"{url}/v1/services"], 40, lambda n: {"X-Forwarded-For": f"8.8.8.{n}, 203.0.113.1"})
        assert _passed(one) <= 12
        network = await _calls(http, [f"{url}/v1/services"], 40, lambda n: {"X-Forwarded-For": f"2001:db8::{n}"})
        assert _passed(network) <= 12


async def test_each_kind_of_call_has_a_limit_of_its_own(
    http: httpx.AsyncClient, customer: Customer, shop: Shop, changed: Changed
) -> None:
    body = customer.request(shop, shop.start())
    asked = {name: body[name] for name in ("mechanic_id", "service_id", "start")}
    limits = {"rate_address_searches": 1, "rate_address_reads": 1000, "rate_caller_writes": 1}
    async with serving(changed(**limits)) as url:
        checks = [await http.post(f"{url}/v1/availability/check", json=asked) for _ in range(3)]
        assert [answer.status_code for answer in checks] == [200, 429, 429]
        assert (await http.get(f"{url}/v1/services")).status_code == 200
        customer.api_url = url
        opened = await customer.post(body)
        assert opened.status_code == 201
        assert (await customer.post(body)).json()["code"] == "rate_limited"
        assert (await customer.read(opened.json()))["status"] == "awaiting_payment"


async def test_a_service_has_a_quota_instead(
    http: httpx.AsyncClient, issuer: Issuer, stack: Stack, changed: Changed
) -> None:
    others = {"rate_caller_reads": 2, "rate_address_reads": 2}
    async with serving(changed(rate_service=20, **others)) as url:
        token = await issuer.token(f"shop-{uuid4()}", "service")
        headers = {"Authorization": f"Bearer {token}"}
        passed = _passed(await _calls(http, [f"{url}/v1/bookings"], 60, lambda _: headers))
    assert 10 <= passed <= 22


@pytest.fixture
async def careful(changed: Changed) -> AsyncIterator[str]:
    """An API that takes three mistakes a minute."""
    async with serving(changed(rate_address_failures=3)) as url:
        yield url


async def test_wrong_tokens_are_limited_and_right_ones_are_not(
    http: httpx.AsyncClient, customer: Customer, careful: str
) -> None:
    wrong = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}
    answers = [await http.get(f"{careful}/v1/bookings", headers=wrong) for _ in range(6)]
    assert Counter(answer.status_code for answer in answers) == {401: 3, 429: 3}
    assert {answer.json()["code"] for answer in answers} == {"unauthenticated", "rate_limited"}
    customer.api_url = careful
    assert (await customer.get("/v1/bookings")).status_code == 200, "a neighbour's mistakes are the neighbour's"


@pytest.mark.parametrize(
    "path", ["/v1/bookings/{}", "/v1/bookings/{}/events", "/v1/bookings/{}/invite.ics", "/manage/{}"]
)
async def test_wrong_links_are_limited_and_right_ones_are_not(
    http: httpx.AsyncClient, customer: Customer, shop: Shop, careful: str, changed: Changed, path: str
) -> None:
    booking = await customer.book(shop, shop.start())
    address = careful + path.format(booking["id"])
    answers = [await http.get(address, params={"token": f"guess-{n}"}) for n in range(6)]
    assert Counter(answer.status_code for answer in answers) == {404: 3, 429: 3}
    right = ManageLinks(changed()).url(booking["id"], shop.start() + shop.duration).partition("?")[2]
    assert (await http.get(f"{careful}/manage/{booking['id']}?{right}")).status_code == 200


async def test_forged_webhooks_are_limited_and_signed_ones_never(
    http: httpx.AsyncClient, customer: Customer, shop: Shop, stack: Stack, careful: str
) -> None:
    booking = await customer.book(shop, shop.start())
    body = event_about(booking, shop)
    forged = {"Stripe-Signature": signed(body, "whsec_of_somebody_else")}
    right = {"Stripe-Signature": signed(body, stack.stripe_webhook_secret)}
    url = f"{careful}/webhooks/stripe"
    answers = [await http.post(url, content=body, headers=forged) for _ in range(6)]
    assert Counter(answer.status_code for answer in answers) == {400: 3, 429: 3}
    answers = [await http.post(url, content=body, headers=right) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {204}


async def test_every_limited_call_is_documented(http: httpx.AsyncClient, stack: Stack) -> None:
    document = (await http.get(f"{stack.api_url}/openapi.json")).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            answer = operation["responses"].get("429", {})
            assert ("Retry-After" in answer.get("headers", {})) is path.startswith(("/v1/", "/webhooks/")), path


class _Counting:
    """The shared budgets, or none at all, and how often they were asked."""

    def __init__(self, shared: SharedBudgets | None) -> None:
        self._shared = shared
        self.asked = 0

    async def draw(self, budgets: Sequence[Budget], calls: Sequence[int]) -> list[Grant]:
        self.asked += 1
        if self._shared is None:
            raise TimeoutError
        return await self._shared.draw(budgets, calls)


def _limiter(shared: _Counting) -> RateLimiter:
    return RateLimiter(cast(Any, shared))


async def test_while_the_database_is_away_calls_pass_and_it_is_asked_once() -> None:
    away = _Counting(None)
    limiter = _limiter(away)
    for _ in range(50):
        await limiter.spend(Budget("test", b"key", 1))
    assert away.asked == 1


async def test_an_api_without_its_database_says_what_is_away(
    http: httpx.AsyncClient, customer: Customer, changed: Changed
) -> None:
    async with serving(changed(api_database_url="postgresql://pitstop_api@127.0.0.1:9/pitstop")) as url:
        customer.api_url = url
        for _ in range(3):
            answer = await customer.get("/v1/bookings")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert (await http.get(f"{url}/v1/bookings")).status_code == 401


async def test_a_busy_caller_costs_few_round_trips_and_a_used_up_budget_none(stack: Stack) -> None:
    async with open_pool(stack.api_database_url, 2, "test") as pool:
        counting = _Counting(SharedBudgets(pool, 5))
        limiter = _limiter(counting)
        budget = Budget("test", uuid4().bytes, 200)
        for _ in range(190):
            await limiter.spend(budget)
        assert counting.asked < 40
        passed = 0
        for _ in range(100):
            try:
                await limiter.spend(budget)
                passed += 1
            except Problem:
                break
        asked = counting.asked
        for _ in range(20):
            with pytest.raises(Problem):
                await limiter.spend(budget)
        assert passed <= 20
        assert counting.asked <= asked + 1


async def test_what_processes_draw_ahead_is_within_the_budget(stack: Stack) -> None:
    """Many processes at once, each drawing ahead: no more than the budget, and what has come back meanwhile."""
    async with open_pool(stack.api_database_url, 4, "test") as pool:
        shared = SharedBudgets(pool, 5)
        budget = Budget("test", uuid4().bytes, 100)
        limiters = [_limiter(_Counting(shared)) for _ in range(5)]
        began = time.monotonic()

        async def press(limiter: RateLimiter) -> int:
            passed = 0
            for _ in range(100):
                try:
                    await limiter.spend(budget)
                    passed += 1
                except Problem:
                    await asyncio.sleep(0)
            return passed

        passed = sum(await asyncio.gather(*(press(limiter) for limiter in limiters)))
        refilled = (time.monotonic() - began) / 60 * budget.per_minute
    assert 60 <= passed <= 100 + refilled + 1
