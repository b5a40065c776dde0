"""API keys (API reference, "Authentication"): HTTP basic or bearer, or the parameter `key`, as browsers send it."""

import base64
import binascii
import hmac

from pitstop.devstack.stripe_server.config import Config
from pitstop.devstack.stripe_server.errors import StripeError


def is_browser(config: Config, authorization: str | None, parameter: str | None) -> bool:
    """Whether the call bears the publishable key, not the secret one. Raises 401 for neither."""
    key = _key(authorization) or parameter or ""
    if not key:
        message = "You did not provide an API key. You need to provide your API key in the Authorization header."
        raise StripeError(401, message)
    if hmac.compare_digest(key.encode(), config.secret_key.encode()):
        return False
    if hmac.compare_digest(key.encode(), config.publishable_key.encode()):
        return True
    raise StripeError(401, f"Invalid API Key provided: {_masked(key)}")


def refuse_browser() -> StripeError:
    message = "This API call cannot be made with a publishable API key. Please use a secret API key."
    return StripeError(401, message, code="secret_key_required")


def _key(authorization: str | None) -> str:
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _masked(key: str) -> str:
    return f"{key[:8]}{'*' * max(len(key) - 12, 0)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
