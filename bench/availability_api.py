"""The API as it is served, with one route more: `SELECT 1` by the way that a search goes.

Run: python -m bench.availability_api --port PORT. The route passes the same middleware, limits, lane and pool, and
reads its query as strictly: what a search costs more than it is the search.
"""

from fastapi import APIRouter

from api.__main__ import main
from api.app import app
from api.budgets import LIMITED_SEARCH
from api.composition import InRooms
from api.reading import StrictRoute

PATH = "/bench/select-one"
router = APIRouter(route_class=StrictRoute)


@router.get(PATH, dependencies=[LIMITED_SEARCH])
async def select_one(rooms: InRooms) -> dict[str, int]:
    return {"one": await rooms.pools["main"].fetchval("SELECT 1")}


if __name__ == "__main__":
    app.include_router(router)
    main()
