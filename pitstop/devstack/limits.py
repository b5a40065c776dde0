"""The limits of a stack on one machine: raised where everybody there is one to them."""

_ENOUGH = "1000000"

# All who call come from 127.0.0.1, and all use the same few test cards.
ONE_MACHINE = {
    "PITSTOP_RATE_ADDRESS_READS": _ENOUGH,
    "PITSTOP_RATE_ADDRESS_SEARCHES": _ENOUGH,
    "PITSTOP_RATE_ADDRESS_WRITES": _ENOUGH,
    "PITSTOP_RATE_ADDRESS_FAILURES": _ENOUGH,
    "PITSTOP_HOLDS_PER_ADDRESS": _ENOUGH,
    "PITSTOP_UNPAID_HOLDS_PER_ADDRESS": _ENOUGH,
    "PITSTOP_HOLDS_PER_CARD": _ENOUGH,
}
# Tests and measurements make hundreds of calls as one caller.
ONE_CALLER = {
    "PITSTOP_RATE_CALLER_READS": _ENOUGH,
    "PITSTOP_RATE_CALLER_WRITES": _ENOUGH,
    "PITSTOP_RATE_SERVICE": _ENOUGH,
    "PITSTOP_HOLDS_PER_CUSTOMER": _ENOUGH,
    "PITSTOP_HOLDS_PER_SERVICE": _ENOUGH,
    "PITSTOP_UNPAID_HOLDS_PER_CUSTOMER": _ENOUGH,
}
