"""What is agreed beside the price: how much of it goes back, until when, and how often a booking may be moved.

A booking has the policy of its moment. Amounts are minor units (cents), times aware instants; a boundary instant itself
still belongs to the better side of it.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pitstop.domain.caller import Role

Party = Literal["customer", "mechanic"]


class RefundTier(BaseModel):
    """So much of the price goes back to a customer who cancels until so many minutes before the start."""

    model_config = ConfigDict(frozen=True)
    minutes_before: int = Field(ge=0)
    percent: int = Field(ge=0, le=100)


class Policy(BaseModel):
    """`grace_minutes`: how long after the start somebody may be late; `no_show_percent`: what a customer gets back who
    did not come."""

    model_config = ConfigDict(frozen=True)
    refund_tiers: tuple[RefundTier, ...]
    reschedule_minutes_before: int = Field(ge=0)
    reschedule_limit: int = Field(ge=0)
    no_show_percent: int = Field(ge=0, le=100)
    grace_minutes: int = Field(ge=0)

    def percent_back(self, start: datetime, now: datetime) -> int:
        """What a customer who cancels at `now` gets back of the price: the tier with the latest time still ahead.

        Nothing when all of them have passed.
        """
        left = start - now
        reached = [tier for tier in self.refund_tiers if left >= timedelta(minutes=tier.minutes_before)]
        return max(reached, key=lambda tier: tier.minutes_before).percent if reached else 0

    def may_be_moved(self, start: datetime, now: datetime) -> bool:
        """Whether a customer may still move the booking."""
        return start - now >= timedelta(minutes=self.reschedule_minutes_before)

    def nobody_is_late_after(self, start: datetime) -> datetime:
        """From this moment on, somebody who is not there has not come."""
        return start + timedelta(minutes=self.grace_minutes)


def acts_for_customer(role: Role) -> bool:
    """Whether this caller speaks for the customer, so that the customer's limits and refunds are meant."""
    return role in (Role.CUSTOMER, Role.LINK, Role.SERVICE)


def part_of(amount: int, percent: int) -> int:
    """So many percent of an amount, in whole minor units; a broken one is the customer's."""
    return -(-amount * percent // 100)
