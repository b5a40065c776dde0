"""Every setting of the product, read from `PITSTOP_…` environment variables; docs/configuration.md lists them.

Spans are in seconds. A setting without a default must be given; in production so must every secret.
"""

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, HttpUrl, NonNegativeFloat, PositiveFloat, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - refused in production, below


def _longest_first(offsets: tuple[float, ...]) -> tuple[float, ...]:
    if any(offset <= 0 for offset in offsets) or len(set(offsets)) != len(offsets):
        raise ValueError("reminder offsets are distinct positive numbers of seconds before the start")
    return tuple(sorted(offsets, reverse=True))


class Settings(BaseSettings):
    """The whole configuration. Each process reads all of it and uses its part."""

    model_config = SettingsConfigDict(env_prefix="PITSTOP_", extra="ignore", frozen=True, env_ignore_empty=True)

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
    audit_database_url: str = Field(
        default="postgresql://pitstop_audit@127.0.0.1:5432/pitstop",
        description="PostgreSQL as the role `pitstop_audit`, which reads bookings and changes none.",
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
    audit_interval_seconds: PositiveFloat = Field(
        default=900, description="How often the audit looks at what has changed and at what is open."
    )
    audit_settle_seconds: NonNegativeFloat = Field(
        default=10, description="The audit's pause before it looks again at what looks wrong."
    )
    audit_patience_seconds: NonNegativeFloat = Field(
        default=300,
        description="How long a step may be late before the audit reports it: a refund or a mail that is retried, a "
        "webhook that has not come.",
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
    # These two decide how soon a booking goes on when its worker dies (`make chaos ONLY=recovery` measures it); the
    # third is the heartbeat of steps on other people's servers (workflows/policies.py).
    # While a customer waits for the hold, the booking's steps run inside a workflow task: a new worker gets it after
    # this long. A live worker renews it at four fifths, and each renewal is three events of history: a long call of
    # Stripe has a few. At 1 s a busy machine loses tasks that only wait for the processor, and gets nowhere.
    workflow_task_seconds: PositiveFloat = Field(
        default=3, description="How soon the server gives a workflow task of a dead worker to another one."
    )
    # A payment that comes for a booking at rest is offered to the worker that remembers the run, and for this long to
    # nobody else. Too short costs little: another worker reads the history again, some forty events.
    sticky_seconds: PositiveFloat = Field(
        default=1, description="How long a workflow task waits for the worker that has the run in its cache."
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

    @model_validator(mode="after")
    def _no_development_secret_in_production(self) -> Self:
        if self.environment != "production":
            return self
        names = ("stripe_secret_key", "stripe_webhook_secret", "manage_link_secret")
        left = [f"PITSTOP_{n.upper()}" for n in names if getattr(self, n).get_secret_value() == DEVELOPMENT_SECRET]
        if left:
            raise ValueError(f"set {', '.join(left)}: production does not start with a development secret")
        return self
