"""Public holidays kept in the database: filled in when a mechanic names a region, and topped up by the sweep."""

import logging
from datetime import date, timedelta

from pitstop.domain.rules import UnknownRegion
from pitstop.ports import HolidayCalendar
from pitstop.postgres import queries
from pitstop.postgres.pool import Connection, Pool

_SQL = queries.load("holidays")
_log = logging.getLogger("pitstop.sweep")
_LONGEST_HORIZON = timedelta(days=365)


def years_ahead(today: date) -> range:
    """This year, all that the longest horizon reaches, and one more: nobody searches beyond what is on record."""
    return range(today.year, (today + _LONGEST_HORIZON).year + 2)


async def keep(connection: Connection, calendar: HolidayCalendar, region: str, today: date) -> None:
    """Makes the region complete within the open transaction. Raises `UnknownRegion`.

    Days to come are replaced: laws change, and so does what the calendar knows of them.
    """
    if await connection.fetchval(_SQL["is_fresh"], region, today):
        return
    years = years_ahead(today)
    days = calendar.days(region, years)
    whole_years = (date(years[0], 1, 1), date(years[-1], 12, 31))
    await connection.execute(_SQL["keep_calendar"], region, *whole_years, today)
    await connection.execute(_SQL["drop_holidays"], region, today, list(days))
    await connection.execute(_SQL["add_holidays"], region, list(days), list(days.values()))


class PostgresHolidays:
    """Implements the port `HolidayStore` as the role `pitstop_worker`."""

    def __init__(self, pool: Pool, calendar: HolidayCalendar) -> None:
        self._pool = pool
        self._calendar = calendar

    async def top_up(self, today: date, most: int) -> int:
        """Each region in a transaction of its own. One that is no longer known keeps what it has."""
        stale = [row["region"] for row in await self._pool.fetch(_SQL["stale_regions"], today, most)]
        for region in stale:
            async with self._pool.acquire() as connection, connection.transaction():
                try:
                    await keep(connection, self._calendar, region, today)
                except UnknownRegion:
                    _log.error("holidays of %s are not known any more: the days on record stay", region)
                    await connection.execute(_SQL["put_off"], region, today)
        return len(stale)
