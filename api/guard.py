"""What every answer says to the browser that gets it, and which web sites may call from one."""

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pitstop.settings import Settings

# No script, no frame, no form; a page that needs more says so itself.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # A manage link's token stands in its address: it is told to nobody.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Answers are their callers' own unless they say otherwise.
_KEPT_NOWHERE = {"Cache-Control": "no-store"}
_SECURE_FOR_A_YEAR = {"Strict-Transport-Security": "max-age=31536000"}
_STATIC = ("/static/", "/static-offline-docs/")

_METHODS = ["GET", "POST", "PUT", "DELETE"]
_SENT = ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"]
_SHOWN = ["Location", "Retry-After", "Allow"]


class AnswerHeaders:
    """ASGI middleware around all others: it adds what an answer does not say itself, errors of ours included."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._headers = _HEADERS | (_SECURE_FOR_A_YEAR if settings.environment == "production" else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = self._headers if scope["path"].startswith(_STATIC) else self._headers | _KEPT_NOWHERE

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


def install(app: FastAPI, settings: Settings) -> None:
    """No site may call from a browser unless it is named. Cookies count for nothing here, so none are let through."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[str(origin) for origin in settings.cors_origins],
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_SHOWN,
            allow_credentials=False,
        )
    build = app.build_middleware_stack
    # The framework's own answer to a mistake of ours comes from outside of all middleware that is added to it.
    app.build_middleware_stack = lambda: AnswerHeaders(build(), settings)  # type: ignore[method-assign]
