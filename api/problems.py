"""Errors as `application/problem+json` (RFC 9457), each with a stable `code` and a text that says what to do."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pitstop.gateways.issuer_keys import IssuerUnavailable
from pitstop.ports import EngineUnavailable

_log = logging.getLogger("pitstop.api")
RETRY_AFTER_SECONDS = "2"
# An answer about a body of many thousand mistakes is no longer than one about a few.
_MOST_ERRORS = 20
_LONGEST_NAME = 100
# What is raised while PostgreSQL cannot be reached, shuts down, or leaves a question without an answer.
DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What a connection says that was cut off in the middle of a command: its protocol is in no state to go on.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
# What the server raises for a value that has no place in it. What the driver itself cannot write is a plain
# `asyncpg.DataError`, of which these are subclasses.
_UNSTORABLE = (
    asyncpg.NumericValueOutOfRangeError,
    asyncpg.DatetimeFieldOverflowError,
    asyncpg.IntervalFieldOverflowError,
    asyncpg.StringDataRightTruncationError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class FieldError(BaseModel):
    field: str = Field(description="Where: `body.customer.email`, `query.from`, `header.Idempotency-Key`.")
    message: str = Field(description="What is wrong, and what would be right.")


class SlotNamed(BaseModel):
    mechanic_id: UUID
    start: datetime
    end: datetime


class ProblemBody(BaseModel):
    """RFC 9457, with `code`: what programs go by."""

    type: str = Field(default="about:blank")
    title: str = Field(examples=["The slot is taken"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["Somebody else has just taken this slot. Search again and choose another."])
    code: str = Field(examples=["slot_unavailable"])
    errors: list[FieldError] | None = None
    slot: SlotNamed | None = Field(default=None, description="Of `slot_available`: what can be booked at once.")


class Problem(HTTPException):
    """An answer that is not what was asked for. An HTTPException: FastAPI lets only those out of a body's reading."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
        slot: SlotNamed | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.body = ProblemBody(
            title=title, status=status, detail=detail, code=code, errors=list(errors) or None, slot=slot
        )


class ProblemResponse(JSONResponse):
    """Halves of surrogate pairs in what a client sent, and is told again, go back as they came: escaped."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def invalid_field(field: str, message: str) -> Problem:
    error = FieldError(field=field, message=message)
    return Problem(422, "invalid_request", "The request is not valid", f"{field}: {message}", [error])


def unstorable() -> Problem:
    """No field is named: each that is known to have bounds is refused before it gets to the database."""
    detail = "A value lies outside of what can be kept or searched: a number, an instant or a text. Nothing was done."
    return Problem(422, "invalid_request", "The request is not valid", detail)


def not_found(what: str = "booking") -> Problem:
    return Problem(404, "not_found", "Not found", f"There is no such {what}, or it is not yours.")


def key_reused(what: str) -> Problem:
    detail = f"This Idempotency-Key was used for another request. Take a new key for a new {what}."
    return Problem(422, "idempotency_key_reused", "The key belongs to another request", detail)


def unavailable(code: str, what: str) -> Problem:
    detail = f"{what} cannot be reached at the moment. Try again with the same Idempotency-Key: nothing is done twice."
    return Problem(503, code, "Try again soon", detail, headers={"Retry-After": RETRY_AFTER_SECONDS})


def answer(problem: Problem) -> JSONResponse:
    content = problem.body.model_dump(mode="json", exclude_none=True)
    return ProblemResponse(content, status_code=problem.status_code, headers=problem.headers)


def _of_validation(error: RequestValidationError) -> Problem:
    found = dict.fromkeys((_place(fault["loc"]), _remedy(fault)) for fault in error.errors())
    errors = [FieldError(field=field, message=message) for field, message in found][:_MOST_ERRORS]
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors[:3])
    return Problem(422, "invalid_request", "The request is not valid", detail, errors)


def _place(location: Sequence[Any]) -> str:
    return ".".join(str(part)[:_LONGEST_NAME] for part in location)


_WHAT_TO_SEND = {"Idempotency-Key": "is required: send 1 to 255 printable ASCII characters, new for each booking"}


def _remedy(fault: Any) -> str:
    if fault["type"] == "missing":
        return _WHAT_TO_SEND.get(fault["loc"][-1], "is required")
    if fault["type"] == "extra_forbidden":
        return "is not known here; remove it"
    if fault["type"] == "uuid_parsing":
        return "must be an id (a UUID), such as 00000000-0000-4000-8000-0000000000a1"
    if fault["type"] == "string_pattern_mismatch" and fault["loc"][-1] == "country":
        return "must be the country's code of two capital letters (ISO 3166-1), such as CA"
    message: str = fault["msg"].removeprefix("Value error, ")
    return message


def _of_http(error: HTTPException) -> Problem:
    codes = {404: "not_found", 405: "method_not_allowed", 400: "malformed_request"}
    code = codes.get(error.status_code, "error")
    headers = dict(error.headers) if error.headers else None
    return Problem(
        error.status_code, code, str(error.detail), _DETAILS.get(error.status_code, str(error.detail)), headers=headers
    )


def _allowed(request: Request) -> list[str]:
    """The methods of all routes at this address; each route by itself knows only its own."""
    return [method for method in _METHODS if _is_served(request, method)]


def _is_served(request: Request, method: str) -> bool:
    scope = dict(request.scope) | {"method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


_DETAILS = {
    404: "Nothing is served at this address; /openapi.json lists what is.",
    405: "This address does not know that method; the header Allow names those that it knows.",
}


def install(app: FastAPI) -> None:
    """One place turns every error into a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(_of_validation(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        problem = _of_http(error)
        if problem.status_code == 405:
            problem.headers = {"Allow": ", ".join(_allowed(request))}
        return answer(problem)

    @app.exception_handler(EngineUnavailable)
    async def _engine(_: Request, error: EngineUnavailable) -> JSONResponse:
        _log.warning("engine unavailable: %r", error.__cause__ or error)
        return answer(unavailable("engine_unavailable", "The booking engine"))

    @app.exception_handler(IssuerUnavailable)
    async def _issuer(_: Request, error: IssuerUnavailable) -> JSONResponse:
        _log.warning("issuer unavailable: %s", error)
        return answer(unavailable("issuer_unavailable", "The token issuer"))

    @app.exception_handler(Exception)
    async def _unforeseen(_: Request, error: Exception) -> JSONResponse:
        detail = "A mistake of ours, and on record. It is safe to try again with the same Idempotency-Key."
        return answer(Problem(500, "internal_error", "Something went wrong", detail))

    async def _database(_: Request, error: Exception) -> JSONResponse:
        _log.warning("database unavailable: %r", error)
        return answer(unavailable("database_unavailable", "The database"))

    @app.exception_handler(asyncpg.DataError)
    async def _unstorable(_: Request, error: asyncpg.DataError) -> JSONResponse:
        if type(error) is not asyncpg.DataError and not isinstance(error, _UNSTORABLE):
            raise error
        # If a request can bring it here, its field lacks a bound.
        _log.error("a value that cannot be stored: %r", error)
        return answer(unstorable())

    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, _database)
