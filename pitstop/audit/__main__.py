"""The audit from the command line: python -m pitstop.audit.

Exit codes, for cron: 0 nothing found, 1 discrepancies, 2 the audit could not be done.
"""

import argparse
import asyncio
import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from pitstop.audit import report
from pitstop.audit.auditor import Scope
from pitstop.audit.composition import Office, open_office
from pitstop.audit.ports import AuditImpossible, Outcome
from pitstop.ports import EngineUnavailable
from pitstop.settings import Settings

CLEAN, DISCREPANCIES, IMPOSSIBLE = 0, 1, 2
_SPAN = TypeAdapter(timedelta)
_MOMENT = TypeAdapter(datetime)


def _since(text: str) -> datetime:
    """A moment, or a span before now: `2026-11-24T08:00Z`, `PT2H`."""
    try:
        return datetime.now(UTC) - _SPAN.validate_strings(text)
    except ValidationError:
        moment = _MOMENT.validate_strings(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m pitstop.audit",
        description="Compares PostgreSQL, Stripe, Temporal and the mails, and lists each discrepancy with what to do.",
        epilog="Exit codes: 0 nothing found, 1 discrepancies, 2 the audit could not be done. Settings come from the "
        "environment (docs/configuration.md).",
    )
    scope = options.add_mutually_exclusive_group()
    scope.add_argument(
        "--since", type=_since, metavar="WHEN", help="look at what has changed since: 2026-11-24T08:00Z, or PT2H"
    )
    scope.add_argument("--all", action="store_true", help="look at every booking, and every PaymentIntent at Stripe")
    scope.add_argument(
        "--booking", type=UUID, action="append", metavar="ID", default=[], help="look at this booking; may be repeated"
    )
    options.add_argument("--repair", action="store_true", help="do what is safe, through the workflows")
    options.add_argument("--json", action="store_true", help="the result as JSON")
    options.add_argument("--settle", type=float, metavar="SECONDS", help="the pause before the second look")
    options.add_argument("--patience", type=float, metavar="SECONDS", help="how late a step that is retried may be")
    return options


def _settings(options: argparse.Namespace, settings: Settings) -> Settings:
    """With what the command line says instead."""
    given = {"audit_settle_seconds": options.settle, "audit_patience_seconds": options.patience}
    changes = {name: value for name, value in given.items() if value is not None}
    return Settings.model_validate(settings.model_dump() | changes) if changes else settings


async def _pass(options: argparse.Namespace, office: Office) -> Outcome:
    """A look at some bookings is no pass: what it finds is not kept."""
    if options.booking:
        return await office.auditor.run(Scope(only=frozenset(options.booking)))
    return await office.passes.next(everything=options.all, since=options.since)


async def _repairs(outcome: Outcome, office: Office) -> list[str]:
    """What was done; what was found is told also when nothing could be done."""
    try:
        return await office.repairs.of(outcome.findings)
    except (AuditImpossible, EngineUnavailable) as error:
        return [f"broken off, run it again: {error!r}"]


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """One pass, told on standard output. The exit code."""
    try:
        async with open_office(_settings(options, settings)) as office:
            outcome = await _pass(options, office)
            repairs = await _repairs(outcome, office) if options.repair else None
    except AuditImpossible as error:
        sys.stderr.write(f"The audit could not be done: {error}\n")
        return IMPOSSIBLE
    sys.stdout.write((report.as_json if options.json else report.as_text)(outcome, repairs) + "\n")
    return CLEAN if outcome.is_clean else DISCREPANCIES


def main() -> int:
    """A mistake of ours, or in the settings, is no discrepancy: the interpreter would end with 1."""
    options = parser().parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        return asyncio.run(run(options, Settings()))
    except Exception:
        logging.exception("The audit could not be done")
        return IMPOSSIBLE


if __name__ == "__main__":
    code = main()
    # The engine's client has threads of its own, which can fail while the interpreter ends: the exit code would lie.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
