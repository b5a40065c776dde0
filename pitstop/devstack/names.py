"""The names of the parts, and where the checkout is. Apart from the parts, so that small commands start quickly."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOUNDATION = ("postgres", "temporal", "stripe", "twilio", "mail", "issuer")
APPLICATION = ("worker", "api")
NAMES = (*FOUNDATION, *APPLICATION)
