"""Tokens: only what the issuer has signed, for us, for now, with a role and a subject that we know, is a caller."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

from pitstop.devstack.stackfile import Stack
from tests.api.conftest import problem_of
from tests.support.keys import Keys
from tests.support.people import Customer, Issuer
from tests.support.processes import serving, settings

Claims = dict[str, Any]
SUBJECT = str(uuid4())


@pytest.fixture(scope="module")
async def keys() -> AsyncIterator[Keys]:
    keys = Keys()
    keys.add("one")
    server = await asyncio.start_server(keys.serve, "127.0.0.1", 0)
    keys.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    yield keys
    server.close()


@pytest.fixture(scope="module")
async def api_url(keys: Keys, stack: Stack) -> AsyncIterator[str]:
    """An API that trusts this issuer."""
    async with serving(settings(stack, jwks_url=keys.url)) as url:
        yield url


@pytest.fixture
def claims(stack: Stack) -> Claims:
    given = settings(stack)
    now = int(time.time())
    return {"iss": given.jwt_issuer, "aud": given.jwt_audience, "sub": SUBJECT, "role": "customer", "exp": now + 60}


async def ask(http: httpx.AsyncClient, api_url: str, token: str | bytes) -> httpx.Response:
    bearer = token if isinstance(token, bytes) else token.encode()
    return await http.get(f"{api_url}/v1/bookings", headers={b"Authorization": b"Bearer " + bearer})


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, problem_of(answer)["code"]) == (401, "unauthenticated"), answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def signed(keys: Keys, claims: Claims, kid: str = "one", **header: Any) -> str:
    return jwt.encode(claims, keys.private[kid], algorithm="ES256", headers={"kid": kid} | header)


def _part(value: Any) -> bytes:
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")


def by_hand(header: Any, claims: Any, secret: bytes = b"") -> bytes:
    """What a library refuses to make: HMAC over a public key, no algorithm, wrong types."""
    content = _part(header) + b"." + _part(claims)
    return content + b"." + (_part(hmac.new(secret, content, hashlib.sha256).digest()) if secret else b"")


@pytest.mark.parametrize("role", ["customer", "mechanic", "operator", "service"])
async def test_a_good_token_of_each_role(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims, role: str
) -> None:
    assert (await ask(http, api_url, signed(keys, claims | {"role": role}))).status_code == 200


PAST, FUTURE = int(time.time()) - 60, int(time.time()) + 3600
WRONG: dict[str, Claims] = {
    "expired": {"exp": PAST},
    "not-yet": {"nbf": FUTURE},
    "never-ends": {"exp": None},
    "end-is-a-word": {"exp": "tomorrow"},
    "issuer": {"iss": "https://evil.example"},
    "no-issuer": {"iss": None},
    "audience": {"aud": "another"},
    "no-audience": {"aud": None},
    "no-role": {"role": None},
    "unknown-role": {"role": "admin"},
    "link-role": {"role": "link"},
    "webhook-role": {"role": "webhook"},
    "empty-role": {"role": ""},
    "list-role": {"role": ["customer"]},
    "object-role": {"role": {"customer": 1}},
    "role-in-capitals": {"role": "Customer"},
    "no-subject": {"sub": None},
    "subject-no-uuid": {"sub": "camille"},
    "subject-in-capitals": {"sub": SUBJECT.upper() + "A"},
    "subject-in-braces": {"sub": f"{{{SUBJECT}}}"},
    "mechanic-no-uuid": {"sub": "bashir", "role": "mechanic"},
    "subject-empty": {"sub": "", "role": "service"},
    "subject-nul": {"sub": "a\0b", "role": "service"},
    "subject-surrogate": {"sub": "a\ud800", "role": "operator"},
    "subject-too-long": {"sub": "x" * 256, "role": "service"},
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_claim(http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims, wrong: str) -> None:
    changed = {name: value for name, value in (claims | WRONG[wrong]).items() if value is not None}
    refused(await ask(http, api_url, signed(keys, changed)))


@pytest.mark.parametrize("claim", ["sub", "aud", "iss", "exp"])
@pytest.mark.parametrize("value", [5, ["x"], {"a": 1}, True])
async def test_a_claim_of_another_type(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims, claim: str, value: Any
) -> None:
    header = _part({"alg": "ES256", "typ": "JWT", "kid": "one"})
    content = header + b"." + _part(claims | {claim: value})
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(content, keys.private["one"])
    refused(await ask(http, api_url, content + b"." + _part(signature)))


async def test_forged_signatures(http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims) -> None:
    good = signed(keys, claims)
    stranger = ec.generate_private_key(ec.SECP256R1())
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged: list[str | bytes] = [
        good[:-4] + "AAAA",
        good.rsplit(".", 1)[0] + ".",
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": "one"}),
        jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": "unknown"}),
        jwt.encode(claims, stranger, algorithm="ES256"),
        jwt.encode(claims, rsa_key, algorithm="RS256", headers={"kid": "one"}),
        by_hand({"alg": "none", "kid": "one"}, claims),
        by_hand({"alg": "None", "typ": "JWT", "kid": "one"}, claims),
        by_hand({"alg": "HS256", "kid": "one"}, claims, keys.pem("one")),
        by_hand({"alg": "HS256", "kid": "one"}, claims, keys.document()),
        by_hand({"alg": "HS256", "kid": "one", "jku": keys.url}, claims, b"x"),
    ]
    for token in forged:
        refused(await ask(http, api_url, token))


@pytest.mark.parametrize(
    "token",
    [
        *(b"x", b"...", b"a.b.c", b"a.b.c.d", b".", b"e30.e30.", b"=.=.=", b"\xff\xfe.\x80.x", b"x" * 60_000),
        *(
            by_hand({"alg": ["ES256"]}, {}),
            by_hand({"alg": "ES256", "kid": ["one"]}, {}),
            by_hand([], []),
            by_hand({}, {}),
        ),
        *(by_hand({"alg": "ES256", "kid": {"a": 1}}, {}), by_hand({"alg": "ES256", "kid": "one"}, b"\xff\xfe")),
        *(
            by_hand({"alg": "ES256", "kid": "one", "crit": ["x"]}, {}),
            by_hand({"alg": "ES256", "kid": "one"}, b"[" * 9000),
        ),
        by_hand(b"[" * 9000, {}),
    ],
    ids=lambda token: f"{len(token)} bytes",
)
async def test_garbage(http: httpx.AsyncClient, api_url: str, token: bytes) -> None:
    refused(await ask(http, api_url, token))


async def test_a_new_key_is_picked_up_and_the_old_one_still_good(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims
) -> None:
    old = signed(keys, claims)
    new = signed(keys, claims, keys.add("two"))
    deadline = time.monotonic() + 5
    while (await ask(http, api_url, new)).status_code != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert (await ask(http, api_url, old)).status_code == 200


async def test_rotation_at_the_stacks_issuer(
    http: httpx.AsyncClient, stack: Stack, issuer: Issuer, customer: Customer
) -> None:
    assert (await ask(http, stack.api_url, customer.token)).status_code == 200
    await http.post(f"{stack.issuer_url}/rotate")
    rotated = await issuer.token(SUBJECT, "customer")
    deadline = time.monotonic() + 5
    while (await ask(http, stack.api_url, rotated)).status_code != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert (await ask(http, stack.api_url, customer.token)).status_code == 200


async def test_unknown_keys_do_not_make_the_issuer_busy(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims
) -> None:
    await ask(http, api_url, signed(keys, claims))
    stranger = ec.generate_private_key(ec.SECP256R1())
    before, started = keys.fetches, time.monotonic()
    for n in range(50):
        refused(
            await ask(http, api_url, jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": f"unknown-{n}"}))
        )
    assert keys.fetches - before <= 1 + (time.monotonic() - started)


async def test_an_issuer_that_is_away(http: httpx.AsyncClient, stack: Stack, keys: Keys, claims: Claims) -> None:
    """Nothing can be said of a token whose key was never seen; one whose key is known goes on."""
    async with serving(settings(stack, jwks_url=keys.url)) as url:
        token = signed(keys, claims)
        keys.away = True
        try:
            answer = await ask(http, url, token)
            assert (answer.status_code, problem_of(answer)["code"]) == (503, "issuer_unavailable")
            assert answer.headers["Retry-After"]
            keys.away = False
            assert (await ask(http, url, token)).status_code == 200
            keys.away = True
            assert (await ask(http, url, token)).status_code == 200
        finally:
            keys.away = False


@pytest.mark.parametrize(
    "nonsense", [b"<html>", b"[]", b"5", b"null", b"{}", b'{"keys": 5}', b'{"keys": [5]}', b"\xff"]
)
async def test_an_issuer_that_publishes_nonsense(
    http: httpx.AsyncClient, stack: Stack, keys: Keys, claims: Claims, nonsense: bytes
) -> None:
    async with serving(settings(stack, jwks_url=keys.url)) as url:
        keys.nonsense = nonsense
        try:
            answer = await ask(http, url, signed(keys, claims))
        finally:
            keys.nonsense = None
        assert (answer.status_code, problem_of(answer)["code"]) == (503, "issuer_unavailable")
        assert (await ask(http, url, signed(keys, claims))).status_code == 200
