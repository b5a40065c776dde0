"""When a text message may disturb: the customer's night is left in peace, as far as the session allows."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

# A reminder this close to its session comes at its time, at night too: who has a session then is up for it.
URGENT = timedelta(hours=2)
_A_DAY = timedelta(days=1)
_A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times, half-open: from `begin` until `end`, over midnight when `begin` is the later one. The same: none."""

    begin: time
    end: time

    def cover(self, moment: datetime, zone: str) -> bool:
        """Whether clocks in `zone` (an IANA name) show a quiet time at this instant."""
        shown = moment.astimezone(ZoneInfo(zone)).time().replace(fold=0)
        if self.begin <= self.end:
            return self.begin <= shown < self.end
        return shown >= self.begin or shown < self.end

    def over_after(self, moment: datetime, zone: str) -> datetime:
        """The first instant from this one on that is not quiet."""
        return moment if not self.cover(moment, zone) else _nearest(self.end, moment, zone, self, step=1)

    def last_before(self, moment: datetime, zone: str) -> datetime:
        """The last whole minute before the quiet hours around this instant; the instant, if it is not quiet."""
        return moment if not self.cover(moment, zone) else _nearest(self.begin, moment, zone, self, step=-1) - _A_MINUTE


def text_moment(due: datetime, latest: datetime, zone: str, quiet: QuietHours, *, urgent: bool = False) -> datetime:
    """When a reminder that is due at `due` goes out by text message: outside the quiet hours, and before `latest`.

    It is moved to the end of the quiet hours, not to their beginning. A later moment always comes; an earlier one may
    have passed when the booking is made, and the reminder would be lost, or would be one of something just booked.
    Only where the morning is too late (`latest`: the next reminder, or the session) it goes out the evening before.
    An `urgent` one is never moved. Instants are aware, the answer is in UTC.
    """
    if urgent:
        return due.astimezone(UTC)
    morning = quiet.over_after(due, zone)
    chosen = morning if morning < latest else quiet.last_before(due, zone)
    return chosen.astimezone(UTC)


def _nearest(shown: time, moment: datetime, zone: str, quiet: QuietHours, step: int) -> datetime:
    """The edge of the quiet hours nearest to this instant, after it (`step` 1) or at or before it (-1).

    A local time that clocks skip is meant as if they had not been set yet; of one that they show twice, both count.
    """
    day = moment.astimezone(ZoneInfo(zone)).date()
    edges = [
        datetime.combine(day + n * _A_DAY, shown, ZoneInfo(zone)).replace(fold=fold).astimezone(UTC)
        for n in (-1, 0, 1)
        for fold in (0, 1)
    ]
    if step > 0:
        return min(edge for edge in edges if edge > moment and not quiet.cover(edge, zone))
    return max(edge for edge in edges if edge <= moment)
