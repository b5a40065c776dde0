"""What the documents say of the product is made from it, and the links between them lead somewhere."""

import re
from pathlib import Path

import pytest

from pitstop.devstack.names import ROOT
from pitstop.devstack.stackfile import Stack
from pitstop.settings import Settings
from scripts import audit_kinds, configuration, documents, possible_changes, state_machine

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)(?:#[^)]*)?\)")


def test_the_configuration_is_that_of_the_settings() -> None:
    """Written anew with: python -m scripts.configuration."""
    assert configuration.document() == configuration.DOCUMENT.read_text(encoding="utf-8")


def test_the_discrepancies_are_those_of_the_audit() -> None:
    """Written anew with: python -m scripts.audit_kinds."""
    assert audit_kinds.document() == audit_kinds.DOCUMENT.read_text(encoding="utf-8")


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_changes_are_those_that_a_run_lets_through() -> None:
    """Written anew with: python -m scripts.possible_changes."""
    assert possible_changes.document() == possible_changes.DOCUMENT.read_text(encoding="utf-8")


async def test_the_state_machine_is_that_of_the_database(stack: Stack) -> None:
    """Written anew with: python -m scripts.state_machine DATABASE_URL."""
    rows = await state_machine.transitions(stack.database_url)
    assert state_machine.document(rows) == state_machine.DOCUMENT.read_text(encoding="utf-8")


async def test_a_transition_more_would_show(stack: Stack) -> None:
    rows = await state_machine.transitions(stack.database_url)
    more = [*rows, state_machine.Transition("booking", "cancelled", "confirmed", "back to life")]
    assert state_machine.document(more) != state_machine.document(rows)


def test_a_document_without_its_part_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no part"):
        documents.with_part("no marks here", "settings", "")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    paths = [match["path"] for match in _LINK.finditer(document.read_text(encoding="utf-8"))]
    assert [path for path in paths if not (document.parent / path).exists()] == []
