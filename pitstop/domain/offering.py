"""How long a mechanic is looked for who takes an immediate session."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

# The last wave: wherever the mechanic is. The database's function `matching_mechanics` counts from 0, the postal area.
FARTHEST = 3


class Patience(BaseModel):
    """The preferred mechanic is asked alone for `preferred`; then each wave, and each look at who has come online
    since, comes `wave` after the one before; after `whole` nobody is asked any more."""

    model_config = ConfigDict(frozen=True)
    preferred: timedelta = timedelta(seconds=60)
    wave: timedelta = timedelta(seconds=60)
    whole: timedelta = timedelta(minutes=10)
