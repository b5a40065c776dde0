"""Stripe as a table of what was paid and given back, by idempotency key, as Stripe keeps it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pitstop.domain.audit.facts import StripeIntent, StripeRefund

_THEN = datetime.fromisoformat("2026-01-01T00:00:00Z")


@dataclass(slots=True)
class Till:
    """Stripe, as far as a saga can tell: what is paid by each PaymentIntent, of a booking or of a difference."""

    intents: dict[UUID, str] = field(default_factory=dict)
    paid: dict[UUID, int] = field(default_factory=dict)
    refunds: dict[str, tuple[UUID, int]] = field(default_factory=dict)

    def open(self, intent: UUID) -> None:
        self.intents[intent] = "requires_payment_method"

    def pay(self, intent: UUID, amount: int) -> bool:
        if self.intents.get(intent) != "requires_payment_method":
            return False
        self.intents[intent], self.paid[intent] = "succeeded", amount
        return True

    def void(self, intent: UUID) -> bool:
        """True when it has been paid."""
        if self.intents[intent] != "succeeded":
            self.intents[intent] = "canceled"
        return self.intents[intent] == "succeeded"

    def refund(self, key: str, intent: UUID, amount: int) -> str:
        known, before = self.refunds.setdefault(key, (intent, amount))
        assert (known, before) == (intent, amount), f"{key} was used for another refund"
        assert self.back(intent) <= self.paid[intent], "more goes back than was paid"
        return f"re_{key}"

    def back(self, intent: UUID) -> int:
        return sum(amount for of, amount in self.refunds.values() if of == intent)

    def facts(self, booking: UUID, amounts: dict[UUID, int]) -> tuple[list[StripeIntent], list[StripeRefund]]:
        """What the audit is told of the PaymentIntents of a booking."""
        known = {intent: amount for intent, amount in amounts.items() if intent in self.intents}
        intents = [
            StripeIntent(
                *(name(intent), booking, self.intents[intent], amount, "cad"),
                *(self.paid.get(intent, 0), self.back(intent), _THEN, _THEN),
            )
            for intent, amount in known.items()
        ]
        refunds = [
            StripeRefund(f"re_{key}", name(intent), booking, amount, "cad", "succeeded", _THEN)
            for key, (intent, amount) in self.refunds.items()
            if intent in known
        ]
        return intents, refunds


def name(intent: UUID) -> str:
    return f"pi_{intent.hex}"


def named(payment_intent_id: str) -> UUID:
    return UUID(payment_intent_id.removeprefix("pi_"))
