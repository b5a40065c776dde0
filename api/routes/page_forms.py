"""What the forms on the page that manages a booking have in common: plain forms, no script."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api import budgets
from api.addresses import Address
from api.changing import change_booking
from api.composition import Rooms
from api.manage_words import words_of
from api.page_words import WORDS
from api.problems import Problem
from api.routes.pages import LONGEST_TOKEN, from_own_page, no_such_page, page
from api.sheets import sheet_of
from pitstop.domain.caller import Caller, Role
from pitstop.domain.changes import ChangeKind
from pitstop.domain.notices import Language

Wish = tuple[ChangeKind, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Form:
    """One that was sent, with the link's booking and token. `refusals`: the page's texts of why it came to nothing."""

    request: Request
    rooms: Rooms
    address: Address
    booking: str
    token: str
    refusals: str

    async def answer(self, wish: Wish | None) -> Response:
        """The page as the booking is then, or why nothing has changed. `wish` None: the form names nothing."""
        opened = self.rooms.links.booking_of(self.token) if len(self.token) <= LONGEST_TOKEN else None
        if opened is None or self.booking != str(opened):
            await self.rooms.rates.spend(budgets.failures(self.rooms, self.address))
            return no_such_page(self.request)
        await self.rooms.rates.spend(budgets.reads(self.rooms, self.address))
        if not from_own_page(self.request):
            return await self._refused(opened, 403, "foreign")
        if wish is None:
            return await self._refused(opened, 422, "unknown_option")
        return await self._changed(opened, wish)

    @property
    def _here(self) -> str:
        return f"/manage/{self.booking}?{urlencode({'token': self.token})}"

    async def _changed(self, booking: UUID, wish: Wish) -> Response:
        """The page again, by a GET of its own, so that it can be loaded again."""
        try:
            await change_booking(self.rooms, Caller(Role.LINK, str(booking)), booking, *wish)
        except Problem as problem:
            return await self._refused(booking, problem.status_code, problem.body.code)
        return RedirectResponse(self._here, 303)

    async def _refused(self, booking: UUID, code: int, why: str) -> Response:
        sheet = await sheet_of(self.rooms, Caller(Role.LINK, str(booking)), booking)
        words = words_of(sheet) if sheet else WORDS[Language.EN]
        said = words.say(self.refusals, why)
        return page("refused.html", code, words=words, refused=words[self.refusals], said=said, here=self._here)
