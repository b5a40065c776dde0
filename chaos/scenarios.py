"""The ways of a booking that are died in: each from the customer's first call to where the booking comes to rest."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from chaos import shops
from chaos.buyer import DECLINED_CARD, GOOD_CARD, Buyer
from chaos.dealer import Dealer
from chaos.lab import Case, NotRight, Side
from chaos.plan import Booking, Kind, Trade
from chaos.shops import Shop
from chaos.world import Spans, World

_FAR_AHEAD = 3 * 1440
_EXPIRES_AT_ONCE = Spans(hold=1.5, grace=0.2, reminders=(30, 10), sweep=60)
LIKE_THE_PRODUCT = Spans(hold=900, grace=30, reminders=(86400, 3600), sweep=60)


@dataclass(slots=True)
class Trial:
    """A scenario while it is played."""

    world: World
    case: Case

    def customer(self, kind: Kind = Kind.PAID, *, rival: int = 0, minute: int = _FAR_AHEAD) -> Dealer:
        booking = Booking(number=1, rival=rival, kind=kind, at=0, mechanic=0, minute=minute)
        return Dealer(self.world, self.world.story(booking))

    async def becomes(self, customer: Buyer, status: str) -> None:
        sql = f"SELECT status = '{status}' FROM bookings WHERE id = $1"  # noqa: S608 - a word of ours
        await self.case.until(sql, _id(customer), status)

    async def has_its_mails(self, customer: Buyer) -> None:
        """No mail is owed that could go out now."""
        sql = """
            SELECT NOT EXISTS (
                SELECT FROM notifications
                WHERE booking_id = $1 AND (status = 'sending' OR (status = 'pending' AND due_at IS NULL))
            )
        """
        await self.case.until(sql, _id(customer), "mails")


def _id(customer: Buyer) -> str:
    if customer.story.opened is None:
        raise NotRight(f"the booking was not opened: {customer.story.refused}, {customer.story.answers}")
    return str(customer.story.opened["id"])


async def completed(trial: Trial) -> None:
    """Paid, reminded, and over."""
    customer = trial.customer()
    await customer.opens()
    await customer.pays_with(GOOD_CARD)
    await trial.becomes(customer, "confirmed")
    await trial.has_its_mails(customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def declined(trial: Trial) -> None:
    """Declined, and nobody tried another card."""
    customer = trial.customer()
    await customer.opens()
    await customer.pays_with(DECLINED_CARD)
    declined = "SELECT EXISTS (SELECT FROM booking_events WHERE booking_id = $1 AND event = 'payment_declined')"
    await trial.case.until(declined, _id(customer), "the declined card")
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "payment_failed")


async def refunded(trial: Trial) -> None:
    """Paid when the hold had lapsed and a rival had the slot."""
    away = await trial.case.order("faults", {"match": "cancel", "kind": "error_500", "times": None})
    late, rival = trial.customer(), trial.customer(rival=1)
    await late.opens()
    lapsed = "SELECT expires_at < now() FROM slot_reservations WHERE booking_id = $1"
    await trial.case.until(lapsed, _id(late), "the lapse")
    await rival.opens()
    await rival.pays_with(GOOD_CARD)
    await trial.becomes(rival, "confirmed")
    await late.pays_with(GOOD_CARD)
    await trial.becomes(late, "refunded")
    await trial.has_its_mails(late)
    await trial.case.remove(away)


async def called_off(trial: Trial) -> None:
    """Cancelled by an operator when it was paid and confirmed."""
    customer = trial.customer(Kind.CALLED_OFF_PAID)
    await customer.opens()
    await customer.pays_with(GOOD_CARD)
    await trial.becomes(customer, "confirmed")
    await trial.has_its_mails(customer)
    await customer.calls_off()
    await trial.becomes(customer, "cancelled")
    owed = "SELECT NOT EXISTS (SELECT FROM refunds WHERE booking_id = $1 AND refunded_at IS NULL)"
    await trial.case.until(owed, _id(customer), "the refund")
    await trial.has_its_mails(customer)


async def called_off_unpaid(trial: Trial) -> None:
    customer = trial.customer(Kind.CALLED_OFF_PAID)
    await customer.opens()
    await customer.calls_off()
    await trial.becomes(customer, "cancelled")


async def moved(trial: Trial) -> None:
    """To a time days later, reminded there, and over."""
    customer = await _confirmed(trial)
    await customer.moves(customer.story.start + timedelta(days=4))
    await trial.has_its_mails(customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def cancelled_in_part(trial: Trial) -> None:
    """By the customer, hours before the start: half of the price goes back."""
    customer = await _confirmed(trial, minute=5 * 60)
    await customer.ends("cancel")
    await _is_refunded(trial, customer)


async def held_session(trial: Trial) -> None:
    """Both come, it is started, and completed."""
    customer = await _confirmed(trial, minute=12)
    await customer.asks("check-in")
    await customer.asks("start", operator=True)
    await customer.ends("complete", operator=True)
    await trial.becomes(customer, "completed")


async def missed(trial: Trial) -> None:
    """The mechanic did not come: all of the money goes back."""
    customer = await _confirmed(trial)
    await trial.case.to_the_start(_id(customer))
    body = await customer.asks("no-show", operator=True, absent="mechanic")
    customer.story.ended = body["status"] if body else None
    await _is_refunded(trial, customer)


async def left_alone(trial: Trial) -> None:
    """The customer came, and nobody else did: the clock says so when the time is over."""
    customer = await _confirmed(trial, minute=12)
    await customer.asks("check-in")
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "no_show")
    await _is_refunded(trial, customer)


async def _confirmed(trial: Trial, minute: int = _FAR_AHEAD, kind: Kind = Kind.PAID) -> Dealer:
    customer = trial.customer(kind, minute=minute)
    await customer.opens()
    await customer.pays_with(GOOD_CARD)
    await trial.becomes(customer, "confirmed")
    await trial.has_its_mails(customer)
    return customer


async def _is_refunded(trial: Trial, customer: Buyer) -> None:
    owed = "SELECT NOT EXISTS (SELECT FROM refunds WHERE booking_id = $1 AND refunded_at IS NULL)"
    await trial.case.until(owed, _id(customer), "the refund")
    await trial.has_its_mails(customer)


async def handed_over(trial: Trial) -> None:
    """To another mechanic, reminded in that one's name, and over."""
    customer = await _confirmed(trial)
    await customer.is_handed_over()
    await trial.has_its_mails(customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def proposed(trial: Trial) -> None:
    """Two other times, of which the customer takes one; and then another, which is declined."""
    customer = await _confirmed(trial)
    wanted = customer.story.start + timedelta(days=4)
    await customer.is_proposed(wanted, wanted + timedelta(days=1))
    await trial.has_its_mails(customer)
    await customer.takes_proposal(wanted)
    await customer.is_proposed(wanted + timedelta(days=2))
    await customer.asks("proposal/decline")
    await trial.has_its_mails(customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def proposal_lapsed(trial: Trial) -> None:
    """Nobody answers it: the clock says so, and the booking stays as it was."""
    customer = await _confirmed(trial)
    await customer.is_proposed(customer.story.start + timedelta(days=4))
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def cheaper(trial: Trial) -> None:
    """The difference goes back at once, and the rest when it is cancelled."""
    customer = await _confirmed(trial)
    await customer.becomes_cheaper(customer.story.start + timedelta(days=4))
    await _is_refunded(trial, customer)
    await customer.ends("cancel")
    await _is_refunded(trial, customer)


async def dearer(trial: Trial) -> None:
    """The difference is paid, then it moves; what was paid in two parts goes back when it is cancelled."""
    customer = await _to_pay_more(trial)
    await customer.pays_the_difference()
    await customer.sees_what_came_of_it()
    await trial.has_its_mails(customer)
    if customer.story.price is None:
        raise NotRight("the difference was paid, and the booking was not moved")
    await customer.ends("cancel")
    await _is_refunded(trial, customer)


async def dearer_lapsed(trial: Trial) -> None:
    """The difference is not paid: the time that was held is free, and the booking stays as it was."""
    customer = await _to_pay_more(trial)
    await trial.case.onward(_id(customer), _TO_PAY)
    await _is_settled(trial, customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def dearer_cancelled(trial: Trial) -> None:
    """Cancelled while the difference may be paid: nobody can pay it any more."""
    customer = await _to_pay_more(trial)
    await customer.ends("cancel")
    await _is_settled(trial, customer)
    await _is_refunded(trial, customer)


async def dearer_paid_and_cancelled(trial: Trial) -> None:
    """Nobody has heard of the payment when it is cancelled: Stripe says so when it is asked to void it."""
    customer = await _to_pay_more(trial)
    await trial.case.order("webhooks", {"mode": "drop", "event_type": "payment_intent.succeeded", "times": 1})
    await customer.pays_the_difference()
    await customer.ends("cancel")
    await _is_settled(trial, customer)
    await _is_refunded(trial, customer)


# When the time to pay is over, as the booking's workflow has it.
_TO_PAY = timedelta(minutes=16)


async def _to_pay_more(trial: Trial) -> Dealer:
    customer = await _confirmed(trial)
    if not await customer.wants_what_is_dearer(customer.story.start + timedelta(days=4)):
        raise NotRight("there is no difference to be paid")
    return customer


async def _is_settled(trial: Trial, customer: Buyer) -> None:
    """Paid, or voided at Stripe."""
    settled = """
        SELECT bool_and(u.status <> 'open' AND (p.paid_at IS NOT NULL OR p.status = 'canceled'))
        FROM supplements AS u JOIN payments AS p ON p.supplement_id = u.id WHERE u.booking_id = $1
    """
    await trial.case.until(settled, _id(customer), "the difference")


async def agreed(trial: Trial) -> None:
    """The workshop confirms; signed, started, completed."""
    customer = await _confirmed(trial, minute=12, kind=Kind.WORD_GIVEN)
    await customer.hears("confirm")
    await trial.has_its_mails(customer)
    await customer.signs()
    await customer.asks("start", operator=True)
    await customer.ends("complete", operator=True)
    await trial.becomes(customer, "completed")


async def other_time(trial: Trial) -> None:
    """The workshop proposes other times, which it holds, and the customer takes one."""
    customer = await _confirmed(trial, kind=Kind.WORD_OTHER_TIME)
    wanted = customer.story.start + timedelta(days=4)
    await customer.is_offered_instead(wanted, wanted + timedelta(days=1))
    await trial.has_its_mails(customer)
    await customer.takes_proposal(wanted)
    await customer.looks_at_the_word()
    await trial.has_its_mails(customer)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


async def no_other_time(trial: Trial) -> None:
    """The customer wants none of them, and gets the money back."""
    customer = await _confirmed(trial, kind=Kind.WORD_OTHER_TIME_DECLINED)
    await customer.is_offered_instead(customer.story.start + timedelta(days=4))
    await customer.declines_proposal()
    await _is_refunded(trial, customer)


async def turned_away(trial: Trial) -> None:
    customer = await _confirmed(trial, kind=Kind.WORD_DECLINED)
    await customer.hears("decline")
    await _is_refunded(trial, customer)


async def no_word(trial: Trial) -> None:
    """The workshop does not answer: the clock says so, and the money goes back."""
    customer = await _confirmed(trial, kind=Kind.WORD_LAPSED)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "cancelled")
    await _is_refunded(trial, customer)


async def waited_for(trial: Trial) -> None:
    """Given back, offered to the first in line, who pays; the second leaves."""
    customer, first, second = await _in_line(trial)
    await customer.ends("cancel")
    await first.is_offered_a_slot()
    # Whoever pays at once needs no mail about the offer.
    await trial.has_its_mails(first)
    await first.pays_with(GOOD_CARD)
    await trial.becomes(first, "confirmed")
    await second.leaves_the_line()
    await trial.has_its_mails(first)


async def let_pass(trial: Trial) -> None:
    """Given back, offered to the first in line, who lets it pass, and then to the second."""
    customer, first, second = await _in_line(trial)
    await customer.ends("cancel")
    await first.is_offered_a_slot()
    await trial.case.to_the_end(_id(first))
    await trial.becomes(first, "expired")
    await second.is_offered_a_slot()
    await second.pays_with(GOOD_CARD)
    await trial.becomes(second, "confirmed")
    await first.leaves_the_line()
    await trial.has_its_mails(second)


async def _in_line(trial: Trial) -> tuple[Dealer, Dealer, Dealer]:
    customer = await _confirmed(trial, kind=Kind.WAITED_FOR)
    first, second = customer.another(1), customer.another(2)
    await first.joins_the_line()
    await second.joins_the_line()
    return customer, first, second


async def texted(trial: Trial) -> None:
    """Reminded by text message, too."""
    customer = await _confirmed(trial, kind=Kind.TEXTED)
    await trial.case.to_the_start(_id(customer))
    await trial.case.until(_TEXTS_ARE_KNOWN, _id(customer), "news of the text messages")
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "completed")


_TEXTS_ARE_KNOWN = """
SELECT count(*) = 2 FROM notifications WHERE booking_id = $1 AND channel = 'sms' AND delivery_status = 'delivered'
"""


async def told_again(trial: Trial) -> None:
    """An operator has the confirmation sent once more."""
    customer = await _confirmed(trial)
    await customer.is_told_again("confirmation")
    await trial.has_its_mails(customer)
    await customer.ends("cancel")
    await _is_refunded(trial, customer)


async def referred(trial: Trial) -> None:
    """From a session to a workshop, which is booked by the link in the mail."""
    customer = await _confirmed(trial, minute=12)
    await customer.asks("start", operator=True)
    token = await customer.is_referred(trial.case.others[Trade.VISIT])
    await customer.ends("complete", operator=True)
    if token is None:
        raise NotRight("nothing was referred")
    booker = customer.by_referral(1, token)
    await booker.opens()
    await booker.pays_with(GOOD_CARD)
    await trial.becomes(booker, "confirmed")
    await trial.has_its_mails(booker)


async def taken(trial: Trial) -> None:
    """A session at once: the mechanic who was asked for says no, the next one takes it and completes it."""
    customer = await _waits(trial)
    preferred, other, _ = trial.case.offer.mechanics
    await customer.declines_offer(preferred)
    await customer.accepts(other)
    await trial.has_its_mails(customer)
    await customer.ends("complete", mechanic=other)
    await trial.becomes(customer, "completed")


async def not_taken(trial: Trial) -> None:
    """A session at once that nobody takes."""
    customer = await _waits(trial)
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "refunded")
    await _is_refunded(trial, customer)


async def _waits(trial: Trial) -> Dealer:
    customer = trial.customer(Kind.AT_ONCE)
    await customer.opens()
    await customer.pays_with(GOOD_CARD)
    await trial.becomes(customer, "pending")
    return customer


async def refused_at_first(trial: Trial) -> None:
    """Stripe is away: the request is taken back. The same key books when Stripe is there again."""
    await trial.case.order("faults", {"match": "create", "kind": "error_500", "times": 3})
    customer = trial.customer()
    await customer.opens()
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "expired")


async def erased(trial: Trial) -> None:
    """Not paid, and then the customer's personal data are removed, at Stripe too."""
    customer = trial.customer()
    await customer.opens()
    await trial.case.to_the_end(_id(customer))
    await trial.becomes(customer, "expired")
    await customer.erases()
    gone = """
        SELECT completed_at IS NOT NULL FROM erasures AS e JOIN bookings AS b ON b.customer_id = e.customer_id
        WHERE b.id = $1
    """
    await trial.case.until(gone, _id(customer), "the end of the erasure")


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    play: Callable[[Trial], Awaitable[None]]
    side: Side
    spans: Spans = field(default=LIKE_THE_PRODUCT)
    # The point that tells most of it, at which it dies when there is no time for all.
    dies: str | None = None
    shop: Shop = shops.one_mechanic
    visits: bool = False
    # Nothing else is played meanwhile: what comes free is offered by whoever is told of it first.
    alone: bool = False


SCENARIOS = (
    Scenario("completed", completed, Side.WORKER, dies="confirm_booking: after PostgresSaga.confirm"),
    Scenario("declined", declined, Side.WORKER, dies="record_decline: after PostgresSaga.record_decline"),
    Scenario("refunded", refunded, Side.WORKER, _EXPIRES_AT_ONCE, dies="refund_payment: after StripePayments.refund"),
    Scenario("called off", called_off, Side.WORKER, dies="call_off_booking: after PostgresSaga.call_off"),
    Scenario(
        "called off unpaid", called_off_unpaid, Side.WORKER, dies="cancel_payment: after StripePayments.cancel_intent"
    ),
    Scenario("refused at first", refused_at_first, Side.WORKER),
    Scenario("erased", erased, Side.WORKER, dies="erase_at_stripe: after StripePayments.forget_address"),
    Scenario("moved", moved, Side.WORKER, dies="change 1: after PostgresChanges.apply"),
    Scenario("cancelled in part", cancelled_in_part, Side.WORKER),
    Scenario("held session", held_session, Side.WORKER),
    Scenario("missed", missed, Side.WORKER, dies="change 1: reported"),
    Scenario("left alone", left_alone, Side.WORKER, dies="complete_session: after PostgresChanges.close"),
    Scenario("handed over", handed_over, Side.WORKER, shop=shops.several_mechanics),
    Scenario("proposed", proposed, Side.WORKER, dies="change 2: after PostgresChanges.apply"),
    Scenario("proposal lapsed", proposal_lapsed, Side.WORKER, dies="read_terms: after PostgresChanges.terms"),
    Scenario(
        "cheaper",
        cheaper,
        Side.WORKER,
        shop=shops.several_mechanics,
        dies="refund_payment: after StripePayments.refund",
    ),
    Scenario(
        "dearer",
        dearer,
        Side.WORKER,
        shop=shops.several_mechanics,
        dies="settle_supplement: after PostgresSupplements.settle",
    ),
    Scenario(
        "dearer lapsed",
        dearer_lapsed,
        Side.WORKER,
        shop=shops.several_mechanics,
        dies="void_supplement: after StripePayments.cancel_intent",
    ),
    Scenario("dearer cancelled", dearer_cancelled, Side.WORKER, shop=shops.several_mechanics),
    Scenario(
        "dearer, paid and cancelled",
        dearer_paid_and_cancelled,
        Side.WORKER,
        shop=shops.several_mechanics,
        dies="change 2: after PostgresChanges.apply",
    ),
    Scenario("agreed", agreed, Side.WORKER, shop=shops.yard),
    Scenario("other time", other_time, Side.WORKER, shop=shops.yard, dies="change 2: after PostgresChanges.apply"),
    Scenario("no other time", no_other_time, Side.WORKER, shop=shops.yard, dies="change 2: reported"),
    Scenario("turned away", turned_away, Side.WORKER, shop=shops.yard, dies="change 1: after PostgresChanges.apply"),
    Scenario("no word", no_word, Side.WORKER, shop=shops.yard, dies="read_terms: after PostgresChanges.terms"),
    Scenario("taken", taken, Side.WORKER, shop=shops.several_mechanics, dies="change 2: after PostgresChanges.apply"),
    Scenario(
        "not taken",
        not_taken,
        Side.WORKER,
        shop=shops.several_mechanics,
        dies="offer_session: after PostgresChanges.offer",
    ),
    Scenario("texted", texted, Side.WORKER, dies="send_notice (reminder): after TwilioMessages.send"),
    Scenario("told again", told_again, Side.WORKER),
    Scenario("referred", referred, Side.WORKER, visits=True),
    Scenario(
        "waited for", waited_for, Side.WORKER, alone=True, dies="offer_freed_slots: after PostgresWaitlist.next_offer"
    ),
    Scenario("let pass", let_pass, Side.WORKER, alone=True, dies="close_unpaid: after PostgresSaga.close_unpaid"),
    Scenario("completed", completed, Side.API),
    Scenario("refused at first", refused_at_first, Side.API, dies="POST /v1/bookings: after BookingDesk.open"),
    Scenario("erased", erased, Side.API),
    Scenario("moved", moved, Side.API),
    Scenario(
        "cancelled in part", cancelled_in_part, Side.API, dies="POST /v1/bookings/…/cancel: after TemporalEngine.change"
    ),
    Scenario("held session", held_session, Side.API, dies="POST /v1/bookings/…/start: after BookingDesk.ask"),
    Scenario(
        "handed over",
        handed_over,
        Side.API,
        shop=shops.several_mechanics,
        dies="POST /v1/bookings/…/hand-over: after TemporalEngine.change",
    ),
    Scenario("proposed", proposed, Side.API),
    Scenario("cheaper", cheaper, Side.API, shop=shops.several_mechanics),
    Scenario(
        "dearer cancelled",
        dearer_cancelled,
        Side.API,
        shop=shops.several_mechanics,
        dies="POST /v1/bookings/…/reschedule: after TemporalEngine.change",
    ),
    Scenario("agreed", agreed, Side.API, shop=shops.yard, dies="POST /v1/bookings/…/waiver: after Waivers.sign"),
    Scenario("other time", other_time, Side.API, shop=shops.yard),
    Scenario("taken", taken, Side.API, shop=shops.several_mechanics),
    Scenario("texted", texted, Side.API),
    Scenario("told again", told_again, Side.API, dies="POST /v1/bookings/…/notices/resend: after NoticeBoard.resend"),
    Scenario("referred", referred, Side.API, visits=True, dies="POST /v1/bookings/…/referral: after Referrals.refer"),
    Scenario("waited for", waited_for, Side.API, alone=True),
)
