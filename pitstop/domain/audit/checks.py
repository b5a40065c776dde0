"""All checks of one booking."""

from collections.abc import Iterator

from pitstop.domain.audit import (
    course,
    flags,
    money,
    notices,
    offers,
    refunds,
    runs,
    slots,
    supplements,
    waivers,
    workshops,
)
from pitstop.domain.audit.facts import Case, Moment
from pitstop.domain.audit.findings import Finding

CHECKS = (
    *slots.CHECKS,
    *money.CHECKS,
    *refunds.CHECKS,
    *supplements.CHECKS,
    *course.CHECKS,
    *runs.CHECKS,
    *notices.CHECKS,
    *offers.CHECKS,
    *waivers.CHECKS,
    *workshops.CHECKS,
    *flags.CHECKS,
)


def judge(case: Case, at: Moment) -> Iterator[Finding]:
    for check in CHECKS:
        yield from check(case, at)
