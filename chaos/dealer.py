"""A customer whose booking others have a part in: what these do with it goes into the same story."""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from bench.seed import Offer
from chaos import plan, shops
from chaos.buyer import GOOD_CARD, PASSING, PATIENCE_SECONDS, Buyer
from chaos.plan import Kind
from chaos.story import Json

_LOOK_SECONDS = 0.4
_REFERRAL = re.compile(r"/referrals?/([A-Za-z0-9_.-]+)")
_MONTH_MINUTES = 30 * 1440
# So much later than its time is over an offer may be seen to have ended.
_LOOKS_ON_SECONDS = 10.0


class Dealer(Buyer):
    """The steps that mechanics take with a customer's booking, each until it is done or patience has run out."""

    async def is_paid(self, status: str = "confirmed") -> bool:
        """Paid, and told so; or not in time, because something is down: then it goes on all the same."""
        if not await self.opens():
            return False
        await self.pays_with(GOOD_CARD)
        await self._sees(status, seconds=self._world.spans.hold)
        return True

    async def is_paid_for_certain(self) -> bool:
        """Goes on only when it is known what became of the payment: somebody waits for the booking to be dealt with."""
        return await self.is_paid() and await self._is_confirmed()

    async def _is_confirmed(self) -> bool:
        ends = ("confirmed", "expired", "payment_failed", "refunded")
        return await self._sees(*ends, seconds=PATIENCE_SECONDS) == "confirmed"

    async def sees_confirmed(self) -> None:
        await self._sees("confirmed", seconds=self._world.spans.hold)

    def another(self, rival: int) -> "Dealer":
        """Somebody else who wants the same."""
        return Dealer(self._world, self._world.story(self.story.plan.model_copy(update={"rival": rival})))

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

    async def wants_what_is_dearer(self, start: datetime) -> bool:
        """The same service for more, at another time: whether there is a difference to be paid for it."""
        dearer = shops.dearer_plan(self._world.offer_of(self.story.plan.trade))
        if await self.asks("reschedule", start=start.isoformat(), plan_id=str(dearer)) is None:
            return False
        # Whoever is answered while the run is away has to look until Stripe has been asked; or until the time is over.
        due = await self._reads_of_the_difference(lambda supplement: supplement["client_secret"] is not None)
        self.story.difference = due if due and due["client_secret"] else None
        return self.story.difference is not None

    async def pays_the_difference_and_cancels(self) -> None:
        """Both at once; whichever comes first decides whether it has been moved."""
        await asyncio.gather(self.pays_the_difference(), self.ends("cancel"))
        await self.sees_what_came_of_it()

    async def sees_what_came_of_it(self) -> None:
        """Looks at the booking until nothing is to be paid beside any more, and takes it as it is then."""
        await self._reads_of_the_difference(lambda supplement: False)
        read = await self.reads_on()
        if read is not None and read["supplement"]["status"] == "applied":
            self.story.moved_to, self.story.price = datetime.fromisoformat(read["start"]), read["amount"]

    async def _reads_of_the_difference(self, wanted: Callable[[Json], bool]) -> Json | None:
        """As it is when it is as wanted, or not open any more."""
        began = time.monotonic()
        while self._patient(began):
            read = await self.reads_on()
            supplement: Json | None = read["supplement"] if read else None
            if supplement is not None and (supplement["status"] != "open" or wanted(supplement)):
                return supplement
            await asyncio.sleep(_LOOK_SECONDS)
        self.story.complaints.append("the difference was neither to be paid nor settled in time")
        return None

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

    # What is sent again, and what leads to another booking

    async def is_told_again(self, kind: str) -> None:
        """An operator has a notice sent once more."""
        assert self.story.opened is not None
        key = f"{self.story.opened['id']}/{kind}"
        self.story.resent += await self.asks("notices/resend", operator=True, key=key) is not None

    async def is_referred(self, to: Offer) -> str | None:
        """The token of the link in the mail; None when there is nothing to refer from."""
        wanted: Json = {
            "service_id": str(to.service_id),
            "plan_id": str(to.plan_id),
            "mechanic_id": str(to.mechanics[0]),
        }
        if await self.asks("referral", operator=True, once=True, **wanted) is None:
            return None
        tokens: list[str] = []

        async def look() -> bool:
            url = f"{self._world.stack.now.mail_url}/api/messages"
            mails = (await self._world.http.get(url, timeout=30)).raise_for_status().json()
            texts = [mail["text"] for mail in mails if mail["to"] == self.story.email]
            tokens.extend(_REFERRAL.findall(" ".join(texts)))
            return bool(tokens)

        await self._insists(look, "reading the mail of a referral")
        if len(set(tokens)) > 1:
            self.story.complaints.append(f"one key, {len(set(tokens))} referrals")
        return tokens[0] if tokens else None

    def by_referral(self, rival: int, token: str) -> "Dealer":
        """The customer's other booking, as one of several that want to be made by this link."""
        assert self.story.opened is not None
        later = {"kind": Kind.BY_REFERRAL, "rival": rival, "minute": self.story.plan.minute + _MONTH_MINUTES + rival}
        story = self._world.story(self.story.plan.model_copy(update=later))
        story.referral, story.of, story.referred_from = token, self.story.key, self.story.opened["id"]
        return Dealer(self._world, story)

    # The waitlist

    async def joins_the_line(self) -> bool:
        """Waits for this one time of its mechanic's, which somebody has; False when it is free."""
        start, offer = self.story.start, self._world.offer_of(self.story.plan.trade)
        wish = {"service_id": str(offer.service_id), "plan_id": str(offer.plan_id), "mechanic_id": str(self.mechanic)}
        wish |= {"from": start.isoformat(), "to": (start + timedelta(minutes=1)).isoformat()}

        async def join() -> bool:
            now = self._world.stack.now
            headers = {"Authorization": f"Bearer {now.tokens.service}", "Idempotency-Key": self.story.key}
            body = wish | {"timezone": "America/Toronto"} | self._own()
            answer = await self._world.http.post(f"{now.api_url}/v1/waitlist", json=body, headers=headers, timeout=30)
            return self._is_in_line(answer)

        await self._insists(join, "joining the line")
        return self.story.entry is not None

    def _is_in_line(self, answer: httpx.Response) -> bool:
        """Whether the answer says what became of the wish."""
        if answer.status_code in (httpx.codes.OK, httpx.codes.CREATED):
            self.story.entry = answer.json()["id"]
        elif answer.status_code == httpx.codes.CONFLICT:
            self.story.refused = answer.json()["code"]
        elif answer.status_code not in PASSING:
            self.story.complaints.append(f"joining answered {answer.status_code}: {answer.text[:300]}")
        return answer.status_code not in PASSING

    async def is_offered_a_slot(self) -> bool:
        """Waits for an offer that can be paid for; False when it was not seen in time, or never came."""
        began = time.monotonic()
        while self._patient(began):
            entry = await self._reads(f"/v1/waitlist/{self.story.entry}")
            self.story.waits = entry["status"] if entry else self.story.waits
            if entry and entry["offer"] and await self._is_to_be_paid(entry["offer"]):
                return True
            # There is one time only that it waits for, and nobody is offered a time twice.
            if self.story.waits in ("fulfilled", "left", "closed", "lapsed") or (entry and entry["missed"]):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _is_to_be_paid(self, offer: Json) -> bool:
        """An offer is a booking as one's own is, once it has its PaymentIntent."""
        payment = await self._reads(f"/v1/bookings/{offer['booking_id']}/payment", also=httpx.codes.CONFLICT)
        if payment is None or "payment_intent_id" not in payment:
            return False
        self.story.opened = {"id": offer["booking_id"], **offer, "payment": payment}
        return True

    async def lets_it_pass(self) -> None:
        """Until the offer is over."""
        await self._sees("expired", seconds=self._world.spans.offer + self._world.spans.grace + _LOOKS_ON_SECONDS)

    async def leaves_the_line(self) -> None:
        """And gives back what is offered at that moment."""
        self.story.called_off = True

        async def leave() -> bool:
            now = self._world.stack.now
            headers = {"Authorization": f"Bearer {now.tokens.service}"}
            url = f"{now.api_url}/v1/waitlist/{self.story.entry}"
            answer = await self._world.http.delete(url, headers=headers, timeout=30)
            self.story.left = answer.status_code == httpx.codes.NO_CONTENT
            if not self.story.left and answer.status_code not in PASSING:
                self.story.complaints.append(f"leaving answered {answer.status_code}: {answer.text[:300]}")
            return answer.status_code not in PASSING

        await self._insists(leave, "leaving the line")

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
