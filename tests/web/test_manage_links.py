"""The token of a manage link: bound to one booking, until its end, by a secret that can be changed."""

import base64
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from api.app import app
from pitstop.devstack.stackfile import Stack
from pitstop.gateways.manage_links import ManageLinks
from pitstop.settings import Settings
from tests.support.people import Customer
from tests.support.processes import serving, settings
from tests.support.shop import Shop

SECRET, FORMER, LOST = "new" * 12, "former" * 6, "lost" * 9
SOON = datetime.now(UTC) + timedelta(days=1)


def links(secret: str, *former: str) -> ManageLinks:
    return ManageLinks(
        Settings(
            manage_link_secret=SecretStr(secret), manage_link_former_secrets=tuple(SecretStr(each) for each in former)
        )
    )


def test_a_change_of_secret_voids_no_link_and_the_newest_signs() -> None:
    booking = uuid4()
    before, after = links(FORMER).token(booking, SOON), links(SECRET, FORMER).token(booking, SOON)
    assert links(SECRET, FORMER).booking_of(before) == links(SECRET, FORMER).booking_of(after) == booking
    assert links(SECRET).booking_of(after) == booking
    assert links(SECRET).booking_of(before) is None
    assert links(FORMER).booking_of(after) is None
    assert links(SECRET, FORMER).booking_of(links(LOST).token(booking, SOON)) is None


def _claims(**changes: Any) -> dict[str, Any]:
    claims = {"sub": str(uuid4()), "aud": "pitstop-manage-link", "exp": int(time.time()) + 60} | changes
    return {name: value for name, value in claims.items() if value is not None}


def test_a_token_made_by_hand() -> None:
    """So the wrong ones below are refused for what is wrong with them."""
    assert links(SECRET).booking_of(jwt.encode(_claims(), SECRET, algorithm="HS256")) is not None


@pytest.mark.parametrize(
    "changes",
    [
        *({"exp": None}, {"exp": int(time.time()) - 60}, {"exp": "never"}, {"exp": [2**40]}, {"exp": True}),
        *({"aud": None}, {"aud": "pitstop"}, {"aud": ["pitstop-manage-link"]}, {"aud": ["pitstop-manage-link", "x"]}),
        *({"sub": None}, {"sub": "x"}, {"sub": ""}, {"sub": "../x"}, {"nbf": int(time.time()) + 86_400}),
    ],
    ids=lambda changes: "-".join((*changes, type(next(iter(changes.values()))).__name__)),
)
def test_what_is_wrong_with_it(changes: dict[str, Any]) -> None:
    assert links(SECRET).booking_of(jwt.encode(_claims(**changes), SECRET, algorithm="HS256")) is None


def _by_hand(header: dict[str, Any]) -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, _claims()))
    return ".".join((*parts, ""))


def test_another_algorithm() -> None:
    for algorithm in ("HS384", "HS512"):
        assert links(SECRET * 2).booking_of(jwt.encode(_claims(), SECRET * 2, algorithm=algorithm)) is None
    signed = jwt.encode(_claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    for token in (
        signed,
        _by_hand({"alg": "none"}),
        _by_hand({"alg": "None"}),
        _by_hand({}),
        _by_hand({"alg": ["HS256"]}),
    ):
        assert links(SECRET).booking_of(token) is None


async def test_links_of_the_former_secret_open_the_page(
    stack: Stack, customer: Customer, shop: Shop, http: httpx.AsyncClient
) -> None:
    booking = await customer.book(shop, shop.start())
    path = booking["manage_url"].removeprefix(stack.api_url)
    now = stack.environment["PITSTOP_MANAGE_LINK_SECRET"]
    for former, status in (([now], 200), ([LOST], 404), ([], 404)):
        changed = settings(stack, manage_link_secret=SECRET, manage_link_former_secrets=former)
        async with serving(changed) as url:
            assert (await http.get(f"{url}{path}")).status_code == status


def test_an_access_log_has_no_tokens(caplog: pytest.LogCaptureFixture) -> None:
    """The server's own line, as uvicorn writes it."""
    uvicorn.Config(app, access_log=True).load()
    log = logging.getLogger("uvicorn.access")
    log.addHandler(caplog.handler)
    try:
        path = "/manage/7d0c9d1c?token=eyJhbGciOi"
        log.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", 200)
    finally:
        log.removeHandler(caplog.handler)
    assert '"GET /manage/7d0c9d1c HTTP/1.1" 200' in caplog.text
    assert "token" not in caplog.text
