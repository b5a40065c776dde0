"""The invites judged by another implementation than the one that writes them: ical4j, strictly (RFC 5546)."""

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pitstop.domain.notices import BookingFacts
from tests.gateways.samples import VIDEO, in_person, video
from tests.gateways.test_invite import INJECTION, written

HERE = Path(__file__).with_name("ical4j")
CACHE = Path(__file__).resolve().parents[2] / ".cache"

pytestmark = pytest.mark.skipif(
    not (shutil.which("mvn") and shutil.which("java")), reason="checks invites with ical4j, which needs mvn and java"
)


@pytest.fixture(scope="module")
def class_path() -> str:
    """ical4j and what it needs, fetched once into .cache/; without a network the test is skipped."""
    listing = CACHE / "ical4j.classpath"
    if not listing.exists():
        CACHE.mkdir(exist_ok=True)
        options = [f"-Dmaven.repo.local={CACHE / 'm2'}", f"-Dmdep.outputFile={listing}"]
        command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *options, "dependency:build-classpath"]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if fetched.returncode:
            pytest.skip(f"Maven cannot fetch ical4j: {fetched.stdout[-300:]}")
    return listing.read_text()


def judged(class_path: str, folder: Path, invites: dict[str, str]) -> dict[str, str]:
    files = [folder / f"{name}.ics" for name in invites]
    for file in files:
        file.write_text(invites[file.stem], newline="")
    command = ["java", "-cp", class_path, str(HERE / "CheckInvites.java"), *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return dict(line.split(".ics: ", 1) for line in run.stdout.splitlines())


def instants(facts: BookingFacts) -> str:
    return f"{facts.start:%Y-%m-%dT%H:%M:%SZ} {facts.end:%Y-%m-%dT%H:%M:%SZ}"


def around(start: datetime) -> BookingFacts:
    return video(start=start, end=start + timedelta(hours=1))


def test_ical4j_finds_no_fault_and_reads_the_same_instants(class_path: str, tmp_path: Path) -> None:
    name = "渡辺ジョーンズ・ダニエル太郎 👩\u200d🔧 " * 12
    facts = {
        "video": VIDEO,
        "in_person": in_person(),
        "tentative": in_person(unanswered="awaiting"),
        "kathmandu": video(customer_timezone="Asia/Kathmandu"),
        "utc": video(customer_timezone="UTC"),
        "names": video(customer_name=name, mechanic_name=name),
        "injection": in_person(customer_name=INJECTION, mechanic_name=INJECTION, venue_address=INJECTION),
        "autumn": around(datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        "spring": around(datetime(2027, 3, 14, 7, 0, tzinfo=UTC)),
        "summer": around(datetime(2027, 7, 1, 16, 0, tzinfo=UTC)),
    }
    invites = {f"{key}-{method}": written(f, method) for key, f in facts.items() for method in ("REQUEST", "CANCEL")}
    expected = {f"{key}-{method}": instants(f) for key, f in facts.items() for method in ("REQUEST", "CANCEL")}
    assert judged(class_path, tmp_path, invites) == expected


ZONES = [
    "America/Toronto",
    "America/Santiago",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
]


@pytest.mark.parametrize("zone", ZONES)
def test_ical4j_reads_the_same_instants_all_year_and_around_each_change(
    class_path: str, tmp_path: Path, zone: str
) -> None:
    """Every tenth day, and every half hour of the days on which the offset changes."""
    new_year = datetime(2026, 1, 1, 16, 0, tzinfo=UTC)
    days = [new_year + timedelta(days=n) for n in range(365)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    changes = [day for day, before, after in zip(days[1:], offsets, offsets[1:], strict=False) if before != after]
    starts = days[::10] + [day - timedelta(minutes=30 * n) for day in changes for n in range(48)]
    facts = {f"{start:%m%dT%H%M}": replace(around(start), customer_timezone=zone) for start in starts}
    invites = {name: written(f) for name, f in facts.items()}
    assert judged(class_path, tmp_path, invites) == {name: instants(f) for name, f in facts.items()}


def test_ical4j_does_find_faults(class_path: str, tmp_path: Path) -> None:
    """The control: what is wrong is called wrong."""
    without_organizer = "\r\n".join(line for line in written().split("\r\n") if not line.startswith("ORGANIZER"))
    wrong = {
        "organizer": without_organizer,
        "alarm": written().replace("METHOD:REQUEST", "METHOD:CANCEL"),
        "broken": written()[:400],
    }
    assert all(verdict.startswith("fault") for verdict in judged(class_path, tmp_path, wrong).values())
