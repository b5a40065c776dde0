"""The names by which workflows, activities and messages are known to the engine.

They are written into histories that live for months: a class may be renamed, a name here may not.
"""

from uuid import UUID

from temporalio.common import SearchAttributeKey

BOOKING_WORKFLOW = "Booking"
SWEEP_WORKFLOW = "Sweep"
SWEEP_SCHEDULE = "sweep"
AUDIT_WORKFLOW = "Audit"
AUDIT_SCHEDULE = "audit"
ERASURE_WORKFLOW = "Erasure"
SEAL_WORKFLOW = "SealAuditLog"
SEAL_SCHEDULE = "seal-audit-log"
WAITLIST_WORKFLOW = "Waitlist"

HOLD_UPDATE = "hold"
PAYMENT_SIGNAL = "payment_event"
CHANGE_UPDATE = "change"
NOTICES_SIGNAL = "notices_owed"
FREED_SIGNAL = "freed"
ERASE_UPDATE = "erase"
KEY_REUSED = "IdempotencyKeyReused"

PLACE_HOLD = "place_hold"
REQUEST_PAYMENT = "request_payment"
WITHDRAW_BOOKING = "withdraw_booking"
RECORD_DECLINE = "record_decline"
CANCEL_PAYMENT = "cancel_payment"
CONFIRM_BOOKING = "confirm_booking"
CLOSE_UNPAID = "close_unpaid"
CALL_OFF = "call_off_booking"
REFUND_PAYMENT = "refund_payment"
SEND_NOTICE = "send_notice"
GIVE_UP_NOTICE = "give_up_notice"
COMPLETE_SESSION = "complete_session"
APPLY_CHANGE = "apply_change"
READ_TERMS = "read_terms"
OFFER_SESSION = "offer_session"
REQUEST_SUPPLEMENT = "request_supplement"
WITHDRAW_SUPPLEMENT = "withdraw_supplement"
VOID_SUPPLEMENT = "void_supplement"
SETTLE_SUPPLEMENT = "settle_supplement"
EXPIRE_HOLDS = "expire_lapsed_holds"
FORGET_REQUESTS = "forget_abandoned_requests"
DRAIN_INBOX = "drain_inbox"
REVIVE_BOOKINGS = "revive_stranded_bookings"
AUDIT_BOOKINGS = "audit_bookings"
OFFER_FREED_SLOTS = "offer_freed_slots"
ERASE_RECORDS = "erase_records"
ERASE_AT_STRIPE = "erase_at_stripe"
SEAL_AUDIT_LOG = "seal_audit_log"

# Search attributes: what an operator can query in the Temporal UI.
BOOKING_STATUS = SearchAttributeKey.for_keyword("BookingStatus")
MECHANIC_ID = SearchAttributeKey.for_keyword("MechanicId")
CUSTOMER_ID = SearchAttributeKey.for_keyword("CustomerId")
SCHEDULED_FOR = SearchAttributeKey.for_datetime("ScheduledFor")


def booking_workflow_id(booking_id: UUID) -> str:
    return f"booking/{booking_id}"


def erasure_workflow_id(customer_id: UUID) -> str:
    return f"erasure/{customer_id}"


def waitlist_workflow_id(task_queue: str) -> str:
    return f"waitlist/{task_queue}"
