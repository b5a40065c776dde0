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
    order, `None` for none.

    What was last answered: `moved_to` the start; `price` what it costs since it was moved to another plan;
    `difference` what is to be paid first for a dearer one, `difference_paid` that Stripe has taken it;
    `handed_to` the mechanic to whom it was handed over; `ended` the status, to whoever ended it; `erased` that the
    customer's personal data are gone; `taken_by` to which mechanics that an immediate session is theirs; `word` the
    workshop's word; `signed` how many signatures were taken; `entry` the id in the waitlist, `waits` how it stands
    there, `left` that it waits no more. `phone`: the number of who wants text messages; `stopped_at`: when it has
    replied STOP. `resent`: how often a notice was to be sent again. `referral`: the token by
    which it is booked, `referred_from` the booking that it comes from, `of` the key of whoever made that.

    Moments are of the wall clock, spans in seconds.
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
    difference: Json | None = None
    difference_paid: bool = False
    word: str | None = None
    signed: int = 0
    entry: str | None = None
    waits: str | None = None
    left: bool = False
    phone: str | None = None
    stopped_at: datetime | None = None
    resent: int = 0
    referral: str | None = None
    referred_from: str | None = None
    of: str | None = None
    erased: bool = False
    complaints: list[str] = Field(default_factory=list)

    @property
    def agreed_start(self) -> datetime | None:
        """As it was last said to be; None for a session at once that nobody was told to have."""
        return self.moved_to or (None if self.plan.trade is Trade.AT_ONCE else self.start)


def customer_id(key: str) -> UUID:
    return uuid5(_CUSTOMERS, key)


def phone_of(key: str) -> str:
    """A valid number, of which nobody rings."""
    place = customer_id(key).int
    return f"+1{_AREAS[place % len(_AREAS)]}{2_000_000 + place % 7_900_000:07d}"


_AREAS = ("416", "647", "437", "905")
