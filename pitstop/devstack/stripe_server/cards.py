"""Stripe's test cards and what they do (docs pages "Testing", "Decline codes", "Error codes")."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pitstop.devstack.stripe_server.errors import Json, StripeError


@dataclass(frozen=True, slots=True)
class Decline:
    """Why the bank refuses. `decline_code` is None where Stripe's table of test cards says that there is none."""

    code: str
    decline_code: str | None
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class TestCard:
    """`authenticates`: the bank asks for 3-D Secure. `decline`: what follows, if anything."""

    __test__ = False

    brand: str
    number: str
    authenticates: bool = False
    decline: Decline | None = None


def _declined(decline_code: str, message: str = "Your card was declined.") -> Decline:
    return Decline("card_declined", decline_code, message)


GENERIC = _declined("generic_decline")
NO_FUNDS = _declined("insufficient_funds", "Your card has insufficient funds.")
EXPIRED = Decline("expired_card", None, "Your card has expired.", "exp_month")
WRONG_CVC = Decline("incorrect_cvc", None, "Your card's security code is incorrect.", "cvc")
PROCESSING = Decline(
    "processing_error", None, "An error occurred while processing your card. Try again in a little bit."
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try again."
)

CARDS: dict[str, TestCard] = {
    "pm_card_visa": TestCard("visa", "4242424242424242"),
    "pm_card_visa_debit": TestCard("visa", "4000056655665556"),
    "pm_card_mastercard": TestCard("mastercard", "5555555555554444"),
    "pm_card_mastercard_debit": TestCard("mastercard", "5200828282828210"),
    "pm_card_mastercard_prepaid": TestCard("mastercard", "5105105105105100"),
    "pm_card_amex": TestCard("amex", "378282246310005"),
    "pm_card_discover": TestCard("discover", "6011111111111117"),
    "pm_card_diners": TestCard("diners", "3056930009020004"),
    "pm_card_jcb": TestCard("jcb", "3566002020360505"),
    "pm_card_us": TestCard("visa", "4242424242424242"),
    "pm_card_visa_chargeDeclined": TestCard("visa", "4000000000000002", decline=GENERIC),
    "pm_card_visa_chargeDeclinedInsufficientFunds": TestCard("visa", "4000000000009995", decline=NO_FUNDS),
    "pm_card_visa_chargeDeclinedLostCard": TestCard("visa", "4000000000009987", decline=_declined("lost_card")),
    "pm_card_visa_chargeDeclinedStolenCard": TestCard("visa", "4000000000009979", decline=_declined("stolen_card")),
    "pm_card_chargeDeclinedExpiredCard": TestCard("visa", "4000000000000069", decline=EXPIRED),
    "pm_card_chargeDeclinedIncorrectCvc": TestCard("visa", "4000000000000127", decline=WRONG_CVC),
    "pm_card_chargeDeclinedProcessingError": TestCard("visa", "4000000000000119", decline=PROCESSING),
    "pm_card_chargeCustomerFail": TestCard("visa", "4000000000000341", decline=GENERIC),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": TestCard(
        "visa", "4000000000006975", decline=_declined("card_velocity_exceeded")
    ),
    "pm_card_authenticationRequiredOnSetup": TestCard("visa", "4000002500003155", authenticates=True),
    "pm_card_authenticationRequired": TestCard("visa", "4000002760003184", authenticates=True),
    "pm_card_threeDSecure2Required": TestCard("visa", "4000000000003220", authenticates=True),
    "pm_card_threeDSecureRequired": TestCard("visa", "4000000000003063", authenticates=True),
    "pm_card_threeDSecureRequiredChargeDeclined": TestCard(
        "visa", "4000008400001629", authenticates=True, decline=GENERIC
    ),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": TestCard(
        "visa", "4000008260003178", authenticates=True, decline=NO_FUNDS
    ),
}
BY_NUMBER = {card.number: card for card in CARDS.values()}
BY_LAST4 = {card.number[-4:]: card for card in CARDS.values()}


def card_error(code: str, message: str, param: str) -> StripeError:
    """The refusal of a card's details, before any bank is asked."""
    return StripeError(402, message, type_="card_error", code=code, param=param)


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def card_with(details: Json) -> TestCard:
    """The test card that these details describe. Raises `StripeError` 402 for details no bank would see."""
    number = str(details["number"]).replace(" ", "").replace("-", "")
    if not (number.isascii() and number.isdigit() and 12 <= len(number) <= 19 and _luhn(number)):
        raise card_error("incorrect_number", "Your card number is incorrect.", "number")
    _check_expiry(int(details["exp_month"]), int(details["exp_year"]))
    cvc = details.get("cvc")
    if cvc is not None and not (cvc.isascii() and cvc.isdigit() and len(cvc) in (3, 4)):
        raise card_error("invalid_cvc", "Your card's security code is invalid.", "cvc")
    if number not in BY_NUMBER:
        message = "Your card was declined. Your request was in test mode, but used a non test card."
        raise StripeError(402, message, type_="card_error", code="card_declined", decline_code="test_mode_live_card")
    return BY_NUMBER[number]


def _check_expiry(month: int, year: int) -> None:
    year += 2000 if year < 100 else 0
    if month > 12:
        raise card_error("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    today = datetime.now(UTC)
    if year > today.year + 50 or (year, month) < (today.year, today.month):
        raise card_error("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")
