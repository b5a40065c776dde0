"""Writes the state diagrams of docs/architecture.md from the table `status_transitions` of a database.

    python -m scripts.state_machine postgresql://…@127.0.0.1:5432/pitstop

Any database with the present migrations will do, such as that of `make run`: `database_url` in .pitstop/stack.json.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from scripts.documents import ROOT, with_part

DOCUMENT = ROOT / "docs" / "architecture.md"
SUBJECTS = ("booking", "reservation", "session", "workshop_word", "proposal", "supplement", "waitlist_entry")
_QUERY = "SELECT subject, from_status, to_status, why FROM status_transitions ORDER BY subject, from_status, to_status"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: this subject may go from one status to the other, for this reason."""

    subject: str
    source: str
    target: str
    why: str


async def transitions(database_url: str) -> list[Transition]:
    connection = await asyncpg.connect(database_url)
    try:
        return [Transition(*row) for row in await connection.fetch(_QUERY)]
    finally:
        await connection.close()


def document(rows: Sequence[Transition]) -> str:
    """What docs/architecture.md ought to be."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for subject in SUBJECTS:
        part = f"states of a {subject.replace('_', ' ')}"
        text = with_part(text, part, diagram([row for row in rows if row.subject == subject]))
    return text


def diagram(rows: Sequence[Transition]) -> str:
    """A Mermaid state diagram: what nothing leads to is a beginning, what leads nowhere an end."""
    sources, targets = {row.source for row in rows}, {row.target for row in rows}
    lines = [f"[*] --> {state}" for state in sorted(sources - targets)]
    lines += [f"{row.source} --> {row.target}: {_label(row.why)}" for row in rows]
    lines += [f"{state} --> [*]" for state in sorted(targets - sources)]
    return "\n".join(("```mermaid", "stateDiagram-v2", *(f"    {line}" for line in lines), "```", ""))


def _label(text: str) -> str:
    """A colon or semicolon would end the label."""
    return text.replace(":", ",").replace(";", ",")


if __name__ == "__main__":
    DOCUMENT.write_text(document(asyncio.run(transitions(sys.argv[1]))), encoding="utf-8")
