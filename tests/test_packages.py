"""The folders at the root are what `workflows`, `worker`, `activities` and `api` mean, whatever else is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

NAMES = ["workflows", "worker", "activities", "api", "pitstop"]
# Prints where each name leads, with a folder of namesakes behind the current one, as site-packages is.
_WHERE = """
import importlib, sys
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    print(importlib.import_module(name).__file__)
"""


def _found(root: Path, namesakes: Path, names: list[str]) -> list[Path]:
    command = [sys.executable, "-c", _WHERE, str(namesakes), *names]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=60).stdout
    return [Path(line) for line in output.split()]


@pytest.fixture
def namesakes(tmp_path: Path) -> Path:
    """Installed packages with the same names, such as PyPI has."""
    folder = tmp_path / "site-packages"
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
    return folder


def test_this_checkout_wins(namesakes: Path) -> None:
    assert all(path.is_relative_to(ROOT) for path in _found(ROOT, namesakes, NAMES))


def test_every_folder_of_code_is_a_package() -> None:
    """One without `__init__.py` would lose against a namesake."""
    folders = {path.parent for name in NAMES for path in (ROOT / name).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_a_folder_that_is_no_package_loses(namesakes: Path, tmp_path: Path) -> None:
    """So the test above can fail."""
    (tmp_path / "root" / "workflows").mkdir(parents=True)
    [found] = _found(tmp_path / "root", namesakes, ["workflows"])
    assert found.is_relative_to(namesakes)
