"""How requests are read: strictly. What two readers could understand in two ways is refused."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute

from api.problems import Problem, invalid_field

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """JSON as RFC 8259 has it: UTF-8 without a byte order mark, every name once, no NaN and no Infinity."""

    async def json(self) -> Any:
        return parsed(await self.body())


class StrictRoute(APIRoute):
    """A route that takes JSON bodies only, knows all its query parameters, and takes each once."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        params = get_flat_params(self.dependant)
        # The fields of a query model stand here as themselves, so what is nothing else is a query parameter.
        known = {param.alias for param in params if not isinstance(param.field_info, Path | Header | Cookie)}
        headers = [param.alias for param in params if isinstance(param.field_info, Header)]

        async def strictly(request: Request) -> Response:
            _check_query(request, known)
            _check_headers(request, headers)
            strict = StrictRequest(request.scope, request.receive)
            if self.body_field and await strict.body():
                _check_content_type(strict)
            return await handle(strict)

        return strictly


def _check_query(request: Request, known: set[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise invalid_field(f"query.{name}", "is not known here; remove it")
        if len(request.query_params.getlist(name)) > 1:
            raise invalid_field(f"query.{name}", "must be given once")


def _check_headers(request: Request, names: list[str]) -> None:
    for name in names:
        if len(request.headers.getlist(name)) > 1:
            raise invalid_field(f"header.{name}", "must be given once")


def _check_content_type(request: Request) -> None:
    message = Message()
    message["Content-Type"] = request.headers.get("Content-Type", "text/plain")
    if message.get_content_type() != "application/json":
        detail = "Send the body as JSON, with the header Content-Type: application/json."
        raise Problem(415, "unsupported_media_type", "The body is not JSON", detail)


def parsed(body: bytes) -> Any:
    """Raises the problem `malformed_json` for what two readers could understand in two ways."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise _malformed("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _malformed("The body is nested too deeply.") from None
    except ValueError:
        raise _malformed("A number has too many digits.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise _malformed(f"The field {twice[:100]!a} is written twice; write it once.")
    return read


def _no_constant(name: str) -> None:
    raise _malformed(f"{name} is no JSON; write a finite number or null.")


def _malformed(what: str) -> Problem:
    return Problem(400, "malformed_json", "The body is not JSON", f"{what} Send one JSON object, encoded as UTF-8.")
