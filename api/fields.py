"""Field types that refuse what must not get in: naive instants, control characters, unknown zones, endless JSON."""

import math
import re
import unicodedata
import zoneinfo
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time
from functools import cache
from importlib import resources
from typing import Annotated, Any

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StringConstraints
from pydantic.config import JsonDict

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
# They turn the direction of what follows, so that a name reads as another one.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LINE_ENDS = re.compile("[\n\r\t\u2028\u2029]")
_MAX_INTAKE_CHARACTERS = 32_000
_MAX_INTAKE_DEPTH = 8
_MAX_EXACT_INTEGER = 2**53


def _clean(text: str) -> str:
    """Text as people write it: no control characters (NUL among them), line ends, or halves of surrogate pairs."""
    if any(unicodedata.category(character) in _CONTROLS for character in text):
        raise ValueError("must not contain control characters or broken Unicode; write plain text on one line")
    return text


def _plain(value: Any) -> Any:
    """Looks before blanks are cut off both ends: a line end there is refused too."""
    if isinstance(value, str) and _TURNS.search(_clean(value)):
        raise ValueError("must not contain marks that turn the direction of writing")
    return value


def _clean_lines(text: str) -> str:
    _clean(_LINE_ENDS.sub(" ", text))
    return text


def _plain_lines(text: str) -> str:
    """As `_plain`, of several lines."""
    if _TURNS.search(_clean_lines(text)):
        raise ValueError("must not contain marks that turn the direction of writing")
    return text


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValueError(f"is not an instant that exists ({error})") from error
    else:
        raise ValueError("must be an RFC 3339 instant such as 2026-12-01T14:00:00Z (in a query, write + as %2B)")
    if moment.tzinfo is None:
        raise ValueError("must say its offset from UTC: end it with Z, or with an offset such as -05:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of range") from error


@cache
def _zones() -> frozenset[str]:
    return frozenset(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC")


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("must be an IANA time zone such as America/Toronto")
    return name


@cache
def _countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2, as the time zone database lists them (`iso3166.tab`)."""
    listed = resources.files("tzdata.zoneinfo").joinpath("iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in listed.splitlines() if not line.startswith("#"))


def _country(code: str) -> str:
    if code not in _countries():
        raise ValueError("must be an ISO 3166-1 country code such as CA")
    return code


def _email(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"must be an e-mail address such as name@example.com ({error})") from error


def _intake(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if _weigh(value, 0) > _MAX_INTAKE_CHARACTERS:
        raise ValueError(f"must have at most {_MAX_INTAKE_CHARACTERS} characters in all")
    return value


def _weigh(value: JsonValue, depth: int) -> int:
    """The number of characters in it, after a look at each of them."""
    if depth > _MAX_INTAKE_DEPTH:
        raise ValueError(f"must not be nested deeper than {_MAX_INTAKE_DEPTH} levels")
    match value:
        case str():
            return len(_clean_lines(value)) + 2
        case bool() | None:
            return 5
        case float() if not math.isfinite(value):
            raise ValueError("must not contain NaN or Infinity")
        case int() if abs(value) > _MAX_EXACT_INTEGER:
            raise ValueError("must not contain integers beyond 2^53; write them as text")
        case dict():
            return sum(_weigh(key, depth + 1) + _weigh(each, depth + 1) for key, each in value.items()) + 2
        case list():
            return sum(_weigh(each, depth + 1) for each in value) + 2
        case _:
            return 16


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not (isinstance(value, str) and _ISO_DATE.fullmatch(value)):
        raise ValueError("must be a date such as 2026-12-24")
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"is not a date that exists ({error})") from error
    # The day before and the day after are asked for too, in other zones.
    if day.year in (MINYEAR, MAXYEAR):
        raise ValueError("is out of range")
    return day


def _start(text: str) -> str:
    if not re.fullmatch(_STARTS, text):
        raise ValueError("must be a local time from 00:00 to 23:59, such as 09:00")
    return text


def _end(text: str) -> str:
    if not re.fullmatch(_ENDS, text):
        raise ValueError("must be a local time from 00:00 to 24:00, such as 17:00")
    return text


def clock_time(text: str) -> time:
    """A local time that was checked; 24:00 is the midnight at the end of the day."""
    return time.fromisoformat(text.replace("24:00", "00:00"))


def _region(code: str) -> str:
    if not re.fullmatch(_REGIONS, code):
        raise ValueError("must be a country's code in ISO 3166-1 or that of a part of it in ISO 3166-2: CA or CA-ON")
    return code


_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_STARTS = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_ENDS = rf"({_STARTS}|24:00)"
_REGIONS = r"[A-Z]{2}(-[A-Z0-9]{1,3})?"


# For readers of the document; `_clean` is what refuses, and says why.
_ONE_LINE: JsonDict = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"}
_LINES: JsonDict = {"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$"}


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    Field(description="RFC 3339, with an offset.", examples=["2026-12-01T14:00:00Z"]),
]
CalendarDay = Annotated[date, BeforeValidator(_date), Field(description="A local date.", examples=["2026-12-24"])]
StartTime = Annotated[
    str,
    AfterValidator(_start),
    Field(description="Local time.", examples=["09:00"], json_schema_extra={"pattern": f"^{_STARTS}$"}),
]
EndTime = Annotated[
    str,
    AfterValidator(_end),
    Field(
        description="Local time; at or before the start: on the next day. 24:00 is the end of the day.",
        examples=["17:00"],
        json_schema_extra={"pattern": f"^{_ENDS}$"},
    ),
]
TimeOfDay = Annotated[
    str,
    AfterValidator(_start),
    Field(description="Local time.", examples=["17:30"], json_schema_extra={"pattern": f"^{_STARTS}$"}),
]
HolidayRegion = Annotated[
    str,
    AfterValidator(_region),
    Field(
        description="ISO 3166: a country, or a part of it.",
        examples=["CA-ON"],
        json_schema_extra={"pattern": f"^{_REGIONS}$"},
    ),
]
Timezone = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(_zone), Field(examples=["America/Toronto"])
]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    AfterValidator(_clean),
    AfterValidator(_email),
    Field(examples=["camille@example.com"]),
]
Intake = Annotated[
    dict[str, JsonValue],
    AfterValidator(_intake),
    Field(description="What the mechanic should know: any JSON object, 32,000 characters at most."),
]


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    BeforeValidator(_plain),
    Field(examples=["Camille Roy"], json_schema_extra=_ONE_LINE),
]
City = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True),
    BeforeValidator(_plain),
    Field(examples=["Toronto"], json_schema_extra=_ONE_LINE),
]
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    BeforeValidator(_plain),
    Field(examples=["Holiday"], json_schema_extra=_ONE_LINE),
]
Lines = Annotated[
    str,
    StringConstraints(max_length=1000),
    AfterValidator(_plain_lines),
    Field(description="Plain text, of several lines if need be.", json_schema_extra=_LINES),
]
PostalCode = Annotated[
    str,
    StringConstraints(min_length=1, max_length=16, strip_whitespace=True),
    BeforeValidator(_plain),
    Field(examples=["M5V 2T6"], json_schema_extra=_ONE_LINE),
]
Country = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{2}$"),
    AfterValidator(_country),
    Field(description="ISO 3166-1 alpha-2, upper case.", examples=["CA"]),
]
Phone = Annotated[
    str,
    StringConstraints(min_length=4, max_length=31),
    AfterValidator(_clean),
    Field(
        description="With its country code, or as it is written in the country of the location.",
        examples=["+14165550123"],
        json_schema_extra={"pattern": r"^\+?[0-9 ()./-]{4,30}$"},
    ),
]
