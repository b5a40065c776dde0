"""Every setting of the product, read from `PITSTOP_…` environment variables; docs/configuration.md lists them.

Spans are in seconds. A setting without a default must be given; in production so must every secret.
"""

import base64
import binascii
import json
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, PositiveFloat, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - refused in production, below
# 32 bytes in base64, known to everybody who reads this.
DEVELOPMENT_PAYLOAD_KEY = base64.b64encode(b"development-only/development-key").decode()
_PAYLOAD_KEY_BYTES = 32


def _longest_first(offsets: tuple[float, ...]) -> tuple[float, ...]:
    if any(offset <= 0 for offset in offsets) or len(set(offsets)) != len(offsets):
        raise ValueError("reminder offsets are distinct positive numbers of seconds before the start")
    return tuple(sorted(offsets, reverse=True))


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _keys_of_256_bits(keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for key_id, key in keys.items():
        _payload_key(key_id, key)
    return keys


def _payload_key(key_id: str, key: SecretStr) -> bytes:
    try:
        raw = base64.b64decode(key.get_secret_value(), validate=True)
    except binascii.Error:
        raw = b""
    if not key_id or len(raw) != _PAYLOAD_KEY_BYTES:
        raise ValueError(f"the payload key {key_id!r} needs a name and {_PAYLOAD_KEY_BYTES} bytes in base64")
    return raw


class Settings(BaseSettings):
    """The whole configuration. Each process reads all of it and uses its part."""

    # An error quotes no input: that would be every secret, in the log of a process that does not start.
    model_config = SettingsConfigDict(
        env_prefix="PITSTOP_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = Field(
        default="development", description="`production` refuses to start with a development secret."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Where customers reach the API; manage links in mails start with it.",
    )

    api_database_url: str = Field(
        default="postgresql://pitstop_api@127.0.0.1:5432/pitstop",
        description="PostgreSQL as the role `pitstop_api`, for which row-level security is in force.",
    )
    worker_database_url: str = Field(
        default="postgresql://pitstop_worker@127.0.0.1:5432/pitstop",
        description="PostgreSQL as the role `pitstop_worker`.",
    )
    database_pool_size: int = Field(default=10, ge=1, description="Connections that one process keeps at most.")

    temporal_address: str = Field(default="127.0.0.1:7233", description="host:port of the Temporal frontend.")
    temporal_namespace: str = Field(default="pitstop", description="The namespace that holds the bookings.")
    task_queue: str = Field(default="pitstop", description="The task queue that workers of this release poll.")

    stripe_api_url: HttpUrl | None = Field(
        default=None, description="Another server than Stripe's own: the dev stack's."
    )
    stripe_secret_key: SecretStr = Field(
        default=SecretStr(DEVELOPMENT_SECRET), description="The secret API key (`sk_…`)."
    )
    stripe_publishable_key: str = Field(
        default="pk_test_development", description="The key that browsers get (`pk_…`)."
    )
    stripe_webhook_secret: SecretStr = Field(
        default=SecretStr(DEVELOPMENT_SECRET), description="The signing secret of the webhook endpoint (`whsec_…`)."
    )
    stripe_timeout_seconds: PositiveFloat = Field(default=8, description="How long one call to Stripe may take.")

    smtp_host: str = Field(default="127.0.0.1", description="The mail server.")
    smtp_port: int = Field(default=1025, ge=1, le=65535, description="Its port.")
    smtp_username: str | None = Field(default=None, description="Login at the mail server, when it wants one.")
    smtp_password: SecretStr | None = Field(default=None, description="The password of that login.")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="none", description="How the connection is secured."
    )
    smtp_timeout_seconds: PositiveFloat = Field(default=8, description="How long sending one mail may take.")
    mail_from: str = Field(default="bookings@pitstop.example", description="Sender of mails and ORGANIZER of invites.")
    mail_from_name: str = Field(default="Pitstop", description="The sender's name.")

    jwt_issuer: str = Field(default="https://issuer.pitstop.example", description="Claim `iss` that a token must bear.")
    jwt_audience: str = Field(default="pitstop", description="Claim `aud` that a token must bear.")
    jwks_url: str = Field(
        default="http://127.0.0.1:8081/.well-known/jwks.json", description="Where the issuer publishes its keys."
    )
    manage_link_secret: SecretStr = Field(
        default=SecretStr(DEVELOPMENT_SECRET), description="Signs the links by which a customer manages a booking."
    )

    payload_keys: Annotated[
        dict[str, SecretStr], NoDecode, BeforeValidator(_from_json), AfterValidator(_keys_of_256_bits)
    ] = Field(
        default={"development": SecretStr(DEVELOPMENT_PAYLOAD_KEY)},
        description="The keys that open what Temporal keeps: a JSON object of names and 32 bytes each in base64. "
        "docs/privacy.md says how to change them.",
    )
    payload_key_id: str = Field(
        default="development", description="The name of the key that seals what Temporal keeps from now on."
    )
    temporal_ui_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_from_json)] = Field(
        default=("http://127.0.0.1:8233",),
        description="Origins of Temporal UIs that may ask `/codec/decode` to open payloads, as a JSON list.",
    )
    audit_seal_interval_seconds: PositiveFloat = Field(
        default=600, description="How often the audit log is checked and sealed."
    )

    hold_seconds: PositiveFloat = Field(default=900, description="How long a slot is held for the payment.")
    hold_grace_seconds: PositiveFloat = Field(
        default=30, description="How much later than the workflow's timer the database itself lets a hold lapse."
    )
    reminder_offsets_seconds: Annotated[tuple[float, ...], AfterValidator(_longest_first)] = Field(
        default=(86400, 3600), description="How long before the start reminders go out, as a JSON list."
    )
    sweep_interval_seconds: PositiveFloat = Field(
        default=60, description="How often the backstop expires lapsed holds and drains the webhook inbox."
    )
    database_activity_seconds: PositiveFloat = Field(
        default=5, description="How long one try of an activity on the database may take."
    )
    stripe_activity_seconds: PositiveFloat = Field(
        default=10, description="How long one try of an activity on Stripe may take."
    )
    mail_activity_seconds: PositiveFloat = Field(default=10, description="How long one try of sending a mail may take.")
    intent_patience_seconds: PositiveFloat = Field(
        default=15, description="How long a booking tries to get its PaymentIntent before it gives the slot back."
    )
    workflow_task_seconds: PositiveFloat = Field(
        default=5, description="How soon the server gives a workflow task of a dead worker to another one."
    )
    sticky_seconds: PositiveFloat = Field(
        default=2, description="How long a workflow task waits for the worker that has the run in its cache."
    )
    workflow_sandbox: bool = Field(
        default=False,
        description="Runs workflows in the engine's sandbox, which catches what would not replay. It costs a third of "
        "a worker's CPU: for development and tests.",
    )
    drain_seconds: PositiveFloat = Field(default=15, description="How long a worker finishes its work after SIGTERM.")

    @cached_property
    def drain(self) -> timedelta:
        return timedelta(seconds=self.drain_seconds)

    @cached_property
    def payload_key_bytes(self) -> dict[str, bytes]:
        return {key_id: _payload_key(key_id, key) for key_id, key in self.payload_keys.items()}

    @model_validator(mode="after")
    def _seals_with_a_key_that_it_has(self) -> Self:
        if self.payload_key_id not in self.payload_keys:
            raise ValueError("PITSTOP_PAYLOAD_KEY_ID names no key of PITSTOP_PAYLOAD_KEYS")
        return self

    @model_validator(mode="after")
    def _no_development_secret_in_production(self) -> Self:
        if self.environment != "production":
            return self
        names = ("stripe_secret_key", "stripe_webhook_secret", "manage_link_secret")
        left = [f"PITSTOP_{n.upper()}" for n in names if getattr(self, n).get_secret_value() == DEVELOPMENT_SECRET]
        if any(key.get_secret_value() == DEVELOPMENT_PAYLOAD_KEY for key in self.payload_keys.values()):
            left.append("PITSTOP_PAYLOAD_KEYS")
        if left:
            raise ValueError(f"set {', '.join(left)}: production does not start with a development secret")
        return self
