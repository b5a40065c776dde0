"""Which zone data mails are written with."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

_PROGRAM = """
import datetime, pathlib, tempfile, tzdata, zoneinfo
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "America").mkdir()
utc = (pathlib.Path(tzdata.__file__).parent / "zoneinfo" / "UTC").read_bytes()
(folder / "America" / "Toronto").write_bytes(utc)
zoneinfo.reset_tzpath(to=[str(folder)])
{imports}
print(zoneinfo.ZoneInfo("America/Toronto").utcoffset(datetime.datetime(2026, 7, 1)))
"""


@pytest.mark.parametrize(
    ("imports", "offset"), [("", "0:00:00"), ("import pitstop", "-1 day, 20:00:00")], ids=["control", "pitstop"]
)
def test_the_hosts_zone_files_do_not_matter(imports: str, offset: str) -> None:
    """A host that has Toronto's clocks wrong, in the place where Python looks first."""
    program = [sys.executable, "-c", _PROGRAM.format(imports=imports)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == offset
