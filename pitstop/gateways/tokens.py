"""Verifies access tokens against the issuer's published keys (RFC 7519, RFC 7517)."""

import asyncio
import re
import time
from typing import Any

import httpx
import jwt

from pitstop.domain.caller import Caller, Role
from pitstop.settings import Settings

ALGORITHMS = ["ES256", "RS256", "EdDSA"]
_KEYS_LIVE_SECONDS = 300
_LOOK_AGAIN_SECONDS = 1
# OpenID Connect Core 1.0, section 2.
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")
_TOKEN_ROLES = {role.value for role in (Role.CUSTOMER, Role.MECHANIC, Role.OPERATOR, Role.SERVICE)}


class InvalidToken(Exception):
    """The token is not one of ours, has ended, or bears no role; the text says which, for the caller to read."""


class IssuerUnavailable(Exception):
    """The issuer's keys cannot be fetched, so nothing can be said of a token."""


class TokenVerifier:
    """Keeps the issuer's keys for five minutes, and looks again (once a second at most) for one it lacks."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -float(_KEYS_LIVE_SECONDS)
        self._failed = -float(_KEYS_LIVE_SECONDS)
        self._fetching = asyncio.Lock()

    async def caller(self, token: str) -> Caller:
        claims = await self._claims(token)
        role, subject = claims.get("role"), claims["sub"]
        if not _SUBJECT.fullmatch(subject):
            raise InvalidToken("the token's claim `sub` must have 1 to 255 ASCII characters")
        if not isinstance(role, str) or role not in _TOKEN_ROLES:
            raise InvalidToken("the token's claim `role` must be customer, mechanic, operator or service")
        return Caller(Role(role), subject)

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = await self._key(str(key_id))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(str(error)) from error
        return claims

    async def _key(self, key_id: str) -> jwt.PyJWK:
        age = time.monotonic() - self._fetched
        if age > _KEYS_LIVE_SECONDS or (key_id not in self._keys and age > _LOOK_AGAIN_SECONDS):
            await self._look_again(key_id)
        if key_id not in self._keys:
            raise InvalidToken("the token is signed with a key that its issuer does not publish")
        return self._keys[key_id]

    async def _look_again(self, key_id: str) -> None:
        """While the issuer cannot be asked, a key that is known goes on to count; nobody waits for it twice."""
        try:
            await self._fetch(self._fetched)
        except IssuerUnavailable:
            if key_id not in self._keys:
                raise

    async def _fetch(self, seen: float) -> None:
        asked = time.monotonic()
        async with self._fetching:
            if self._fetched != seen:
                return
            if self._failed > asked:
                raise IssuerUnavailable("the issuer could not be asked while this request waited for its turn")
            try:
                answer = await self._http.get(self._settings.jwks_url)
                answer.raise_for_status()
                keys = jwt.PyJWKSet.from_dict(answer.json()).keys
            except (httpx.HTTPError, jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
                self._failed = time.monotonic()
                raise IssuerUnavailable(str(error)) from error
            self._keys = {str(key.key_id): key for key in keys}
            self._fetched = time.monotonic()
