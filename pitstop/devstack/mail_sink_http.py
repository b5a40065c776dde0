"""The mail sink's HTTP side: pages to look at the mails, and JSON for tests and harnesses."""

from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from pitstop.devstack.mail_sink_faults import Fault, Faults
from pitstop.devstack.mail_sink_store import MailStore, StoredMessage, as_json

# A mail's HTML is a stranger's: no scripts, no forms, nothing loaded from elsewhere, no origin of its own.
MAIL_POLICY = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("mail_sink_pages")),
    autoescape=select_autoescape(("html",)),
    trim_blocks=True,
    lstrip_blocks=True,
)


def mail_sink_app(store: MailStore, faults: Faults) -> FastAPI:
    app = FastAPI(title="Pitstop mail sink")
    app.state.store = store
    _add_messages(app, store)
    _add_pages(app, store)
    _add_faults(app, faults)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def _known_message(id: int, request: Request) -> StoredMessage:
    store: MailStore = request.app.state.store
    message = store.message(id)
    if message is None:
        raise HTTPException(404, "no such mail")
    return message


KnownMessage = Annotated[StoredMessage, Depends(_known_message)]


def _add_messages(app: FastAPI, store: MailStore) -> None:
    @app.get("/api/messages")
    async def messages(to: str | None = None) -> JSONResponse:
        """Newest last; `to` keeps the mails to that address."""
        return JSONResponse([as_json(message) for message in store.messages(to)])

    @app.delete("/api/messages", status_code=204)
    async def delete_messages() -> None:
        store.clear()

    @app.get("/api/messages/{id}/raw")
    async def raw(message: KnownMessage) -> Response:
        """The mail as it was sent, MIME and all."""
        return Response(store.raw(message.id), media_type="message/rfc822")


def _add_pages(app: FastAPI, store: MailStore) -> None:
    @app.get("/")
    async def mailbox(to: str | None = None) -> HTMLResponse:
        messages = store.messages(to)[::-1]
        return HTMLResponse(_pages.get_template("mailbox.html").render(messages=messages, to=to))

    @app.get("/messages/{id}")
    async def page(message: KnownMessage) -> HTMLResponse:
        return HTMLResponse(_pages.get_template("message.html").render(message=message))

    @app.get("/messages/{id}/body.html")
    async def body(message: KnownMessage) -> HTMLResponse:
        return HTMLResponse(message.html or "", headers={"Content-Security-Policy": MAIL_POLICY})

    @app.get("/messages/{id}/invite.ics")
    async def ics(message: KnownMessage) -> Response:
        return Response(message.ics or "", media_type="text/calendar; charset=utf-8")


def _add_faults(app: FastAPI, faults: Faults) -> None:
    @app.get("/api/faults")
    async def pending() -> list[Fault]:
        """The orders that are not used up."""
        return faults.pending()

    @app.post("/api/faults", status_code=201)
    async def order(fault: Fault) -> Fault:
        faults.order(fault)
        return fault

    @app.delete("/api/faults", status_code=204)
    async def clear() -> None:
        faults.clear()
