"""`python -m pitstop.devstack.twilio_server`: runs the server until SIGTERM or Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from pitstop.devstack.addresses import HOST, KEEP_ALIVE_SECONDS
from pitstop.devstack.twilio_server.app import build_app
from pitstop.devstack.twilio_server.config import Config


def main(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")],
    data: Annotated[Path, typer.Option(dir_okay=False, help="SQLite file that keeps everything; made when missing.")],
    inbound_url: Annotated[str, typer.Option(help="Where replies go.")],
    account_sid: Annotated[str, typer.Option(help="The account (AC…).")],
    auth_token: Annotated[str, typer.Option(help="Its token: for calls, and to sign webhooks.")],
    number: Annotated[str, typer.Option(help="The account's number.")] = "+15005550006",
    step: Annotated[float, typer.Option(min=0, help="Seconds from one status of a message to the next.")] = 0.3,
    retry: Annotated[float, typer.Option(min=0.01, help="Seconds until a callback that failed is sent again.")] = 0.5,
    tries: Annotated[int, typer.Option(min=1, help="How often it is tried in all.")] = 5,
    callback_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a webhook has to answer.")] = 10.0,
) -> None:
    """A stateful stand-in for Twilio: text messages, their status callbacks, replies and opt-outs.

    GET / shows the messages, /docs the control interface, which injects faults. Listens on 127.0.0.1 only.
    """
    config = Config(data, account_sid, auth_token, number, inbound_url, step, retry, tries, callback_timeout)
    uvicorn.run(
        build_app(config),
        host=HOST,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    typer.run(main)
