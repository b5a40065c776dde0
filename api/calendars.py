"""Calendars as clients get them: links for a customer, the address of a mechanic's."""

from datetime import datetime

from pydantic import BaseModel, Field

from api.examples import Json

_URL = "pitstop.example/v1/mechanics/00000000-0000-4000-8000-0000000000a1/calendar.ics?token=AAAAAAAAQAC…"


class CalendarLinks(BaseModel):
    """Each opens that calendar on the web with the session filled in."""

    google: str
    outlook: str
    office365: str
    yahoo: str


class FeedAddress(BaseModel):
    url: str = Field(description="Whoever has it reads the calendar: it is for calendar programs, and no one else.")
    webcal_url: str = Field(description="The same; opened on a telephone or a computer it offers to subscribe.")
    made_at: datetime


CALENDAR: Json = {
    "url": f"https://{_URL}",
    "webcal_url": f"webcal://{_URL}",
    "made_at": "2026-11-24T14:00:00Z",
}
_SESSION = "Video%20consultation%20with%20Am%C3%A9lie%20Tremblay"
_COMPOSE = f"?path=%2Fcalendar%2Faction%2Fcompose&rru=addevent&subject={_SESSION}&startdt=2026-12-01T15%3A00%3A00Z&…"
CALENDAR_LINKS: Json = {
    "google": "https://calendar.google.com/calendar/render"
    f"?action=TEMPLATE&text={_SESSION}&dates=20261201T150000Z%2F20261201T160000Z&…",
    "outlook": f"https://outlook.live.com/calendar/0/deeplink/compose{_COMPOSE}",
    "office365": f"https://outlook.office.com/calendar/deeplink/compose{_COMPOSE}",
    "yahoo": f"https://calendar.yahoo.com/?v=60&title={_SESSION}&st=20261201T150000Z&et=20261201T160000Z&…",
}
FEED = "\r\n".join(
    (
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Pitstop//Mechanics//EN", "BEGIN:VEVENT"),
        *("UID:7d0c9d1c-6a5e-5f0b-9f43-0a8a5d0f3c11.session@pitstop", "SUMMARY:Video consultation: Camille"),
        *("DTSTAMP:20261124T140000Z", "DTSTART:20261201T150000Z", "DTEND:20261201T160000Z"),
        *("END:VEVENT", "END:VCALENDAR", ""),
    )
)
