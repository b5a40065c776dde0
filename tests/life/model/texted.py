"""Text messages, beside the mails: whoever replies STOP gets none any more."""

from hypothesis.stateful import rule

from tests.life.model.machine import WHICH, Course


class Texted(Course):
    """Those who are far away want text messages."""

    @rule(which=WHICH)
    def somebody_replies_stop(self, which: int) -> None:
        there = [each for each in reversed(self.known) if each.texts]
        if there:
            booking = there[which % len(there)]
            self.does(self.floor.replies_stop(booking.number))
            for each in there:
                each.stopped = each.stopped or each.number == booking.number
