"""The dev stack's mail server: takes every mail and shows it. It never sends one on.

    python -m pitstop.devstack.mail_sink --smtp-port 1025 --http-port 8025 --data .pitstop/mail.sqlite

One process, one event loop, bound to 127.0.0.1. `GET /health` answers once both ports listen. SIGTERM ends it.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from pitstop.devstack.addresses import KEEP_ALIVE_SECONDS
from pitstop.devstack.mail_sink_faults import FaultKind, Faults
from pitstop.devstack.mail_sink_http import mail_sink_app
from pitstop.devstack.mail_sink_store import MailStore

HOST = "127.0.0.1"
LARGEST_MAIL_BYTES = 10_000_000
IDLE_SECONDS = 60.0
BACKLOG = 512

_REFUSALS: dict[FaultKind, str] = {
    "reject_4xx": "451 4.3.0 this mailbox is out of order for a while, as ordered",
    "reject_5xx": "550 5.1.1 this mailbox does not exist, as ordered",
}
_AT_RCPT = frozenset(_REFUSALS)
_AT_DATA: frozenset[FaultKind] = frozenset(("accept_then_drop_connection",))


class Intake:
    """What happens to a mail in the SMTP dialogue (hooks of aiosmtpd; the names and signatures are its own)."""

    def __init__(self, store: MailStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._faults.take(address, _AT_RCPT)
        if fault is not None:
            return _REFUSALS[fault]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipients = [str(recipient) for recipient in envelope.rcpt_tos]
        self._store.add(recipients, envelope.original_content or b"")
        ordered = [self._faults.take(recipient, _AT_DATA) for recipient in recipients]
        if any(ordered):
            await self._drop(server)
        return "250 2.0.0 kept"

    async def _drop(self, server: SMTP) -> None:
        """Ends the connection unanswered. The loss of the connection cancels the dialogue, and so this wait."""
        if server.transport is not None:
            server.transport.abort()  # type: ignore[attr-defined]  # aiosmtpd declares the base class of transports
        await asyncio.Event().wait()


class HttpServer(uvicorn.Server):
    """Uvicorn without its signal handlers, which raise the signal again and so end the process before it has closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(smtp_port: int, http_port: int, data: Path) -> None:
    """Serves until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    store, faults = MailStore(data), Faults()
    intake = Intake(store, faults)
    config = uvicorn.Config(
        mail_sink_app(store, faults),
        host=HOST,
        port=http_port,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    http = HttpServer(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, http, "should_exit", True)
    smtp = await loop.create_server(lambda: _dialogue(intake, loop), HOST, smtp_port, backlog=BACKLOG)
    try:
        await http.serve()
    finally:
        smtp.close()
        store.close()


def _dialogue(intake: Intake, loop: asyncio.AbstractEventLoop) -> SMTP:
    return SMTP(
        intake,
        loop=loop,
        hostname="mail-sink.localhost",
        data_size_limit=LARGEST_MAIL_BYTES,
        enable_SMTPUTF8=True,
        timeout=IDLE_SECONDS,
    )


def main(
    smtp_port: Annotated[int, typer.Option(min=1, max=65535, help="Takes mails by SMTP here.")],
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Shows them here.")],
    data: Annotated[Path, typer.Option(dir_okay=False, help="The SQLite file that keeps them.")],
) -> None:
    """Takes every mail and shows it, on 127.0.0.1 only."""
    asyncio.run(serve(smtp_port, http_port, data))


if __name__ == "__main__":
    typer.run(main)
