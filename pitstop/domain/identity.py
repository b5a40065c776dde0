"""Ids and keys that are functions of what they name, so that doing a thing again names the same thing."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

_BOOKINGS = UUID("5b1d1c5e-7c3f-4f0e-9d57-2f7d3c1a9e10")
_CUSTOMERS = UUID("0f4a2f6b-51c6-4a57-8f0e-6d0d3c7a7b21")
_WAITLIST = UUID("c86ff1b4-9d5f-4e0f-b6a0-5f3f3d1f7a62")
_REFERRALS = UUID("7a4f1f0d-3f0a-4c57-9d0b-8c1f6a2f4e35")


def booking_id(caller: str, idempotency_key: str) -> UUID:
    """The id of the booking that this caller asks for with this key. Length-prefixed: no two pairs read the same."""
    return uuid5(_BOOKINGS, f"{len(caller)}:{caller}:{idempotency_key}")


def waitlist_entry_id(caller: str, idempotency_key: str) -> UUID:
    """As `booking_id`, of an entry in the waitlist."""
    return uuid5(_WAITLIST, f"{len(caller)}:{caller}:{idempotency_key}")


def referral_id(caller: str, idempotency_key: str) -> UUID:
    """As `booking_id`, of a referral."""
    return uuid5(_REFERRALS, f"{len(caller)}:{caller}:{idempotency_key}")


def offer_id(entry: UUID, number: int) -> UUID:
    """The id of the booking that is the entry's `number`-th offer."""
    return uuid5(_BOOKINGS, f"offer {number} of {entry}")


def guest_id(service: str, email: str) -> UUID:
    """The customer id of somebody without an account, for whom a trusted back end books: one for each address."""
    return uuid5(_CUSTOMERS, f"{len(service)}:{service}:{email.casefold()}")


def fingerprint(request: Mapping[str, Any]) -> bytes:
    """SHA-256 of a request in canonical JSON: two bodies that mean the same have the same fingerprint."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).digest()


def invite_uid(booking: UUID) -> str:
    """The calendar entry's UID: one for the booking's whole life (RFC 5545, 3.8.4.7)."""
    return f"{booking}@pitstop"


def feed_uid(booking: UUID) -> str:
    """The UID of a booking in its mechanic's feed. Not the invite's: who is customer and mechanic at once would have
    two entries of one UID, of which calendars keep one."""
    return f"{booking}.session@pitstop"


def time_off_uid(time_off: UUID) -> str:
    return f"{time_off}.time-off@pitstop"


def payment_intent_key(reservation: UUID) -> str:
    """Stripe's idempotency key for a hold's PaymentIntent. By the hold, not the booking: a request that was refused
    because Stripe was away may come again with its key, and must not be given the cancelled intent of the first try."""
    return f"payment-intent/{reservation}"
