"""Signed links by which a customer without an account manages one booking."""

from datetime import datetime, timedelta
from uuid import UUID

import jwt

from pitstop.settings import Settings

_ALGORITHM = "HS256"
_AUDIENCE = "pitstop-manage-link"
_AFTER_THE_SESSION = timedelta(days=7)


class ManageLinks:
    """Makes and checks the links. A link is bound to one booking and ends a week after the session.

    The newest secret signs; former ones are still good to check with, so that a change of secret voids no link.
    """

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.manage_link_secret.get_secret_value()
        former = (secret.get_secret_value() for secret in settings.manage_link_former_secrets)
        self._good = (self._secret, *former)
        self._base = settings.public_url.rstrip("/")

    def url(self, booking_id: UUID, session_end: datetime) -> str:
        return f"{self._base}/manage/{booking_id}?token={self.token(booking_id, session_end)}"

    def token(self, booking_id: UUID, session_end: datetime) -> str:
        claims = {"sub": str(booking_id), "aud": _AUDIENCE, "exp": session_end + _AFTER_THE_SESSION}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def booking_of(self, token: str) -> UUID | None:
        """The booking that the token opens; None when it is forged or has ended."""
        for secret in self._good:
            try:
                claims = jwt.decode(
                    token,
                    secret,
                    algorithms=[_ALGORITHM],
                    audience=_AUDIENCE,
                    options={"require": ["exp", "aud", "sub"], "strict_aud": True},
                )
                return UUID(claims["sub"])
            except (jwt.InvalidTokenError, ValueError):
                continue
        return None
