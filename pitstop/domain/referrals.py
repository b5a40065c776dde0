"""An appointment in person that a mechanic recommends in a virtual session; the customer books it by a link."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pitstop.domain.booking import BookingStatus
from pitstop.domain.catalogue import SessionKind

# During the session, and after it.
REFERABLE = (BookingStatus.IN_PROGRESS, BookingStatus.COMPLETED)
# How far ahead a start may be suggested.
FURTHEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`workshop_id` or `mechanic_id` says where; `start` is a suggestion, `note` in the mechanic's words.

    `id` is a function of caller and key where there is a key; `fingerprint` is then that of the request.
    """

    id: UUID
    fingerprint: bytes | None
    service_id: UUID
    plan_id: UUID
    workshop_id: UUID | None
    mechanic_id: UUID | None
    start: datetime | None
    note: str | None

    @property
    def named(self) -> tuple[UUID, UUID, UUID | None, UUID | None]:
        """What, and where."""
        return self.service_id, self.plan_id, self.workshop_id, self.mechanic_id


@dataclass(frozen=True, slots=True)
class Referred:
    """Who was referred, and from which booking."""

    referral_id: UUID
    referred_from: UUID
    service_id: UUID
    expires_at: datetime
    customer_id: UUID
    customer_name: str
    customer_email: str
    customer_phone: str | None
    sms_consent: bool
    language: str
    country: str
    city: str
    postal_code: str


class NotReferable(Exception):
    """The session is not one that is referred from, as it stands."""


class Misnamed(Exception):
    """`field` names nothing that can be recommended."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class OutOfReach(Exception):
    """The suggested start is over, or too far ahead."""


class ReferralOver(Exception):
    """It was good for a time, which is over."""


class ReferralUsed(Exception):
    """Somebody has booked by this referral already."""


def may_refer(kind: SessionKind, status: BookingStatus) -> bool:
    return kind is not SessionKind.IN_PERSON and status in REFERABLE
