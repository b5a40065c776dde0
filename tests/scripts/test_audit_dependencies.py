"""What `make audit-deps` makes of pip-audit's reports: silence is never taken for health."""

import asyncio
import sys
from typing import Any

import pytest

from scripts.audit_dependencies import NONE_KNOWN, NOT_DONE, VULNERABLE, judge
from tests.support.processes import ROOT

GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {
    "name": "bad",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"], "description": "…"}],
}
UNMENDED = {"name": "worse", "version": "2.0", "vulns": [{"id": "GHSA-1", "fix_versions": []}]}
UNKNOWN = {"name": "mirrored", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD], NONE_KNOWN, "1 packages, no known vulnerability"),
        ([GOOD, BAD], VULNERABLE, "bad 1.0: PYSEC-1, CVE-2026-1; mended in 1.1"),
        ([UNMENDED], VULNERABLE, "worse 2.0: GHSA-1; mended in no release yet"),
        ([BAD, UNKNOWN], VULNERABLE, "1 of 2 packages were not looked at"),
        ([GOOD, UNKNOWN], NOT_DONE, "mirrored"),
        ([], NOT_DONE, ""),
    ],
)
def test_what_a_report_comes_to(packages: list[dict[str, Any]], code: int, said: str) -> None:
    judged, lines = judge({"dependencies": packages})
    assert judged == code
    assert said in "\n".join(lines)


async def test_without_the_network_it_says_what_it_needs() -> None:
    """Nobody listens at this port; and where the index is away too, it comes to the same."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.audit_dependencies", "--service", "osv", "--osv-url", "http://127.0.0.1:9/"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == NOT_DONE
    assert "It needs the network" in output.decode()
