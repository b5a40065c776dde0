"""The parts of a stack: for each its command line, its environment, and how one sees that it is ready."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from pitstop.devstack import limits, postgres
from pitstop.devstack.addresses import HOST, Addresses
from pitstop.devstack.credentials import Credentials
from pitstop.devstack.names import ROOT
from pitstop.devstack.processes import Command
from pitstop.domain.stripe_events import EVENT_TYPES

NAMESPACE = "pitstop"
SEARCH_ATTRIBUTES = {
    "BookingStatus": "Keyword",
    "MechanicId": "Keyword",
    "CustomerId": "Keyword",
    "ScheduledFor": "Datetime",
}
READY_FILE_VARIABLE = "PITSTOP_WORKER_READY_FILE"
PAYLOAD_KEY_ID = "devstack"
# The sender that Twilio's own test credentials take.
TWILIO_NUMBER = "+15005550006"


@dataclass(frozen=True)
class Plan:
    """What the parts are made from: the data folder, the ports, the secrets, and two choices of the caller."""

    data: Path
    addresses: Addresses
    credentials: Credentials
    in_memory: bool = False
    time_skipping: bool = False

    @property
    def temporal_address(self) -> str:
        return f"{HOST}:{self.addresses.temporal}"

    @property
    def jwks_url(self) -> str:
        return f"{self.addresses.url('issuer')}/.well-known/jwks.json"

    def database_url(self, role: str, password: str) -> str:
        return postgres.url(self.addresses.postgres, role, password)

    def settings(self) -> dict[str, str]:
        """The `PITSTOP_…` variables of worker and API: the caller's, and over them those that only the stack knows.

        Limits are raised for one machine, and if time can be skipped, which is for tests, for one caller too.
        """
        raised = limits.ONE_MACHINE | (limits.ONE_CALLER if self.time_skipping else {})
        inherited = {name: value for name, value in os.environ.items() if name.startswith("PITSTOP_")}
        own = {
            "PUBLIC_URL": self.addresses.url("api"),
            "API_DATABASE_URL": self.database_url("pitstop_api", self.credentials.api_password),
            "WORKER_DATABASE_URL": self.database_url("pitstop_worker", self.credentials.worker_password),
            "AUDIT_DATABASE_URL": self.database_url("pitstop_audit", self.credentials.audit_password),
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "STRIPE_API_URL": self.addresses.url("stripe"),
            "STRIPE_JS_URL": f"{self.addresses.url('stripe')}/stripe.js",
            "STRIPE_SECRET_KEY": self.credentials.stripe_secret_key,
            "STRIPE_PUBLISHABLE_KEY": self.credentials.stripe_publishable_key,
            "STRIPE_WEBHOOK_SECRET": self.credentials.stripe_webhook_secret,
            "TWILIO_BASE_URL": self.addresses.url("twilio"),
            "TWILIO_ACCOUNT_SID": self.credentials.twilio_account_sid,
            "TWILIO_AUTH_TOKEN": self.credentials.twilio_auth_token,
            "TWILIO_FROM": TWILIO_NUMBER,
            "SMTP_HOST": HOST,
            "SMTP_PORT": str(self.addresses.smtp),
            "JWKS_URL": self.jwks_url,
            "MANAGE_LINK_SECRET": self.credentials.manage_link_secret,
            "PAYLOAD_KEYS": json.dumps({PAYLOAD_KEY_ID: self.credentials.payload_key}),
            "PAYLOAD_KEY_ID": PAYLOAD_KEY_ID,
            "TEMPORAL_UI_ORIGINS": json.dumps([self.addresses.url("temporal_ui")]),
        }
        return raised | inherited | {f"PITSTOP_{name}": value for name, value in own.items()}


@dataclass(frozen=True)
class Part:
    """One process of the stack. `tries` is how often it may exit while starting before that counts as a failure."""

    name: str
    command: Callable[[], Command]
    is_ready: Callable[[], Awaitable[bool]]
    ports: dict[str, int] = field(default_factory=dict)
    prepare: Callable[[], Awaitable[None]] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 60
    stop_seconds: float = 10
    tries: int = 1


def program(name: str) -> str:
    """A program of this Python's environment. FileNotFoundError when it is not there."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make setup`")
    return str(path)


def parts(plan: Plan) -> dict[str, Part]:
    """Every part, in the order in which they start."""
    makers = (_postgres, _temporal, _stripe, _twilio, _mail, _issuer, _worker, _api)
    return {part.name: part for part in (make(plan) for make in makers)}


def _postgres(plan: Plan) -> Part:
    folder, port = plan.data / "postgres", plan.addresses.postgres
    return Part(
        "postgres",
        command=lambda: postgres.server(folder, port),
        is_ready=lambda: postgres.is_ready(port, plan.credentials),
        ports={"postgres": port},
        prepare=lambda: postgres.prepare(folder, plan.credentials),
        stop_signal=signal.SIGINT,  # "fast shutdown": it does not wait for clients to go
        start_seconds=120,
    )


def _temporal(plan: Plan) -> Part:
    ports = plan.addresses
    storage = [] if plan.in_memory else ["--db-filename", str(plan.data / "temporal.sqlite")]
    flags = ["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"] if plan.time_skipping else []
    attributes = [flag for item in SEARCH_ATTRIBUTES.items() for flag in ("--search-attribute", "=".join(item))]
    arguments = [
        *(shutil.which("temporal") or program("temporal"), "server", "start-dev", "--log-level", "error"),
        *("--ip", HOST, "--port", str(ports.temporal), "--ui-port", str(ports.temporal_ui)),
        *("--ui-codec-endpoint", f"{ports.url('api')}/codec"),
        *("--namespace", NAMESPACE, "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
        *(*attributes, *storage, *flags),
    ]
    return Part(
        "temporal",
        command=lambda: _command(arguments),
        is_ready=lambda: _temporal_is_ready(plan.temporal_address),
        ports={"temporal": ports.temporal, "temporal_ui": ports.temporal_ui},
        tries=2,  # it looks for further free ports by itself, and another program can be faster
    )


def _stripe(plan: Plan) -> Part:
    port, secrets = plan.addresses.stripe, plan.credentials
    arguments = [
        *("--port", str(port), "--data", str(plan.data / "stripe.sqlite")),
        *("--webhook-url", f"{plan.addresses.url('api')}/webhooks/stripe", "--webhook-events", ",".join(EVENT_TYPES)),
        *("--webhook-secret", secrets.stripe_webhook_secret, "--secret-key", secrets.stripe_secret_key),
        *("--publishable-key", secrets.stripe_publishable_key),
    ]
    return Part(
        "stripe",
        command=lambda: _module("pitstop.devstack.stripe_server", *arguments),
        is_ready=lambda: _answers(f"{plan.addresses.url('stripe')}/health"),
        ports={"stripe": port},
    )


def _twilio(plan: Plan) -> Part:
    port, secrets = plan.addresses.twilio, plan.credentials
    arguments = [
        *("--port", str(port), "--data", str(plan.data / "twilio.sqlite"), "--number", TWILIO_NUMBER),
        *("--inbound-url", f"{plan.addresses.url('api')}/webhooks/twilio"),
        *("--account-sid", secrets.twilio_account_sid, "--auth-token", secrets.twilio_auth_token),
    ]
    return Part(
        "twilio",
        command=lambda: _module("pitstop.devstack.twilio_server", *arguments),
        is_ready=lambda: _answers(f"{plan.addresses.url('twilio')}/health"),
        ports={"twilio": port},
    )


def _mail(plan: Plan) -> Part:
    smtp, http = plan.addresses.smtp, plan.addresses.mail
    arguments = ["--smtp-port", str(smtp), "--http-port", str(http), "--data", str(plan.data / "mail.sqlite")]
    return Part(
        "mail",
        command=lambda: _module("pitstop.devstack.mail_sink", *arguments),
        is_ready=lambda: _answers(f"{plan.addresses.url('mail')}/health"),
        ports={"smtp": smtp, "mail": http},
    )


def _issuer(plan: Plan) -> Part:
    port = plan.addresses.issuer
    arguments = ["--port", str(port), "--data", str(plan.data / "issuer")]
    return Part(
        "issuer",
        command=lambda: _module("pitstop.devstack.issuer", *arguments),
        is_ready=lambda: _answers(f"{plan.addresses.url('issuer')}/health"),
        ports={"issuer": port},
    )


def _worker(plan: Plan) -> Part:
    ready_file = plan.data / "worker.ready"
    # The port is this worker's own: another one with the stack's settings must not want it, too.
    metrics = {"PITSTOP_WORKER_METRICS_ADDRESS": f"{HOST}:{plan.addresses.worker_metrics}"}
    environment = plan.settings() | metrics | {READY_FILE_VARIABLE: str(ready_file)}

    async def forget_last_run() -> None:
        ready_file.unlink(missing_ok=True)

    async def is_ready() -> bool:
        return ready_file.exists()

    return Part(
        "worker",
        command=lambda: _module("worker", settings=environment),
        is_ready=is_ready,
        ports={"worker_metrics": plan.addresses.worker_metrics},
        prepare=forget_last_run,
        stop_seconds=30,  # it finishes what it has begun
    )


def _api(plan: Plan) -> Part:
    port = plan.addresses.api
    return Part(
        "api",
        command=lambda: _module("api", "--host", HOST, "--port", str(port), settings=plan.settings()),
        is_ready=lambda: _answers(f"{plan.addresses.url('api')}/health/ready"),
        ports={"api": port},
    )


def _module(name: str, *arguments: str, settings: dict[str, str] | None = None) -> Command:
    return _command([sys.executable, "-m", name, *arguments], settings)


def _command(arguments: list[str], settings: dict[str, str] | None = None) -> Command:
    return Command(arguments, dict(os.environ) | {"PYTHONUNBUFFERED": "1"} | (settings or {}), ROOT)


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


async def _temporal_is_ready(address: str) -> bool:
    """Ready with the search attributes: the server registers them only after it has begun to answer."""
    try:
        client = await Client.connect(address, namespace=NAMESPACE)
        known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=NAMESPACE))
    except (RuntimeError, RPCError):
        return False
    return SEARCH_ATTRIBUTES.keys() <= known.custom_attributes.keys()
