"""Controls: each kind of discrepancy, planted by hand, is found; and what it is planted in is clean without it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from pitstop.audit.auditor import Scope
from pitstop.domain.audit import kinds
from pitstop.domain.audit.checks import judge
from pitstop.domain.audit.facts import Case, Moment
from tests.audit.conftest import States
from tests.audit.house import House, codes
from tests.support.people import GOOD_CARD

_LATER = "UPDATE booking_events SET at = at + interval '{by}' WHERE booking_id = $1 AND event = '{event}'"
_BY = """UPDATE booking_events SET detail = detail || '{{"by": "{by}"}}' WHERE booking_id = $1 AND event = '{event}'"""
_ABSENT = """UPDATE booking_events SET detail = detail || '{{"absent": "{}"}}'
WHERE booking_id = $1 AND event = 'no_show'"""
_FROM = """UPDATE booking_events SET detail = detail || jsonb_build_object('from', {})
WHERE booking_id = $1 AND event = 'rescheduled'"""
_UNTIL_THEN = """UPDATE booking_events SET detail = jsonb_set(detail, '{policy_before,refund_tiers}', '[]')
WHERE booking_id = $1 AND event = 'rescheduled'"""
# By its customer, so long before the start that it had until then.
_MOVED_BEFORE = (
    "INSERT INTO booking_events (id, booking_id, at, event, detail) OVERRIDING SYSTEM VALUE"
    " SELECT -1, booking_id, at, 'rescheduled', jsonb_build_object('by', 'customer', 'from', at + interval '{}')"
    " FROM booking_events WHERE booking_id = $1 AND event = 'confirmed'"
)
_SIGNED = (
    "INSERT INTO waiver_signatures (booking_id, version, language, sha256, signed_name, address, user_agent,"
    " signer_role, signer, keep_until)"
    " SELECT $1::uuid, version, language, source.sha256, 'A B', '', '', 'link', $1::uuid::text, now()"
    " FROM waiver_documents AS source WHERE version = 1 AND language = 'en'"
)
_DIAGNOSTIC = "UPDATE sessions SET kind = 'diagnostic' WHERE booking_id = $1"
_STARTED = (
    "UPDATE bookings SET status = 'in_progress' WHERE id = $1",
    "UPDATE sessions SET status = 'in_progress' WHERE booking_id = $1",
)
# By code: the state of the booking in which it is planted, and how.
_WAITING = (
    "UPDATE bookings SET workshop_status = 'awaiting', confirms_within_minutes = 60,"
    " workshop_answer_by = now() - interval '1 day' WHERE id = $1"
)
_AGREED = (
    "INSERT INTO booking_events (booking_id, at, event, detail)"
    " SELECT booking_id, at, 'workshop_confirmed', '{}'"
    " FROM booking_events WHERE booking_id = $1 AND event = 'confirmed'"
)
_PROPOSED = (
    "INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at, status, closed_at)"
    " VALUES ($1, $1, '[{{}}]', 'mechanic', now(), now() + interval '1 hour', '{}', {})"
)
_OPTION = (
    "INSERT INTO slot_reservations"
    " (id, booking_id, mechanic_id, starts_at, ends_at, blocked, status, expires_at, proposal_id)"
    " SELECT gen_random_uuid(), id, mechanic_id, starts_at + interval '300 days', ends_at + interval '300 days',"
    " tstzrange(starts_at + interval '300 days', ends_at + interval '300 days'), 'reserved', now() + interval '{}', id"
    " FROM bookings WHERE id = $1"
)
_REFERRED = (
    "INSERT INTO referrals (id, booking_id, customer_id, service_id, plan_id, made_at, expires_at)"
    " SELECT id, id, customer_id, service_id, plan_id, now(), now() + interval '1 day' FROM bookings WHERE id = $1"
)
_OVER = "UPDATE supplements SET status = '{}', closed_at = {} WHERE booking_id = $1"
_MORE = "UPDATE payments SET {} WHERE booking_id = $1 AND supplement_id IS NOT NULL"
PLANTED: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "reservation_differs": [
        ("confirmed", ("UPDATE slot_reservations SET blocked = tstzrange(starts_at, ends_at) WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE slot_reservations SET mechanic_id = gen_random_uuid() WHERE booking_id = $1",)),
        # It ended early, and kept its time until the planned end.
        ("completed", ("UPDATE sessions SET ended_at = scheduled_for + interval '9 minutes' WHERE booking_id = $1",)),
    ],
    "no_slot": [
        ("confirmed", ("UPDATE slot_reservations SET status = 'cancelled' WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE slot_reservations SET status = 'reserved' WHERE booking_id = $1",)),
    ],
    "no_session": [
        ("confirmed", ("DELETE FROM sessions WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE sessions SET status = 'cancelled' WHERE booking_id = $1",)),
    ],
    "slot_not_released": [
        ("cancelled", ("UPDATE slot_reservations SET status = 'confirmed' WHERE booking_id = $1",)),
        (
            "expired",
            (
                "UPDATE slot_reservations SET status = 'reserved', expires_at = now() + interval '1 hour' "
                "WHERE booking_id = $1",
            ),
        ),
    ],
    "session_not_closed": [
        ("cancelled", ("UPDATE sessions SET status = 'scheduled' WHERE booking_id = $1",)),
        ("completed", ("UPDATE sessions SET status = 'in_progress' WHERE booking_id = $1",)),
    ],
    "hold_outlived": [
        ("awaiting", ("UPDATE slot_reservations SET expires_at = AN_HOUR_AGO WHERE booking_id = $1",)),
    ],
    "paid_not_booked": [
        ("confirmed", ("UPDATE bookings SET status = 'expired' WHERE id = $1",)),
        ("cancelled_late", ("UPDATE bookings SET kept_amount = kept_amount - 1 WHERE id = $1",)),
        ("cancelled_late", ("UPDATE bookings SET kept_amount = NULL WHERE id = $1",)),
    ],
    "kept_differs": [
        ("cancelled_late", ("UPDATE bookings SET kept_amount = kept_amount + 1 WHERE id = $1",)),
        ("cancelled", ("DELETE FROM refunds WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE bookings SET kept_amount = 0 WHERE id = $1",)),
        ("left_alone", ("UPDATE bookings SET kept_amount = amount WHERE id = $1",)),
    ],
    "refund_not_by_policy": [
        ("cancelled_late", ("UPDATE bookings SET policy = jsonb_set(policy, '{refund_tiers}', '[]') WHERE id = $1",)),
        ("cancelled_late", (_LATER.format(event="cancelled", by="4 hours"),)),
        ("cancelled_late", (_BY.format(event="cancelled", by="operator"),)),
        ("missed", (_ABSENT.format("mechanic"),)),
        ("left_alone", (_ABSENT.format("customer"),)),
        # Moved to something cheaper when a cancellation would not have given all of the money back.
        ("paid_less", (_FROM.format("at + interval '5 hours'"),)),
        ("paid_less", (_UNTIL_THEN,)),
        ("paid_less", (_MOVED_BEFORE.format("10 hours"),)),
        # What was agreed before the move counts for it still.
        ("moved_late_and_cancelled", (_FROM.format("at + interval '30 hours'"),)),
        ("moved_late_and_cancelled", (_UNTIL_THEN,)),
    ],
    "moves_disagree": [
        ("moved", ("UPDATE bookings SET moves = 2 WHERE id = $1",)),
        ("moved", ("UPDATE bookings SET customer_moves = 0 WHERE id = $1",)),
        ("moved", ("DELETE FROM booking_events WHERE booking_id = $1 AND event = 'rescheduled'",)),
        (
            "moved",
            (
                "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, decided_at, outcome) "
                "VALUES (gen_random_uuid(), $1, 'reschedule', 'operator', 'somebody', now(), 'done')",
            ),
        ),
    ],
    "session_time_differs": [
        ("moved", ("UPDATE sessions SET scheduled_for = scheduled_for_original WHERE booking_id = $1",)),
        ("moved", ("UPDATE sessions SET scheduled_for_original = scheduled_for WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE sessions SET mechanic_id = gen_random_uuid() WHERE booking_id = $1",)),
        ("missed", ("UPDATE sessions SET scheduled_for = scheduled_for - interval '1 hour' WHERE booking_id = $1",)),
    ],
    "session_undated": [
        ("started", ("UPDATE sessions SET started_at = NULL WHERE booking_id = $1",)),
        ("started", ("DELETE FROM check_ins WHERE booking_id = $1",)),
        ("completed", ("UPDATE sessions SET ended_at = NULL WHERE booking_id = $1",)),
        ("missed", ("UPDATE sessions SET ended_at = NULL WHERE booking_id = $1",)),
    ],
    "absence_differs": [
        ("missed", ("UPDATE sessions SET absent = NULL WHERE booking_id = $1",)),
        ("missed", ("UPDATE sessions SET absent = 'mechanic' WHERE booking_id = $1",)),
    ],
    "check_in_outdated": [
        ("moved", ("INSERT INTO check_ins VALUES ($1, 'customer', now() - interval '1 day')",)),
        ("moved", ("INSERT INTO check_ins VALUES ($1, 'mechanic', now() - interval '1 day')",)),
    ],
    "change_undecided": [
        (
            "confirmed",
            (
                "INSERT INTO booking_changes (id, booking_id, kind, asked_by_role, asked_by, asked_at) "
                "VALUES (gen_random_uuid(), $1, 'cancel', 'operator', 'somebody', AN_HOUR_AGO)",
            ),
        ),
    ],
    "booked_not_paid": [
        ("confirmed", ("UPDATE payments SET paid_at = NULL WHERE booking_id = $1",)),
        ("confirmed", ("DELETE FROM payments WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE payments SET payment_intent_id = 'pi_unknown' WHERE booking_id = $1",)),
    ],
    "amount_differs": [
        ("confirmed", ("UPDATE payments SET amount = amount + 1 WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE sessions SET currency = 'usd' WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE bookings SET amount = amount - 100 WHERE id = $1",)),
        ("paid_more", (_MORE.format("amount = amount + 1"),)),
        ("paid_more", ("UPDATE supplements SET amount = amount + 1 WHERE booking_id = $1",)),
        ("paid_more", ("UPDATE bookings SET amount = amount - 1000 WHERE id = $1",)),
        ("to_pay", ("UPDATE bookings SET amount = amount + 1000 WHERE id = $1",)),
    ],
    "refund_exceeds": [
        ("cancelled", ("UPDATE refunds SET amount = amount + 1 WHERE booking_id = $1",)),
    ],
    "supplement_overdue": [
        (
            "to_pay",
            (
                "UPDATE supplements SET asked_at = AN_HOUR_AGO, expires_at = AN_HOUR_AGO + interval '1 minute',"
                " lapses_at = AN_HOUR_AGO + interval '2 minutes' WHERE booking_id = $1",
            ),
        ),
    ],
    "supplement_not_voided": [("to_pay", (_OVER.format("closed", "AN_HOUR_AGO"),))],
    "supplement_astray": [
        ("paid_more", (_OVER.format("lost", "now()"),)),
        ("paid_more", (_OVER.format("lapsed", "AN_HOUR_AGO"),)),
    ],
    "supplement_not_paid": [
        ("paid_more", (_MORE.format("paid_at = NULL"),)),
        ("paid_more", ("DELETE FROM payments WHERE booking_id = $1 AND supplement_id IS NOT NULL",)),
        ("paid_more", (_MORE.format("payment_intent_id = 'pi_unknown'"),)),
    ],
    "supplement_slot_differs": [
        ("to_pay", (_MORE.format("status = 'cancelled'").replace("payments", "slot_reservations"),)),
        ("to_pay", (_OVER.format("lapsed", "now()"),)),
    ],
    "payable_after_end": [
        ("awaiting", ("UPDATE bookings SET status = 'expired' WHERE id = $1",)),
    ],
    "payment_stale": [
        ("expired", ("UPDATE payments SET status = 'requires_payment_method' WHERE booking_id = $1",)),
        ("paid_more", (_MORE.format("status = 'canceled'"),)),
    ],
    "payment_unsettled": [
        ("awaiting", ("UPDATE bookings SET hold_expires_at = AN_HOUR_AGO WHERE id = $1",)),
    ],
    "refund_overdue": [
        (
            "cancelled",
            (
                "UPDATE refunds SET refunded_at = NULL, stripe_refund_id = NULL, "
                "requested_at = AN_HOUR_AGO WHERE booking_id = $1",
            ),
        ),
    ],
    "refund_unrecorded": [
        ("cancelled", ("DELETE FROM refunds WHERE booking_id = $1",)),
    ],
    "refunded_twice": [
        ("cancelled", ("UPDATE refunds SET stripe_refund_id = 're_of_another_time' WHERE booking_id = $1",)),
    ],
    "refund_differs": [
        ("cancelled", ("UPDATE refunds SET amount = amount - 1 WHERE booking_id = $1",)),
        ("cancelled", ("UPDATE refunds SET stripe_refund_id = 're_unknown' WHERE booking_id = $1",)),
    ],
    "undriven": [
        ("cancelled", ("UPDATE notifications SET status = 'sending' WHERE booking_id = $1 AND kind = 'cancellation'",)),
        ("completed", ("UPDATE bookings SET status = 'confirmed' WHERE id = $1",)),
    ],
    "stuck_holding": [
        ("awaiting", ("UPDATE bookings SET status = 'holding', created_at = AN_HOUR_AGO WHERE id = $1",)),
        (
            "expired",
            ("UPDATE bookings SET status = 'holding', hold_expires_at = NULL, created_at = AN_HOUR_AGO WHERE id = $1",),
        ),
    ],
    "session_not_ended": [
        (
            "confirmed",
            ("UPDATE bookings SET starts_at = AN_HOUR_AGO, ends_at = AN_HOUR_AGO + '1 minute' WHERE id = $1",),
        ),
    ],
    "offer_overdue": [
        ("pending", ("UPDATE bookings SET offers_end_at = AN_HOUR_AGO WHERE id = $1",)),
    ],
    "taken_without_offer": [
        ("taken", ("UPDATE session_offers SET outcome = 'lapsed' WHERE booking_id = $1",)),
        ("taken", ("UPDATE bookings SET mechanic_id = gen_random_uuid() WHERE id = $1",)),
        ("pending", ("UPDATE session_offers SET outcome = 'accepted' WHERE booking_id = $1",)),
    ],
    "run_of_ended_booking": [
        (
            "confirmed",
            (
                "UPDATE bookings SET status = 'completed', updated_at = AN_HOUR_AGO WHERE id = $1",
                "UPDATE notifications SET status = 'skipped' WHERE booking_id = $1 AND status = 'pending'",
            ),
        ),
    ],
    "shown_status_differs": [
        ("confirmed", ("UPDATE bookings SET status = 'pending', updated_at = AN_HOUR_AGO WHERE id = $1",)),
    ],
    "webhook_not_applied": [
        (
            "confirmed",
            (
                "UPDATE webhook_inbox SET applied_at = NULL, outcome = NULL, "
                "received_at = AN_HOUR_AGO WHERE booking_id = $1",
            ),
        ),
    ],
    "mail_overdue": [
        (
            "confirmed",
            ("UPDATE notifications SET due_at = AN_HOUR_AGO WHERE booking_id = $1 AND kind = 'reminder'",),
        ),
        (
            "confirmed",
            (
                "UPDATE notifications SET status = 'sending', created_at = AN_HOUR_AGO "
                "WHERE booking_id = $1 AND kind = 'confirmation'",
            ),
        ),
    ],
    "mail_missing": [
        ("confirmed", ("DELETE FROM notifications WHERE booking_id = $1 AND kind = 'confirmation'",)),
        ("confirmed", ("DELETE FROM notifications WHERE booking_id = $1 AND key LIKE '%/3600s'",)),
        ("cancelled", ("DELETE FROM notifications WHERE booking_id = $1 AND kind = 'cancellation'",)),
        ("missed", ("DELETE FROM notifications WHERE booking_id = $1 AND kind = 'no_show'",)),
        ("moved", ("DELETE FROM notifications WHERE booking_id = $1 AND kind = 'rescheduled'",)),
        ("moved", ("DELETE FROM notifications WHERE booking_id = $1 AND key LIKE '%/3600s/move-1'",)),
        ("moved", ("DELETE FROM notifications WHERE booking_id = $1 AND key LIKE '%/3600s'",)),
        ("taken", ("DELETE FROM notifications WHERE booking_id = $1 AND kind = 'taken'",)),
        ("confirmed", (_AGREED, "UPDATE bookings SET invite_sequence = 1 WHERE id = $1")),
        (
            "confirmed",
            (
                "INSERT INTO booking_events (booking_id, at, event, detail)"
                """ VALUES ($1, now(), 'supplement_lapsed', '{"notices": 1}')""",
            ),
        ),
    ],
    "mail_sent_twice": [
        (
            "confirmed",
            (
                "INSERT INTO booking_events (booking_id, at, event, detail) SELECT booking_id, at, event, detail "
                "FROM booking_events WHERE booking_id = $1 AND event = 'mail_sent'",
            ),
        ),
        ("confirmed", ("UPDATE notifications SET attempts = 0 WHERE booking_id = $1 AND status = 'sent'",)),
    ],
    "reminder_after_start": [
        (
            "completed",
            (
                "UPDATE notifications AS n SET sent_at = b.starts_at + interval '1 minute' FROM bookings AS b "
                "WHERE b.id = $1 AND n.booking_id = b.id AND n.kind = 'reminder'",
            ),
        ),
    ],
    "reminder_at_wrong_time": [
        ("confirmed", ("UPDATE notifications SET due_at = due_at + interval '1 hour' WHERE booking_id = $1",)),
        ("confirmed", ("UPDATE bookings SET starts_at = starts_at - interval '10 minutes' WHERE id = $1",)),
        (
            "moved",
            (
                "UPDATE notifications SET due_at = due_at + interval '1 hour' "
                "WHERE booking_id = $1 AND key LIKE '%/3600s/move-1'",
            ),
        ),
    ],
    "reminder_of_old_time": [
        (
            "moved",
            ("UPDATE notifications SET status = 'pending' WHERE booking_id = $1 AND kind = 'reminder' AND move = 0",),
        ),
        (
            "moved",
            (
                "UPDATE notifications SET status = 'sent', attempts = 1, sent_at = now() + interval '1 minute' "
                "WHERE booking_id = $1 AND kind = 'reminder' AND move = 0",
            ),
        ),
    ],
    "invite_sequence_wrong": [
        ("cancelled", ("UPDATE bookings SET invite_sequence = 0 WHERE id = $1",)),
        ("confirmed", ("UPDATE bookings SET invite_sequence = 1 WHERE id = $1",)),
        ("moved", ("UPDATE bookings SET invite_sequence = 0 WHERE id = $1",)),
        ("confirmed", (_AGREED,)),
    ],
    "flag_not_lowered": [
        (
            "cancelled",
            (
                "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by, is_news) "
                "SELECT id, 'mechanic_away', mechanic_id, 'time_off', AN_HOUR_AGO, 'mechanic', FALSE "
                "FROM bookings WHERE id = $1",
                "UPDATE bookings SET updated_at = AN_HOUR_AGO WHERE id = $1",
            ),
        ),
    ],
    "flag_not_told": [
        (
            "confirmed",
            (
                "INSERT INTO booking_flags (booking_id, kind, mechanic_id, reason, since, raised_by) "
                "SELECT id, 'mechanic_away', mechanic_id, 'time_off', AN_HOUR_AGO, 'mechanic' "
                "FROM bookings WHERE id = $1",
                "UPDATE bookings SET updated_at = AN_HOUR_AGO WHERE id = $1",
            ),
        ),
    ],
    "proposal_outlived": [
        (
            state,
            (
                "INSERT INTO proposals (id, booking_id, options, proposed_by, proposed_at, expires_at) "
                "SELECT gen_random_uuid(), id, '[{}]', 'operator', AN_HOUR_AGO, AN_HOUR_AGO + interval '1 minute' "
                "FROM bookings WHERE id = $1",
            ),
        )
        for state in ("cancelled", "confirmed")
    ],
    "trail_contradicts": [
        ("confirmed", ("DELETE FROM booking_events WHERE booking_id = $1 AND event = 'confirmed'",)),
        ("expired", ("UPDATE bookings SET status = 'payment_failed' WHERE id = $1",)),
    ],
    "waiver_tampered": [
        ("confirmed", (_SIGNED.replace("source.sha256", "sha256(sha256)"),)),
        ("confirmed", (_SIGNED, "UPDATE waiver_signatures SET version = 7 WHERE booking_id = $1")),
        ("completed", (_SIGNED, "UPDATE waiver_signatures SET language = 'fr' WHERE booking_id = $1")),
    ],
    "started_without_waiver": [
        ("confirmed", (*_STARTED, _DIAGNOSTIC)),
        ("confirmed", (*_STARTED, _DIAGNOSTIC, _SIGNED.replace("source.sha256", "sha256(sha256)"))),
        (
            "completed",
            (_DIAGNOSTIC, "INSERT INTO booking_events (booking_id, at, event) VALUES ($1, now(), 'in_progress')"),
        ),
    ],
    "word_overdue": [("confirmed", (_WAITING,)), ("confirmed", (_WAITING.replace("awaiting", "proposed"),))],
    "nothing_to_answer": [
        ("confirmed", (_WAITING.replace("awaiting", "proposed"),)),
        ("confirmed", (_WAITING.replace("awaiting", "proposed"), _PROPOSED.format("closed", "now()"))),
    ],
    "option_held_in_vain": [
        ("confirmed", (_PROPOSED.format("declined", "now()"), _OPTION.format("1 day"))),
        ("confirmed", (_PROPOSED.format("open", "NULL"), _OPTION.format("-1 day"))),
        ("completed", (_PROPOSED.format("open", "NULL"), _OPTION.format("1 day"))),
    ],
}
CONTROLS = [
    pytest.param(code, state, plants, id=f"{code}-{number}")
    for code, ways in PLANTED.items()
    for number, (state, plants) in enumerate(ways, 1)
]
# Those that stand in tests of their own, below and beside.
ELSEWHERE = {
    *(
        "overlap",
        "no_bay",
        "zone_data_differs",
        "second_payment",
        "payment_of_unknown_booking",
        "refunded_but_standing",
        "refund_failed",
    ),
    *("webhook_lost", "run_of_unknown_booking", "guard_missing", "referral_used_twice"),
    # tests/waitlist/test_audit.py
    *("two_offers", "offer_not_settled", "freed_slot_forgotten", "entry_outlived"),
}


def test_every_kind_has_its_control() -> None:
    assert {kind.code for kind in kinds.ALL} == PLANTED.keys() | ELSEWHERE


async def test_what_is_right_is_not_reported(house: House, states: States) -> None:
    outcome = await house.look(*states.values())
    assert outcome.findings == ()
    assert outcome.checked["bookings"] == len(states)


async def test_what_an_earlier_release_has_not_said_is_not_judged(house: House, states: States) -> None:
    """Without what was agreed before the move to another plan, nobody knows what was owed."""
    unsaid = "UPDATE booking_events SET detail = detail - 'policy_before' WHERE booking_id = $1"
    async with house.planted(states["paid_less"], unsaid, _MOVED_BEFORE.format("10 hours")):
        assert "refund_not_by_policy" not in codes(await house.look(states["paid_less"]))


@pytest.mark.parametrize(("code", "state", "plants"), CONTROLS)
async def test_planted_and_found(house: House, states: States, code: str, state: str, plants: tuple[str, ...]) -> None:
    async with house.planted(states[state], *plants):
        outcome = await house.look(*states.values())
    assert code in codes(outcome)
    assert {str(finding.booking_id) for finding in outcome.findings} == {states[state]["id"]}


async def test_what_was_signed_before_it_started_is_as_it_should_be(house: House, states: States) -> None:
    async with house.planted(states["confirmed"], *_STARTED, _DIAGNOSTIC, _SIGNED):
        found = codes(await house.look(states["confirmed"]))
    assert not found & {"waiver_tampered", "started_without_waiver"}


async def test_a_document_that_was_rewritten_is_found_by_its_signatures(house: House, states: States) -> None:
    """With its hash, so that no constraint is broken."""
    rewrite = "UPDATE waiver_documents SET body = {0}, sha256 = sha256(convert_to({0}, 'UTF8')) WHERE version = 1"
    longer, as_before = "body || ' More.'", "left(body, -6)"
    async with house.planted(states["confirmed"], _SIGNED):
        assert "waiver_tampered" not in codes(await house.look(states["confirmed"]))
        await _by_force(house, rewrite.format(longer))
        try:
            assert "waiver_tampered" in codes(await house.look(states["confirmed"]))
        finally:
            await _by_force(house, rewrite.format(as_before))


async def _by_force(house: House, statement: str) -> None:
    async with house.database.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement)


async def test_news_that_came_and_had_no_effect(house: House, states: States) -> None:
    """The event of the payment is in the inbox, and the booking still waits."""
    async with house.planted(states["confirmed"], "UPDATE bookings SET status = 'awaiting_payment' WHERE id = $1"):
        assert "paid_not_booked" not in codes(await house.look(states["confirmed"], patience=3600))
        assert "paid_not_booked" in codes(await house.look(states["confirmed"], patience=0))


async def test_a_difference_that_nobody_has_heard_of(house: House) -> None:
    """Stripe has the money, and its event has not come; a repair tells the run, which moves the booking."""
    customer, booking = await house._to_pay()
    await house.control.webhooks("drop", times=None)
    await customer.pay({"payment": booking["supplement"]})
    assert (await house.look(booking, patience=3600)).is_clean
    found = await house.look(booking, patience=0)
    assert codes(found) == {"supplement_astray"}
    await house.control.tidy()
    await house.office.repairs.of(found.findings)
    await customer.sees(booking, "confirmed", "rescheduled")
    await customer.waits_for(booking, lambda read: "mail_sent" in str(read["timeline"][-1]), "the mail")
    assert (await house.look(booking)).is_clean


async def test_overlap(house: House, states: States) -> None:
    """Whether or not the constraint is there: here it is not."""
    take = "UPDATE slot_reservations AS r SET starts_at = o.starts_at, ends_at = o.ends_at, blocked = o.blocked"
    take += " FROM slot_reservations AS o WHERE r.booking_id = $1 AND o.booking_id <> $1 AND o.booking_id = '{}'"
    constraint = await house.database.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'one_booking_at_a_time'"
    )
    await house.database.execute("ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_at_a_time")
    try:
        async with house.planted(states["confirmed"], take.format(states["other"]["id"])):
            found = await house.look(states["confirmed"], states["other"])
            one_of_them = await house.look(states["other"])
    finally:
        await house.database.execute(f"ALTER TABLE slot_reservations ADD CONSTRAINT one_booking_at_a_time {constraint}")
    [overlap] = [finding for finding in found.findings if finding.kind is kinds.OVERLAP]
    assert {str(overlap.booking_id), overlap.subject} == {states["confirmed"]["id"], states["other"]["id"]}
    assert "overlap" in codes(one_of_them)


async def test_referral_used_twice(house: House, states: States) -> None:
    """Whether or not the index is there: here it is not."""
    by_it = "UPDATE bookings SET referral_id = '{0}', referred_from = '{0}' WHERE id = $1"
    by_it = by_it.format(states["confirmed"]["id"])
    index = "SELECT pg_get_indexdef(oid) FROM pg_class WHERE relname = 'one_booking_of_a_referral'"
    definition = await house.database.fetchval(index)
    await house.database.execute("DROP INDEX one_booking_of_a_referral")
    try:
        async with house.planted(states["other"], by_it), house.planted(states["confirmed"], _REFERRED, by_it):
            found = await house.look(states["confirmed"], states["other"])
    finally:
        await house.database.execute("DELETE FROM referrals")
        await house.database.execute(definition)
    assert "referral_used_twice" in codes(found)


async def test_overlap_in_a_bay(house: House, states: States) -> None:
    """Of two mechanics, in one bay, at one time."""
    workshop = "INSERT INTO workshops (name, country, city, postal_code, address) VALUES ('W', 'CA', '', '', '')"
    made = await house.database.fetchval(f"{workshop} RETURNING id")
    bay = await house.database.fetchval("INSERT INTO bays (workshop_id, name) VALUES ($1, '1') RETURNING id", made)
    put = "UPDATE slot_reservations SET bay_id = (SELECT max(id::text)::uuid FROM bays) WHERE booking_id = $1"
    meet = "UPDATE slot_reservations AS r"
    meet += " SET mechanic_id = gen_random_uuid(), starts_at = o.starts_at, ends_at = o.ends_at, blocked = o.blocked"
    meet += " FROM slot_reservations AS o WHERE r.booking_id = $1 AND o.booking_id <> $1 AND o.booking_id = '{}'"
    meet = meet.format(states["other"]["id"])
    constraint = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'one_booking_in_a_bay'"
    definition = await house.database.fetchval(constraint)
    await house.database.execute("ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_in_a_bay")
    try:
        async with house.planted(states["other"], put), house.planted(states["confirmed"], meet, put):
            found = await house.look(states["confirmed"], states["other"])
    finally:
        restore = f"ALTER TABLE slot_reservations ADD CONSTRAINT one_booking_in_a_bay {definition}"
        await house.database.execute(restore)
    [overlap] = [finding for finding in found.findings if finding.kind is kinds.OVERLAP]
    assert str(bay) in overlap.found


async def test_no_bay(house: House, states: States) -> None:
    columns = "INSERT INTO services (slug, name, kind, duration_minutes) VALUES ('visit', 'Visit', 'in_person', 60)"
    visit = await house.database.fetchval(f"{columns} RETURNING id")
    becomes = "UPDATE bookings SET service_id = '{}' WHERE id = $1"
    async with house.planted(states["confirmed"], becomes.format(visit)):
        assert codes(await house.look(states["confirmed"])) == {"no_bay"}


@pytest.mark.parametrize(
    ("zone", "differs"), [("America/Toronto", False), ("America/Halifax", True), ("Mars/Olympus", True)]
)
async def test_zone_data_differs(
    house: House, states: States, monkeypatch: pytest.MonkeyPatch, zone: str, differs: bool
) -> None:
    """The mails' zones are replaced: what is called Toronto there has the clocks of another place, or is not known."""
    monkeypatch.setattr("pitstop.domain.audit.slots.ZoneInfo", lambda _: ZoneInfo(zone))
    assert codes(await house.look(states["confirmed"])) == ({"zone_data_differs"} if differs else set())


async def _pay_by_hand(house: House, booking_id: UUID | str, *, confirm: bool = True) -> Any:
    metadata = {"booking_id": str(booking_id), "mechanic_id": str(uuid4())}
    money = {"amount": 8900, "currency": "cad", "automatic_payment_methods": {"enabled": True}, "metadata": metadata}
    intent = await house.payments.v1.payment_intents.create_async(money)  # type: ignore[arg-type]
    if confirm:
        way = {"payment_method": GOOD_CARD, "return_url": "https://example.com"}
        await house.payments.v1.payment_intents.confirm_async(intent.id, way)  # type: ignore[arg-type]
    return intent


async def test_second_payment(house: House) -> None:
    """One that was made and shown to nobody does no harm; one that has money does."""
    booking = await house.confirmed()
    await _pay_by_hand(house, booking["id"], confirm=False)
    assert (await house.look(booking)).is_clean
    second = await _pay_by_hand(house, booking["id"])
    [finding] = (await house.look(booking)).findings
    assert (finding.kind, finding.subject) == (kinds.SECOND_PAYMENT, second.id)


async def test_payment_of_unknown_booking(house: House) -> None:
    unknown, harmless = uuid4(), uuid4()
    await _pay_by_hand(house, unknown)
    await _pay_by_hand(house, harmless, confirm=False)
    lately = Scope(since=datetime.now(UTC) - timedelta(seconds=5))
    found = await house.look(scope=lately)
    assert [each.kind for each in found.findings if each.booking_id == unknown] == [kinds.PAYMENT_OF_UNKNOWN_BOOKING]
    assert [each for each in found.findings if each.booking_id == harmless] == []


async def test_refunded_but_standing(house: House) -> None:
    booking = await house.confirmed()
    intent = booking["payment"]["payment_intent_id"]
    await house.payments.v1.refunds.create_async({"payment_intent": intent, "amount": 100})
    assert codes(await house.look(booking)) == {"refund_unrecorded"}
    await house.payments.v1.refunds.create_async({"payment_intent": intent})
    assert codes(await house.look(booking)) == {"refund_unrecorded", "refunded_but_standing"}


async def test_webhook_lost(house: House) -> None:
    """Not at once: Stripe tries again. The booking would be confirmed at the end of its hold."""
    customer, booking = await house.awaiting()
    lost = await house.control.webhooks("drop", times=None)
    await customer.pay(booking)
    await house.control.remove(lost)
    assert (await house.look(booking, patience=60)).is_clean
    [finding] = (await house.look(booking, patience=0)).findings
    assert (finding.kind, finding.remedy) == (kinds.WEBHOOK_LOST, kinds.WEBHOOK_LOST.remedy)


async def test_run_of_unknown_booking(house: House, states: States) -> None:
    gone = [f"DELETE FROM {table} WHERE booking_id = $1" for table in ("sessions", "slot_reservations", "payments")]  # noqa: S608
    async with house.planted(states["other"], *gone, "DELETE FROM bookings WHERE id = $1"):
        found = await house.look(states["other"], patience=0)
    assert "run_of_unknown_booking" in codes(found)


async def test_refund_failed(house: House, states: States) -> None:
    """The dev stack's Stripe refunds without fail: its refund is changed on the way here."""
    async with house.records.snapshot() as snapshot:
        record = (await snapshot.facts([UUID(states["cancelled"]["id"])]))[UUID(states["cancelled"]["id"])]
        at = Moment(snapshot.now, timedelta(minutes=1), timedelta(seconds=30))
    intents = await house.ledger.intents([each.payment_intent_id for each in record.payments])
    [refund] = await house.ledger.refunds_of(intents[0].id)
    case = Case(record.id, record, tuple(intents), (refund,))
    assert list(judge(case, at)) == []
    failed = replace(case, refunds=(replace(refund, status="failed"),))
    assert [finding.kind for finding in judge(failed, at)] == [kinds.REFUND_FAILED]


# How each guard is taken away, and what the audit calls it.
GUARDS = {
    "constraint one_booking_at_a_time": "ALTER TABLE slot_reservations DROP CONSTRAINT one_booking_at_a_time",
    "unique index one_live_reservation_of_a_booking": "DROP INDEX one_live_reservation_of_a_booking",
    "unique index one_open_offer_of_an_entry": "DROP INDEX one_open_offer_of_an_entry",
    "trigger offer_is_over on bookings": "DROP TRIGGER offer_is_over ON bookings",
    "trigger slot_comes_free on slot_reservations": "ALTER TABLE slot_reservations DISABLE TRIGGER slot_comes_free",
    "trigger slot_is_given_back on slot_reservations": "DROP TRIGGER slot_is_given_back ON slot_reservations",
    "row-level security, forced, on payments": "ALTER TABLE payments DISABLE ROW LEVEL SECURITY",
    "row-level security, forced, on calendar_feeds": "ALTER TABLE calendar_feeds DISABLE ROW LEVEL SECURITY",
    "row-level security, forced, on bookings": "ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY",
    "trigger honest_status on bookings": "ALTER TABLE bookings DISABLE TRIGGER honest_status",
    "trigger version_rises on bookings": "DROP TRIGGER version_rises ON bookings",
    "an end that nothing follows": "INSERT INTO status_transitions VALUES ('booking', 'cancelled', 'confirmed', 'x')",
    "trigger append_only on waiver_documents": "ALTER TABLE waiver_documents DISABLE TRIGGER append_only",
    "trigger append_only on waiver_signatures": "DROP TRIGGER append_only ON waiver_signatures",
    "trigger never_removed on waiver_signatures": "DROP TRIGGER never_removed ON waiver_signatures",
    "row-level security, forced, on waiver_signatures": "ALTER TABLE waiver_signatures DISABLE ROW LEVEL SECURITY",
    "the limits of role pitstop_api": "ALTER ROLE pitstop_api BYPASSRLS",
}


@pytest.mark.parametrize("guard", GUARDS)
async def test_guard_missing(house: House, guard: str) -> None:
    query = house.guards_query
    async with house.database.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await connection.fetch(query) == []
        await connection.execute(GUARDS[guard])
        missing = [row["guard"] for row in await connection.fetch(query)]
        await transaction.rollback()
    assert len(missing) == 1
    assert missing[0].startswith(guard)


async def test_a_missing_guard_is_reported(house: House) -> None:
    await house.database.execute("ALTER TABLE refunds NO FORCE ROW LEVEL SECURITY")
    try:
        found = await house.look(scope=Scope(since=datetime.now(UTC)))
    finally:
        await house.database.execute("ALTER TABLE refunds FORCE ROW LEVEL SECURITY")
    [finding] = [each for each in found.findings if each.kind is kinds.GUARD_MISSING]
    assert finding.found == "row-level security, forced, on refunds"
