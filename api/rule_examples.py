"""A mechanic's own rules as the documentation shows them."""

from api.examples import BOOKING, Json

SCHEDULE: Json = {
    "timezone": "America/Toronto",
    "weekly": [
        {"weekday": 0, "start": "09:00", "end": "12:00"},
        {"weekday": 0, "start": "13:00", "end": "17:00"},
        {"weekday": 4, "start": "18:00", "end": "02:00"},
    ],
    "minimum_notice_minutes": 120,
    "horizon_days": 60,
    "exceptions": [
        {"date": "2026-12-24", "hours": [{"start": "09:00", "end": "12:00"}]},
        {"date": "2026-12-31", "hours": []},
    ],
    "max_sessions_per_day": 6,
    "holiday_region": "CA-ON",
    "services": [
        {"service_id": BOOKING["service_id"], "buffer_before_minutes": 0, "buffer_after_minutes": 30},
    ],
}
_CONFLICTS: Json = {
    "conflicts": [
        {
            "booking_id": BOOKING["id"],
            "start": BOOKING["start"],
            "end": BOOKING["end"],
            "status": "confirmed",
            "reason": "outside_hours",
            "held_beside": False,
        }
    ]
}
SCHEDULE_SET: Json = SCHEDULE | _CONFLICTS
ONLINE_SET: Json = {"online": True, "conflicts": []}
_TIME_OFF: Json = {
    "id": "0193f2a4-7c1e-7b3a-9d52-2f6f0a1b8c3d",
    "start": "2026-12-01T14:00:00Z",
    "end": "2026-12-08T14:00:00Z",
    "reason": "Holiday",
}
TIME_OFF_ADDED: Json = _TIME_OFF | {"conflicts": [_CONFLICTS["conflicts"][0] | {"reason": "time_off"}]}
TIME_OFF_PAGE: Json = {"items": [_TIME_OFF], "next_cursor": None}
RESERVATIONS: Json = {
    "items": [
        {
            "id": "0193f2a4-90b7-7d11-8e6f-51c3a7d2e4f0",
            "booking_id": BOOKING["id"],
            "service_id": BOOKING["service_id"],
            "start": BOOKING["start"],
            "end": BOOKING["end"],
            "blocked_from": BOOKING["start"],
            "blocked_until": "2026-12-01T16:15:00Z",
            "status": "confirmed",
            "hold_expires_at": BOOKING["hold_expires_at"],
        }
    ],
    "next_cursor": None,
}
OFFERS: Json = {
    "items": [
        {
            "booking_id": BOOKING["id"],
            "service_id": BOOKING["service_id"],
            "service_name": "Video consultation",
            "kind": "video",
            "plan_name": "Standard",
            "duration_minutes": 60,
            "amount": 8900,
            "currency": "cad",
            "first_name": "Camille",
            "city": "Toronto",
            "country": "CA",
            "distance": 1,
            "preferred": False,
            "offered_at": "2026-11-24T14:02:00.120000Z",
            "offered_until": "2026-11-24T14:11:00.100000Z",
        }
    ],
    "next_cursor": None,
}
