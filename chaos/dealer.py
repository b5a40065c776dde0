"""A customer whose booking others have a part in: what these do with it goes into the same story."""

import asyncio
from datetime import datetime
from uuid import UUID

from chaos.buyer import GOOD_CARD, Buyer

_LOOK_SECONDS = 0.4


class Dealer(Buyer):
    """The steps that mechanics take with a customer's booking, each until it is done or patience has run out."""

    async def is_paid(self, status: str = "confirmed") -> bool:
        """Paid, and told so; or not in time, because something is down: then it goes on all the same."""
        if not await self.opens():
            return False
        await self.pays_with(GOOD_CARD)
        await self._sees(status, seconds=self._world.spans.hold)
        return True

    # Immediate sessions

    def crowd(self, count: int) -> list[UUID]:
        """So many of the mechanics, at random."""
        mechanics = self._world.offer_of(self.story.plan.trade).mechanics
        return self.dice.sample(mechanics, min(count, len(mechanics)))

    async def is_offered(self, mechanic: UUID) -> bool:
        """Looks at the mechanic's offers until this booking is among them; False when nobody can take it any more."""
        assert self.story.opened is not None
        id = self.story.opened["id"]
        while True:
            listed = await self._reads(f"/v1/mechanics/{mechanic}/offers", mechanic)
            if listed is not None and id in [offer["booking_id"] for offer in listed["items"]]:
                return True
            booking = await self._reads(f"/v1/bookings/{id}")
            if booking is not None and booking["status"] not in ("awaiting_payment", "pending"):
                return False
            await asyncio.sleep(_LOOK_SECONDS)

    async def accepts(self, mechanic: UUID) -> None:
        """The mechanic takes the session as soon as it may."""
        if await self.is_offered(mechanic):
            await self.takes(mechanic)

    async def takes(self, mechanic: UUID) -> None:
        """What was offered to the mechanic before, if that is still to be had."""
        body = await self.asks("accept", mechanic=mechanic)
        if body is not None:
            self.story.taken_by.append(body["mechanic_id"])
            self.story.moved_to = datetime.fromisoformat(body["start"])

    async def declines_offer(self, mechanic: UUID) -> None:
        if await self.is_offered(mechanic):
            await self.asks("decline-offer", mechanic=mechanic)

    async def offered_until(self) -> datetime | None:
        """When the search for a mechanic ends."""
        assert self.story.opened is not None
        booking = await self._reads(f"/v1/bookings/{self.story.opened['id']}")
        until = booking["offered_until"] if booking else None
        return datetime.fromisoformat(until) if until else None
