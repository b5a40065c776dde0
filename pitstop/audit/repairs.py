"""`--repair`: the safe discrepancies, through the workflows and the sweep. It writes to no table."""

from collections.abc import Iterable
from uuid import UUID

from pitstop.audit.ports import Ledger, Records, Remedies
from pitstop.domain.audit.facts import StripeIntent
from pitstop.domain.audit.findings import Finding, Remedy
from pitstop.domain.saga import PaymentEvent
from pitstop.ports import NoRunningWorkflow


class Repairs:
    """Safe to run again: a run that runs is left alone, a payment that a booking knows of changes nothing."""

    def __init__(self, records: Records, ledger: Ledger, engine: Remedies) -> None:
        self._records, self._ledger, self._engine = records, ledger, engine

    async def of(self, findings: Iterable[Finding]) -> list[str]:
        """What was done, a line for each."""
        wanted: dict[UUID, set[Remedy]] = {}
        sweep = False
        for finding in findings:
            if finding.remedy is Remedy.SWEEP:
                sweep = True
            elif finding.remedy is not None and finding.booking_id is not None:
                wanted.setdefault(finding.booking_id, set()).add(finding.remedy)
        done = [await self._booking(id, remedies) for id, remedies in wanted.items()]
        if sweep:
            await self._engine.sweep()
            done.append("the sweep has run")
        return done

    async def _booking(self, id: UUID, remedies: set[Remedy]) -> str:
        payment = await self._payment(id) if Remedy.SIGNAL in remedies else None
        if payment is not None and await self._is_told(id, payment):
            return f"booking {id}: its workflow was told of the payment {payment.payment_intent_id}"
        standing = await self._records.standing(id)
        if standing is None:
            return f"booking {id}: is not there any more"
        if await self._engine.revive(standing, payment):
            return f"booking {id}: its workflow was started again"
        return f"booking {id}: its workflow runs, left alone"

    async def _payment(self, id: UUID) -> PaymentEvent | None:
        """The payment as Stripe has it now, told as its webhook would have told it: first one that is not on record."""
        async with self._records.snapshot() as snapshot:
            record = (await snapshot.facts([id])).get(id)
        payments = record.payments if record else ()
        intents = await self._ledger.intents([each.payment_intent_id for each in payments])
        heard = {each.payment_intent_id for each in payments if each.paid_at is not None}
        paid = sorted((intent for intent in intents if intent.is_paid), key=lambda intent: intent.id in heard)
        return _event(paid[0]) if paid else None

    async def _is_told(self, id: UUID, payment: PaymentEvent) -> bool:
        try:
            await self._engine.signal_payment(id, payment)
        except NoRunningWorkflow:
            return False
        return True


def _event(intent: StripeIntent) -> PaymentEvent:
    return PaymentEvent(
        event_id=f"audit/{intent.id}",
        kind="succeeded",
        payment_intent_id=intent.id,
        amount=intent.amount,
        currency=intent.currency,
    )
