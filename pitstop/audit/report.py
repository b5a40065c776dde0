"""The result of a pass: for people as text, for programs as JSON."""

import json
import textwrap
from typing import Any

from pitstop.audit.ports import Outcome
from pitstop.domain.audit.findings import Finding

_WIDTH = 100


def as_json(outcome: Outcome, repairs: list[str] | None = None) -> str:
    document: dict[str, Any] = {
        "clean": outcome.is_clean,
        "seen_at": outcome.seen_at.isoformat(),
        "since": outcome.since.isoformat() if outcome.since else None,
        "seconds": round(outcome.seconds, 3),
        "checked": outcome.checked,
        "findings": [_finding(each) for each in outcome.findings],
    }
    if repairs is not None:
        document["repairs"] = repairs
    return json.dumps(document, indent=2, ensure_ascii=False)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.kind.code,
        "invariant": finding.kind.invariant,
        "booking_id": str(finding.booking_id) if finding.booking_id else None,
        "subject": finding.subject,
        "found": finding.found,
        "to_do": finding.kind.to_do,
        "repairable": finding.remedy is not None,
    }


def as_text(outcome: Outcome, repairs: list[str] | None = None) -> str:
    lines = [line for finding in outcome.findings for line in (*_lines(finding), "")]
    if repairs:
        lines += ["Repairs:", *(f"  {each}" for each in repairs), ""]
    return "\n".join((*lines, _summary(outcome)))


def _lines(finding: Finding) -> list[str]:
    kind = finding.kind
    where = f"booking {finding.booking_id}" if finding.booking_id else "the database"
    safe = "  [--repair]" if finding.remedy else ""
    return [
        f"{kind.code} ({kind.invariant})  {where}{safe}",
        *textwrap.wrap(f"found: {finding.found}", _WIDTH, initial_indent="  ", subsequent_indent="  "),
        *textwrap.wrap(f"to do: {kind.to_do}", _WIDTH, initial_indent="  ", subsequent_indent="  "),
    ]


def _summary(outcome: Outcome) -> str:
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in outcome.checked.items())
    verdict = "No discrepancies" if outcome.is_clean else f"{len(outcome.findings)} discrepancies"
    whole = "the bookings named" if outcome.some else "every booking"
    span = f"what changed since {outcome.since:%Y-%m-%d %H:%M:%S} UTC or is open" if outcome.since else whole
    return f"{verdict}. Looked at {span}: {counts}; {outcome.seconds:.1f} s."
