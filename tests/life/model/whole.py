"""All that is played, of one shop."""

from tests.life.model.on_offer import OnOffer
from tests.life.model.second_thoughts import WholeCourse


class WholeLife(OnOffer, WholeCourse):
    """Whatever may become of its bookings."""
