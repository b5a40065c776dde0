"""The signed address of a mechanic's calendar."""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from pitstop.settings import Settings

_PURPOSE = b"pitstop-calendar-feed"
_ID_BYTES = 16
_TOKEN_CHARACTERS = 64


class FeedLinks:
    """Makes and checks the addresses. The token is the feed's id and its signature (HMAC-SHA256), in base64url.

    It does not end: calendars subscribe for years. It opens something while the database has that id. The newest secret
    signs; former ones are still good to check with.
    """

    def __init__(self, settings: Settings) -> None:
        secrets = (settings.manage_link_secret, *settings.manage_link_former_secrets)
        self._keys = [hmac.digest(each.get_secret_value().encode(), _PURPOSE, "sha256") for each in secrets]
        self._base = settings.public_url.rstrip("/")

    def url(self, mechanic_id: UUID, feed_id: UUID) -> str:
        return f"{self._base}/v1/mechanics/{mechanic_id}/calendar.ics?token={self.token(mechanic_id, feed_id)}"

    def token(self, mechanic_id: UUID, feed_id: UUID) -> str:
        return urlsafe_b64encode(feed_id.bytes + _signature(self._keys[0], mechanic_id, feed_id)).decode()

    def feed_of(self, mechanic_id: UUID, token: str) -> UUID | None:
        """The feed that the token opens; None when it is forged or another mechanic's."""
        if len(token) != _TOKEN_CHARACTERS or not token.isascii():
            return None
        try:
            read = urlsafe_b64decode(token)
        except binascii.Error:
            return None
        feed_id, signature = UUID(bytes=read[:_ID_BYTES].ljust(_ID_BYTES)), read[_ID_BYTES:]
        good = [hmac.compare_digest(signature, _signature(key, mechanic_id, feed_id)) for key in self._keys]
        return feed_id if any(good) else None


def _signature(key: bytes, mechanic_id: UUID, feed_id: UUID) -> bytes:
    return hmac.digest(key, mechanic_id.bytes + feed_id.bytes, "sha256")
