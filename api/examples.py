"""Answers as the documentation shows them: one for each operation, and one for each kind of problem."""

from typing import Any

Json = dict[str, Any]

_BOOKING = "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11"
_MECHANIC = "00000000-0000-4000-8000-0000000000a1"
_SERVICE = "00000000-0000-4000-8000-0000000000b1"
_PLAN = "00000000-0000-4000-8000-00000000b101"
_INTENT = "pi_3PqLxk2eZvKYlo2C1h7bJ0aT"
_ENTRIES: list[Json] = [
    {
        "at": "2026-11-24T14:00:00.120000Z",
        "event": "hold_placed",
        "detail": {"hold_expires_at": "2026-11-24T14:15:00.100000+00:00"},
    },
    {"at": "2026-11-24T14:00:00.310000Z", "event": "awaiting_payment", "detail": {"payment_intent_id": _INTENT}},
]

SERVICES: Json = {
    "items": [
        {
            "id": _SERVICE,
            "slug": "video-consultation",
            "name": "Video consultation",
            "kind": "video",
            "duration_minutes": 60,
            "buffer_before_minutes": 0,
            "buffer_after_minutes": 15,
            "immediate": True,
            "plans": [{"id": _PLAN, "slug": "standard", "name": "Standard", "amount": 8900, "currency": "cad"}],
        }
    ],
    "next_cursor": None,
}
MECHANICS: Json = {
    "items": [
        {
            "id": _MECHANIC,
            "name": "Amélie Tremblay",
            "timezone": "America/Toronto",
            "city": "Toronto",
            "country": "CA",
            "online": True,
            "service_ids": [_SERVICE],
        }
    ],
    "next_cursor": None,
}
SLOTS: Json = {
    "slots": [
        {
            "mechanic_id": _MECHANIC,
            "start": "2026-12-01T15:00:00Z",
            "end": "2026-12-01T16:00:00Z",
            "local_start": "2026-12-01T10:00:00-05:00",
        }
    ],
    "next_cursor": None,
}
NEXT: Json = {"slot": SLOTS["slots"][0]}
VERDICT: Json = {"available": False, "reason": "taken"}
OPENED: Json = {
    "id": _BOOKING,
    "status": "awaiting_payment",
    "mechanic_id": _MECHANIC,
    "start": "2026-12-01T15:00:00Z",
    "end": "2026-12-01T16:00:00Z",
    "hold_expires_at": "2026-11-24T14:15:00.100000Z",
    "amount": 8900,
    "currency": "cad",
    "payment": {
        "payment_intent_id": _INTENT,
        "client_secret": f"{_INTENT}_secret_Yh3V",
        "publishable_key": "pk_live_51Hx",
    },
    "manage_url": f"https://pitstop.example/manage/{_BOOKING}?token=eyJhbGciOi…",
}
SUMMARY: Json = {
    "id": _BOOKING,
    "status": "awaiting_payment",
    "version": 3,
    "service_id": _SERVICE,
    "plan_id": _PLAN,
    "mechanic_id": _MECHANIC,
    "customer_id": "00000000-0000-4000-8000-0000000000c1",
    "start": "2026-12-01T15:00:00Z",
    "end": "2026-12-01T16:00:00Z",
    "timezone": "America/Toronto",
    "hold_expires_at": "2026-11-24T14:15:00.100000Z",
    "amount": 8900,
    "currency": "cad",
    "workshop_status": None,
    "created_at": "2026-11-24T14:00:00.090000Z",
}
BOOKINGS: Json = {"items": [SUMMARY], "next_cursor": None}
BOOKING: Json = SUMMARY | {
    "session_id": None,
    "supplement": None,
    "flags": [],
    "proposal": None,
    "referred_from": None,
    "referrals": [],
    "workshop_id": None,
    "workshop_answer_by": None,
    "amount_refunded": 0,
    "amount_awaiting_refund": 0,
    "policy": {
        "refund_tiers": [{"minutes_before": 1440, "percent": 100}, {"minutes_before": 120, "percent": 50}],
        "reschedule_minutes_before": 120,
        "reschedule_limit": 5,
        "no_show_percent": 0,
        "grace_minutes": 10,
    },
    "moves": 0,
    "scheduled_for_original": None,
    "immediate": False,
    "offered_until": None,
    "waiting_room_opens_at": "2026-12-01T14:45:00Z",
    "started_at": None,
    "ended_at": None,
    "absent": None,
    "payment": {"payment_intent_id": _INTENT, "status": "requires_payment_method"},
    "waiver_status": "not_required",
    "timeline": _ENTRIES,
}
# A move to a dearer plan was asked for: it stands as it is until the difference is paid.
TO_PAY: Json = BOOKING | {
    "status": "confirmed",
    "version": 5,
    "session_id": "00000000-0000-4000-8000-0000000000d1",
    "scheduled_for_original": "2026-12-01T15:00:00Z",
    "payment": {"payment_intent_id": _INTENT, "status": "succeeded"},
    "supplement": {
        "id": "3d6f0f7a-7d0e-4a53-9a0c-0f4f0a2b7c55",
        "status": "open",
        "amount": 1000,
        "currency": "cad",
        "expires_at": "2026-11-24T15:15:00.100000Z",
        "service_id": _SERVICE,
        "plan_id": "00000000-0000-4000-8000-00000000b102",
        "mechanic_id": _MECHANIC,
        "start": "2026-12-02T15:00:00Z",
        "end": "2026-12-02T16:00:00Z",
        "payment_intent_id": "pi_3PqLxk2eZvKYlo2C0Wq2dE8s",
        "payment_status": "requires_payment_method",
        "client_secret": "pi_3PqLxk2eZvKYlo2C0Wq2dE8s_secret_Kd81",
        "publishable_key": "pk_live_51Hx",
    },
}
EVENTS = (
    "id: 41\nevent: hold_placed\n"
    'data: {"at": "2026-11-24T14:00:00.120000+00:00", "event": "hold_placed", '
    '"detail": {"hold_expires_at": "2026-11-24T14:15:00.100000+00:00"}, "status": "awaiting_payment"}\n\n'
)
ERASURE: Json = {
    "customer_id": "00000000-0000-4000-8000-0000000000c1",
    "status": "completed",
    "requested_at": "2026-12-24T14:00:00.090000Z",
    "bookings": 3,
    "left_at_stripe": 0,
    "completed_at": "2026-12-24T14:00:01.120000Z",
}
NOTICES: Json = {
    "items": [
        {
            "key": "7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11/reminder/86400s/sms",
            "kind": "reminder",
            "channel": "sms",
            "status": "sent",
            "due_at": "2026-11-30T15:00:00Z",
            "attempts": 1,
            "sending": 1,
            "sent_at": "2026-11-30T15:00:00.310000Z",
            "detail": None,
            "delivery_status": "delivered",
            "delivery_code": None,
            "delivery_at": "2026-11-30T15:00:02.120000Z",
            "earlier": [],
        }
    ],
    "next_cursor": None,
}
AUDIT_LOG: Json = {
    "items": [
        {
            "id": 41,
            "at": "2026-12-24T14:00:00.090000Z",
            "actor_role": "operator",
            "actor": "operator-1",
            "action": "booking.read",
            "object_kind": "booking",
            "object_id": _BOOKING,
            "outcome": "done",
            "address": "3f0a1b2c4d5e6f708192",
            "request_id": "0b6f6f1d0f6c4a0f9a3d2e1c5b7a9d8e",
            "detail": {},
        }
    ],
    "next_cursor": "41",
}
OPENED_PAYLOADS: Json = {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "InRleHQi"}]}
LIVE: Json = {"status": "ok"}
READY: Json = {"status": "ok", "dependencies": {"postgres": "ok", "temporal": "ok"}}
NOT_READY: Json = {"status": "unavailable", "dependencies": {"postgres": "ok", "temporal": "unavailable"}}
AUDIT: Json = {
    "seen_at": "2026-11-24T14:00:00.120000Z",
    "finished_at": "2026-11-24T14:00:10.950000Z",
    "since": "2026-11-24T13:30:00Z",
    "seconds": 10.8,
    "checked": {"bookings": 41, "payment_intents": 12, "refunds": 1, "runs": 38},
    "clean": False,
    "findings": [
        {
            "code": "undriven",
            "invariant": "I5",
            "booking_id": _BOOKING,
            "subject": "",
            "found": "confirmed, and no workflow runs",
            "to_do": "`--repair` starts its workflow again, as the sweep does when the next step is overdue.",
            "repairable": True,
        }
    ],
}

METRICS = (
    "# HELP pitstop_http_requests_total Requests answered.\n# TYPE pitstop_http_requests_total counter\n"
    'pitstop_http_requests_total{method="GET",route="/v1/services",status="200"} 41.0\n'
)

# By status: code, title and detail.
PROBLEMS: dict[int, tuple[str, str, str]] = {
    400: (
        "malformed_json",
        "The body is not JSON",
        "Expecting value at line 1, column 42. Send one JSON object.",
    ),
    401: ("unauthenticated", "Who is calling?", "Send a token: Authorization: Bearer <JWT>."),
    403: ("forbidden", "Not for this role", "Bookings are made by customers, by services and by operators."),
    404: ("not_found", "Not found", "There is no such booking, or it is not yours."),
    408: ("request_timeout", "The body did not come", "The body did not come in time. Send it at once."),
    409: ("slot_unavailable", "The slot is taken", "Somebody else has this slot. Search again and choose another."),
    413: ("body_too_large", "The body is too large", "The body may have 256 KB at most."),
    415: ("unsupported_media_type", "The body is not JSON", "Send the body as JSON: Content-Type: application/json."),
    422: ("invalid_request", "The request is not valid", "body.timezone: must be an IANA time zone"),
    429: (
        "rate_limited",
        "Too many calls",
        "The limit of 300 calls a minute (caller-reads) is reached. Try again in 1 s.",
    ),
    503: ("engine_unavailable", "Try again soon", "The booking engine cannot be reached at the moment."),
}


def shown(example: Any, media_type: str = "application/json", **more: Any) -> Json:
    """A documented answer with its example."""
    return more | {"content": {media_type: {"example": example}}}


def problem(status: int) -> Json:
    code, title, detail = PROBLEMS[status]
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    if status != 422:
        return body
    field, message = detail.split(": ")
    return body | {"errors": [{"field": field, "message": message}]}
