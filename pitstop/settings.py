"""Every setting of the product, read from `PITSTOP_…` environment variables; docs/configuration.md lists them.

Spans are in seconds. In production every secret must be given, and whatever else is marked so (`GIVEN_IN_PRODUCTION`).
"""

import base64
import binascii
import json
from datetime import time, timedelta
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    UrlConstraints,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import Url
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from pitstop import production
from pitstop.release import default_build_id

# The default of every secret. Production refuses it wherever it finds it, so a new secret needs no entry in a list.
DEVELOPMENT_SECRET = production.DEVELOPMENT_SECRET
# The mark of a setting that is no secret, but whose default is right for a development machine only.
GIVEN_IN_PRODUCTION: JsonDict = {production.GIVEN: True}

# 32 bytes in base64, known to everybody who reads this.
DEVELOPMENT_PAYLOAD_KEY = base64.b64encode(f"{DEVELOPMENT_SECRET}/development-key".encode()).decode()
_PAYLOAD_KEY_BYTES = 32
# Above the maximum a call is too short a time to be counted.
CallsPerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


def _longest_first(offsets: tuple[float, ...]) -> tuple[float, ...]:
    if any(offset <= 0 for offset in offsets) or len(set(offsets)) != len(offsets):
        raise ValueError("reminder offsets are distinct positive numbers of seconds before the start")
    return tuple(sorted(offsets, reverse=True))


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _networks_that_exist(text: str) -> str:
    """ValueError for what is no address and no network, or a network with bits set behind its prefix."""
    _networks(text)
    return text


def _origin(url: Url) -> str:
    """As browsers write it. There is no wildcard: what may be read from everywhere needs no list."""
    if url.path not in (None, "/") or url.query or url.fragment or url.username:
        raise ValueError("an origin is a scheme, a host and perhaps a port: https://book.example.com")
    return str(url).rstrip("/")


Origin = Annotated[Url, UrlConstraints(allowed_schemes=["http", "https"], host_required=True), AfterValidator(_origin)]


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

    # What is wrong is said without its value, which may be a secret.
    model_config = SettingsConfigDict(
        env_prefix="PITSTOP_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    environment: Literal["development", "production"] = Field(
        default="development", description="`production` refuses to start with what is for development only."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Where customers reach the API; manage links in mails start with it.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    cors_origins: tuple[Origin, ...] = Field(
        default=(),
        description="Web sites whose pages may call the API from a browser, as a JSON list of origins.",
    )

    api_database_url: str = Field(
        default="postgresql://pitstop_api@127.0.0.1:5432/pitstop",
        description="PostgreSQL as the role `pitstop_api`, for which row-level security is in force.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    worker_database_url: str = Field(
        default="postgresql://pitstop_worker@127.0.0.1:5432/pitstop",
        description="PostgreSQL as the role `pitstop_worker`.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    audit_database_url: str = Field(
        default="postgresql://pitstop_audit@127.0.0.1:5432/pitstop",
        description="PostgreSQL as the role `pitstop_audit`, which reads bookings and changes none.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    database_pool_size: int = Field(default=10, ge=1, description="Connections that one process keeps at most.")

    temporal_address: str = Field(default="127.0.0.1:7233", description="host:port of the Temporal frontend.")
    temporal_namespace: str = Field(default="pitstop", description="The namespace that holds the bookings.")
    task_queue: str = Field(default="pitstop", description="The task queue that workers of this release poll.")

    versioning: Literal["at_start", "by_hand", "off"] = Field(
        default="at_start",
        description="When bookings move to the version of a new worker: as soon as it works, when "
        "`python -m deploy.release` says so, or without versions, when they meet it.",
    )
    deployment_name: str = Field(
        default="pitstop", pattern=r"^[^.:\s]+$", description="The worker deployment whose versions these workers are."
    )
    build_id: str | None = Field(
        default=None,
        pattern=r"^[^:\s]+$",
        max_length=200,
        description="The version of a worker's code; if not given, the release and a digest of its workflows.",
    )

    stripe_api_url: HttpUrl | None = Field(
        default=None, description="Another server than Stripe's own: the dev stack's."
    )
    stripe_js_url: HttpUrl = Field(
        default=HttpUrl("https://js.stripe.com/v3/"),
        description="Stripe.js, for the page on which customers pay. It has to come from Stripe.",
    )
    stripe_secret_key: SecretStr = Field(
        default=SecretStr(DEVELOPMENT_SECRET), description="The secret API key (`sk_…`)."
    )
    stripe_publishable_key: str = Field(
        default="pk_test_development",
        description="The key that browsers get (`pk_…`).",
        json_schema_extra=GIVEN_IN_PRODUCTION,
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
    mail_from: str = Field(
        default="bookings@pitstop.example",
        description="Sender of mails and ORGANIZER of invites.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    mail_from_name: str = Field(default="Pitstop", description="The sender's name.")

    twilio_account_sid: str | None = Field(
        default=None,
        pattern=r"^AC[0-9a-f]{32}$",
        description="The account at Twilio that sends text messages. Without it none are sent.",
    )
    twilio_auth_token: SecretStr | None = Field(
        default=None, description="Its auth token: for calls, and for the signatures of Twilio's webhooks."
    )
    twilio_from: str | None = Field(
        default=None,
        pattern=r"^(\+[1-9][0-9]{6,14}|MG[0-9a-f]{32})$",
        description="The number that text messages come from, in E.164, or the messaging service that chooses one.",
    )
    twilio_base_url: HttpUrl | None = Field(
        default=None, description="Another server than Twilio's own: the dev stack's."
    )
    twilio_timeout_seconds: PositiveFloat = Field(default=8, description="How long one call to Twilio may take.")
    sms_quiet_from: time = Field(
        default=time(21), description="From this local time of the customer on, reminders by text message wait."
    )
    sms_quiet_until: time = Field(
        default=time(8), description="Until this local time. The same as `sms_quiet_from`: there are no quiet hours."
    )

    jwt_issuer: str = Field(
        default="https://issuer.pitstop.example",
        description="Claim `iss` that a token must bear.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    jwt_audience: str = Field(default="pitstop", description="Claim `aud` that a token must bear.")
    jwks_url: str = Field(
        default="http://127.0.0.1:8081/.well-known/jwks.json",
        description="Where the issuer publishes its keys.",
        json_schema_extra=GIVEN_IN_PRODUCTION,
    )
    jwks_seconds: PositiveFloat = Field(
        default=300,
        description="How long the issuer's keys count until they are fetched again, and a withdrawn one is good.",
    )
    jwks_outage_seconds: PositiveFloat = Field(
        default=14400, description="How long keys that are known go on to count while the issuer cannot be asked."
    )
    jwt_leeway_seconds: float = Field(
        default=10, ge=0, le=120, description="How far the issuer's clock and ours may be apart."
    )
    manage_link_secret: SecretStr = Field(
        default=SecretStr(DEVELOPMENT_SECRET),
        description="Signs the links by which a customer manages a booking and the addresses of mechanics' calendars; "
        "in production 32 characters or more.",
    )
    manage_link_former_secrets: tuple[SecretStr, ...] = Field(
        default=(), description="Former secrets of links, as a JSON list: links that they have signed still open."
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
    referral_days: PositiveInt = Field(
        default=30, description="How long a customer can book what a mechanic has referred it to."
    )
    waiver_retention_days: PositiveInt = Field(
        default=1095,
        description="How long a waiver's signature is kept as evidence; until then an erasure leaves it.",
    )
    hold_grace_seconds: PositiveFloat = Field(
        default=30, description="How much later than the workflow's timer the database itself lets a hold lapse."
    )
    waitlist_offer_seconds: PositiveFloat = Field(
        default=1800, description="How long a slot that has come free is held for whoever is first in the waitlist."
    )
    waitlist_missed_offers: PositiveInt = Field(
        default=3,
        description="Offers that an entry in the waitlist may let go. After one let pass it goes to the end of the "
        "line, after one cancelled it keeps its place, after the last it is out of the line.",
    )
    serves_waitlist: bool = Field(
        default=True,
        description="Whether workers of this task queue offer what comes free to the waitlist. On one database one "
        "task queue does: `false` for those of a second one.",
    )
    waitlist_entries_per_customer: PositiveInt = Field(
        default=10, description="Entries in the waitlist that one customer may have at a time."
    )
    waitlist_looks: PositiveInt = Field(
        default=200,
        description="For how many entries in the waitlist each sweep looks whether something is free for them.",
    )
    reminder_offsets_seconds: Annotated[tuple[float, ...], AfterValidator(_longest_first)] = Field(
        default=(86400, 3600), description="How long before the start reminders go out, as a JSON list."
    )
    waiting_room_seconds: NonNegativeFloat = Field(
        default=900, description="How long before the start customer and mechanic may come in."
    )
    closing_seconds: NonNegativeFloat = Field(
        default=1800, description="How long after its end a session is closed that nobody has closed."
    )
    offline_flag_seconds: NonNegativeFloat = Field(
        default=7200, description="A mechanic who is offline has bookings flagged that start within this time."
    )
    proposal_seconds: PositiveFloat = Field(
        default=86400, description="How long a customer has to answer proposed times, unless the proposal says."
    )
    immediate_preferred_seconds: NonNegativeFloat = Field(
        default=60, description="How long an immediate session is offered to the preferred mechanic alone."
    )
    immediate_wave_seconds: PositiveFloat = Field(
        default=60, description="How long after one wave of mechanics the next, further away, is asked."
    )
    immediate_seconds: PositiveFloat = Field(
        default=600, description="How long a mechanic is looked for in all; then the money goes back."
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

    trusted_proxies: Annotated[str, AfterValidator(_networks_that_exist)] = Field(
        default="",
        description="The proxies in front of the API, as addresses or networks separated by commas. Only they are "
        "believed when they say whom they speak for.",
    )
    forwarded_header: Literal["X-Forwarded-For", "Forwarded"] = Field(
        default="X-Forwarded-For", description="The header in which those proxies say it; the other one is not read."
    )
    rate_caller_reads: CallsPerMinute = Field(default=300, description="Reads that one caller may make in a minute.")
    rate_caller_writes: CallsPerMinute = Field(default=60, description="Writes that one caller may make in a minute.")
    rate_service: CallsPerMinute = Field(
        default=6000, description="Calls of all kinds that one `service` may make in a minute, instead of other limits."
    )
    rate_address_reads: CallsPerMinute = Field(
        default=3000, description="Reads in a minute from one address (IPv6: one /64), whoever makes them."
    )
    rate_address_searches: CallsPerMinute = Field(
        default=600, description="Availability searches and checks in a minute from one address."
    )
    rate_address_writes: CallsPerMinute = Field(default=600, description="Writes in a minute from one address.")
    rate_address_failures: CallsPerMinute = Field(
        default=60, description="Wrong tokens, links and webhook signatures in a minute from one address."
    )
    holds_per_customer: PositiveInt = Field(default=5, description="Unpaid holds that one customer may have at a time.")
    holds_per_address: PositiveInt = Field(
        default=30, description="Unpaid holds that may stand at a time from one address."
    )
    holds_per_card: PositiveInt = Field(
        default=3,
        description="Unpaid bookings in the window for which one card may have been declined; at the next one its "
        "payment is stopped.",
    )
    holds_per_service: PositiveInt = Field(
        default=500, description="Unpaid holds that one `service` (or operator) may have at a time."
    )
    unpaid_holds_per_customer: PositiveInt = Field(
        default=3, description="Holds of one customer that may end unpaid in the window before the next has to wait."
    )
    unpaid_holds_per_address: PositiveInt = Field(
        default=20, description="Holds from one address that may end unpaid in the window before the next has to wait."
    )
    unpaid_window_seconds: Annotated[float, Field(gt=0, le=86400)] = Field(
        default=3600, description="The window: how long an unpaid hold or a declined card counts. A day at most."
    )
    unpaid_delay_seconds: PositiveFloat = Field(
        default=60, description="How long the first such wait is; each further one is twice as long."
    )
    unpaid_longest_delay_seconds: PositiveFloat = Field(default=3600, description="How long such a wait is at most.")
    declines_per_booking: PositiveInt = Field(
        default=10, description="Declined payments of one booking after which its payment is stopped."
    )

    @property
    def sends_texts(self) -> bool:
        return self.twilio_account_sid is not None

    @property
    def stripe_is_live(self) -> bool:
        """Whether the key moves money: Stripe's test and live modes share nothing but their shape."""
        return self.stripe_secret_key.get_secret_value().startswith(("sk_live_", "rk_live_"))

    @cached_property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return _networks(self.trusted_proxies)

    # What one API process does at once: docs/load.md says how the figures hang together.
    bookings_at_once: PositiveInt = Field(
        default=16,
        description="Bookings that an API process makes at once; each waits for the engine most of its time.",
    )
    bookings_waiting: NonNegativeInt = Field(
        default=64, description="Bookings that wait for their turn; further ones get a 503 at once."
    )
    bookings_patience_seconds: PositiveFloat = Field(
        default=4, description="How long a booking waits for its turn before it gets a 503."
    )
    reads_at_once: PositiveInt = Field(
        default=8,
        description="Reads that an API process answers at once. Keep it below the pool's size: bookings use it, too.",
    )
    reads_waiting: NonNegativeInt = Field(
        default=256, description="Reads that wait for their turn; further ones get a 503 at once."
    )
    reads_patience_seconds: PositiveFloat = Field(
        default=3, description="How long a read waits for its turn before it gets a 503."
    )
    webhooks_at_once: PositiveInt = Field(default=16, description="Webhooks that an API process takes in at once.")
    webhooks_waiting: NonNegativeInt = Field(default=1000, description="Webhooks that wait for their turn.")
    webhooks_patience_seconds: PositiveFloat = Field(
        default=8, description="How long a webhook waits for its turn. Stripe tells again what was not taken."
    )
    connections_at_once: PositiveInt = Field(
        default=2000, description="Connections to an API process; what comes on further ones gets a bare 503."
    )
    header_seconds: PositiveFloat = Field(
        default=10, description="How long a client may take to send a request's head; then the connection is closed."
    )
    body_seconds: PositiveFloat = Field(
        default=10, description="How long a client may take to send a request's body; then 408."
    )
    streams_at_once: NonNegativeInt = Field(
        default=500, description="Event streams that an API process keeps open; further ones get a 503."
    )
    streams_per_caller: NonNegativeInt = Field(
        default=10,
        description="Event streams of one customer, mechanic or link in an API process; further ones get a 429.",
    )
    database_wait_seconds: PositiveFloat = Field(
        default=3, description="How long work waits for a connection of the pool before it fails; the API answers 503."
    )
    database_spare_connections: PositiveInt = Field(
        default=3,
        description="Connections of an API process beside its pool, kept for webhooks, health, metrics and streams.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        description="Whoever scrapes `GET /metrics` bears it. Without one, metrics are open in development and not "
        "served in production.",
    )
    worker_metrics_address: str | None = Field(
        default=None,
        description="host:port at which a worker serves its metrics to Prometheus. It knows no token: choose one "
        "that only Prometheus reaches.",
    )

    @cached_property
    def build(self) -> str:
        return self.build_id or default_build_id()

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
    def _has_all_of_twilio_or_nothing(self) -> Self:
        given = [bool(each) for each in (self.twilio_account_sid, self.twilio_auth_token, self.twilio_from)]
        if any(given) and not all(given):
            raise ValueError(
                "PITSTOP_TWILIO_ACCOUNT_SID, PITSTOP_TWILIO_AUTH_TOKEN and PITSTOP_TWILIO_FROM go together: all or none"
            )
        return self

    @model_validator(mode="after")
    def _has_quiet_hours_of_whole_minutes(self) -> Self:
        if any(each.tzinfo or each.microsecond or each.second for each in (self.sms_quiet_from, self.sms_quiet_until)):
            raise ValueError("PITSTOP_SMS_QUIET_FROM and PITSTOP_SMS_QUIET_UNTIL are local times such as 21:00")
        return self

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.environment == "production" and (wrong := production.faults(self)):
            raise ValueError(production.MARK + production.MARK.join(wrong))
        return self


def from_environment(**given: Any) -> Settings:
    """The settings of a process that starts. Wrong ones end it, with all that is wrong and none of the values."""
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SystemExit("Pitstop does not start:" + "".join(map(_fault, error.errors()))) from None
    except SettingsError as error:
        raise SystemExit(f"Pitstop does not start:{production.MARK}{error}") from None


def _fault(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    return f"{production.MARK}{production.variable(str(error['loc'][0]))}: {message}"
