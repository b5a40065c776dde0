"""Each release has its histories, each says what it contains, and no change of the workflows' code goes unnoticed."""

import re
import tomllib
from pathlib import Path

import pytest

from pitstop.release import RELEASE, digest
from scripts.histories import WHAT_TO_DO, is_on_record
from tests.support.histories import FOLDER, contents
from tests.support.processes import ROOT

ENDINGS = {
    "completed",
    "declined_then_paid",
    "expired",
    "payment_failed",
    "retaken_after_lapse",
    "refunded_after_lapse",
    "called_off_unpaid",
    "called_off_confirmed",
    "called_off_while_mailing_0",
    "called_off_while_mailing_1",
    "slot_lost",
    "payment_unavailable",
    "taken_up_again",
    "told_after_the_end",
    "told_beside_the_last_mails",
    "told_beside_the_refund",
}


def test_every_ending_of_the_newest_release_is_recorded() -> None:
    assert {path.stem for path in (FOLDER / RELEASE).glob("*.json")} >= ENDINGS


def test_every_release_has_its_histories() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = set(re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changes, re.MULTILINE))
    assert released == {folder.name for folder in FOLDER.iterdir() if folder.is_dir()}
    assert RELEASE in released


def test_every_ending_that_the_tests_reach_is_listed() -> None:
    """The tests name an ending where they replay it: `replays(handle, "completed", …)`."""
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "saga").glob("*.py"))
    assert set(re.findall(r'replays\(\s*[^"]*?, "([a-z_]+)"', tests)) <= ENDINGS


def test_the_readme_says_what_they_contain() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == contents(), "run: python -m scripts.histories"


def test_the_release_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == RELEASE


def test_the_workflows_are_as_they_were_accepted() -> None:
    assert is_on_record(), WHAT_TO_DO


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        (("names.COMPLETE_SESSION", "names.CLOSE_UNPAID"), True),
        (("await self._letters.arrive()\n", "pass\n"), True),
        (("# The steps", "# Steps"), False),
        (('"""Brings back the hold or the refusal, to everybody who asks with the same request."""', '"""."""'), False),
        (("\n\n", "\n\n\n"), False),
    ],
)
def test_which_changes_of_the_code_count(changed: tuple[str, str], counts: bool, tmp_path: Path) -> None:
    """A control of the test above: other commands are another version, other words are not."""
    path = ROOT / "workflows" / "booking.py"
    text = path.read_text(encoding="utf-8")
    assert changed[0] in text
    copy = tmp_path / "workflows" / path.name
    copy.parent.mkdir()
    copy.write_text(text.replace(*changed), encoding="utf-8")
    assert (digest([copy]) != digest([path])) is counts
