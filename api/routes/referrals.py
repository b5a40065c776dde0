"""From a virtual session to an appointment in person: the mechanic refers, the customer books by a link."""

import logging
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from api import budgets
from api.addresses import ClientAddress
from api.callers import Authenticated, BookingId, forbidden
from api.composition import InRooms, Rooms
from api.examples import shown
from api.openapi import problems
from api.problems import Problem, invalid_field, key_reused, not_found
from api.reading import StrictRoute
from api.referrals import MADE, OFFER, ReferralIn, ReferralMade, ReferralOffer, recommendation
from api.routes.bookings import OptionalKey
from pitstop.domain.caller import Caller, Role
from pitstop.domain.referrals import FURTHEST, Misnamed, NotReferable, OutOfReach
from pitstop.ports import EngineUnavailable, IdempotencyKeyReused

_log = logging.getLogger("pitstop.referrals")
router = APIRouter(prefix="/v1", tags=["workshops"], route_class=StrictRoute)
Token = Annotated[str, Path(max_length=200, description="Of the link.", examples=["AZPypHwee3qdUi9vCgG4PZ…"])]


@router.post(
    "/bookings/{id}/referral",
    status_code=201,
    responses={
        201: shown(MADE),
        200: shown(MADE, model=ReferralMade, description="The referral that this key has made already."),
        **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
    },
)
async def refer(
    id: BookingId,
    sent: ReferralIn,
    caller: Authenticated,
    rooms: InRooms,
    response: Response,
    idempotency_key: OptionalKey = None,
) -> ReferralMade:
    """Recommends an appointment in person, during a virtual session or after it. The customer gets a link by mail.

    For the session's mechanic, and operators. 409 `not_referable`: it has not begun, is in person, or its
    customer's data was erased. Without an Idempotency-Key each request is another referral, with a mail of its own.
    """
    if caller.role not in (Role.MECHANIC, Role.OPERATOR):
        raise forbidden("The session's mechanic refers, or an operator.")
    wanted = recommendation(sent, caller, id, idempotency_key)
    try:
        made = await rooms.referrals.refer(caller, id, wanted, datetime.now(UTC))
    except NotReferable:
        why = "One refers from a virtual session that has begun, or is completed, and whose customer is known."
        raise Problem(409, "not_referable", "Nothing to refer from", why) from None
    except Misnamed as error:
        raise invalid_field(f"body.{error.field}", "names nothing that can be booked in person") from None
    except OutOfReach:
        raise invalid_field("body.start", f"must lie in the future, within {FURTHEST.days} days") from None
    except IdempotencyKeyReused:
        raise key_reused("referral") from None
    if made is None:
        raise not_found()
    row, new = made
    response.status_code = 201 if new else 200
    await _tell(rooms, caller, id)
    return ReferralMade.model_validate(row)


async def _tell(rooms: Rooms, caller: Caller, booking_id: UUID) -> None:
    """Has the booking's run send the mail. A repeated request tells it again: the first may have been cut off here."""
    standing = await rooms.desk.standing(caller, booking_id)
    try:
        if standing is not None:
            await rooms.engine.tell_notices_owed(standing)
    except EngineUnavailable:
        # The mail is on record: the sweep takes the booking up.
        _log.warning("the engine is away: the mail of a referral of booking %s waits for the sweep", booking_id)


@router.get("/referrals/{token}", responses={200: shown(OFFER), **problems(404, 422, 503)})
async def read_referral(token: Token, rooms: InRooms, address: ClientAddress) -> ReferralOffer:
    """What is recommended, for whoever has the link; it names no customer.

    It is booked by `POST /v1/bookings` with `referral`: the token.
    """
    id = rooms.referral_links.referral_of(token)
    row = await rooms.referrals.offer(id) if id else None
    await rooms.rates.spend((budgets.reads if row else budgets.failures)(rooms, address))
    if row is None:
        raise not_found("referral")
    return ReferralOffer.model_validate(row)
