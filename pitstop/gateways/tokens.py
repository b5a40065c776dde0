"""Verifies access tokens against the issuer's published keys (RFC 7519)."""

import re
from typing import Any

import httpx
import jwt

from pitstop.domain.caller import Caller, Role
from pitstop.gateways.issuer_keys import ALGORITHMS, IssuerKeys, UnknownKey
from pitstop.settings import Settings

_LONGEST_TOKEN = 8192
# OpenID Connect Core 1.0, section 2.
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")
_TOKEN_ROLES = {role.value for role in (Role.CUSTOMER, Role.MECHANIC, Role.OPERATOR, Role.SERVICE)}


class InvalidToken(Exception):
    """The token is not one of ours, has ended, or bears no role; the text says which, for the caller to read."""


class TokenVerifier:
    """The key is the issuer's, found by its id: nothing that a token says of keys or their addresses is followed."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings, http)

    async def caller(self, token: str) -> Caller:
        claims = await self._claims(token)
        role, subject = claims.get("role"), claims["sub"]
        if not _SUBJECT.fullmatch(subject):
            raise InvalidToken("the token's claim `sub` must have 1 to 255 ASCII characters")
        if not isinstance(role, str) or role not in _TOKEN_ROLES:
            raise InvalidToken("the token's claim `role` must be customer, mechanic, operator or service")
        return Caller(Role(role), subject)

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _LONGEST_TOKEN:
            raise InvalidToken(f"it has more than {_LONGEST_TOKEN} characters")
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            claims: dict[str, Any] = jwt.decode(
                token,
                await self._key(key_id),
                algorithms=ALGORITHMS,
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                leeway=self._settings.jwt_leeway_seconds,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(str(error)) from error
        return claims

    async def _key(self, key_id: object) -> jwt.PyJWK:
        if not isinstance(key_id, str):
            raise InvalidToken("its header names no key (`kid`)")
        try:
            return await self._keys.key(key_id)
        except UnknownKey:
            raise InvalidToken("it is signed with a key that its issuer does not publish") from None
