"""Erasure, in the database and at Stripe, and the seals over the audit log."""

import logging

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.moments import not_before
from pitstop.contracts import names
from pitstop.contracts.privacy import EraseAtStripe, EraseRecords, Seal, SealOrder
from pitstop.domain.caller import Caller, Origin, Role
from pitstop.domain.erasure import ErasedRecords
from pitstop.ports import ErasureStore, PaymentGateway, PaymentsRefused, SealStore

_log = logging.getLogger("pitstop.audit")
# At one time: seals made, and seals computed again.
_MOST_SEALS, _LOOKED_AT = 100, 50


class ErasureActivities:
    """A customer's personal data goes: from the database at once, from Stripe until all of it has gone."""

    def __init__(self, store: ErasureStore, payments: PaymentGateway) -> None:
        self._store = store
        self._payments = payments

    @activity.defn(name=names.ERASE_RECORDS)
    async def erase_records(self, request: EraseRecords) -> ErasedRecords:
        order = request.order
        by = Caller(Role(order.actor_role), order.actor, Origin(order.address, order.request_id))
        return await self._store.erase(order.customer_id, by, request.now)

    @activity.defn(name=names.ERASE_AT_STRIPE)
    async def erase_at_stripe(self, request: EraseAtStripe) -> None:
        """One payment after the other; a repeated try goes on where the last one stopped.

        What Stripe refuses for good is counted: somebody has to do that in its dashboard.
        """
        left = 0
        for intent in await self._store.intents_to_forget(request.customer_id):
            activity.heartbeat(intent)
            try:
                await self._payments.forget_address(intent)
            except PaymentsRefused:
                left += 1
                continue
            await self._store.intent_forgotten(intent, not_before(request.now))
        await self._store.complete(request.customer_id, left, not_before(request.now), request.now)


class SealActivities:
    """The chain over the audit log."""

    def __init__(self, store: SealStore) -> None:
        self._store = store

    @activity.defn(name=names.SEAL_AUDIT_LOG)
    async def seal(self, order: SealOrder) -> Seal | None:
        """Seals all that is new, then looks at the chain; brings back the newest seal, if there is a new one.

        A chain that is broken fails the run, for somebody to look at. What comes after it is sealed all the same.
        """
        newest = None
        for _ in range(_MOST_SEALS):
            sealed = await self._store.seal(order.most)
            if sealed is None:
                break
            newest = Seal(id=sealed.id, entries=sealed.entries, digest=sealed.digest)
            _log.info("audit log sealed: %d entries, seal %d, %s", sealed.entries, sealed.id, sealed.digest)
        if broken := await self._store.broken(_LOOKED_AT):
            _log.error("the audit log was changed: seals %s do not fit it", broken)
            raise ApplicationError(f"seals that do not fit the audit log: {broken}", type="AuditLogChanged")
        return newest
