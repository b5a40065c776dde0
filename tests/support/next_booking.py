"""The next release's booking, as a test has it: it does something before each session that 0.1.0 does not do."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.booking import BookingEnding, BookingOrder
    from pitstop.domain.saga import Terms
    from workflows.booking import BookingWorkflow

NEW_STEP = "a breath"


@workflow.defn(name=names.BOOKING_WORKFLOW)
class NextBooking(BookingWorkflow):
    """The new step stands behind a patch: runs that went by without it, go by without it when they are replayed."""

    @workflow.run
    async def run(self, order: BookingOrder) -> BookingEnding:
        return await super().run(order)

    async def _through_session(self, terms: Terms) -> BookingEnding:
        if self._takes_new_step():
            await workflow.sleep(timedelta(milliseconds=10), summary=NEW_STEP)
        return await super()._through_session(terms)

    def _takes_new_step(self) -> bool:
        return workflow.patched("breath")


@workflow.defn(name=names.BOOKING_WORKFLOW)
class CarelessBooking(NextBooking):
    """The same without the patch: what a developer forgets."""

    @workflow.run
    async def run(self, order: BookingOrder) -> BookingEnding:
        return await super().run(order)

    def _takes_new_step(self) -> bool:
        return True
