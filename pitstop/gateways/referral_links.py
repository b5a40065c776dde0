"""The signed link by which a customer books what a mechanic has recommended."""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from pitstop.settings import Settings

_PURPOSE = b"pitstop-referral"
_ID_BYTES = 16
TOKEN_CHARACTERS = 64


class ReferralLinks:
    """Makes and checks the tokens: the referral's id and its signature (HMAC-SHA256), in base64url.

    The database says until when a referral is good, and whether it has been used. The newest secret signs; former ones
    are still good to check with.
    """

    def __init__(self, settings: Settings) -> None:
        secrets = (settings.manage_link_secret, *settings.manage_link_former_secrets)
        self._keys = [hmac.digest(each.get_secret_value().encode(), _PURPOSE, "sha256") for each in secrets]
        self._base = settings.public_url.rstrip("/")

    def url(self, referral_id: UUID) -> str:
        return f"{self._base}/referrals/{self.token(referral_id)}"

    def token(self, referral_id: UUID) -> str:
        return urlsafe_b64encode(referral_id.bytes + _signature(self._keys[0], referral_id)).decode()

    def referral_of(self, token: str) -> UUID | None:
        """None when it is forged."""
        if len(token) != TOKEN_CHARACTERS or not token.isascii():
            return None
        try:
            read = urlsafe_b64decode(token)
        except binascii.Error:
            return None
        id, signature = UUID(bytes=read[:_ID_BYTES].ljust(_ID_BYTES)), read[_ID_BYTES:]
        good = [hmac.compare_digest(signature, _signature(key, id)) for key in self._keys]
        return id if any(good) else None


def _signature(key: bytes, id: UUID) -> bytes:
    return hmac.digest(key, id.bytes, "sha256")
