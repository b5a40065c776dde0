"""Sending a notice that is owed, once for its key, by the channel that it is owed on."""

import asyncio
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from temporalio import activity

from activities.heartbeats import to_its_end
from activities.moments import not_before
from pitstop.contracts import names
from pitstop.contracts.booking import SendNotice
from pitstop.domain.notices import Channel, Claim, Notice, notice_key, offset_of
from pitstop.domain.saga import NoticeOutcome
from pitstop.domain.text_messages import reference
from pitstop.ports import (
    Mailer,
    MailWriter,
    NotAccepted,
    NoticeStore,
    TextMessenger,
    TextNotAccepted,
    TextWriter,
)

# Of an activity's time: for putting on record what has come of it.
_TO_REPORT = timedelta(seconds=1)


class Way(Protocol):
    """One channel: writes a notice and hands it over."""

    async def hand_over(self, notice: Notice, claim: Claim) -> str | None:
        """Returns when it was taken, with what the provider calls it, if it has names. Raises `NotAccepted`."""


class ByMail:
    """A crash between the server's yes and our mark leads to a second copy, with the same Message-ID and marked as a
    second attempt: SMTP offers no better."""

    def __init__(self, writer: MailWriter, mailer: Mailer) -> None:
        self._writer = writer
        self._mailer = mailer

    async def hand_over(self, notice: Notice, claim: Claim) -> None:
        await self._mailer.send(self._writer.write(notice), claim.attempt)


class ByText:
    """A try whose answer was lost is looked up before the message is sent again, because the provider has no keys."""

    def __init__(self, store: NoticeStore, writer: TextWriter, messenger: TextMessenger | None) -> None:
        self._store = store
        self._writer = writer
        self._messenger = messenger

    async def hand_over(self, notice: Notice, claim: Claim) -> str:
        number = claim.facts.customer_phone
        if self._messenger is None or number is None:
            raise TextNotAccepted("no text messages are sent by this installation", permanent=True)
        body = self._writer.write_text(notice)
        try:
            return await self._taken_before(notice.key, claim, self._messenger, number, body) or (
                await self._messenger.send(number, body, reference(notice.key, claim.sending))
            )
        except TextNotAccepted as failure:
            if failure.opted_out:
                await self._store.note_opt_out(number)
            raise

    async def _taken_before(
        self, key: str, claim: Claim, messenger: TextMessenger, number: str, body: str
    ) -> str | None:
        """What an earlier try has got through: its news have come already, or the provider lists it."""
        if claim.message_sid is not None or claim.since is None:
            return claim.message_sid
        found = await self._store.not_known(key, await messenger.sent_since(number, body, claim.since))
        return found[0] if found else None


class NoticeActivities:
    """Claims a notice, has it written and handed over, marks it as sent. No channel waits for another."""

    def __init__(self, store: NoticeStore, ways: Mapping[Channel, Way]) -> None:
        self._store = store
        self._ways = ways

    @activity.defn(name=names.SEND_NOTICE)
    async def send(self, order: SendNotice) -> NoticeOutcome:
        """A notice refused for good is recorded, and the booking goes on without it.

        A try that is cancelled is finished: the first, local one as well, which has no heartbeat.
        """
        return await to_its_end(asyncio.ensure_future(self._send(order)))

    async def _send(self, order: SendNotice) -> NoticeOutcome:
        key, ends = _key(order), asyncio.get_running_loop().time() + _time_for_a_try()
        claim = await self._store.claim(key, not_before(order.now))
        if claim is None:
            return NoticeOutcome.NOT_SENT
        notice = Notice(key, claim.kind, claim.facts, offset_of(key), claim.sending)
        try:
            async with asyncio.timeout_at(ends):
                message = await self._ways[claim.channel].hand_over(notice, claim)
        except NotAccepted as failure:
            if not failure.permanent:
                await self._store.note_failure(key, claim.sending, str(failure))
                raise
            await self._store.mark_not_sent(key, str(failure), not_before(order.now), claim.sending)
            return NoticeOutcome.NOT_SENT
        await self._store.mark_sent(key, claim.sending, not_before(order.now), message)
        return NoticeOutcome.SENT

    @activity.defn(name=names.GIVE_UP_NOTICE)
    async def give_up(self, order: SendNotice) -> None:
        """The notice could not be sent while it was of use."""
        why = "nobody took it in time"
        await self._store.mark_not_sent(_key(order), why, not_before(order.now))


def _time_for_a_try() -> float:
    """In seconds: a try is over when the next one begins, which could not find a message that is still on its way."""
    limit = activity.info().start_to_close_timeout if activity.in_activity() else None
    return (limit - min(_TO_REPORT, limit / 2)).total_seconds() if limit else math.inf


def _key(order: SendNotice) -> str:
    return order.key or notice_key(order.booking_id, order.kind, order.reminder_offset)
