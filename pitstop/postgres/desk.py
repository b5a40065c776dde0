"""Bookings as the API sees them: every transaction begins by saying who asks, and row-level security does the rest."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from pitstop.domain.audit_log import Action, Entry
from pitstop.domain.booking import BookingStatus, SlotRefusal
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind, ChangeOutcome, NotOnesOffice
from pitstop.domain.limits import HoldLimits, HoldsExhausted
from pitstop.domain.notices import Language
from pitstop.domain.referrals import ReferralOver, ReferralUsed, Referred
from pitstop.domain.saga import Standing
from pitstop.postgres import queries
from pitstop.postgres.audit_log import note
from pitstop.postgres.limits import claim_hold
from pitstop.postgres.pool import Connection, Pool
from pitstop.postgres.steps import decided, standing_of

_SQL = queries.load("desk")

IsolationLevel = Literal["read_committed", "repeatable_read"]
# A booking and its timeline are read by two queries: both see the database as it was at the first.
_ONE_INSTANT: IsolationLevel = "repeatable_read"
# Whose bookings are listed by an index of their own, in the order of the statement's parameters.
_OWNERS = (Role.CUSTOMER, Role.MECHANIC, Role.SERVICE)


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """A booking that is asked for, checked for form; whether it can be had is the database's to say.

    `mechanic_id` None: any mechanic; `start` None: at once, with whoever takes it, the named one first. `intake` is
    JSON; `fingerprint` that of the request's body.
    """

    id: UUID
    fingerprint: bytes
    customer_id: UUID
    customer_name: str
    customer_email: str
    customer_phone: str | None
    sms_consent: bool
    language: Language
    country: str
    city: str
    postal_code: str
    intake: dict[str, Any]
    timezone: str
    service_id: UUID
    plan_id: UUID
    mechanic_id: UUID | None
    start: datetime | None
    referral: Referred | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """What became of a request: opened now, or known before. `status` None: refused, for `refusal`.

    `misnamed` is the field of the request that is at fault when the refusal is `not_offered`. `exhausted`: refused
    because too many holds were taken and not paid for.
    """

    status: BookingStatus | None
    same_request: bool = True
    refusal: SlotRefusal | None = None
    misnamed: str | None = None
    mechanic_id: UUID | None = None
    summary: str = ""
    exhausted: HoldsExhausted | None = None


@dataclass(frozen=True, slots=True)
class News:
    """A booking's status and entries of its timeline, in the order of their ids.

    Ids are given before a transaction commits, so entries with lower ids may still come from transactions that run:
    none is older than `oldest_running`, and those that begin from now on have `next_transaction` or more.
    """

    status: BookingStatus
    entries: list[dict[str, Any]]
    oldest_running: int
    next_transaction: int


@dataclass(frozen=True, slots=True)
class BookingFilter:
    status: str | None
    mechanic_id: UUID | None
    starts_from: datetime | None
    starts_before: datetime | None
    after: tuple[datetime, UUID] | None
    limit: int
    flagged: bool | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that somebody asks for. `wanted` is JSON, `reason` in their own words."""

    id: UUID
    kind: ChangeKind
    wanted: dict[str, Any]
    reason: str | None


class BookingDesk:
    """Opens, withdraws and reads bookings as the role `pitstop_api`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open(self, caller: Caller, request: BookingRequest, limits: HoldLimits, now: datetime) -> Opening:
        """Puts the request on record if nobody did, the slot looks free and the limits allow it; a hold it is not yet.

        One that is on record is found before any limit is asked. Raises `ReferralUsed`, `ReferralOver`.
        """
        async with self._as(caller) as connection:
            if (known := await self._known(connection, request)) is not None:
                return known
            if request.referral is not None and request.referral.expires_at <= now:
                raise ReferralOver
            offer, reason = await self._offer(connection, request, now)
            if offer is None or reason is not None:
                # The slot may be this very request's: it came twice, and the other has got it since we looked.
                return await self._known(connection, request) or await self._refused(connection, request, reason)
            if (exhausted := await claim_hold(connection, request.id, limits)) is not None:
                return Opening(None, exhausted=exhausted)
            with _once():
                opened = await self._insert(connection, caller, request, offer)
            if not opened:
                # The same key, at the same moment: what it asked for is on record now, and may differ from this.
                return await self._known(connection, request) or Opening(None, refusal=SlotRefusal.TAKEN)
            await note(connection, caller, Entry(Action.OPEN_BOOKING, "booking", str(request.id)))
            return Opening(BookingStatus.HOLDING, mechanic_id=offer["mechanic_id"], summary=_summary(request, offer))

    async def withdraw(self, caller: Caller, request: BookingRequest) -> None:
        """Takes back a request that holds nothing."""
        async with self._as(caller) as connection:
            gone = await connection.fetchval(_SQL["withdraw"], request.id, request.fingerprint)
            if gone is not None:
                await note(connection, caller, Entry(Action.WITHDRAW_BOOKING, "booking", str(request.id)))

    async def booking(self, caller: Caller, booking_id: UUID) -> dict[str, Any] | None:
        """The booking with its timeline; None when there is none that this caller may see."""
        return await self._with_timeline("booking", caller, booking_id)

    async def sheet(self, caller: Caller, booking_id: UUID) -> dict[str, Any] | None:
        """The booking in the words that its customer is shown, with its timeline; None as for `booking`."""
        return await self._with_timeline("sheet", caller, booking_id)

    async def _with_timeline(self, query: str, caller: Caller, booking_id: UUID) -> dict[str, Any] | None:
        async with self._as(caller, _ONE_INSTANT) as connection:
            row = await connection.fetchrow(_SQL[query], booking_id)
            if row is None:
                return None
            await _note_reading(connection, caller, Entry(Action.READ_BOOKING, "booking", str(booking_id)))
            return {**row, "timeline": [dict(event) for event in await connection.fetch(_SQL["events"], booking_id, 0)]}

    async def events(self, caller: Caller, booking_id: UUID, after: int) -> News | None:
        """The timeline's entries after the given one; None for a booking that the caller may not see.

        No entry in the audit log: this is asked over and over while somebody follows a booking.
        """
        async with self._as(caller, _ONE_INSTANT) as connection:
            row = await connection.fetchrow(_SQL["status"], booking_id)
            if row is None:
                return None
            entries = [dict(entry) for entry in await connection.fetch(_SQL["events"], booking_id, after)]
            return News(BookingStatus(row["status"]), entries, row["oldest_running"], row["next_transaction"])

    async def list_bookings(self, caller: Caller, wanted: BookingFilter) -> list[dict[str, Any]]:
        at, last = wanted.after or (None, None)
        async with self._as(caller) as connection:
            await connection.execute(_SQL["plan_for_what_is_asked"])
            rows = await connection.fetch(
                _SQL["list_bookings"],
                wanted.status,
                wanted.mechanic_id,
                wanted.starts_from,
                wanted.starts_before,
                at,
                last,
                wanted.limit,
                wanted.flagged,
                *(caller.subject if caller.role is role else None for role in _OWNERS),
            )
            await _note_reading(connection, caller, Entry(Action.LIST_BOOKINGS, "booking", detail={"count": len(rows)}))
        return [dict(row) for row in rows]

    async def standing(self, caller: Caller, booking_id: UUID) -> Standing | None:
        """The booking as the engine has to know it; None when there is none that this caller may see."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["standing"], booking_id)
        return standing_of(row) if row else None

    async def offered(self, caller: Caller, booking_id: UUID) -> Standing | None:
        """The same of a booking that is, or was, offered to the mechanic who asks."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["offered"], booking_id)
        return standing_of(row) if row else None

    async def ask(self, caller: Caller, booking_id: UUID, wish: Wish) -> None:
        """Puts a change on record, for the booking's run to decide on. Raises `NotOnesOffice`."""
        who = (caller.role, caller.subject)
        async with self._as(caller) as connection:
            with _office():
                await connection.execute(_SQL["ask"], wish.id, booking_id, wish.kind, *who, wish.wanted, wish.reason)
            await note(
                connection,
                caller,
                Entry(Action.CHANGE_BOOKING, "booking", str(booking_id), detail={"kind": str(wish.kind)}),
            )

    async def take_back(self, caller: Caller, booking_id: UUID, change_id: UUID) -> ChangeOutcome | None:
        """Takes back what nobody has decided on; otherwise brings back what was decided."""
        async with self._as(caller) as connection:
            if await connection.fetchval(_SQL["take_back"], change_id) is not None:
                await note(connection, caller, Entry(Action.TAKE_CHANGE_BACK, "booking", str(booking_id)))
                return None
            row = await connection.fetchrow(_SQL["decided"], change_id)
        return decided(row["outcome"], row["detail"]) if row else None

    async def heard(self, caller: Caller, change_id: UUID) -> None:
        """The booking's run has answered: it knows what was decided, and the sweep need not tell it."""
        async with self._as(caller) as connection:
            await connection.execute(_SQL["heard"], change_id)

    async def erasure(self, caller: Caller, customer_id: UUID) -> dict[str, Any] | None:
        """How far a customer's erasure has got; None when there is none that this caller may see."""
        async with self._as(caller) as connection:
            row = await connection.fetchrow(_SQL["erasure"], customer_id)
        return dict(row) if row else None

    @asynccontextmanager
    async def _as(self, caller: Caller, isolation: IsolationLevel = "read_committed") -> AsyncIterator[Connection]:
        async with self._pool.acquire() as connection, connection.transaction(isolation=isolation):
            await connection.execute(_SQL["become"], caller.role, caller.subject)
            yield connection

    async def _known(self, connection: Connection, request: BookingRequest) -> Opening | None:
        row = await connection.fetchrow(_SQL["known"], request.id)
        if row is None:
            return None
        return Opening(BookingStatus(row["status"]), same_request=row["request_fingerprint"] == request.fingerprint)

    async def _refused(self, connection: Connection, request: BookingRequest, reason: str | None) -> Opening:
        refusal = SlotRefusal(reason or SlotRefusal.NOT_OFFERED)
        if refusal is not SlotRefusal.NOT_OFFERED:
            return Opening(None, refusal=refusal)
        ids = (request.service_id, request.plan_id, request.mechanic_id)
        misnamed = await connection.fetchval(_SQL["misnamed"], *ids, *_place(request))
        return Opening(None, refusal=refusal, misnamed=misnamed)

    async def _offer(
        self, connection: Connection, request: BookingRequest, now: datetime
    ) -> tuple[asyncpg.Record | None, str | None]:
        """What can be had, and why it cannot; neither when there is no such service, plan or mechanic."""
        ids, moment = (request.service_id, request.plan_id), (request.start, now)
        if request.start is None:
            offer = await connection.fetchrow(_SQL["offer_now"], *ids, request.mechanic_id, *_place(request), now)
            return offer, offer["reason"] if offer else None
        wanted = (request.service_id, *_place(request), *moment)
        mechanic = request.mechanic_id or await connection.fetchval(_SQL["choice"], *wanted)
        if mechanic is None:
            return None, await connection.fetchval(_SQL["why_nobody"], *wanted)
        offer = await connection.fetchrow(_SQL["offer"], *ids, mechanic, *moment)
        return offer, offer["reason"] if offer else None

    async def _insert(
        self, connection: Connection, caller: Caller, request: BookingRequest, offer: asyncpg.Record
    ) -> bool:
        """False when there is such a booking already."""
        inserted = await connection.fetchval(
            _SQL["open_booking"],
            request.id,
            request.fingerprint,
            caller.subject,
            request.customer_id,
            request.customer_name,
            request.customer_email,
            request.customer_phone,
            request.country,
            request.city,
            request.postal_code,
            request.intake,
            request.timezone,
            offer["service_id"],
            offer["plan_id"],
            offer["mechanic_id"],
            request.mechanic_id,
            request.start,
            request.start + timedelta(minutes=offer["duration_minutes"]) if request.start else None,
            offer["buffer_before_minutes"],
            offer["buffer_after_minutes"],
            offer["amount"],
            offer["currency"],
            offer["policy"],
            request.sms_consent,
            request.language,
            offer["reminder_offsets"],
            None if request.start else offer["duration_minutes"],
            request.referral.referral_id if request.referral else None,
            request.referral.referred_from if request.referral else None,
        )
        return inserted is not None


@contextmanager
def _once() -> Iterator[None]:
    """A referral is used once: of several at the same moment one is on record first."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "one_booking_of_a_referral":
            raise
        raise ReferralUsed from error


@contextmanager
def _office() -> Iterator[None]:
    """Row-level security says who may ask what."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise NotOnesOffice from error


def _summary(request: BookingRequest, offer: asyncpg.Record) -> str:
    """What is booked, as operators read it in the engine."""
    if request.start is None:
        return f"{offer['service_name']}, at once"
    return f"{offer['service_name']} with {offer['mechanic_name']}, {request.start:%Y-%m-%d %H:%M} UTC"


def _place(request: BookingRequest) -> tuple[str, str, str]:
    return request.country, request.city, request.postal_code


async def _note_reading(connection: Connection, caller: Caller, entry: Entry) -> None:
    """Operators read what is not theirs: that is on record. The others see their own."""
    if caller.role is Role.OPERATOR:
        await note(connection, caller, entry)
