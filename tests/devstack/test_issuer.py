"""The token issuer as a process: its tokens verify against its JWKS, before and after a rotation and a restart."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from pitstop.devstack.addresses import HOST, SPARE_PORTS, Reservation
from pitstop.devstack.names import ROOT
from pitstop.devstack.processes import Command, spawn, stop
from pitstop.settings import Settings

WISH = {"sub": "00000000-0000-4000-8000-0000000000c1", "role": "customer", "ttl_seconds": 60}


@asynccontextmanager
async def _issuer(data: Path) -> AsyncIterator[httpx.AsyncClient]:
    reservation = Reservation()
    port = next(port for port in SPARE_PORTS if reservation.take(port))
    arguments = [sys.executable, "-m", "pitstop.devstack.issuer", "--port", str(port), "--data", str(data / "issuer")]
    child = spawn("issuer", Command(arguments, dict(os.environ), ROOT), data / "issuer.log")
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
        try:
            async with asyncio.timeout(30):
                while not await _is_up(client):
                    assert child.exit_code is None
                    await asyncio.sleep(0.05)
            yield client
        finally:
            await stop(child, 10, asyncio.Event())
            reservation.release()


async def _is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.TransportError:
        return False


async def _token(client: httpx.AsyncClient, **changes: object) -> str:
    answer = await client.post("/token", json=WISH | changes)
    return str(answer.raise_for_status().json()["access_token"])


async def _claims(client: httpx.AsyncClient, token: str) -> dict[str, Any]:
    """As a resource server verifies: the key by its id from the JWKS, then signature, issuer, audience and expiry."""
    keys = jwt.PyJWKSet.from_dict((await client.get("/.well-known/jwks.json")).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    settings = Settings()
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["ES256"], audience=settings.jwt_audience, issuer=settings.jwt_issuer
    )
    return claims


async def test_tokens_rotation_and_restart(tmp_path: Path) -> None:
    async with _issuer(tmp_path) as client:
        first = await _token(client)
        claims = await _claims(client, first)
        assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == (WISH["sub"], "customer", 60)

        kid = (await client.post("/rotate")).json()["kid"]
        second = await _token(client)
        assert jwt.get_unverified_header(second)["kid"] == kid != jwt.get_unverified_header(first)["kid"]
        await _claims(client, first)
        await _claims(client, second)

        with pytest.raises(jwt.ExpiredSignatureError):
            await _claims(client, await _token(client, ttl_seconds=-5))
        assert (await client.post("/token", json=WISH | {"role": "king"})).status_code == 422
        published = (await client.get("/.well-known/jwks.json")).json()["keys"]
        assert all("d" not in key and key["alg"] == "ES256" for key in published)
        assert len(published) == 2

    async with _issuer(tmp_path) as client:
        assert (await _claims(client, first))["role"] == "customer"
        assert (await _claims(client, second))["role"] == "customer"

        assert (await client.delete(f"/keys/{kid}")).status_code == 404, "the one that signs stays"
        assert (await client.delete(f"/keys/{jwt.get_unverified_header(first)['kid']}")).status_code == 204
        with pytest.raises(KeyError):
            await _claims(client, first)
        assert (await _claims(client, second))["role"] == "customer"
    assert stat.S_IMODE((tmp_path / "issuer" / "keys.json").stat().st_mode) == 0o600
