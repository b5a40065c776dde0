"""The waitlist, held against what those who wait were told: stories and evidence in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from chaos.evidence import Evidence, Row
from chaos.story import Story
from chaos.violation import KEEPS_MONEY, Found, violation

_OVER = frozenset(("expired", "cancelled"))


def nobody_is_lost_in_line(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Whoever was told to be in line is; whoever has paid for an offer has what it waited for; who has left is gone."""
    entries = {str(row["id"]): row for row in evidence.entries}
    offers = _offers(evidence)
    for story in stories:
        if story.entry is None:
            continue
        entry = entries.get(story.entry)
        if entry is None:
            yield violation("I5", None, f"the entry {story.entry} was acknowledged, and is not there")
        elif story.left and entry["status"] == "waiting":
            yield violation("I5", None, f"the entry {story.entry} has left, and waits")
    for id, entry in entries.items():
        paid = [row["id"] for row in offers[id] if row["status"] in KEEPS_MONEY]
        if len(paid) > 1 or (paid and entry["status"] != "fulfilled"):
            yield violation("I2", paid[0], f"the entry {id} is {entry['status']}, and has {len(paid)} bookings")


def offers_are_made_once(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """No time of a mechanic is offered to the same customer twice, nor two at a time."""
    for id, offers in _offers(evidence).items():
        for (mechanic, start), count in Counter((row["mechanic_id"], row["starts_at"]) for row in offers).items():
            if count > 1:
                yield violation("I4", offers[0]["id"], f"{start} of {mechanic} was offered to {id} {count} times")
        if sum(row["status"] in ("holding", "awaiting_payment") for row in offers) > 1:
            yield violation("I1", offers[0]["id"], f"the entry {id} has two offers at a time")


def the_first_is_first(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Of those who wait for one time, the one who came first is offered it first."""
    entries = {str(row["id"]): row for row in evidence.entries}
    line = defaultdict(list)
    for row in sorted(evidence.bookings, key=lambda each: each["created_at"]):
        if row["waitlist_entry_id"] is not None and str(row["waitlist_entry_id"]) in entries:
            line[row["mechanic_id"], row["starts_at"]].append(entries[str(row["waitlist_entry_id"])])
    for (mechanic, start), offered in line.items():
        for earlier, later in pairwise(offered):
            if later["created_at"] < earlier["created_at"]:
                told = f"{start} of {mechanic} was offered to {earlier['id']} before {later['id']}, who came first"
                yield violation("I5", None, told)


def nothing_is_offered_that_somebody_has(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """What is offered was let go by whoever had it, before."""
    of = {row["id"]: row for row in evidence.bookings}
    held = defaultdict(list)
    for row in evidence.reservations:
        held[row["mechanic_id"], row["starts_at"]].append(row)
    for rows in held.values():
        if not any(of[row["booking_id"]]["waitlist_entry_id"] for row in rows):
            continue
        for earlier, later in pairwise(sorted(rows, key=lambda row: row["created_at"])):
            if _let_go(earlier) > later["created_at"]:
                told = f"was held from {later['created_at']}, and {earlier['booking_id']} had it until then"
                yield violation("I1", later["booking_id"], told)


def _let_go(reservation: Row) -> datetime:
    """When it stopped to block: a hold does so at its end, whenever that is put on record."""
    if reservation["status"] not in _OVER:
        return datetime.max.replace(tzinfo=reservation["created_at"].tzinfo)
    moment: datetime = reservation["updated_at"]
    return min(moment, reservation["expires_at"]) if reservation["status"] == "expired" else moment


def _offers(evidence: Evidence) -> dict[str, list[Row]]:
    offers: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.bookings:
        if row["waitlist_entry_id"] is not None:
            offers[str(row["waitlist_entry_id"])].append(row)
    return offers


CHECKS: tuple[Callable[[Evidence, Sequence[Story], str], Found], ...] = (
    nobody_is_lost_in_line,
    offers_are_made_once,
    the_first_is_first,
    nothing_is_offered_that_somebody_has,
)
