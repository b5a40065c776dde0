"""What customers of each kind do. What they are told is in their stories: that is what the product is held to."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from chaos import at_once, in_line, in_the_yard
from chaos.buyer import DECLINED_CARD, GOOD_CARD
from chaos.dealer import Dealer
from chaos.plan import Kind, Trade

# Where a booking moves to, so many minutes on: no other kind has a session there.
_MINUTES = 30 * 1440 + 1
_A_SLOT = timedelta(minutes=_MINUTES)


class Customer(Dealer):
    """One customer with one wish."""

    async def live(self) -> None:
        """Does what the kind of the booking says. Everything that was promised is in the story then."""
        await _WAYS[self.story.plan.kind](self)

    async def pays(self) -> None:
        if await self.opens():
            await self.pays_with(GOOD_CARD)

    async def pays_at_second_try(self) -> None:
        if await self.opens():
            await self.pays_with(DECLINED_CARD)
            await self.pays_with(GOOD_CARD)

    async def is_declined(self) -> None:
        if await self.opens():
            await self.pays_with(DECLINED_CARD)

    async def abandons(self) -> None:
        await self.opens()

    async def pays_late(self) -> None:
        """Stripe cannot cancel the PaymentIntent when the hold ends: so the money comes when the hold has lapsed."""
        if await self.opens():
            await self._lets_the_hold_lapse()
            await self.pays_with(GOOD_CARD)

    async def pays_late_for_a_taken_slot(self) -> None:
        if not await self.opens():
            return
        await self._lets_the_hold_lapse()
        rival = self.another(1)
        if await rival.opens():
            await rival.pays_with(GOOD_CARD)
        await self.pays_with(GOOD_CARD)

    async def pays_without_a_webhook(self) -> None:
        if await self.opens():
            await self._webhooks({"mode": "drop", "event_type": "payment_intent.succeeded", "times": None})
            await self.pays_with(GOOD_CARD)

    async def pays_with_copies(self) -> None:
        if await self.opens():
            await self._webhooks({"mode": "duplicate", "times": None, "copies": 3})
            await self.pays_with(DECLINED_CARD)
            await self.pays_with(GOOD_CARD)

    async def pays_out_of_order(self) -> None:
        if await self.opens():
            await self._webhooks({"mode": "reorder", "times": 1, "seconds": 3})
            await self.pays_with(DECLINED_CARD)
            await self.pays_with(GOOD_CARD)

    async def asks_twice_at_once(self) -> None:
        """Both are told of the same booking."""
        twin = Customer(self._world, self.story.model_copy(deep=True))
        await asyncio.gather(self.opens(), twin.opens())
        one, two = self.story.opened, twin.story.opened
        if one and two and (one["id"], one["payment"]) != (two["id"], two["payment"]):
            self.story.complaints.append(f"one key, two bookings: {one['id']} and {two['id']}")
        self.story.complaints += twin.story.complaints
        self.story.opened = one or two
        if self.story.opened:
            await self.pays_with(GOOD_CARD)

    async def comes_back(self) -> None:
        await self._leaves()
        await self.pays()

    async def leaves_for_good(self) -> None:
        await self._leaves()

    async def is_called_off_unpaid(self) -> None:
        if await self.opens():
            await asyncio.sleep(self.dice.uniform(0, 2))
            await self.calls_off()

    async def is_called_off_paid(self) -> None:
        if await self.opens():
            await self.pays_with(GOOD_CARD)
            if self.dice.random() < 0.7:
                await self._sees("confirmed", seconds=self._world.spans.hold)
            await self.calls_off()

    async def is_erased_unpaid(self) -> None:
        """Asked for while the hold stands, and again until it has ended: never half of it."""
        if await self.opens():
            await self.erases()

    async def is_erased_refunded(self) -> None:
        """Asked for while the money is on its way back."""
        if await self.opens():
            await self.pays_with(GOOD_CARD)
            await self._sees("confirmed", seconds=self._world.spans.hold)
            await self.calls_off()
            await self.erases()

    async def is_moved(self) -> None:
        """Twice, each time to a time that nobody else wants."""
        if await self.is_paid():
            await self.moves(self.story.start + _A_SLOT)
            await self.moves(self.story.start + _A_SLOT + timedelta(days=10))

    async def is_moved_to_a_rivals(self) -> None:
        """Both want it at one moment; one has it."""
        if await self.is_paid():
            minute = self.story.plan.minute + _MINUTES
            wanted = self.story.plan.model_copy(update={"rival": 1, "minute": minute})
            rival = Customer(self._world, self._world.story(wanted))
            await asyncio.gather(self.moves(self.story.start + _A_SLOT), rival.pays())

    async def wants_no_more_texts(self) -> None:
        """Says so at some time between the confirmation and the last reminder."""
        if await self.is_paid():
            await asyncio.sleep(self.dice.uniform(0, 90))
            await self.says_stop()

    async def is_told_once_more(self) -> None:
        if await self.is_paid_for_certain():
            await self.is_told_again("confirmation")

    async def is_sent_on(self) -> None:
        """From a session that has begun to a workshop; the link is used twice at once, and good for one booking."""
        if not (await self.is_paid_for_certain() and await self.asks("start", operator=True)):
            return
        token = await self.is_referred(self._world.offer_of(Trade.VISIT))
        await self.ends("complete", operator=True)
        if token is not None:
            await asyncio.gather(*(self._books_by(token, rival) for rival in (1, 2)))

    async def _books_by(self, token: str, rival: int) -> None:
        booker = self.by_referral(rival, token)
        if await booker.opens():
            await booker.pays_with(GOOD_CARD)

    async def is_handed_over_to_a_rivals(self) -> None:
        """The other mechanic is wanted by a rival for the same time, in the same moment: one has it."""
        if await self.is_paid():
            wanted = self.story.plan.model_copy(update={"rival": 1, "mechanic": self.spare()})
            rival = Customer(self._world, self._world.story(wanted))
            await asyncio.gather(self.is_handed_over(), rival.pays())

    async def is_handed_over_alone(self) -> None:
        if await self.is_paid():
            await self.is_handed_over()

    async def takes_another_time(self) -> None:
        """One of two that its mechanic would rather have."""
        if await self.is_paid():
            wanted = self.story.start + _A_SLOT
            await self.is_proposed(wanted + timedelta(days=10), wanted)
            await self.takes_proposal(wanted)

    async def wants_no_other_time(self) -> None:
        if await self.is_paid() and await self.is_proposed(self.story.start + _A_SLOT):
            await self.asks("proposal/decline")

    async def moves_to_what_is_cheaper(self) -> None:
        """What is left of the price goes back while the booking stands."""
        if await self.is_paid():
            await self.becomes_cheaper(self.story.start + _A_SLOT)

    async def is_cheaper_and_cancelled(self) -> None:
        """Far ahead: all goes back, in two parts."""
        if await self.is_paid():
            await self.becomes_cheaper(self.story.start + _A_SLOT)
            await self.ends("cancel")

    async def moves_to_what_is_dearer(self) -> None:
        """The difference is paid, and then the booking moves."""
        if await self.is_paid() and await self.wants_what_is_dearer(self.story.start + _A_SLOT):
            await self.pays_the_difference()
            await self.sees_what_came_of_it()

    async def does_not_pay_the_difference(self) -> None:
        if await self.is_paid() and await self.wants_what_is_dearer(self.story.start + _A_SLOT):
            await self.sees_what_came_of_it()

    async def is_cancelled_before_the_difference(self) -> None:
        """All goes back of what was paid before."""
        if await self.is_paid() and await self.wants_what_is_dearer(self.story.start + _A_SLOT):
            await self.ends("cancel")

    async def is_cancelled_with_the_difference(self) -> None:
        """Paid in the moment of the cancellation: all goes back of both, moved or not."""
        if await self.is_paid() and await self.wants_what_is_dearer(self.story.start + _A_SLOT):
            await self.pays_the_difference_and_cancels()

    async def is_cancelled_unpaid(self) -> None:
        if await self.opens():
            await self.ends("cancel")

    async def is_cancelled(self) -> None:
        if await self.is_paid():
            await self.ends("cancel")

    async def is_moved_and_cancelled(self) -> None:
        """Far ahead: what goes back is what went back before the move."""
        if await self.is_paid() and await self.moves(self.story.start + timedelta(days=40)):
            await self.ends("cancel")

    async def holds_its_session(self) -> None:
        """In the waiting room, started, and completed before its time."""
        if await self.is_paid_for_certain():
            await self.asks("check-in")
            if await self.asks("start", operator=True):
                await self.ends("complete", operator=True)

    async def does_not_come(self) -> None:
        if await self.is_paid():
            await asyncio.sleep(max(0.0, (self.story.start - datetime.now(UTC)).total_seconds() + 1))
            await self.ends("no-show", operator=True)


_WAYS: dict[Kind, Callable[[Customer], Awaitable[None]]] = {
    Kind.PAID: Customer.pays,
    Kind.DECLINED_THEN_PAID: Customer.pays_at_second_try,
    Kind.DECLINED: Customer.is_declined,
    Kind.ABANDONED: Customer.abandons,
    Kind.LATE_SLOT_FREE: Customer.pays_late,
    Kind.LATE_SLOT_TAKEN: Customer.pays_late_for_a_taken_slot,
    Kind.LOST_WEBHOOK: Customer.pays_without_a_webhook,
    Kind.DUPLICATED_WEBHOOKS: Customer.pays_with_copies,
    Kind.REORDERED_WEBHOOKS: Customer.pays_out_of_order,
    Kind.SAME_KEY_AT_ONCE: Customer.asks_twice_at_once,
    Kind.RIVALS: Customer.pays,
    Kind.BAY_RIVALS: Customer.pays,
    Kind.BACK_WITH_ITS_KEY: Customer.comes_back,
    Kind.GONE: Customer.leaves_for_good,
    Kind.CALLED_OFF_UNPAID: Customer.is_called_off_unpaid,
    Kind.CALLED_OFF_PAID: Customer.is_called_off_paid,
    Kind.ERASED_UNPAID: Customer.is_erased_unpaid,
    Kind.ERASED_REFUNDED: Customer.is_erased_refunded,
    Kind.MOVED: Customer.is_moved,
    Kind.MOVED_TO_A_RIVALS: Customer.is_moved_to_a_rivals,
    Kind.CANCELLED_UNPAID: Customer.is_cancelled_unpaid,
    Kind.CANCELLED: Customer.is_cancelled,
    Kind.CANCELLED_IN_PART: Customer.is_cancelled,
    Kind.CANCELLED_LATE: Customer.is_cancelled,
    Kind.MOVED_AND_CANCELLED: Customer.is_moved_and_cancelled,
    Kind.HELD_SESSION: Customer.holds_its_session,
    Kind.MISSED: Customer.does_not_come,
    Kind.HANDED_OVER: Customer.is_handed_over_alone,
    Kind.HANDED_OVER_TO_A_RIVALS: Customer.is_handed_over_to_a_rivals,
    Kind.PROPOSED: Customer.takes_another_time,
    Kind.PROPOSED_DECLINED: Customer.wants_no_other_time,
    Kind.CHEAPER: Customer.moves_to_what_is_cheaper,
    Kind.CHEAPER_CANCELLED: Customer.is_cheaper_and_cancelled,
    Kind.DEARER: Customer.moves_to_what_is_dearer,
    Kind.DEARER_UNPAID: Customer.does_not_pay_the_difference,
    Kind.DEARER_CANCELLED: Customer.is_cancelled_before_the_difference,
    Kind.DEARER_PAID_AND_CANCELLED: Customer.is_cancelled_with_the_difference,
    **at_once.WAYS,
    **in_the_yard.WAYS,
    Kind.TEXTED: Customer.pays,
    Kind.TEXTED_STOP: Customer.wants_no_more_texts,
    Kind.RESENT: Customer.is_told_once_more,
    Kind.REFERRED: Customer.is_sent_on,
    **in_line.WAYS,
}
