"""For people: the list of payments and deliveries, and the bank's 3-D Secure page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from pitstop.devstack.sqlite_file import transaction
from pitstop.devstack.stripe_server.call import Call
from pitstop.devstack.stripe_server.errors import Json
from pitstop.devstack.stripe_server.objects import money
from pitstop.devstack.stripe_server.parts import Parts
from pitstop.devstack.stripe_server.payments import awaits, finish_authentication

router = APIRouter(include_in_schema=False)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True
)
_templates.filters["moment"] = _moment
_templates.globals["money"] = money


def _page(template: str, status: int = 200, **values: object) -> Response:
    return HTMLResponse(_templates.get_template(template).render(**values), status)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    _parts(request).database.execute("SELECT 1")
    return {"status": "ok"}


@router.get("/")
async def overview(request: Request) -> Response:
    parts = _parts(request)
    intents = parts.objects.page("payment_intent", {}, 100)
    refunded = {intent["id"]: _refunded(parts, intent) for intent in intents}
    deliveries = parts.outbox.listing(100)[::-1]
    return _page("overview.html", intents=intents, refunded=refunded, deliveries=deliveries)


def _refunded(parts: Parts, intent: Json) -> list[Json]:
    return parts.objects.page("refund", {"payment_intent =": intent["id"]}, 100)


@router.get("/stripe.js")
async def stripe_js() -> Response:
    """What stands in for Stripe.js in a browser."""
    return FileResponse(Path(__file__).parent / "stripe.js", media_type="text/javascript")


@router.get("/3d_secure/{intent}/{step}")
async def bank_page(request: Request, intent: str, step: str) -> Response:
    found = _parts(request).objects.get("payment_intent", intent)
    if found is None or not awaits(found, step):
        return _page("bank.html", 404 if found is None else 410, intent=None)
    return _page("bank.html", intent=found, step=step)


@router.post("/3d_secure/{intent}/{step}/{verdict}")
async def bank_verdict(request: Request, intent: str, step: str, verdict: Literal["complete", "fail"]) -> Response:
    """Ends the step and sends the browser to the `return_url`, with the parameters that Stripe adds to it."""
    parts = _parts(request)
    with transaction(parts.database):
        found = parts.objects.get("payment_intent", intent)
        if found is None or not awaits(found, step):
            return _page("bank.html", 410, intent=None)
        return_url = found["next_action"]["redirect_to_url"]["return_url"]
        ended = finish_authentication(Call(parts.objects, parts.outbox, {}, intent), passed=verdict == "complete")
    request.app.state.dispatcher.wake()
    if return_url:
        return RedirectResponse(_returning(return_url, ended), 303)
    return _page("bank.html", intent=ended, ended=True)


def _returning(url: str, intent: Json) -> str:
    parts = urlsplit(url)
    added = {
        "payment_intent": intent["id"],
        "payment_intent_client_secret": intent["client_secret"],
        "redirect_status": "succeeded" if intent["status"] == "succeeded" else "failed",
    }
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(added))))))
