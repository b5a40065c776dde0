"""What a program looks for, what it found, and whether that is good enough."""

from pydantic import BaseModel


class Promise(BaseModel):
    text: str
    measured: float
    wanted: str
    kept: bool


def at_least(text: str, measured: float, least: float) -> Promise:
    return Promise(text=text, measured=measured, wanted=f"at least {least:g}", kept=measured >= least)


def at_most(text: str, measured: float, most: float) -> Promise:
    return Promise(text=text, measured=measured, wanted=f"at most {most:g}", kept=measured <= most)
