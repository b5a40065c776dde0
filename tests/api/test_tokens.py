"""Tokens: only what the issuer has signed, for us, for now, with a role and a subject that we know, is a caller."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.warnings import InsecureKeyLengthWarning

from pitstop.devstack.stackfile import Stack
from tests.api.conftest import problem_of
from tests.support.keys import Keys
from tests.support.people import Customer, Issuer
from tests.support.processes import serving, settings

Claims = dict[str, Any]
SUBJECT = str(uuid4())


@asynccontextmanager
async def publishing() -> AsyncIterator[Keys]:
    keys = Keys()
    keys.add("one")
    server = await asyncio.start_server(keys.serve, "127.0.0.1", 0)
    keys.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    yield keys
    server.close()


@pytest.fixture(scope="module")
async def keys() -> AsyncIterator[Keys]:
    async with publishing() as keys:
        yield keys


@pytest.fixture
async def own() -> AsyncIterator[Keys]:
    """An issuer that one test may treat badly."""
    async with publishing() as keys:
        yield keys


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


async def becomes(http: httpx.AsyncClient, api_url: str, token: str, status: int) -> None:
    """The API asks the issuer again only after a moment."""
    deadline = time.monotonic() + 20
    while (await ask(http, api_url, token)).status_code != status:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


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
    "feed-role": {"role": "feed"},
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
    await becomes(http, api_url, new, 200)
    assert (await ask(http, api_url, old)).status_code == 200


async def test_rotation_at_the_stacks_issuer(
    http: httpx.AsyncClient, stack: Stack, issuer: Issuer, customer: Customer
) -> None:
    assert (await ask(http, stack.api_url, customer.token)).status_code == 200
    await http.post(f"{stack.issuer_url}/rotate")
    rotated = await issuer.token(SUBJECT, "customer")
    await becomes(http, stack.api_url, rotated, 200)
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
            await becomes(http, url, token, 200)
            keys.away = True
            assert (await ask(http, url, token)).status_code == 200
        finally:
            keys.away = False


@pytest.mark.parametrize(
    "nonsense", [b"<html>", b"null", b"{}", b'{"keys": 5}', b'{"keys": [5]}', b"[" * 90_000, b"\xff"]
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
        await becomes(http, url, signed(keys, claims), 200)


async def test_a_withdrawn_key_is_refused_after_its_time(
    http: httpx.AsyncClient, stack: Stack, own: Keys, claims: Claims
) -> None:
    async with serving(settings(stack, jwks_url=own.url, jwks_seconds=0.2)) as url:
        old, new = signed(own, claims), signed(own, claims, own.add("two"))
        await becomes(http, url, old, 200)
        del own.private["one"]
        await becomes(http, url, old, 401)
        assert (await ask(http, url, new)).status_code == 200


async def test_an_issuer_that_stays_away_does_not_keep_its_keys_good_for_ever(
    http: httpx.AsyncClient, stack: Stack, own: Keys, claims: Claims
) -> None:
    async with serving(settings(stack, jwks_url=own.url, jwks_seconds=0.1, jwks_outage_seconds=1.5)) as url:
        await becomes(http, url, signed(own, claims), 200)
        own.away = True
        await becomes(http, url, signed(own, claims), 503)
        own.away = False
        await becomes(http, url, signed(own, claims), 200)


async def test_a_known_key_does_not_wait_for_an_issuer_that_hangs(
    http: httpx.AsyncClient, stack: Stack, own: Keys, claims: Claims
) -> None:
    """Nor do many callers make many questions: all of them share one."""
    async with serving(settings(stack, jwks_url=own.url, jwks_seconds=0.1)) as url:
        token = signed(own, claims)
        await becomes(http, url, token, 200)
        own.hanging, before = asyncio.Event(), own.fetches
        await asyncio.sleep(1.1)  # the rest after the last look
        answers = await asyncio.gather(*(ask(http, url, token) for _ in range(30)))
        assert {answer.status_code for answer in answers} == {200}
        assert own.fetches - before == 1
        own.hanging.set()


async def test_an_issuer_that_fails_is_not_asked_for_each_invented_key(
    http: httpx.AsyncClient, stack: Stack, own: Keys, claims: Claims
) -> None:
    async with serving(settings(stack, jwks_url=own.url)) as url:
        own.away = True
        stranger, started = ec.generate_private_key(ec.SECP256R1()), time.monotonic()
        for n in range(40):
            token = jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": f"unknown-{n}"})
            assert (await ask(http, url, token)).status_code == 503
        assert own.fetches <= 2 + (time.monotonic() - started)


UNFIT: dict[str, Claims] = {
    "for-encryption": {"use": "enc"},
    "for-signing-only": {"key_ops": ["sign"]},
    "of-another-algorithm": {"alg": "RS256"},
    "of-a-symmetric-algorithm": {"alg": "HS256"},
    "of-no-algorithm-of-ours": {"alg": "ES512"},
    "without-a-name": {"kid": None},
    "with-a-name-that-is-a-number": {"kid": 5},
    "of-no-type": {"kty": "x"},
}


@pytest.mark.parametrize("unfit", UNFIT)
async def test_a_key_that_is_not_for_signatures_of_ours(
    http: httpx.AsyncClient, stack: Stack, own: Keys, claims: Claims, unfit: str
) -> None:
    own.changes["one"] = UNFIT[unfit]
    fit = own.add("fit")
    async with serving(settings(stack, jwks_url=own.url)) as url:
        assert (await ask(http, url, signed(own, claims, fit))).status_code == 200
        refused(await ask(http, url, signed(own, claims)))


async def test_a_short_rsa_key(http: httpx.AsyncClient, stack: Stack, own: Keys, claims: Claims) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        for bits, status in ((2048, 200), (1024, 401)):
            key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
            own.changes["one"] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"alg": "RS256"}
            own.add("fit")
            async with serving(settings(stack, jwks_url=own.url)) as url:
                token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "one"})
                assert (await ask(http, url, token)).status_code == status


POINTERS: dict[str, Any] = {
    "jku": "http://127.0.0.1:9/keys",
    "x5u": "http://127.0.0.1:9/cert",
    "x5c": ["MIIB"],
    "jwk": {"kty": "oct", "k": "c2VjcmV0"},
    "x5t": "c2VjcmV0",
    "cty": "JWT",
}


@pytest.mark.parametrize("name", POINTERS)
async def test_keys_that_a_token_brings_along_are_not_looked_at(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims, name: str
) -> None:
    """It is judged by the issuer's key, as if the header said nothing else; its own key counts for nothing."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    own_key = ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    header = {"kid": "one", name: own_key if name == "jwk" else POINTERS[name]}
    refused(await ask(http, api_url, jwt.encode(claims, stranger, algorithm="ES256", headers=header)))
    assert (await ask(http, api_url, signed(keys, claims, **{name: POINTERS[name]}))).status_code == 200


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "../../etc/passwd",
        "/dev/null",
        "http://127.0.0.1:9/keys",
        "one\0",
        "one' OR '1'='1",
        "x" * 5000,
        "ONE",
        " one",
    ],
)
async def test_a_key_id_is_a_name_and_nothing_else(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims, kid: str
) -> None:
    refused(await ask(http, api_url, jwt.encode(claims, keys.private["one"], algorithm="ES256", headers={"kid": kid})))


async def test_clocks_that_differ_a_little(http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims) -> None:
    now = int(time.time())
    for changes, status in (
        ({"iat": now + 5, "nbf": now + 5}, 200),
        ({"exp": now - 3}, 200),
        ({"iat": now + 120}, 401),
        ({"nbf": now + 120}, 401),
        ({"exp": now - 120}, 401),
    ):
        assert (await ask(http, api_url, signed(keys, claims | changes))).status_code == status, changes


async def test_an_audience_among_others(http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims) -> None:
    ours = claims["aud"]
    assert (await ask(http, api_url, signed(keys, claims | {"aud": ["another", ours]}))).status_code == 200
    for aud in (["another"], [], [ours.upper()], f"{ours} another"):
        refused(await ask(http, api_url, signed(keys, claims | {"aud": aud})))


async def test_a_token_that_is_too_long_is_not_read(
    http: httpx.AsyncClient, api_url: str, keys: Keys, claims: Claims
) -> None:
    assert (await ask(http, api_url, signed(keys, claims | {"pad": "x" * 3000}))).status_code == 200
    answer = await ask(http, api_url, signed(keys, claims | {"pad": "x" * 9000}))
    refused(answer)
    assert "8192" in answer.json()["detail"]
