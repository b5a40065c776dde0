"""Who is calling: a bearer token of the issuer's, or the signed link of one booking."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.composition import InRooms, Rooms
from api.problems import Problem, not_found
from pitstop.domain.caller import Caller, Origin, Role
from pitstop.gateways.tokens import InvalidToken

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of the configured issuer.")
BookingId = Annotated[UUID, Path(description="The booking's id.", examples=["7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11"])]
LinkToken = Annotated[
    str | None, Query(description="The token of a signed manage link.", max_length=2000, examples=["eyJhbGciOi…"])
]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


def unauthenticated(detail: str) -> Problem:
    return Problem(401, "unauthenticated", "Who is calling?", detail, headers={"WWW-Authenticate": "Bearer"})


def forbidden(detail: str) -> Problem:
    return Problem(403, "forbidden", "Not for this role", detail)


async def _caller(request: Request, credentials: Credentials, rooms: InRooms) -> Caller:
    if credentials is None:
        raise unauthenticated("Send a token: Authorization: Bearer <JWT>.")
    return await verified(request, rooms, credentials.credentials)


async def verified(request: Request, rooms: Rooms, token: str) -> Caller:
    """Who bears this token. The audit log is told the same name, and where the request came from."""
    try:
        caller = await rooms.tokens.caller(token)
    except InvalidToken as error:
        raise unauthenticated(f"The token is not valid: {error}") from error
    if caller.role in (Role.CUSTOMER, Role.MECHANIC) and not _is_uuid(caller.subject):
        raise unauthenticated(f"The token is not valid: the claim `sub` of a {caller.role} must be a UUID")
    return _known(request, caller)


def _known(request: Request, caller: Caller) -> Caller:
    origin: Origin = request.state.origin
    known = replace(caller, origin=origin)
    request.state.caller = known
    return known


async def _reader(
    request: Request,
    id: BookingId,
    credentials: Credentials,
    rooms: InRooms,
    token: LinkToken = None,
) -> Caller:
    if token is None:
        return await _caller(request, credentials, rooms)
    if rooms.links.booking_of(token) != id:
        raise not_found()
    return _known(request, Caller(Role.LINK, str(id)))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


# Whoever bears a token; and, for reading one booking, also whoever has its link.
Authenticated = Annotated[Caller, Depends(_caller)]
Reader = Annotated[Caller, Depends(_reader)]
