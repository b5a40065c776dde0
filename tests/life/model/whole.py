"""All that is played, of one shop."""

from tests.life.model.dropping_out import DroppingOut
from tests.life.model.on_offer import OnOffer
from tests.life.model.second_thoughts import WholeCourse


class WholeLife(OnOffer, DroppingOut, WholeCourse):
    """Whatever may become of its bookings."""
