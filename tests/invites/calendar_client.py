"""A model of a calendar that takes iTIP messages out of mails, in whatever order they come (RFC 5546)."""

from dataclasses import dataclass, field

from tests.invites.reader import Component, read


@dataclass(frozen=True, slots=True)
class Entry:
    sequence: int
    stamp: str
    start: str
    end: str
    summary: str
    organizer: str
    cancelled: bool


@dataclass(slots=True)
class CalendarClient:
    """One person's calendar. `attendee` is that person's address; what is for others is not taken."""

    attendee: str
    known: dict[str, Entry] = field(default_factory=dict)

    def take(self, message: str) -> None:
        calendar = read(message)
        [event] = calendar.of("VEVENT")
        assert event["ATTENDEE"].value == f"mailto:{self.attendee}"
        uid, arrived = event["UID"].value, _entry(calendar["METHOD"].value, event)
        before = self.known.get(uid)
        if before is None or self._is_news(before, arrived):
            self.known[uid] = arrived

    @staticmethod
    def _is_news(before: Entry, arrived: Entry) -> bool:
        """The higher SEQUENCE obsoletes the lower; of two that are the same, the later DTSTAMP (2.1.5).

        Only the organizer of an entry changes it (2.1.4).
        """
        same = before.organizer == arrived.organizer
        return same and (arrived.sequence, arrived.stamp) >= (before.sequence, before.stamp)

    @property
    def shown(self) -> list[Entry]:
        """What the person sees."""
        return [entry for entry in self.known.values() if not entry.cancelled]


def _entry(method: str, event: Component) -> Entry:
    assert method in ("REQUEST", "CANCEL")
    return Entry(
        sequence=int(event["SEQUENCE"].value),
        stamp=event["DTSTAMP"].value,
        start=_when(event, "DTSTART"),
        end=_when(event, "DTEND"),
        summary=event["SUMMARY"].text,
        organizer=event["ORGANIZER"].value,
        cancelled=method == "CANCEL",
    )


def _when(event: Component, name: str) -> str:
    """With its zone, as written."""
    line = event[name]
    return f"{line.value} {','.join(line.parameters.get('TZID', ['UTC']))}"
