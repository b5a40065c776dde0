"""docs/security.md names tests that exist, for every threat of the list."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from pitstop.devstack.names import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)


@cache
def _tests(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_what_is_said_to_show_it_exists(path: str, name: str) -> None:
    assert (ROOT / path).exists()
    assert not name or name in _tests(ROOT / path)


@pytest.mark.parametrize("number", range(1, 11))
def test_each_threat_of_the_top_ten_has_its_tests(number: int) -> None:
    [row] = re.findall(rf"^\| \*\*API{number}\*\* .*$", DOCUMENT, re.MULTILINE)
    _, stops, shown = row.strip("| ").split(" | ")
    assert stops
    assert "::test_" in shown


def test_a_name_that_is_wrong_would_show() -> None:
    assert "test_that_is_not_there" not in _tests(ROOT / "tests/database/test_isolation.py")
    assert len(NAMED) > 40
