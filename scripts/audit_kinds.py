"""Writes the table of discrepancies in docs/operators.md from the audit itself: python -m scripts.audit_kinds."""

from pitstop.domain.audit import kinds
from scripts.documents import ROOT, with_part

DOCUMENT = ROOT / "docs" / "operators.md"


def table() -> str:
    """A row for each kind, in the order of their definition."""
    rows = [f"| `{kind.code}` | {kind.invariant} | {kind.means} | {kind.to_do} |" for kind in kinds.ALL]
    return "\n".join(("| code | invariant | what it means | what to do |", "| --- | --- | --- | --- |", *rows, ""))


def document() -> str:
    """What docs/operators.md ought to be."""
    return with_part(DOCUMENT.read_text(encoding="utf-8"), "kinds of discrepancies", table())


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
