"""Telephone numbers as people write them, and as they are kept: E.164."""

import re

import phonenumbers

# No letters: the library would read those of a keypad, and a typing mistake as another number. No extensions: a text
# message cannot go to one.
_WRITTEN = re.compile(r"\+?[0-9 ()./-]{4,30}", re.ASCII)


class NotANumber(ValueError):
    """The text is no telephone number that could be called; says why."""


def normalised(written: str, country: str) -> str:
    """The number in E.164. One without a country code is of `country` (ISO 3166-1). Raises `NotANumber`."""
    if not _WRITTEN.fullmatch(written):
        raise NotANumber("must have digits, spaces and ( ) . / - only, such as +14165550123")
    try:
        number = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException as error:
        hint = f"write it with its country code, such as +14165550123 (as a number of {country} it is none)"
        raise NotANumber(f"is not a telephone number; {hint}") from error
    if not phonenumbers.is_valid_number(number):
        raise NotANumber(f"is not a number that exists in any numbering plan; as a number of {country} it is none")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
