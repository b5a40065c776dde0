"""Names of people and things that are to be recognised again, and not to be read: keyed hashes."""

import hashlib
import hmac

from pitstop.settings import Settings

_PURPOSE = b"pitstop pseudonyms 1"


class Pseudonyms:
    """HMAC-SHA256 under a key of its own, made from the installation's secret: without that secret nobody can try out
    all addresses. Another secret makes all names new, so that limits begin again."""

    def __init__(self, settings: Settings) -> None:
        self._key = _key(settings.manage_link_secret.get_secret_value())

    def of(self, kind: str, name: str) -> bytes:
        """128 bits; those of two kinds never meet."""
        return _name(self._key, kind, name)


class NumberNames:
    """The names of telephone numbers whose owners want no messages.

    The wish outlives a change of the secret, as long as the former one is among those whose links still open.
    """

    def __init__(self, settings: Settings) -> None:
        secrets = (settings.manage_link_secret, *settings.manage_link_former_secrets)
        self._keys = [_key(secret.get_secret_value()) for secret in secrets]

    def of(self, number: str) -> list[bytes]:
        """All names that the number may be on record under; a new record has the first."""
        return [_name(key, "phone", number) for key in self._keys]


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)


def _name(key: bytes, kind: str, name: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{name}".encode(), hashlib.sha256)[:16]
