"""Links that fit a text message: 40 characters that lead to a booking's manage link."""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pitstop.settings import Settings

_PURPOSE = b"pitstop short links 1"
_ID, _DAY, _MAC = 16, 2, 12
_LENGTH = _ID + _DAY + _MAC
_AFTER_THE_SESSION = timedelta(days=7)
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class ShortLinks:
    """Makes and checks them. The booking's id, the day of its end and 96 bits of HMAC: as good as the manage link.

    The newest secret signs; former ones are still good to check with.
    """

    def __init__(self, settings: Settings) -> None:
        secrets = (settings.manage_link_secret, *settings.manage_link_former_secrets)
        self._keys = [hmac.digest(each.get_secret_value().encode(), _PURPOSE, hashlib.sha256) for each in secrets]
        self._base = settings.public_url.rstrip("/")

    def url(self, booking_id: UUID, session_end: datetime) -> str:
        signed = booking_id.bytes + (session_end - _EPOCH).days.to_bytes(_DAY, "big")
        code = base64.urlsafe_b64encode(signed + _mac(self._keys[0], signed)).decode()
        return f"{self._base}/b/{code}"

    def opened(self, code: str, now: datetime) -> tuple[UUID, datetime] | None:
        """The booking and the day of its session's end; None for what is forged, or a week past that day."""
        try:
            raw = base64.b64decode(code.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        signed, mac = raw[: _ID + _DAY], raw[_ID + _DAY :]
        if len(raw) != _LENGTH or not any(hmac.compare_digest(mac, _mac(key, signed)) for key in self._keys):
            return None
        end = _EPOCH + timedelta(days=int.from_bytes(signed[_ID:], "big") + 1)
        return (UUID(bytes=signed[:_ID]), end) if now < end + _AFTER_THE_SESSION else None


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, hashlib.sha256)[:_MAC]
