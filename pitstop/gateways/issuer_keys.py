"""The keys that the issuer of tokens publishes (RFC 7517), fetched seldom and by nobody twice."""

import asyncio
import time
from typing import Any

import httpx
import jwt

from pitstop.settings import Settings

ALGORITHMS = ["ES256", "RS256", "EdDSA"]
# After each look, whatever came of it, so long none is taken: tokens with invented key ids make no work for the issuer.
_REST_SECONDS = 1.0
_FETCH_SECONDS = 5.0
# A caller whose key is known does not wait for an issuer that is slow.
_PATIENCE_SECONDS = 1.0
_NONSENSE = (httpx.HTTPError, jwt.PyJWTError, LookupError, ValueError, TypeError, AttributeError, RecursionError)


class UnknownKey(Exception):
    """The issuer publishes no such key."""


class IssuerUnavailable(Exception):
    """The issuer's keys cannot be fetched, so nothing can be said of a token."""


class IssuerKeys:
    """A key that appears is found at once, one that is withdrawn is good for `jwks_seconds` more.

    While the issuer cannot be asked, keys that are known go on to count for `jwks_outage_seconds`.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._rests_until = float("-inf")
        self._failure: str | None = None
        self._looking: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> jwt.PyJWK:
        """Raises `UnknownKey`, or `IssuerUnavailable` while nobody can say whether there is such a key."""
        if self._is_due(key_id):
            await self._look(_PATIENCE_SECONDS if key_id in self._keys else None)
        if self._age() > self._settings.jwks_outage_seconds:
            raise IssuerUnavailable(self._failure or "the issuer's keys have not been fetched yet")
        if key_id in self._keys:
            return self._keys[key_id]
        if self._failure:
            raise IssuerUnavailable(self._failure)
        raise UnknownKey

    def _age(self) -> float:
        return time.monotonic() - self._fetched

    def _is_due(self, key_id: str) -> bool:
        if time.monotonic() < self._rests_until:
            return False
        return key_id not in self._keys or self._age() > self._settings.jwks_seconds

    async def _look(self, patience_seconds: float | None) -> None:
        """All who need the keys at this moment wait for one fetch."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._fetch())
        await asyncio.wait({self._looking}, timeout=patience_seconds)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                answer = await self._http.get(self._settings.jwks_url)
            answer.raise_for_status()
            self._keys = _usable(answer.json())
            self._fetched, self._failure = time.monotonic(), None
        except TimeoutError:
            self._failure = f"no answer within {_FETCH_SECONDS:.0f} s"
        except _NONSENSE as error:
            self._failure = str(error)
        finally:
            self._rests_until = time.monotonic() + _REST_SECONDS


def _usable(document: Any) -> dict[str, jwt.PyJWK]:
    """Keys with a name that are for signatures; what else is published is none of our business."""
    keys = jwt.PyJWKSet([key for key in document["keys"] if _is_to_verify_with(key)]).keys
    return {str(key.key_id): key for key in keys if _is_strong(key)}


def _is_strong(key: jwt.PyJWK) -> bool:
    """An algorithm of ours, with a key that is long enough for it (RSA: 2048 bits)."""
    return key.algorithm_name in ALGORITHMS and not key.Algorithm.check_key_length(key.key)


def _is_to_verify_with(key: Any) -> bool:
    return (
        isinstance(key, dict)
        and isinstance(key.get("kid"), str)
        and key.get("use", "sig") == "sig"
        and "verify" in key.get("key_ops", ["verify"])
    )
