"""Writes the table of changes in docs/changes.md from what refuses all others: python -m scripts.possible_changes."""

from pitstop.domain.changes import LEADS_TO, POSSIBLE_IN, ChangeKind, refusal_in
from scripts.documents import ROOT, with_part

DOCUMENT = ROOT / "docs" / "changes.md"


def table() -> str:
    """A row for each change, in the order of their definition."""
    head = ("| change | asked of a booking that is | otherwise 409 | asked again, it is |", "| --- | --- | --- | --- |")
    return "\n".join((*head, *(_row(kind) for kind in ChangeKind), ""))


def _row(kind: ChangeKind) -> str:
    states = ", ".join(f"`{status}`" for status in POSSIBLE_IN[kind])
    again = f"`{LEADS_TO[kind]}`: no mistake" if kind in LEADS_TO else ""
    return f"| `{kind}` | {states} | `{refusal_in(kind)}` | {again} |"


def document() -> str:
    """What docs/changes.md ought to be."""
    return with_part(DOCUMENT.read_text(encoding="utf-8"), "changes and the states they are asked in", table())


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
