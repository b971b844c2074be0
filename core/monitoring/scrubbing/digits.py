"""Find what is made of digits: card numbers, IBANs, phone and social security numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.monitoring import rules
from core.monitoring.scrubbing.spans import Span

# A pattern that begins with a class of characters is searched for several times as fast as one with a look-behind.
_CARD = re.compile(
    r"\d(?<![\w.]\d)(?<!\w-\d)(?:\d{12,18}|\d{3}(?P<gap>[ .+_-]|%20)\d{4,7}(?:(?P=gap)\d{2,7}){1,4})(?![\w-])"
)
_FOUR_FOURS = re.compile(r"\d{4}([-]|[ .+_]|%20)\d{4}\1\d{4}\1\d{4}")
_PHONE = re.compile(
    r"(?<![\w+.-])(?:\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,5}|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4})(?![\w-])"
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_IBAN = re.compile(r"[A-Z](?<![\w-].)[A-Z]\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")


def luhn(digits: str) -> bool:
    """Say whether a string of digits passes the check of ISO/IEC 7812-1, annex B."""
    total = sum(map(int, digits[-1::-2]))
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def is_card(digits: str) -> bool:
    """Say whether digits without separators are a card number: an issuer's length and beginning, and Luhn-valid."""
    size = len(digits)
    if not 13 <= size <= 19 or digits[0] not in "23456":
        return False
    if size < 16 and not digits.startswith({13: ("4",), 14: ("30", "36", "38", "39"), 15: ("34", "37")}[size]):
        return False
    return luhn(digits)


def is_written_card(value: object) -> bool:
    """Say whether a whole value is a card number, or at least sixteen digits as one has."""
    if not isinstance(value, str | int) or (isinstance(value, int) and value.bit_length() > 64):
        return False
    if len(text := str(value)) > 30:
        return False
    digits = re.sub(r"[ '\"-]", "", text)
    return digits.isdigit() and digits.isascii() and (is_card(digits) or len(digits) == 16)


def card(text: str) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        fours = _FOUR_FOURS.fullmatch(found[0])
        if (fours and fours[1] == "-") or is_card(re.sub(r"%20|\D", "", found[0])):
            yield Span(found.start(), found.end(), rules.CARD, "card")


def iban(text: str) -> Iterator[Span]:
    for found in _IBAN.finditer(text):
        plain = found[0].replace(" ", "")
        if 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1:
            yield Span(found.start(), found.end(), rules.FILTERED, "iban")


def numbers(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if 8 <= len(digits) <= 15 and (len(digits) >= 10 or not found[0][1:].isdigit()):
            yield Span(found.start(), found.end(), f"XXX-XXX-{digits[-4:]}", "phone")
    for found in _SSN.finditer(text):
        yield Span(found.start(), found.end(), rules.FILTERED, "ssn")
