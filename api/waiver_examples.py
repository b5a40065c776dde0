"""Waivers as the documentation shows them."""

from api.examples import BOOKING, Json

_HASH = "6a2f4f0f0f5f0a6c1f1a3d0f9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c"
DOCUMENT: Json = {
    "version": 1,
    "language": "en",
    "text": "Waiver and consent for a vehicle session\n\nI have booked a session …",
    "sha256": _HASH,
    "in_force_from": "2026-11-01T00:00:00Z",
}
PUBLISHED: Json = {
    "version": 1,
    "in_force_from": "2026-11-01T00:00:00Z",
    "documents": [DOCUMENT, DOCUMENT | {"language": "fr", "text": "Décharge et consentement\n\nCette séance …"}],
}
WAIVER: Json = {
    "booking_id": BOOKING["id"],
    "waiver_status": "signed",
    "current_version": 1,
    "signatures": [
        {
            "id": "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d",
            "document_version": 1,
            "language": "en",
            "sha256": _HASH,
            "signed_name": "Camille Roy",
            "accepted_at": "2026-12-01T13:10:00.120000Z",
        }
    ],
}
