"""What the waitlist's workflow and its activity say to each other."""

from datetime import datetime, timedelta

from pitstop.contracts.booking import Payload


class WaitlistOrder(Payload):
    """`lasts`: how long an offer is held. `looks`: for how many entries it is looked at a time."""

    lasts: timedelta
    looks: int


class OfferStep(Payload):
    order: WaitlistOrder
    now: datetime
