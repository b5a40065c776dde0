"""What a process in production is not started with: secrets and addresses of a development machine, open connections.

It reads the settings' own fields, so that a new secret, or a field that is marked, joins without a word here.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretBytes, SecretStr
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from pitstop.settings import Settings

DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - what is refused here
# The same words as the beginning of a key in base64.
_ENCODED = base64.b64encode(DEVELOPMENT_SECRET.encode())[:20].decode()
GIVEN = "given in production"
MARK = "\n  - "
_SHORTEST_SECRET = 32
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
# How PostgreSQL is told who connects, other than by a password in the URL.
_OTHER_PROOFS = ("passfile", "sslkey")


def variable(name: str) -> str:
    return f"PITSTOP_{name.upper()}"


def faults(settings: "Settings") -> list[str]:
    """A line for each variable that is at fault: it says what is wrong, and tells no value."""
    found: dict[str, str] = {}
    for name, what in _faults(settings):
        found.setdefault(name, what)
    return [f"{variable(name)}: {what}" for name, what in found.items()]


def _faults(settings: "Settings") -> Iterator[tuple[str, str]]:
    yield from _left_as_they_are(settings)
    for name in ("public_url", "jwks_url", "stripe_api_url", "stripe_js_url", "twilio_base_url"):
        if (url := getattr(settings, name)) and not _is_private(str(url)):
            yield name, "must begin with https://"
    for name in ("cors_origins", "temporal_ui_origins"):
        if not all(_is_private(str(origin)) for origin in getattr(settings, name)):
            yield name, "must be https:// origins"
    for name in ("api_database_url", "worker_database_url", "audit_database_url"):
        if not _has_proof(getattr(settings, name)):
            yield name, "names no password"
    for secret in (settings.manage_link_secret, *settings.manage_link_former_secrets):
        if len(secret.get_secret_value()) < _SHORTEST_SECRET:
            yield "manage_link_secret", f"must have {_SHORTEST_SECRET} characters or more: openssl rand -hex 32"
    if settings.smtp_password and settings.smtp_security == "none" and settings.smtp_host not in _THIS_MACHINE:
        yield "smtp_security", "must be starttls or tls, so that the password is not sent in the clear"


def _left_as_they_are(settings: "Settings") -> Iterator[tuple[str, str]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if any(map(is_of_development, secrets_in(value))):
            yield name, "is a secret of development; set one of your own"
        elif is_to_be_given(field) and name not in settings.model_fields_set:
            yield name, "must be set"


def is_of_development(secret: str) -> bool:
    """Also when it stands there as bytes in base64, as keys do."""
    return DEVELOPMENT_SECRET in secret or _ENCODED in secret


def is_to_be_given(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and GIVEN in field.json_schema_extra


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret in a setting's value, however it is kept: by itself, in a list, by name."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case Mapping():
            for each in value.values():
                yield from secrets_in(each)
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from secrets_in(each)


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read or change what goes there: TLS, or no way at all."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in _THIS_MACHINE


def _has_proof(url: str) -> bool:
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    by_socket = any(host.startswith("/") for host in query.get("host", []))
    return bool(parts.password) or by_socket or any(name in query for name in _OTHER_PROOFS)
