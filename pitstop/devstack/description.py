"""What `stack.json` says of a stack whose parts are ready."""

import httpx

from pitstop.devstack import postgres
from pitstop.devstack.parts import NAMESPACE, TWILIO_NUMBER, Plan
from pitstop.devstack.stackfile import Stack, Tokens

TOKEN_SECONDS = 30 * 86_400
SUBJECTS = {
    "customer": ("customer", "00000000-0000-4000-8000-0000000000c1"),
    "other_customer": ("customer", "00000000-0000-4000-8000-0000000000c2"),
    "mechanic": ("mechanic", "00000000-0000-4000-8000-0000000000a1"),
    "operator": ("operator", "00000000-0000-4000-8000-000000000001"),
    "service": ("service", "00000000-0000-4000-8000-000000000051"),
}


async def describe(plan: Plan, pids: dict[str, int]) -> Stack:
    """Asks the running issuer for the tokens; the rest follows from the plan."""
    ports, secrets, environment = plan.addresses, plan.credentials, plan.settings()
    return Stack(
        api_url=ports.url("api"),
        temporal_address=plan.temporal_address,
        temporal_namespace=NAMESPACE,
        temporal_ui_url=ports.url("temporal_ui"),
        database_url=plan.database_url(postgres.SUPERUSER, secrets.postgres_password),
        api_database_url=environment["PITSTOP_API_DATABASE_URL"],
        worker_database_url=environment["PITSTOP_WORKER_DATABASE_URL"],
        stripe_api_url=ports.url("stripe"),
        stripe_secret_key=secrets.stripe_secret_key,
        stripe_publishable_key=secrets.stripe_publishable_key,
        stripe_webhook_secret=secrets.stripe_webhook_secret,
        twilio_api_url=ports.url("twilio"),
        twilio_account_sid=secrets.twilio_account_sid,
        twilio_auth_token=secrets.twilio_auth_token,
        twilio_number=TWILIO_NUMBER,
        mail_url=ports.url("mail"),
        smtp_port=ports.smtp,
        issuer_url=ports.url("issuer"),
        jwks_url=plan.jwks_url,
        worker_metrics_url=f"{ports.url('worker_metrics')}/metrics",
        pids=pids,
        tokens=await _tokens(ports.url("issuer")),
        environment=environment,
    )


async def _tokens(issuer: str) -> Tokens:
    async with httpx.AsyncClient(base_url=issuer, trust_env=False) as client:
        return Tokens(**{name: await _token(client, *subject) for name, subject in SUBJECTS.items()})


async def _token(client: httpx.AsyncClient, role: str, subject: str) -> str:
    wish = {"sub": subject, "role": role, "ttl_seconds": TOKEN_SECONDS}
    answer = (await client.post("/token", json=wish)).raise_for_status()
    return str(answer.json()["access_token"])
