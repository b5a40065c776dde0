"""What is asked of a booking, and what its time asks: each is decided and done in one transaction."""

from temporalio import activity

from pitstop.contracts import names
from pitstop.contracts.booking import ApplyChange, BookingRef, SessionStep
from pitstop.domain.changes import ChangeOutcome
from pitstop.domain.course import Course
from pitstop.domain.saga import Terms
from pitstop.ports import ChangeStore


class ChangeActivities:
    """The booking's life between its confirmation and its end."""

    def __init__(self, store: ChangeStore) -> None:
        self._store = store

    @activity.defn(name=names.APPLY_CHANGE)
    async def apply(self, change: ApplyChange) -> ChangeOutcome:
        times = (change.to_pay_difference, change.hold_grace)
        course = Course(change.reminder_offsets, change.waiting_room, change.paid, change.offering, *times)
        return await self._store.apply(change.booking_id, change.change_id, course, change.now)

    @activity.defn(name=names.COMPLETE_SESSION)
    async def close(self, step: SessionStep) -> Terms | None:
        return await self._store.close(step.booking_id, _course(step), step.now)

    @activity.defn(name=names.OFFER_SESSION)
    async def offer(self, step: SessionStep) -> Terms | None:
        return await self._store.offer(step.booking_id, _course(step), step.now)

    @activity.defn(name=names.READ_TERMS)
    async def read_terms(self, booking: BookingRef) -> Terms | None:
        return await self._store.terms(booking.booking_id, booking.now)


def _course(step: SessionStep) -> Course:
    return Course(step.reminder_offsets, step.waiting_room, patience=step.offering)
