"""Who is calling: a bearer token of the issuer's, or the signed link of one booking."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api import budgets
from api.addresses import Address, ClientAddress
from api.composition import InRooms, Rooms
from api.problems import Problem, not_found
from pitstop.domain.caller import Caller, Origin, Role
from pitstop.gateways.tokens import InvalidToken

_READING = ("GET", "HEAD")
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


async def caller(request: Request, credentials: Credentials, rooms: InRooms, address: ClientAddress) -> Caller:
    """Who bears the token of the header. 401 when there is none, or it is not valid."""
    return await verified(request, rooms, address, credentials.credentials if credentials else None)


async def verified(request: Request, rooms: Rooms, address: Address, token: str | None) -> Caller:
    """Who bears this token. The audit log is told the same name, and where the request came from."""
    try:
        bearer = await _bearer_of(rooms, token)
    except Problem:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise
    await rooms.rates.spend(*budgets.of_call(rooms, bearer, address, reading=request.method in _READING))
    return _known(request, bearer)


async def _bearer_of(rooms: Rooms, token: str | None) -> Caller:
    if token is None:
        raise unauthenticated("Send a token: Authorization: Bearer <JWT>.")
    try:
        bearer = await rooms.tokens.caller(token)
    except InvalidToken as error:
        raise unauthenticated(f"The token is not valid: {error}") from error
    if bearer.role in (Role.CUSTOMER, Role.MECHANIC) and not _is_uuid(bearer.subject):
        raise unauthenticated(f"The token is not valid: the claim `sub` of a {bearer.role} must be a UUID")
    return bearer


def _known(request: Request, caller: Caller) -> Caller:
    origin: Origin = request.state.origin
    known = replace(caller, origin=origin)
    request.state.caller = known
    return known


async def _reader(
    id: BookingId,
    request: Request,
    credentials: Credentials,
    rooms: InRooms,
    address: ClientAddress,
    token: LinkToken = None,
) -> Caller:
    if token is None:
        return await caller(request, credentials, rooms, address)
    if rooms.links.booking_of(token) != id:
        await rooms.rates.spend(budgets.failures(rooms, address))
        raise not_found()
    return await of_link(request, rooms, address, id)


async def of_link(request: Request, rooms: Rooms, address: Address, booking_id: UUID) -> Caller:
    """Whoever bears the link of this booking."""
    budget = budgets.reads if request.method in _READING else budgets.writes
    await rooms.rates.spend(budget(rooms, address))
    return _known(request, Caller(Role.LINK, str(booking_id)))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


# Whoever bears a token; and, for one booking, also whoever has its link.
Authenticated = Annotated[Caller, Depends(caller)]
Reader = Annotated[Caller, Depends(_reader)]
