"""What a customer remembers of a booking: the answers that were given, which the product has to stand by."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from chaos.plan import Booking, Trade

Json = dict[str, Any]
_CUSTOMERS = UUID("8c1d2a0e-1b64-4b86-9a43-6b0f3c0f7d55")


class Story(BaseModel):
    """`opened`: the body of the 200 or 201. `refused`: the code of the last answer, if it was 409 or 422.

    Neither: the customer never had an answer that says what became of the request. `answers` are all statuses, in
    order, `None` for none. `moved_to`: the start that the last answer to a move has named; `ended`: the status that was
    answered to whoever ended it. `erased`: the API has said that the customer's personal data are gone. `taken_by`: the
    mechanics who were told that an immediate session is theirs. `handed_to`: the mechanic to whom the booking was said
    to be handed over; `price`: what it costs since it was moved to a cheaper plan. `word`: the workshop's, as it was
    last said to be; `signed`: how many signatures were acknowledged. Moments are of the wall clock, spans in seconds.
    """

    plan: Booking
    key: str
    start: datetime
    email: str
    opened: Json | None = None
    refused: str | None = None
    answers: list[int | None] = Field(default_factory=list)
    hold_seconds: float | None = None
    paid_at: datetime | None = None
    called_off: bool = False
    moved_to: datetime | None = None
    ended: str | None = None
    taken_by: list[str] = Field(default_factory=list)
    handed_to: str | None = None
    price: int | None = None
    word: str | None = None
    signed: int = 0
    erased: bool = False
    complaints: list[str] = Field(default_factory=list)

    @property
    def agreed_start(self) -> datetime | None:
        """As it was last said to be; None for a session at once that nobody was told to have."""
        return self.moved_to or (None if self.plan.trade is Trade.AT_ONCE else self.start)


def customer_id(key: str) -> UUID:
    return uuid5(_CUSTOMERS, key)
