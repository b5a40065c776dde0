"""What a browser is told by every answer, which sites may call from one, and that nothing is done by its cookies."""

import re
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.routes.pages import WEB
from pitstop.devstack.stackfile import Stack
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SOME = "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11"
ADDRESSES = [
    *("/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/v1/services", "/v1/mechanics", "/v1/bookings"),
    *("/static/pitstop.css", "/static/docs.js", "/static-offline-docs/swagger-ui.css", "/static/none", "/none"),
    *(f"/v1/bookings/{SOME}", f"/v1/bookings/{SOME}/events", f"/v1/bookings/{SOME}/invite.ics", f"/manage/{SOME}"),
    *("/v1/bookings?limit=x", "/v1/availability", "/v1/availability/check"),
]
# Templates with a form; each has its guard against other sites, and a test of it.
POSTING = {"audit_token.html", "manage.html", "sign_in.html", "waiver.html"}
SITE = "https://book.example.com"


def told(answer: httpx.Response) -> None:
    """All that every answer says; nothing of a booking is kept, and nothing runs or is framed unless it says so."""
    for name, value in ALWAYS.items():
        assert answer.headers.get_list(name) == [value], (answer.url, name)
    [policy] = answer.headers.get_list("Content-Security-Policy")
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
        assert part in policy.split("; "), (answer.url, policy)
    assert "script-src 'unsafe-inline'" not in policy
    assert "camera=()" in answer.headers["Permissions-Policy"]
    if "/static" not in answer.url.path:
        assert answer.headers["Cache-Control"] == "no-store", answer.url


@pytest.mark.parametrize("address", ADDRESSES)
async def test_what_every_answer_says(customer: Customer, address: str) -> None:
    async with httpx.AsyncClient(base_url=customer.api_url) as http:
        for headers in ({}, customer.headers):
            told(await http.get(address, headers=headers))


async def test_what_an_answer_about_a_booking_says(customer: Customer, shop: Shop, http: httpx.AsyncClient) -> None:
    answer = await customer.post(customer.request(shop, shop.start()))
    told(answer)
    booking = answer.json()
    told(await customer.get(f"/v1/bookings/{booking['id']}"))
    told(await customer.get("/v1/bookings"))
    told(await http.get(booking["manage_url"]))
    told(await customer.post({}))
    told(await http.post(f"{customer.api_url}/v1/bookings", content=b"x" * 300_000))
    told(await http.post(f"{customer.api_url}/webhooks/stripe", content=b"x"))
    told(await http.put(f"{customer.api_url}/v1/bookings"))


async def test_a_mistake_of_ours_says_it_too(stack: Stack) -> None:
    app = create_app(settings(stack))

    @app.get("/mistake")
    async def mistake() -> None:
        raise LookupError("what only the log is told")

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        answer = await http.get("/mistake")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "what only" not in answer.text
    told(answer)


async def test_over_tls_for_a_year_in_production(stack: Stack) -> None:
    in_production = settings(stack).model_copy(update={"environment": "production"})
    for given, expected in ((settings(stack), None), (in_production, "max-age=31536000")):
        async with serving(given) as url, httpx.AsyncClient() as http:
            answer = await http.get(f"{url}/v1/nothing")
        assert answer.headers.get("Strict-Transport-Security") == expected


@pytest.mark.parametrize("page", sorted(path.name for path in (WEB / "templates").glob("*.html")))
def test_no_page_posts_and_none_has_a_script_in_it(page: str) -> None:
    """A page with a form brings its guard, a look at where the form was sent from, and a test of it."""
    text = (WEB / "templates" / page).read_text()
    assert "<form" not in text or page in POSTING
    assert re.findall(r"<script(?! src=\"/[^\"]*\"></script>)", text) == []
    assert re.findall(r"\son\w+=|javascript:|style=", text) == []


async def test_no_site_is_let_in_by_default(customer: Customer, shop: Shop) -> None:
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = await customer.http.options(f"{customer.api_url}/v1/bookings", headers=asked)
    assert preflight.status_code == 405
    for answer in (preflight, await customer.http.get(f"{customer.api_url}/v1/services", headers={"Origin": SITE})):
        assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_the_sites_that_are_named_are_let_in_without_cookies(stack: Stack) -> None:
    async with serving(settings(stack, cors_origins=[SITE])) as url, httpx.AsyncClient() as http:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key",
        }
        for origin, let_in in (
            (SITE, True),
            ("https://evil.example", False),
            ("null", False),
            (f"{SITE}.evil.example", False),
            (SITE.replace("https", "http"), False),
            (f"{SITE}:8443", False),
            (SITE.upper(), False),
        ):
            preflight = await http.options(f"{url}/v1/bookings", headers=asked | {"Origin": origin})
            answer = await http.get(f"{url}/v1/services", headers={"Origin": origin})
            for each in (preflight, answer):
                allowed = each.headers.get("Access-Control-Allow-Origin")
                assert allowed == (SITE if let_in else None), (origin, each.request.method)
                assert "Access-Control-Allow-Credentials" not in each.headers
                assert "Access-Control-Allow-Private-Network" not in each.headers
            assert (preflight.status_code == 200) is let_in
            told(answer)
        for method, status in (("PUT", 200), ("DELETE", 200), ("PATCH", 400)):
            headers = {"Origin": SITE, "Access-Control-Request-Method": method}
            assert (await http.options(f"{url}/v1/bookings", headers=headers)).status_code == status


def _changing(document: dict[str, Any]) -> list[tuple[str, str]]:
    safe = {"get", "head", "options", "parameters"}
    return [
        (method.upper(), re.sub(r"{\w+}", SOME, path))
        for path, item in document["paths"].items()
        for method in item
        if method not in safe
    ]


FORMS = [
    ("text/plain", b'{"start": null}'),
    ("application/x-www-form-urlencoded", b"start=&Authorization=Bearer+x"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="start"\r\n\r\n\r\n--x--\r\n'),
]


@pytest.mark.parametrize("kind", [kind for kind, _ in FORMS])
async def test_what_a_form_of_another_site_can_send_is_refused(
    customer: Customer, document: dict[str, Any], kind: str
) -> None:
    """Without a bearer token that only our callers have, and without a body that no form can send: nothing is done."""
    body = dict(FORMS)[kind]
    cookies = {"Cookie": f"token={customer.token}; session={customer.token}; Authorization=Bearer {customer.token}"}
    sent = {"Content-Type": kind, "Origin": "https://evil.example", "Idempotency-Key": "key"}
    changing = _changing(document)
    assert ("POST", "/v1/bookings") in changing
    for method, path in changing:
        for who in (cookies, cookies | customer.headers):
            url = f"{customer.api_url}{path}"
            answer = await customer.http.request(method, url, content=body, headers=sent | who)
            assert answer.status_code in (400, 401, 403, 404, 415), (method, path, answer.status_code)


@pytest.mark.usefixtures("nothing_held")
async def test_a_token_is_taken_from_its_header_only(customer: Customer, shop: Shop) -> None:
    url, body = f"{customer.api_url}/v1/bookings", customer.request(shop, shop.start())
    key = {"Idempotency-Key": "key"}
    token = customer.token
    for headers in ({"Cookie": f"Authorization=Bearer {token}"}, {"X-Authorization": f"Bearer {token}"}):
        assert (await customer.http.post(url, json=body, headers=key | headers)).status_code == 401
    for query in ({"access_token": token}, {"token": token}):
        assert (await customer.http.post(url, json=body, headers=key, params=query)).status_code == 422
    assert (await customer.http.post(url, json=body | {"access_token": token}, headers=key)).status_code == 401
