"""What all customers of a run share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from temporalio.client import Client

from bench.seed import Offer
from chaos.plan import Booking, Trade
from chaos.stack import Reachable
from chaos.story import Story, phone_of
from pitstop.devstack.description import SUBJECTS

# Who books, as the product names callers: a service, for its customers.
CALLER = ":".join(SUBJECTS["service"])
_TOKEN_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Spans:
    """The product's spans in this run, in seconds; `settings` tells them to it.

    `wave`: from one wave of offers of an immediate session to the next, `search`: of all of them; `offer`: how long the
    waitlist holds a slot.
    """

    hold: float
    grace: float
    reminders: tuple[float, ...]
    sweep: float
    closing: float = 1
    wave: float = 60
    search: float = 600
    offer: float = 1800

    def settings(self) -> dict[str, str]:
        return {
            "PITSTOP_HOLD_SECONDS": str(self.hold),
            "PITSTOP_HOLD_GRACE_SECONDS": str(self.grace),
            "PITSTOP_REMINDER_OFFSETS_SECONDS": str(list(self.reminders)),
            "PITSTOP_CLOSING_SECONDS": str(self.closing),
            "PITSTOP_SWEEP_INTERVAL_SECONDS": str(self.sweep),
            "PITSTOP_IMMEDIATE_PREFERRED_SECONDS": str(self.wave),
            "PITSTOP_IMMEDIATE_WAVE_SECONDS": str(self.wave),
            "PITSTOP_IMMEDIATE_SECONDS": str(self.search),
            "PITSTOP_WAITLIST_OFFER_SECONDS": str(self.offer),
            # Whatever time it is, nobody is spared.
            "PITSTOP_SMS_QUIET_FROM": "00:00",
            "PITSTOP_SMS_QUIET_UNTIL": "00:00",
        }


async def without_grace(connection: Any, service_id: UUID) -> None:
    """Somebody who is not there when the session begins has not come: with sessions of a minute, nobody could wait."""
    await connection.execute(
        "WITH made AS (INSERT INTO booking_policies (name, terms) SELECT $2, jsonb_set(terms, '{grace_minutes}', '0')"
        " FROM booking_policies WHERE name = 'standard' RETURNING id)"
        " UPDATE services SET policy_id = made.id FROM made WHERE services.id = $1",
        service_id,
        f"without grace {service_id}",
    )


class World:
    """What all customers share: the stack, the offers, and the run's first minute, from which sessions are counted.

    Idempotency keys begin with `name`, so that no two worlds on one stack share one.
    """

    def __init__(
        self,
        stack: Reachable,
        http: httpx.AsyncClient,
        temporal: Client,
        offer: Offer,
        name: str,
        spans: Spans,
        others: Mapping[Trade, Offer] | None = None,
    ) -> None:
        self.stack = stack
        self.http = http
        self.temporal = temporal
        self.offer = offer
        self._others = others or {}
        self._tokens: dict[str, str] = {}
        self.name = name
        self.spans = spans
        self.first_minute = datetime.now(UTC).replace(second=0, microsecond=0)
        self.stories: list[Story] = []
        # When the last fault was over, on the monotonic clock; None while some are still to come.
        self.peace: float | None = 0

    def offer_of(self, trade: Trade) -> Offer:
        """What is booked there; where there is one trade only, that one's."""
        return self._others.get(trade, self.offer)

    async def token_of(self, mechanic: UUID) -> str:
        """The mechanic's own, signed by the issuer, which no fault strikes."""
        id = str(mechanic)
        if id not in self._tokens:
            wish = {"sub": id, "role": "mechanic", "ttl_seconds": _TOKEN_SECONDS}
            answer = await self.http.post(f"{self.stack.now.issuer_url}/token", json=wish, timeout=30)
            self._tokens[id] = str(answer.raise_for_status().json()["access_token"])
        return self._tokens[id]

    def story(self, booking: Booking) -> Story:
        """A new one, that will be checked."""
        key = f"{self.name}-{booking.number}-{booking.rival}"
        start = self.first_minute + timedelta(minutes=booking.minute)
        phone = phone_of(key) if booking.wants_texts else None
        story = Story(plan=booking, key=key, start=start, email=f"chaos-{key}@example.com", phone=phone)
        self.stories.append(story)
        return story
