"""All that is played, of one shop."""

from tests.life.model.at_workshop import AtWorkshop
from tests.life.model.dropping_out import DroppingOut
from tests.life.model.in_line import InLine
from tests.life.model.on_offer import OnOffer
from tests.life.model.second_thoughts import WholeCourse
from tests.life.model.texted import Texted


class WholeLife(Texted, InLine, OnOffer, AtWorkshop, DroppingOut, WholeCourse):
    """Whatever may become of its bookings."""
