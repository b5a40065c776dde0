"""A customer whose booking others have a part in: what these do with it goes into the same story."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from chaos import plan, shops
from chaos.buyer import GOOD_CARD, Buyer
from chaos.story import Json

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

    @property
    def mechanic(self) -> UUID:
        """Whose time was booked."""
        mechanics = self._world.offer_of(self.story.plan.trade).mechanics
        return mechanics[self.story.plan.mechanic % len(mechanics)]

    # Another mechanic, time or price

    def spare(self) -> int:
        """The place of the mechanic to whom this booking could be handed over."""
        mechanics = self._world.offer_of(self.story.plan.trade).mechanics
        return len(mechanics) - 1 - self.story.plan.mechanic % plan.SPARE_MECHANICS

    async def is_handed_over(self) -> None:
        """By its mechanic, who does not see it any more then."""
        other = str(self._world.offer_of(self.story.plan.trade).mechanics[self.spare()])
        await self.asks("hand-over", mechanic=self.mechanic, gone=True, mechanic_id=other)
        if (read := await self.reads_on()) is not None and read["mechanic_id"] == other:
            self.story.handed_to = other

    async def is_proposed(self, *starts: datetime) -> bool:
        """The mechanic would rather have one of these times."""
        options = [{"start": start.isoformat()} for start in starts]
        return await self.asks("propose", mechanic=self.mechanic, options=options) is not None

    async def takes_proposal(self, start: datetime) -> None:
        await self.asks("proposal/accept", start=start.isoformat())
        if (read := await self.reads_on()) is not None and datetime.fromisoformat(read["start"]) == start:
            self.story.moved_to = start

    async def becomes_cheaper(self, start: datetime) -> None:
        """The same service for less, at another time."""
        cheaper = shops.cheaper_plan(self._world.offer_of(self.story.plan.trade))
        body = await self.asks("reschedule", start=start.isoformat(), plan_id=str(cheaper))
        if body is not None:
            self.story.moved_to, self.story.price = datetime.fromisoformat(body["start"]), body["amount"]

    async def reads_on(self) -> Json | None:
        """The booking, asked for until it can be had."""
        assert self.story.opened is not None
        read: list[Json] = []

        async def look() -> bool:
            assert self.story.opened is not None
            found = await self._reads(f"/v1/bookings/{self.story.opened['id']}")
            read.extend([found] if found else [])
            return bool(read)

        await self._insists(look, "reading")
        return read[-1] if read else None

    # Workshops, and what is signed there

    @property
    def keeper(self) -> UUID:
        """Who speaks for the workshop."""
        return self._world.offer_of(self.story.plan.trade).mechanics[-1]

    async def hears(self, word: str, **sent: Any) -> None:
        """The workshop says its word; the customer looks what has become of it."""
        await self.asks(f"workshop/{word}", mechanic=self.keeper, **sent)
        await self.looks_at_the_word()

    async def is_offered_instead(self, *starts: datetime) -> None:
        """By the workshop, which holds these times."""
        await self.hears("propose", options=[{"start": start.isoformat()} for start in starts])

    async def declines_proposal(self) -> None:
        """Of the workshop's: then the booking has ended."""
        await self.asks("proposal/decline")
        await self.looks_at_the_word()

    async def looks_at_the_word(self) -> None:
        if (read := await self.reads_on()) is not None:
            self.story.word = read["workshop_status"]
            self.story.ended = "cancelled" if read["status"] == "cancelled" else self.story.ended

    async def signs(self) -> None:
        """The waiver, in the version that is in force."""
        documents: list[Json] = []

        async def look() -> bool:
            found = await self._reads("/v1/waiver-documents/current")
            documents.extend([found] if found else [])
            return bool(documents)

        await self._insists(look, "reading the waiver")
        if documents:
            sent = {"signed_name": "Camille Roy", "document_version": documents[0]["version"], "accepted": True}
            self.story.signed += await self.asks("waiver", **sent) is not None

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
