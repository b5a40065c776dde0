"""`python -m pitstop.devstack.stripe_server`: runs the server until SIGTERM or Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from pitstop.devstack.addresses import HOST, KEEP_ALIVE_SECONDS
from pitstop.devstack.stripe_server.app import build_app
from pitstop.devstack.stripe_server.config import Config, Endpoint, Retries


def main(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")],
    data: Annotated[Path, typer.Option(dir_okay=False, help="SQLite file that keeps everything; made when missing.")],
    webhook_url: Annotated[str, typer.Option(help="Where events go, unless an endpoint of /_control claims them.")],
    webhook_secret: Annotated[str, typer.Option(help="Signs the webhooks (whsec_…).")],
    secret_key: Annotated[str, typer.Option(help="The API key of servers (sk_test_…).")],
    publishable_key: Annotated[str, typer.Option(help="The API key of browsers (pk_test_…).")],
    webhook_events: Annotated[
        str, typer.Option(help="The types of event that go there, separated by commas; all of them if empty.")
    ] = "",
    retry_first: Annotated[
        float, typer.Option(min=0.01, help="Seconds until an undelivered webhook is sent again; doubles each time.")
    ] = 0.5,
    retry_longest: Annotated[float, typer.Option(min=0.01, help="Seconds at which that delay stops growing.")] = 30.0,
    retry_give_up_after: Annotated[
        float, typer.Option(min=1, help="Seconds after which an undelivered webhook is given up (three days).")
    ] = 259_200.0,
    webhook_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds an endpoint has to answer.")] = 10.0,
) -> None:
    """A stateful stand-in for Stripe: PaymentIntents, charges, refunds, events, signed webhooks, test cards.

    GET / shows payments and deliveries, /docs the control interface, which injects faults. Listens on 127.0.0.1 only.
    """
    wanted = frozenset(name for name in webhook_events.split(",") if name)
    config = Config(
        data=data,
        secret_key=secret_key,
        publishable_key=publishable_key,
        default_endpoint=Endpoint(webhook_url, webhook_secret, wanted),
        retries=Retries(retry_first, retry_longest, retry_give_up_after),
        webhook_timeout=webhook_timeout,
    )
    app = build_app(config)
    uvicorn.run(
        app,
        host=HOST,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    typer.run(main)
