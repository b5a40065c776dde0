"""A worker of the next release: the present one, but for its bookings' workflow."""

import uvloop

import worker
from pitstop.settings import Settings
from tests.support.next_booking import NextBooking

if __name__ == "__main__":
    setattr(worker, "BookingWorkflow", NextBooking)  # noqa: B010 - mypy lets no module's name be another class
    uvloop.run(worker.serve(Settings()))
