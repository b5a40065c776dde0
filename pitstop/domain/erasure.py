"""Removing a customer's personal data: what comes of asking for it."""

from uuid import UUID

from pitstop.domain.saga import Message

# An answer names no more open bookings than these.
MOST_NAMED = 20


class ErasedRecords(Message):
    """What the database did: removed the personal data of so many bookings, or nothing, because some are still open."""

    open_bookings: tuple[UUID, ...] = ()
    bookings: int = 0
