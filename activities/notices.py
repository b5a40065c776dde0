"""Sending a mail that is owed, once for its key."""

from temporalio import activity

from activities.moments import not_before
from pitstop.contracts import names
from pitstop.contracts.booking import SendNotice
from pitstop.domain.notices import Notice, notice_key
from pitstop.domain.saga import NoticeOutcome
from pitstop.ports import Mailer, MailNotAccepted, MailWriter, NoticeStore


class NoticeActivities:
    """Claims a mail, writes it, hands it to the mail server, marks it as sent."""

    def __init__(self, store: NoticeStore, writer: MailWriter, mailer: Mailer) -> None:
        self._store = store
        self._writer = writer
        self._mailer = mailer

    @activity.defn(name=names.SEND_NOTICE)
    async def send(self, order: SendNotice) -> NoticeOutcome:
        """A mail refused for good is recorded, and the booking goes on without it.

        A crash between the server's yes and our mark leads to a second copy, with the same Message-ID and marked as a
        second attempt: SMTP offers no better.
        """
        key = _key(order)
        claim = await self._store.claim(key, not_before(order.now))
        if claim is None:
            return NoticeOutcome.NOT_SENT
        mail = self._writer.write(Notice(key, order.kind, claim.facts, order.reminder_offset))
        try:
            await self._mailer.send(mail, claim.attempt)
        except MailNotAccepted as failure:
            if not failure.permanent:
                await self._store.note_failure(key, str(failure))
                raise
            await self._store.mark_not_sent(key, str(failure), not_before(order.now))
            return NoticeOutcome.NOT_SENT
        await self._store.mark_sent(key, not_before(order.now))
        return NoticeOutcome.SENT

    @activity.defn(name=names.GIVE_UP_NOTICE)
    async def give_up(self, order: SendNotice) -> None:
        """The mail could not be sent while it was of use."""
        key = _key(order)
        await self._store.mark_not_sent(key, "the mail server did not take it in time", not_before(order.now))


def _key(order: SendNotice) -> str:
    return order.key or notice_key(order.booking_id, order.kind, order.reminder_offset)
