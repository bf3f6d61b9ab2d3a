"""Names and amounts as a person reads them, on a terminal or a page.

Names come out of logs, so that they may hold anything: what would steer a terminal, or turn the text around it, is
shown by its number. Amounts are rounded here, and only here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

# Control characters of ASCII and C1, what changes the direction of text (Unicode TR9), line ends that only some
# programs take for one, and halves of pairs, as Python has bytes of a file's name that are not UTF-8.
UNSAFE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_OF_A_LINE = re.compile(f"[{UNSAFE}]")
_RAW_BYTES = range(0xDC80, 0xDD00)  # bytes 0x80 to 0xff of names that are not UTF-8
_NAMED = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def visible(text: str) -> str:
    r"""Return a line in which everything shows: what would steer a terminal is written by its number.

    >>> visible("a\x1b[2Jb\u202e")
    'a\\x1b[2Jb\\u202e'
    """
    return _OF_A_LINE.sub(by_number, text)


def by_number(found: re.Match[str]) -> str:
    """Return a sign that a pattern found by its number, as Python writes it."""
    sign = found.group()
    code = ord(sign)
    code = code - 0xDC00 if code in _RAW_BYTES else code
    return _NAMED.get(sign) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def named(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names, and how many more there are.

    >>> named(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def signed_dollars(amount: str) -> str:
    """Return a difference, plain decimal text, for reading.

    >>> signed_dollars("3.2"), signed_dollars("-0.5")
    ('+$3.20', '-$0.5000')
    """
    text = dollars(Decimal(amount))
    return text if text.startswith("-") else f"+{text}"


def dollars(amount: Decimal) -> str:
    """Return an amount for reading: cents, or four figures of what is smaller than a dollar.

    >>> dollars(Decimal("-1234.567")), dollars(Decimal("0.00123456"))
    ('-$1,234.57', '$0.001235')
    """
    places = 2 if amount == 0 or abs(amount) >= 1 else min(18, 3 - amount.adjusted())
    text = f"{amount:,.{places}f}"
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


def money(amount: Decimal, currency: str) -> str:
    """Return an amount of any currency for reading.

    >>> money(Decimal("-1234.567"), "EUR")
    '-1,234.57 EUR'
    """
    text = dollars(amount)
    return text if currency == "USD" else f"{text.replace('$', '')} {currency}"


def error_percent(share: float) -> str:
    """Return a relative error in percent, for reading.

    >>> error_percent(0.0824), error_percent(1.0)
    ('8.2', '100')
    """
    return f"{100 * share:.2g}" if share < 0.995 else f"{100 * share:,.0f}"
