"""Names of people and things that are to be recognised again, and not to be read: keyed hashes."""

import hashlib
import hmac

from pitstop.settings import Settings

_PURPOSE = b"pitstop pseudonyms 1"


class Pseudonyms:
    """HMAC-SHA256 under a key of its own, made from the installation's secret: without that secret nobody can try out
    all addresses. Another secret makes all names new, so that limits begin again."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.manage_link_secret.get_secret_value().encode()
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def of(self, kind: str, name: str) -> bytes:
        """128 bits; those of two kinds never meet."""
        return hmac.digest(self._key, f"{kind}\0{name}".encode(), hashlib.sha256)[:16]
