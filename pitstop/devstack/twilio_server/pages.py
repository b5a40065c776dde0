"""For people: the text messages, as they would be read on a telephone."""

from pathlib import Path

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, Response

from pitstop.devstack.twilio_server.api import Parts

router = APIRouter(include_in_schema=False)
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True
)


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    _parts(request).database.execute("SELECT 1")
    return {"status": "ok"}


@router.get("/")
async def overview(request: Request, to: str | None = None) -> Response:
    parts = _parts(request)
    page = _templates.get_template("overview.html").render(
        messages=parts.messages.listing(to, None, 200), to=to, opt_outs=set(parts.opt_outs.listing())
    )
    return HTMLResponse(page)
