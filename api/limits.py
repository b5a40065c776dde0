"""No body over 256 KB is read, whatever its length claims."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer

MAX_BODY_BYTES = 256 * 1024


class BodyLimit:
    """ASGI middleware: refuses a large body with 413, by its declared length at once, otherwise as it comes in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            await answer(_too_large())(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return counting


def _too_large() -> Problem:
    detail = f"The body may have {MAX_BODY_BYTES // 1024} KB at most."
    return Problem(413, "body_too_large", "The body is too large", detail)
