"""The waiver: what is signed before a mechanic touches a vehicle, when it is asked for, and what proves it later."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from pitstop.domain.catalogue import SessionKind
from pitstop.domain.notices import BookingFacts, NoticeKind, notice_key
from pitstop.domain.saga import OwedNotice

# Which kinds need one; the database's function `needs_waiver` says the same.
NEEDING = frozenset({SessionKind.IN_PERSON, SessionKind.DIAGNOSTIC})
_ASKED_AT = time(8)
_AHEAD = timedelta(hours=1)


class Language(StrEnum):
    """The languages of a document, and of the page on which it is signed."""

    ENGLISH = "en"
    FRENCH = "fr"


class WaiverStatus(StrEnum):
    NOT_REQUIRED = "not_required"
    REQUIRED = "required"
    SIGNED = "signed"


class Signing(StrEnum):
    """What came of an attempt to sign; the database's function `sign_waiver` says it in these words."""

    SIGNED = "signed"
    NOT_FOUND = "not_found"
    NOT_REQUIRED = "not_required"
    NOT_SIGNABLE = "not_signable"
    OUTDATED = "outdated"


def document_hash(body: str) -> bytes:
    """SHA-256 of the text's UTF-8, as the database computes it."""
    return sha256(body.encode()).digest()


def request_due(kind: SessionKind, start: datetime | None, confirmed_at: datetime, zone: tzinfo) -> datetime | None:
    """When the customer is asked to sign, in the zone of `confirmed_at`; None where nothing is to be signed.

    On the day of the session: at 08:00 in `zone` (in which its times are shown), an hour before the start where
    that is earlier, so that there is time to read; never before the booking is confirmed. An immediate session (`start`
    None) asks at once.
    """
    if kind not in NEEDING:
        return None
    if start is None:
        return confirmed_at
    day = start.astimezone(zone).date()
    morning = datetime.combine(day, _ASKED_AT, tzinfo=zone).astimezone(confirmed_at.tzinfo)
    return max(confirmed_at, min(morning, (start - _AHEAD).astimezone(confirmed_at.tzinfo)))


def request_owed(
    booking_id: UUID, kind: SessionKind, start: datetime | None, now: datetime, zone: tzinfo, move: int = 0
) -> list[OwedNotice]:
    """The mail that asks for the signature, of a start that was agreed at `now`; none where nothing is to be signed."""
    due = request_due(kind, start, now, zone)
    if due is None:
        return []
    key = notice_key(booking_id, NoticeKind.WAIVER_REQUEST, move=move)
    return [OwedNotice(key=key, kind=NoticeKind.WAIVER_REQUEST, due_at=due, move=move)]


@dataclass(frozen=True, slots=True)
class WaiverDocument:
    """One version's text in one language, with the hash on record for it."""

    version: int
    language: Language
    body: str
    sha256: bytes
    in_force_from: datetime

    @property
    def is_intact(self) -> bool:
        return document_hash(self.body) == self.sha256


@dataclass(frozen=True, slots=True)
class WaiverSignature:
    """Somebody's acceptance of one text. Name, address and agent are empty once they have been erased."""

    id: UUID
    version: int
    language: Language
    sha256: bytes
    signed_name: str
    accepted_at: datetime
    address: str
    user_agent: str
    signer_role: str
    signer: str
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class WaiverEvidence:
    """What proves what was signed for a booking: signatures in the order of their time, and the texts signed."""

    facts: BookingFacts
    signatures: tuple[WaiverSignature, ...]
    documents: tuple[WaiverDocument, ...]

    def document_of(self, signature: WaiverSignature) -> WaiverDocument | None:
        named = (signature.version, signature.language)
        return next((each for each in self.documents if (each.version, each.language) == named), None)

    def fits(self, signature: WaiverSignature) -> bool:
        """Whether the text on record is the one that was signed."""
        document = self.document_of(signature)
        return document is not None and document.is_intact and document.sha256 == signature.sha256
