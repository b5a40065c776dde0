"""What a mechanic states, read as rules: what no schema can say of it is checked here."""

from collections.abc import Sequence
from typing import Any

from api.fields import clock_time
from api.problems import Problem, invalid_field
from api.schedules import DateHours, Hours, Offered, ScheduleIn, WeeklyHours
from pitstop.domain.hours import Span, WeeklySpan, clock, overlap_in_a_day, overlap_in_a_week
from pitstop.domain.rules import DayHours, Keep, OfferedService, ScheduleChange

Row = dict[str, Any]


def change_of(sent: ScheduleIn) -> ScheduleChange:
    """Raises the problem `invalid_request` where statements contradict each other."""
    given = sent.model_fields_set
    return ScheduleChange(
        timezone=sent.timezone,
        weekly=_weekly(sent.weekly),
        minimum_notice_minutes=sent.minimum_notice_minutes,
        horizon_days=sent.horizon_days,
        exceptions=_exceptions(sent.exceptions) if "exceptions" in given else None,
        services=_services(sent.services) if "services" in given else None,
        max_sessions_per_day=sent.max_sessions_per_day if "max_sessions_per_day" in given else Keep.AS_IT_IS,
        holiday_region=sent.holiday_region if "holiday_region" in given else Keep.AS_IT_IS,
    )


def shown(row: Row) -> Row:
    """A schedule from the database in the words of the API."""
    weekly = [{"weekday": each["weekday"], **_hours(each["opens"], each["closes"])} for each in row["weekly"]]
    exceptions = [
        {"date": each["day"], "hours": [_hours(*span) for span in zip(each["opens"], each["closes"], strict=True)]}
        for each in row["exceptions"]
    ]
    return {name: value for name, value in row.items() if name != "today"} | {
        "weekly": weekly,
        "exceptions": exceptions,
    }


def _hours(opens: Any, closes: Any) -> Row:
    end = clock(closes)
    return {"start": clock(opens), "end": "24:00" if end == "00:00" else end}


def _weekly(sent: list[WeeklyHours]) -> tuple[WeeklySpan, ...]:
    _require_clear("body.weekly", sent)
    spans = tuple(WeeklySpan(each.weekday, _span(each)) for each in sent)
    if (found := overlap_in_a_week(spans)) is not None:
        first, second = found
        raise _overlaps("body.weekly", second, str(spans[second]), first, str(spans[first]))
    return spans


def _exceptions(sent: list[DateHours]) -> tuple[DayHours, ...]:
    for place, each in enumerate(sent):
        _require_clear(f"body.exceptions.{place}.hours", each.hours)
        if (found := overlap_in_a_day([_span(hours) for hours in each.hours])) is not None:
            first, second = found
            texts = [f"{each.hours[which].start} to {each.hours[which].end}" for which in found]
            raise _overlaps(f"body.exceptions.{place}.hours", second, texts[1], first, texts[0])
    _require_once("body.exceptions", "date", [each.date for each in sent], "write all hours of a date in one entry")
    return tuple(DayHours(each.date, tuple(_span(hours) for hours in each.hours)) for each in sent)


def _services(sent: list[Offered]) -> tuple[OfferedService, ...]:
    _require_once("body.services", "service_id", [each.service_id for each in sent], "name each service once")
    return tuple(
        OfferedService(each.service_id, each.buffer_before_minutes, each.buffer_after_minutes) for each in sent
    )


def _span(hours: Hours) -> Span:
    return Span(clock_time(hours.start), clock_time(hours.end))


def _require_clear(field: str, sent: Sequence[Hours]) -> None:
    for place, each in enumerate(sent):
        if _span(each).is_ambiguous:
            message = "must not be the start; write a later end, or a whole day as 00:00 to 24:00"
            raise invalid_field(f"{field}.{place}.end", message)


def _require_once(field: str, name: str, values: list[Any], remedy: str) -> None:
    for place, value in enumerate(values):
        if (first := values.index(value)) != place:
            raise invalid_field(f"{field}.{place}.{name}", f"stands in {field}.{first} already; {remedy}")


def _overlaps(field: str, second: int, text: str, first: int, other: str) -> Problem:
    message = f"{text} overlaps {field}.{first} ({other}); spans may touch, make one of them shorter"
    return invalid_field(f"{field}.{second}", message)
