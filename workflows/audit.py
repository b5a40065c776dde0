"""The audit, started by a Temporal Schedule. Nothing depends on it: it looks, and says what it has seen."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from pitstop.contracts import names
    from pitstop.contracts.audit import AuditOrder, AuditReport

# The next one comes soon: one that cannot be done gives way to it.
_A_FEW_TIMES = RetryPolicy(initial_interval=timedelta(seconds=10), maximum_attempts=3)
# Every booking there is, page by page, with the pauses before a second look.
_LIMIT = timedelta(hours=6)
_HEARTBEAT = timedelta(seconds=20)


@workflow.defn(name=names.AUDIT_WORKFLOW)
class AuditWorkflow:
    """Compares database, Stripe, engine and mails; its result shows in the history, its findings in the database."""

    @workflow.run
    async def run(self, order: AuditOrder) -> AuditReport:
        report: AuditReport = await workflow.execute_activity(
            names.AUDIT_BOOKINGS,
            order,
            result_type=AuditReport,
            start_to_close_timeout=_LIMIT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_A_FEW_TIMES,
        )
        found = ", ".join(f"{count} {code}" for code, count in report.discrepancies.items())
        workflow.set_current_details(f"{report.bookings} bookings: {found or 'no discrepancies'}.")
        return report
