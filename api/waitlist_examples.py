"""The waitlist's answers as the documentation shows them."""

from api.examples import Json

JOINED: Json = {
    "id": "3f1c9b52-7a52-5d0e-8a35-6a5b1f0c2d11",
    "status": "waiting",
    "position": 2,
    "service_id": "00000000-0000-4000-8000-0000000000b1",
    "plan_id": "00000000-0000-4000-8000-00000000b101",
    "mechanic_id": None,
    "customer_id": "00000000-0000-4000-8000-0000000000c1",
    "from": "2026-12-01T05:00:00Z",
    "to": "2026-12-02T05:00:00Z",
    "timezone": "America/Toronto",
    "earliest": "09:00",
    "latest": "16:30",
    "missed": 0,
    "misses_left": 3,
    "created_at": "2026-11-28T14:00:00.120000Z",
    "offer": None,
}
ENTRY: Json = JOINED | {
    "status": "offered",
    "position": 1,
    "offer": {
        "booking_id": "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11",
        "mechanic_id": "00000000-0000-4000-8000-0000000000a1",
        "start": "2026-12-01T15:00:00Z",
        "end": "2026-12-01T16:00:00Z",
        "hold_expires_at": "2026-11-29T09:30:00.100000Z",
        "amount": 8900,
        "currency": "cad",
    },
}
ENTRIES: Json = {"items": [ENTRY], "next_cursor": None}
PAYMENT: Json = {
    "payment_intent_id": "pi_3PqLxk2eZvKYlo2C1h7bJ0aT",
    "client_secret": "pi_3PqLxk2eZvKYlo2C1h7bJ0aT_secret_wQb7",
    "publishable_key": "pk_test_51Hx",
}
