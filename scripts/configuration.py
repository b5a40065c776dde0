"""Writes the table of docs/configuration.md from the settings themselves: python -m scripts.configuration."""

import json
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pitstop.production import is_of_development, is_to_be_given, secrets_in
from pitstop.settings import DEVELOPMENT_SECRET, Settings
from scripts.documents import ROOT, with_part

DOCUMENT = ROOT / "docs" / "configuration.md"


def table() -> str:
    """A row for each setting, in the order of their definition."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(("| variable | default | meaning |", "| --- | --- | --- |", *rows, ""))


def document() -> str:
    """What docs/configuration.md ought to be."""
    return with_part(DOCUMENT.read_text(encoding="utf-8"), "settings", table())


def _row(name: str, field: FieldInfo) -> str:
    return f"| `PITSTOP_{name.upper()}` | {_default(field.default)} | {_meaning(field)} |"


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return f"`{DEVELOPMENT_SECRET}`"
    if isinstance(value, dict):
        return f"`{json.dumps(dict.fromkeys(value, DEVELOPMENT_SECRET))}`"
    return f"`{json.dumps(value) if isinstance(value, tuple) else value}`"


def _meaning(field: FieldInfo) -> str:
    """The description, with the words that can be chosen from, if they are few and fixed."""
    choices = getattr(field.annotation, "__args__", ()) if "Literal" in str(field.annotation) else ()
    one_of = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    given = " Must be given in production." if is_to_be_given(field) or _is_of_development(field) else ""
    return (field.description or "") + one_of + given


def _is_of_development(field: FieldInfo) -> bool:
    return any(map(is_of_development, secrets_in(field.default)))


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
