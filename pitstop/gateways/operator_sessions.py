"""An operator's browser, signed in for the Temporal UI's sake."""

import hmac
from datetime import UTC, datetime, timedelta

import jwt

from pitstop.settings import Settings

_ALGORITHM = "HS256"
_AUDIENCE = "pitstop-operator-session"
LIFETIME = timedelta(hours=1)


def _own_key(settings: Settings, purpose: str) -> bytes:
    """A key for one purpose, made from the one secret that every API process has."""
    secret = settings.manage_link_secret.get_secret_value().encode()
    return hmac.digest(secret, purpose.encode(), "sha256")


class OperatorSessions:
    """What the cookie holds: a name and an end, signed. It lives for an hour, never longer than its token."""

    def __init__(self, settings: Settings) -> None:
        self._key = _own_key(settings, _AUDIENCE)

    def open(self, subject: str, token_ends: datetime, now: datetime) -> tuple[str, datetime]:
        """The cookie's value and its end."""
        ends = min(now + LIFETIME, token_ends)
        claims = {"sub": subject, "aud": _AUDIENCE, "exp": ends}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM), ends

    def subject_of(self, cookie: str) -> str | None:
        """Who has signed in; None when it is forged or has ended."""
        try:
            claims = jwt.decode(
                cookie, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, options={"require": ["exp", "sub"]}
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["sub"])


def end_of(verified_token: str) -> datetime:
    """When a token ends that the verifier has accepted."""
    claims = jwt.decode(verified_token, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"], UTC)
