"""Production does not start with what is for development: real processes, their exit code and what they say."""

import asyncio
import base64
import os
import sys
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from pitstop import production
from pitstop.settings import DEVELOPMENT_SECRET, Settings
from tests.support.processes import ROOT

# Nothing but the addresses of this machine's own is left out; what stands here would do.
GIVEN: dict[str, Any] = {
    "environment": "production",
    "public_url": "https://bookings.pitstop.test",
    "api_database_url": "postgresql://pitstop_api:hunter2@database/pitstop",
    "worker_database_url": "postgresql://pitstop_worker:hunter2@database/pitstop",
    "audit_database_url": "postgresql://pitstop_audit:hunter2@database/pitstop",
    "payload_keys": {"development": SecretStr(base64.b64encode(b"hunter2".ljust(32, b"x")).decode())},
    "stripe_publishable_key": "pk_live_1",
    "mail_from": "bookings@pitstop.test",
    "jwt_issuer": "https://login.pitstop.test",
    "jwks_url": "https://login.pitstop.test/keys",
}
# The part of a value that must be seen nowhere.
TOLD_NOBODY = "hunter2"


def _kept_secret(name: str) -> Any:
    """A secret of one's own, in the shape of the setting's default."""
    default, own = Settings.model_fields[name].default, SecretStr(f"{TOLD_NOBODY}{name}".ljust(40, "x"))
    if isinstance(default, dict):
        return dict.fromkeys(default, SecretStr(base64.b64encode(b"x" * 32).decode()))
    return type(default)([own]) if isinstance(default, tuple | list) else own


def _is_development(name: str) -> bool:
    return any(map(production.is_of_development, production.secrets_in(Settings.model_fields[name].default)))


SECRETS = [name for name in Settings.model_fields if _is_development(name)]
MARKED = [name for name, field in Settings.model_fields.items() if production.is_to_be_given(field)]


def fit(**changes: Any) -> dict[str, Any]:
    given = {name: _kept_secret(name) for name in SECRETS} | GIVEN | changes
    return {name: value for name, value in given.items() if value is not None}


def test_what_is_fit_for_production_starts() -> None:
    assert Settings(**fit()).environment == "production"


def test_every_secret_of_development_and_every_marked_default_is_known_here() -> None:
    """A new one joins by itself; the test of it needs a value of its own, which GIVEN has."""
    assert set(SECRETS) >= {"stripe_secret_key", "stripe_webhook_secret", "manage_link_secret"}
    assert set(MARKED) <= GIVEN.keys()


@pytest.mark.parametrize("name", [*SECRETS, *MARKED])
def test_each_must_be_given(name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings(**fit(**{name: None}))
    assert f"PITSTOP_{name.upper()}: " in str(refusal.value)
    assert str(refusal.value).count("PITSTOP_") == 1, "and nothing else is wrong"
    assert TOLD_NOBODY not in str(refusal.value)


def test_a_secret_within_a_list_or_a_mapping_is_found() -> None:
    hidden = SecretStr(f"k1:{DEVELOPMENT_SECRET}")
    key = SecretStr(base64.b64encode(f"{DEVELOPMENT_SECRET}/key-of-32-bytes".encode()).decode())
    for value in (hidden, (hidden,), [SecretStr("a"), hidden], {"k1": hidden}, {"a": [hidden]}, {"k1": key}):
        assert any(map(production.is_of_development, production.secrets_in(value)))
    with pytest.raises(ValidationError, match="PITSTOP_MANAGE_LINK_FORMER_SECRETS"):
        Settings(**fit(manage_link_former_secrets=(SecretStr(DEVELOPMENT_SECRET),)))


UNFIT: list[tuple[str, dict[str, Any]]] = [
    ("public_url", {"public_url": "http://bookings.pitstop.test"}),
    ("jwks_url", {"jwks_url": "http://login.pitstop.test/keys"}),
    ("stripe_api_url", {"stripe_api_url": "http://stripe.pitstop.test"}),
    ("stripe_js_url", {"stripe_js_url": "http://js.pitstop.test/"}),
    ("cors_origins", {"cors_origins": ("http://book.pitstop.test",)}),
    ("api_database_url", {"api_database_url": "postgresql://pitstop_api@database/pitstop"}),
    ("worker_database_url", {"worker_database_url": "postgresql://pitstop_worker@database/pitstop"}),
    ("manage_link_secret", {"manage_link_secret": SecretStr("x" * 31)}),
    ("manage_link_secret", {"manage_link_former_secrets": (SecretStr("x" * 31),)}),
    ("smtp_security", {"smtp_host": "mail", "smtp_password": SecretStr("x")}),
]


@pytest.mark.parametrize(("name", "changes"), UNFIT, ids=[f"{name}-{n}" for n, (name, _) in enumerate(UNFIT)])
def test_what_would_leave_a_door_open(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"PITSTOP_{name.upper()}: "):
        Settings(**fit(**changes))
    assert Settings(**changes).environment == "development", "where it may be so"


@pytest.mark.parametrize(
    "changes",
    [
        {"api_database_url": "postgresql://pitstop_api@/pitstop?host=/run/postgresql"},
        {"api_database_url": "postgresql://pitstop_api@database/pitstop?passfile=/run/secrets/pg"},
        {"api_database_url": "postgresql://pitstop_api@database/pitstop?sslcert=/c&sslkey=/k"},
        {"jwks_url": "http://127.0.0.1:9000/keys"},
        {"smtp_host": "mail", "smtp_password": SecretStr("x"), "smtp_security": "starttls"},
        {"cors_origins": ("https://book.pitstop.test",)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_what_is_another_way_to_be_safe(changes: dict[str, Any]) -> None:
    Settings(**fit(**changes))


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://*.example.com/*",
        "https://a.example/path",
        "https://a@b.example",
        "ftp://a",
        "a.example",
        "",
    ],
)
@pytest.mark.parametrize("environment", ["development", "production"])
def test_origins_that_are_none(origin: str, environment: str) -> None:
    """There is no wildcard, wherever the product runs."""
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings(**fit(environment=environment, cors_origins=(origin,)))


async def _exit(*command: str, **given: str) -> tuple[int | None, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PITSTOP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        cwd=ROOT,
        env=variables | {f"PITSTOP_{name.upper()}": value for name, value in given.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


PROCESSES = {
    "worker": ("worker",),
    "api": ("uvicorn", "api.app:app"),
    "passwords": ("deploy.passwords",),
}


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_process_ends_at_once_and_says_why(process: str) -> None:
    """Each thing that is wrong in one line, no traceback, no value of any setting."""
    code, said = await _exit(
        *PROCESSES[process],
        environment="production",
        public_url="https://bookings.pitstop.test",
        stripe_secret_key=f"sk_live_{TOLD_NOBODY}",
        api_database_url=f"postgresql://pitstop_api:{TOLD_NOBODY}@database/pitstop",
    )
    assert code == 1
    assert said.startswith("Pitstop does not start:"), said
    assert "\n  - PITSTOP_MANAGE_LINK_SECRET: is a secret of development" in said
    assert "\n  - PITSTOP_JWKS_URL: must be set" in said
    assert "PITSTOP_STRIPE_SECRET_KEY" not in said
    assert TOLD_NOBODY not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["hold_seconds", "cors_origins"])
async def test_a_value_that_is_none_of_its_kind(name: str) -> None:
    code, said = await _exit("worker", **{name: TOLD_NOBODY})
    assert code == 1
    assert name in said.lower()
    assert TOLD_NOBODY not in said
