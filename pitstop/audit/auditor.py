"""One pass of the audit: everything once in one snapshot, and what looks wrong again until it stands still.

PostgreSQL is read first, then Stripe and the engine: a booking that moves meanwhile can look wrong without being so. So
whatever looks wrong is read again after a pause. It is reported when the same is found while the booking has not moved;
one that goes on moving is under way, and left to the next pass. Memory: one page, what looks wrong, and the ids of what
has changed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pitstop.audit.ports import LEFT_OVER, Ledger, Outcome, Page, Records, Runs, Snapshot
from pitstop.domain.audit import kinds
from pitstop.domain.audit.checks import judge
from pitstop.domain.audit.facts import BookingRecord, Case, Moment, Run, StripeIntent, StripeRefund
from pitstop.domain.audit.findings import Finding
from pitstop.domain.audit.money import UNPAID
from pitstop.domain.audit.slots import of_overlap

PAGE = 500
# So many bookings that look wrong are looked at again. With more, something larger is amiss, and these show what.
MOST_SUSPECTS = 5000
# What was written while the last pass began to read may show with an older time: looked at twice, it is seen once.
OVERLAP = timedelta(minutes=15)
# A PaymentIntent is made right after its booking; two clocks lie between.
_AFTER_BOOKING = timedelta(minutes=2)
# How often a booking that goes on moving is looked at again before it is left to the next pass.
_LOOKS = 3
Key = tuple[str, UUID | None, str]
Progress = Callable[[dict[str, int]], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pass looks at: bookings that have changed `since`, besides those that are open; or all; or only some."""

    since: datetime | None = None
    only: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Tempo:
    """`settle`: the pause before what looks wrong is read again. `patience`: how long a step may be retried."""

    settle: timedelta
    patience: timedelta
    hold_grace: timedelta
    closing: timedelta = timedelta(0)

    def moment(self, now: datetime) -> Moment:
        return Moment(now, self.patience, self.hold_grace, self.closing)


@dataclass(slots=True)
class _Suspect:
    """A booking that looks wrong: what was found, where it stood, and the PaymentIntents seen that name it."""

    marker: object
    findings: dict[Key, Finding]
    intents: set[str] = field(default_factory=set)


class Auditor:
    """Compares the sources; it changes nothing. Raises `AuditImpossible` when one of them cannot be read."""

    def __init__(self, records: Records, ledger: Ledger, runs: Runs, tempo: Tempo) -> None:
        self._records, self._ledger, self._runs, self._tempo = records, ledger, runs, tempo

    async def run(self, scope: Scope, progress: Progress = lambda _: None) -> Outcome:
        begun = time.monotonic()
        first = _FirstLook(self._ledger, self._runs, self._tempo, scope, progress)
        async with self._records.snapshot() as snapshot:
            await first.over(snapshot)
        findings = first.certain
        findings += await self._confirmed(first.suspects, first.checked, progress)
        findings.sort(key=lambda each: (_RANK[each.kind.code], str(each.booking_id), each.subject))
        seconds = time.monotonic() - begun
        checked, some = dict(first.checked), bool(scope.only)
        return Outcome(snapshot.now, scope.since, seconds, checked, tuple(findings), some)

    async def _confirmed(
        self, suspects: dict[UUID, _Suspect], checked: Counter[str], progress: Progress
    ) -> list[Finding]:
        confirmed: list[Finding] = []
        for _ in range(_LOOKS):
            if not suspects:
                break
            await asyncio.sleep(self._tempo.settle.total_seconds())
            progress(dict(checked))
            checked["looked_at_again"] += len(suspects)
            suspects = await self._look_again(suspects, confirmed)
        checked["under_way"] = len(suspects)
        return confirmed

    async def _look_again(self, suspects: dict[UUID, _Suspect], confirmed: list[Finding]) -> dict[UUID, _Suspect]:
        """Those that look wrong still, but have moved since they were looked at."""
        moving: dict[UUID, _Suspect] = {}
        async with self._records.snapshot() as snapshot:
            at = self._tempo.moment(snapshot.now)
            for ids in _paged(suspects):
                cases = await self._reread(snapshot, {id: suspects[id] for id in ids})
                overlaps = [of_overlap(each) for each in await snapshot.overlaps(ids)]
                for case in cases:
                    before = suspects[case.booking_id]
                    own = [each for each in overlaps if each.booking_id == case.booking_id]
                    found = {each.key: each for each in (*judge(case, at), *own)}
                    if case.marker == before.marker:
                        confirmed += [each for key, each in found.items() if key in before.findings]
                    elif found:
                        moving[case.booking_id] = _Suspect(case.marker, found, before.intents)
        return moving

    async def _reread(self, snapshot: Snapshot, suspects: dict[UUID, _Suspect]) -> list[Case]:
        records = await snapshot.facts(suspects)

        async def case(id: UUID, suspect: _Suspect) -> Case:
            record = records.get(id)
            named = suspect.intents | {each.payment_intent_id for each in (record.payments if record else ())}
            intents = await self._ledger.intents(named)
            refunds = await refunds_of(self._ledger, record, intents)
            return Case(id, record, tuple(intents), tuple(refunds), await self._runs.described(id))

        return list(await asyncio.gather(*(case(id, suspect) for id, suspect in suspects.items())))


class _FirstLook:
    """Reads page after page, and keeps of each only what looks wrong."""

    def __init__(self, ledger: Ledger, runs: Runs, tempo: Tempo, scope: Scope, progress: Progress) -> None:
        self._ledger, self._runs, self._tempo, self._scope = ledger, runs, tempo, scope
        self._progress = progress
        self.checked: Counter[str] = Counter(dict.fromkeys(("bookings", "payment_intents", "refunds", "runs"), 0))
        self.certain: list[Finding] = []
        self.suspects: dict[UUID, _Suspect] = {}
        # Those that were counted. A pass over everything need not remember: each is on one page.
        self._counted: set[UUID] | None = None if scope.since is None and not scope.only else set()

    async def over(self, snapshot: Snapshot) -> None:
        self._snapshot, self._at = snapshot, self._tempo.moment(snapshot.now)
        if self._scope.only:
            await self._over_some(list(self._scope.only))
            return
        await self._over_guards()
        if self._scope.since is None:
            await self._over_all()
        else:
            await self._over_changes(self._scope.since)
        await self._over_runs()

    async def _over_guards(self) -> None:
        missing = await self._snapshot.guards_missing()
        self.certain += [kinds.GUARD_MISSING.found(None, guard, guard) for guard in missing]
        self.checked["guards_missing"] = len(missing)
        self.certain += await self._snapshot.waitlist_unsound(self._at.patience)

    async def _over_some(self, ids: list[UUID]) -> None:
        records = await self._snapshot.facts(ids)
        made = [record.created_at for record in records.values()]
        known: list[StripeIntent] = []
        if made:
            async for intents in self._ledger.intents_made(min(made) - _AFTER_BOOKING, None):
                known += [intent for intent in intents if intent.booking_id in self._scope.only]
        await self._examine(ids, known)

    async def _over_all(self) -> None:
        """The spans of the pages follow one another without a gap: each PaymentIntent there is falls into one."""
        begin: datetime | None = None
        async for page in self._snapshot.every_booking(PAGE):
            assert page.span is not None  # noqa: S101 - pages of all bookings have one
            self.checked["bookings"] += len(page.ids)
            begin = await self._examine_span(page, begin, page.span[1] + _AFTER_BOOKING)
        await self._examine_span(Page([]), begin, None)

    async def _examine_span(self, page: Page, begin: datetime | None, end: datetime | None) -> datetime | None:
        known = [intent async for intents in self._ledger.intents_made(begin, end) for intent in intents]
        named = {intent.booking_id for intent in known if intent.booking_id is not None}
        await self._examine({*page.ids, *named}, known)
        return end - 2 * _AFTER_BOOKING if end else None

    async def _over_changes(self, since: datetime) -> None:
        async for page in self._snapshot.changed_bookings(since, PAGE):
            await self._examine(page.ids, [])
        async for intents in self._ledger.intents_made(since, None):
            await self._examine({each.booking_id for each in intents if each.booking_id}, intents)
        async for refunds in self._ledger.refunds_made(since):
            await self._examine({each.booking_id for each in refunds if each.booking_id}, [], asked=True)

    async def _over_runs(self) -> None:
        """Runs whose bookings are open are known by now; of interest are the others."""
        async for page in self._runs.all_open():
            self.checked["runs"] += len(page)
            runs = {run.booking_id: run for run in page}
            await self._examine(await self._snapshot.not_open(runs), [], runs=runs)

    async def _examine(
        self,
        ids: Collection[UUID],
        known: list[StripeIntent],
        *,
        asked: bool = False,
        runs: Mapping[UUID, Run] | None = None,
    ) -> None:
        """`asked`: Stripe is asked about each of them, whether or not something here has changed. `runs`: theirs."""
        for some in _paged(ids):
            records = await self._snapshot.facts(some)
            driven = runs if runs is not None else await self._open_runs(some, records)
            of_stripe = await self._of_stripe(records, known, asked)
            self._count(records)
            for id in some:
                intents, refunds, was_asked = of_stripe.get(id, ((), (), False))
                others = tuple(each for each in known if each.booking_id == id and each not in intents)
                run = driven.get(id)
                self._note(Case(id, records.get(id), (*intents, *others), refunds, run, stripe=was_asked))
            await self._note_overlaps(some, records)
            self._progress(dict(self.checked))

    def _count(self, records: Mapping[UUID, BookingRecord]) -> None:
        """Each booking once: by its PaymentIntent, which may be of another page's span, or its run it is met again."""
        if self._counted is not None:
            self._counted |= records.keys()
            self.checked["bookings"] = len(self._counted)

    async def _open_runs(self, ids: Collection[UUID], records: Mapping[UUID, BookingRecord]) -> dict[UUID, Run]:
        """What has ended and owes nothing needs no run; if it has one, `_over_runs` comes upon it."""
        through = {id for id, each in records.items() if each.status.is_end and not each.owes and not self._scope.only}
        return await self._runs.open_runs([id for id in ids if id not in through])

    async def _of_stripe(
        self, records: dict[UUID, BookingRecord], known: list[StripeIntent], asked: bool
    ) -> dict[UUID, tuple[tuple[StripeIntent, ...], tuple[StripeRefund, ...], bool]]:
        named = {
            id: [payment.payment_intent_id for payment in record.payments]
            for id, record in records.items()
            if record.payments and (asked or self._may_differ_at_stripe(record))
        }
        wanted = {intent for of in named.values() for intent in of}
        there = {intent.id: intent for intent in known if intent.id in wanted}
        missing = [id for id in wanted if id not in there]
        there |= {intent.id: intent for intent in await self._ledger.intents(missing)}
        self.checked["payment_intents"] += len(there)

        async def one(id: UUID, of: list[str]) -> tuple[UUID, tuple[StripeIntent, ...], tuple[StripeRefund, ...]]:
            intents = tuple(there[intent] for intent in of if intent in there)
            return id, intents, tuple(await refunds_of(self._ledger, records[id], intents))

        found = await asyncio.gather(*(one(id, of) for id, of in named.items()))
        self.checked["refunds"] += sum(len(refunds) for _, _, refunds in found)
        return {id: (intents, refunds, True) for id, intents, refunds in found}

    def _may_differ_at_stripe(self, record: BookingRecord) -> bool:
        """A payment that has settled changes no more, but for a refund, and Stripe lists those."""
        since = self._scope.since
        if since is None or record.updated_at >= since or record.status in UNPAID or record.owes:
            return True
        return any(each.closed_at is None or each.closed_at >= since for each in record.supplements)

    def _note(self, case: Case) -> None:
        self._suspect(case.booking_id, judge(case, self._at), case)

    async def _note_overlaps(self, ids: Collection[UUID], records: dict[UUID, BookingRecord]) -> None:
        for finding in map(of_overlap, await self._snapshot.overlaps(ids)):
            if finding.booking_id is None:
                continue
            record = records.get(finding.booking_id)
            if record is None:
                record = (await self._snapshot.facts([finding.booking_id])).get(finding.booking_id)
            self._suspect(finding.booking_id, [finding], Case(finding.booking_id, record))

    def _suspect(self, id: UUID, findings: Iterable[Finding], case: Case) -> None:
        found = {finding.key: finding for finding in findings}
        if not found:
            return
        if id not in self.suspects and len(self.suspects) >= MOST_SUSPECTS:
            self.checked[LEFT_OVER] += 1
            return
        suspect = self.suspects.setdefault(id, _Suspect(case.marker, {}))
        suspect.findings |= found
        suspect.intents |= {intent.id for intent in case.intents}


async def refunds_of(
    ledger: Ledger, record: BookingRecord | None, intents: Iterable[StripeIntent]
) -> list[StripeRefund]:
    """Stripe is asked for refunds where it says that there are some, or where we say so."""
    named = {intent.id for intent in intents if intent.refunded > 0}
    named |= {refund.payment_intent_id for refund in (record.refunds if record else ())}
    return [refund for id in sorted(named) for refund in await ledger.refunds_of(id)]


def _paged(ids: Collection[UUID]) -> list[list[UUID]]:
    listed = list(ids)
    return [listed[at : at + PAGE] for at in range(0, len(listed), PAGE)]


_RANK = {kind.code: rank for rank, kind in enumerate(kinds.ALL)}
