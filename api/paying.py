"""What is to be paid for a booking, and by which PaymentIntent."""

from uuid import UUID

from api.composition import Rooms
from api.problems import Problem, not_found
from api.schemas import PaymentToMake
from pitstop.domain.caller import Caller

NOTHING_TO_PAY = "nothing_to_pay"


async def payment_to_make(rooms: Rooms, caller: Caller, booking_id: UUID) -> PaymentToMake:
    """The booking's own payment, or the difference of a dearer plan, for whoever pays it.

    Raises 404, and 409 `nothing_to_pay` when the booking waits for nothing.
    """
    row = await rooms.desk.booking(caller, booking_id)
    if row is None:
        raise not_found()
    due = row if row["status"] == "awaiting_payment" else row["supplement"] or {}
    if not due.get("client_secret"):
        detail = f"The booking is {row['status']}, or its payment is another's to make."
        raise Problem(409, NOTHING_TO_PAY, "There is nothing to pay", detail)
    return PaymentToMake(
        payment_intent_id=due["payment_intent_id"],
        client_secret=due["client_secret"],
        publishable_key=rooms.settings.stripe_publishable_key,
    )
