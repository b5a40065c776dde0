"""The steps of bookings on the real database, without an engine: as a run takes them, one by one, at given moments."""

import json
from datetime import datetime, time, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from pitstop.domain.booking import BookingStatus
from pitstop.domain.caller import Caller, Role
from pitstop.domain.course import Course
from pitstop.domain.quiet_hours import QuietHours
from pitstop.domain.reminder_plan import TextRules
from pitstop.domain.saga import SupplementNews
from pitstop.domain.waitlist import Offer
from pitstop.domain.waiver import Language
from pitstop.gateways.holiday_library import HolidayLibrary
from pitstop.ports import PaymentIntent
from pitstop.postgres.changes import PostgresChanges
from pitstop.postgres.notices import PostgresNotices
from pitstop.postgres.rules import MechanicRules
from pitstop.postgres.saga import PostgresSaga
from pitstop.postgres.supplements import PostgresSupplements
from pitstop.postgres.waivers import Typed, Waivers
from tests.life.model.agreed import (
    DURATION,
    FAR_AWAY,
    GRACE,
    HOLD,
    OFFSETS,
    SOON,
    WAITING_ROOM,
    Agreed,
    Span,
    number_of,
)
from tests.life.model.line import OFFERED, Line, alone
from tests.life.model.premises import Pools, Premises
from tests.life.model.rules import Expected
from tests.life.model.till import Till, name, named

_OF_SOMEBODY = """
INSERT INTO bookings (
    id, status, request_fingerprint, created_by, created_by_role, customer_id, customer_name, customer_email, timezone,
    customer_phone, sms_consent, amount, currency, policy, service_id, plan_id, buffer_before_minutes,
    buffer_after_minutes, {columns}
) VALUES ($1, 'holding', '', $2::text, 'customer', $2::text::uuid, 'Camille Roy', 'camille@example.com', $3, $4, $5, $6,
    'cad', $7::text::jsonb, $8, $9, 0, 15, {values})
"""
_BOOKING = _OF_SOMEBODY.format(
    columns="mechanic_id, preferred_mechanic_id, starts_at, ends_at, country, city, postal_code",
    values="$10, $10, $11, $12, 'CA', 'Toronto', 'M5V 2T6'",
)
_AT_ONCE = _OF_SOMEBODY.format(
    columns="preferred_mechanic_id, country, city, postal_code, duration_minutes", values="$10, $11, $12, $13, 60"
)
_ASK = """
INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, wanted, asked_at)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7)
"""
_STANDS = """
SELECT
    b.workshop_status AS word, CASE b.status WHEN 'confirmed' THEN b.workshop_answer_by END AS answer_by,
    b.id, b.status, b.starts_at, b.mechanic_id, b.moves, b.customer_moves, b.invite_sequence, b.kept_amount, b.amount,
    (SELECT p.paid_at IS NOT NULL FROM payments AS p WHERE p.booking_id = b.id AND p.supplement_id IS NULL) AS paid,
    (SELECT sum(r.amount)::bigint FROM refunds AS r WHERE r.booking_id = b.id) AS owed,
    (SELECT s.status FROM sessions AS s WHERE s.booking_id = b.id) AS session,
    (SELECT s.absent FROM sessions AS s WHERE s.booking_id = b.id) AS absent,
    ARRAY(
        SELECT concat_ws(
            '/', r.mechanic_id, extract(EPOCH FROM r.starts_at)::bigint, extract(EPOCH FROM upper(r.blocked))::bigint,
            r.supplement_id, CASE WHEN r.proposal_id IS NOT NULL THEN 'proposed' END
        )
        FROM slot_reservations AS r WHERE r.booking_id = b.id AND status IN ('reserved', 'confirmed')
    ) AS slots,
    (SELECT jsonb_object_agg(u.id, u.status)::text FROM supplements AS u WHERE u.booking_id = b.id) AS differences,
    (
        SELECT jsonb_object_agg(g.id, jsonb_build_array(g.resolved_at IS NULL, g.is_news))::text
        FROM booking_flags AS g WHERE g.booking_id = b.id
    ) AS flags,
    (
        SELECT jsonb_object_agg(f.mechanic_id, f.outcome)::text FROM session_offers AS f WHERE f.booking_id = b.id
    ) AS asked,
    CASE b.status WHEN 'pending' THEN LEAST(b.offers_widen_at, b.offers_end_at) END AS turns,
    EXISTS (SELECT FROM proposals AS o WHERE o.booking_id = b.id AND o.status = 'open') AS proposed,
    (SELECT array_agg(i.party) FROM check_ins AS i WHERE i.booking_id = b.id) AS came,
    (
        SELECT jsonb_object_agg(n.key, jsonb_build_array(n.status, extract(EPOCH FROM n.due_at)::bigint))::text
        FROM notifications AS n WHERE n.booking_id = b.id
    ) AS mails
FROM bookings AS b WHERE b.id = ANY($1)
"""
_PERIOD = "UPDATE workshops SET confirms_within_minutes = $2 WHERE id = $1"
_FLAGS = "SELECT booking_id, id FROM booking_flags WHERE booking_id = ANY($1) AND resolved_at IS NULL"
_OVERLAPS = """
SELECT count(*) FROM slot_reservations AS a
JOIN slot_reservations AS b
    ON a.mechanic_id = b.mechanic_id AND a.id < b.id AND a.blocked && b.blocked AND a.booking_id <> b.booking_id
WHERE a.mechanic_id = ANY($1) AND a.status IN ('reserved', 'confirmed') AND b.status IN ('reserved', 'confirmed')
    AND (a.status = 'confirmed' OR a.expires_at > $2) AND (b.status = 'confirmed' OR b.expires_at > $2)
"""


TEXTS = TextRules(QuietHours(time(21), time(8)), sent=True)
# Country, city and postal code.
Place = tuple[str, str, str]


class Floor:
    """Two mechanics of one shop, and the stores that the worker has."""

    def __init__(self, database: Any, pools: Pools, premises: Premises) -> None:
        self.database, self.premises, self.mechanics = database, premises, premises.mechanics
        self.waivers, self.line = Waivers(pools.api, timedelta(days=1)), Line(pools, premises)
        pool, self.rules = pools.worker, MechanicRules(pools.api, HolidayLibrary(), SOON)
        self.saga, self.changes = PostgresSaga(pool, TEXTS), PostgresChanges(pool, TEXTS)
        self.supplements = PostgresSupplements(pool, TEXTS)
        self.notices = PostgresNotices(
            pool, lambda booking, end: "", lambda number: (sha256(number.encode()).digest()[:16],), lambda booking: ""
        )
        self.till = Till()

    @classmethod
    async def opened(cls, database: Any, pools: Pools, anew: Agreed) -> "Floor":
        """`anew`: the policy by which its service is sold from now on."""
        await alone(database)
        return cls(database, pools, await Premises.opened(database, anew))

    async def hold(self, booking: Expected, now: datetime) -> UUID | None:
        """Its id, when it has its slot."""
        id, what = uuid4(), self.premises.what(booking.in_person)
        where = (booking.mechanic, booking.start, booking.start + DURATION)
        await self.database.execute(_BOOKING, *self._somebodys(id, booking), *what, *where)
        return await self._held(id, now)

    def _somebodys(self, id: UUID, booking: Expected) -> tuple[object, ...]:
        """Who pays how much for it, by which policy; with a number that is nobody else's, where texts are wanted."""
        zone, number = (FAR_AWAY, number_of(id)) if booking.texts else ("UTC", None)
        return id, str(uuid4()), zone, number, booking.texts, booking.amount, _text(booking.agreed.json())

    async def replies_stop(self, number: str) -> None:
        await self.notices.note_opt_out(number)

    async def wants_to_be_asked(self, minutes: int | None) -> None:
        """The workshop, from now on, within so many minutes; None: not any more."""
        await self.database.execute(_PERIOD, self.premises.workshop, minutes)

    async def signs(self, booking: UUID) -> str:
        """The customer, the waiver in force, on the page of the booking."""
        typed = Typed("Camille Roy", 1, Language.ENGLISH, "203.0.113.7", "a browser")
        return await self.waivers.sign(Caller(Role.LINK, str(booking)), booking, typed)

    async def hold_at_once(self, booking: Expected, preferred: UUID | None, place: Place, now: datetime) -> UUID | None:
        """One without a time, of a customer in that place."""
        id = uuid4()
        await self.database.execute(
            _AT_ONCE, *self._somebodys(id, booking), *self.premises.what(False), preferred, *place
        )
        return await self._held(id, now)

    async def hold_offer(self, offer: Offer, now: datetime) -> None:
        """What the waitlist has opened gets its slot."""
        standing = offer.standing
        assert await self._held(standing.booking_id, now, OFFERED, standing.fingerprint) is not None, standing

    async def _held(self, id: UUID, now: datetime, lasts: timedelta = HOLD, fingerprint: str = "") -> UUID | None:
        outcome = await self.saga.place_hold(id, fingerprint, uuid4(), now, now + lasts, now + lasts + GRACE)
        if outcome.terms is None:
            assert await self.saga.withdraw(id, fingerprint)
            return None
        self.till.open(id)
        await self.saga.record_intent(id, PaymentIntent(name(id), "requires_payment_method", "secret"), now)
        return id

    async def confirm(self, booking: UUID, now: datetime) -> bool:
        return await self.saga.confirm(booking, uuid4(), Course(OFFSETS, WAITING_ROOM), now) is not None

    async def ask(self, booking: UUID, kind: str, role: str, by: str, wanted: dict[str, Any], now: datetime) -> UUID:
        id = uuid4()
        await self.database.execute(_ASK, id, booking, kind, Role(role), by, _text(wanted), now)
        return id

    async def apply(self, booking: UUID, change: UUID, now: datetime, paid: bool | None = None) -> str | None:
        outcome = await self.changes.apply(booking, change, Course(OFFSETS, WAITING_ROOM, paid), now)
        return outcome.refusal

    async def close(self, booking: UUID, now: datetime) -> None:
        await self.changes.close(booking, Course(OFFSETS, WAITING_ROOM), now)

    async def offer(self, booking: UUID, now: datetime) -> None:
        """The run's timer: nobody has taken it yet."""
        await self.changes.offer(booking, Course(OFFSETS, WAITING_ROOM), now)

    async def close_unpaid(self, booking: UUID, now: datetime) -> None:
        await self.saga.close_unpaid(booking, BookingStatus.EXPIRED, now)

    async def refund(self, booking: UUID, reason: str | None, now: datetime, *, answer_lost: bool = False) -> None:
        for owed in await self.saga.owed_refunds(booking, reason, now):
            made = self.till.refund(owed.idempotency_key, named(owed.payment_intent_id), owed.amount)
            if not answer_lost:
                await self.saga.record_refund(booking, owed.idempotency_key, made, now)

    async def request(self, booking: UUID, supplement: UUID, now: datetime) -> int:
        """Asks Stripe for the PaymentIntent of a difference; the amount that is to be paid."""
        terms = await self.supplements.to_be_paid(booking, supplement)
        assert terms is not None
        assert terms.payment_intent_id is None, terms
        self.till.open(supplement)
        intent = PaymentIntent(name(supplement), "requires_payment_method", "secret")
        await self.supplements.record_intent(booking, supplement, intent, now)
        return terms.amount

    async def settle(self, booking: UUID, supplement: UUID, paid: bool, now: datetime) -> None:
        course = Course(OFFSETS, WAITING_ROOM)
        await self.supplements.settle(booking, SupplementNews(name(supplement), paid), course, now)

    async def look(self, booking: UUID, now: datetime) -> None:
        """The run reads the terms again: what has lapsed is let go."""
        await self.changes.terms(booking, now)

    async def takes_off(self, mechanic: UUID, span: Span, now: datetime) -> UUID:
        row = await self.rules.add_time_off(_itself(mechanic), mechanic, span, None, now)
        assert row is not None
        id: UUID = row["id"]
        return id

    async def is_back(self, mechanic: UUID, time_off: UUID, now: datetime) -> None:
        assert await self.rules.remove_time_off(_itself(mechanic), mechanic, time_off, now) is not None

    async def goes(self, mechanic: UUID, online: bool, now: datetime) -> None:
        assert await self.rules.set_online(_itself(mechanic), mechanic, online, now) is not None

    async def sweep(self, now: datetime) -> None:
        """Of all bookings that there are."""
        await self.saga.flag_offline(now, SOON, 100_000)

    async def open_flags(self, bookings: list[UUID]) -> dict[UUID, UUID]:
        """By booking."""
        return {row["booking_id"]: row["id"] for row in await self.database.fetch(_FLAGS, bookings)}

    async def send(self, key: str, now: datetime) -> bool:
        claim = await self.notices.claim(key, now)
        if claim is None:
            return False
        await self.notices.mark_sent(key, claim.sending, now)
        return True

    # What is there

    async def stand(self, bookings: list[UUID]) -> dict[UUID, dict[str, Any]]:
        return {row["id"]: dict(row) for row in await self.database.fetch(_STANDS, bookings)}

    async def overlaps(self, now: datetime) -> int:
        count: int = await self.database.fetchval(_OVERLAPS, self.mechanics, now)
        return count


def _itself(mechanic: UUID) -> Caller:
    return Caller(Role.MECHANIC, str(mechanic))


def _text(value: object) -> str:
    return json.dumps(value)


MOMENTS = (
    *(-timedelta(hours=hours) for hours in (48, 26, 24, 20, 6, 3, 2, 1)),
    *(-timedelta(minutes=minutes) for minutes in (90, 45, 20, 15, 5)),
    timedelta(0),
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 30, 60, 75, 90)),
)
