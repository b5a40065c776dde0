"""Text messages, as Twilio's server took them, held against what is owed and who wants them."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from chaos.evidence import Evidence, Row
from chaos.story import Story
from chaos.violation import Found, violation

# A message that was claimed before its reader's STOP was heard may be on its way for as long as one try takes.
_ONE_TRY = timedelta(seconds=15)


def once_by_text(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """Every message that Twilio took is on record for one notice, and every one that is on record as sent is there.

    But for the try of one whose moment passed before its answer came: it is on record as given up.
    """
    known = Counter(row["message_sid"] for row in _notices(evidence) if row["message_sid"])
    taken = {row["sid"]: row for row in evidence.texts if row["direction"] != "inbound"}
    given_up = _given_up(evidence, stories)
    for sid, message in taken.items():
        if known[sid] == 0 and given_up[message["to"]]:
            given_up[message["to"]] -= 1
        elif known[sid] != 1:
            yield violation("I4", None, f"{sid} to {message['to']} is on record {known[sid]} times: {message['body']}")
    for row in _notices(evidence):
        if row["status"] == "sent" and row["message_sid"] not in taken:
            yield violation(
                "I4", row["booking_id"], f"{row['key']} is on record as sent, and Twilio has no such message"
            )


def _given_up(evidence: Evidence, stories: Sequence[Story]) -> Counter[str | None]:
    """How many messages to each number were tried, and are on record as not sent."""
    number = {str(row["id"]): row["customer_phone"] for row in evidence.bookings}
    number |= {story.opened["id"]: story.phone for story in stories if story.opened}
    return Counter(
        number.get(str(row["booking_id"]))
        for row in _notices(evidence)
        if row["status"] in ("skipped", "failed") and row["attempts"] and row["message_sid"] is None
    )


def only_to_who_wants_them(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """None to a number that was not given for it, and none once its owner's STOP was heard."""
    wanted = {story.phone for story in stories if story.phone} | {row["customer_phone"] for row in evidence.bookings}
    heard = _heard(evidence)
    for message in evidence.texts:
        if message["direction"] != "inbound" and message["to"] not in wanted:
            yield violation("I8", None, f"{message['sid']} went to {message['to']}, who has not asked for it")
    for call in evidence.text_calls:
        number = call["params"].get("To")
        if call["method"] == "POST" and number in heard and _moment(call["at"]) > heard[number] + _ONE_TRY:
            yield violation("I6", None, f"{number} was texted at {_moment(call['at'])}, its STOP came {heard[number]}")


def news_are_on_record(evidence: Evidence, stories: Sequence[Story], caller: str) -> Found:
    """How a message has fared is known, if Twilio could say so."""
    of = {row["message_sid"]: row for row in _notices(evidence) if row["message_sid"]}
    told = {(row["message"], row["params"].get("MessageStatus")) for row in evidence.text_news if _is_taken(row)}
    for message in evidence.texts:
        notice = of.get(message["sid"])
        if notice is None or (message["sid"], message["status"]) not in told or message["status"] == "queued":
            continue
        if _COURSE.get(notice["delivery_status"], 0) < _COURSE.get(message["status"], _LAST):
            found = f"{notice['key']} was {message['status']}, and is on record as {notice['delivery_status']}"
            yield violation("I5", notice["booking_id"], found)


# How far a message has come; all else is an end.
_COURSE = {"queued": 1, "sent": 2, "delivered": 3, "undelivered": 3, "failed": 3}
_LAST = 3


def _notices(evidence: Evidence) -> list[Row]:
    return [row for row in evidence.notices if row["channel"] == "sms"]


def _heard(evidence: Evidence) -> dict[str, datetime]:
    """When the API has taken each number's first STOP."""
    heard: dict[str, datetime] = {}
    for row in evidence.text_news:
        if row["params"].get("SmsStatus") == "received" and _is_taken(row):
            at = _moment(row["history"][-1]["at"])
            number = row["params"]["From"]
            heard[number] = min(at, heard.get(number, at))
    return heard


def _is_taken(news: Row) -> bool:
    return bool(news["state"] == "delivered")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


CHECKS: tuple[Callable[[Evidence, Sequence[Story], str], Found], ...] = (
    once_by_text,
    only_to_who_wants_them,
    news_are_on_record,
)
