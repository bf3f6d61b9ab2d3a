"""What a bill says, line by line: the struct that every dialect fills, and how amounts and periods are read.

An amount is parsed from its own text and never passes through a float. Which lines replace earlier ones is left to
``restate.py``, what they mean beside the logs to ``stages/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import msgspec

from callcost.logs.values.times import EPOCH, read_time

EXACT = Context(prec=60)
DAY = 86_400_000_000  # microseconds
MAX_AMOUNT = Decimal(10) ** 15
_MIN_EXPONENT = -30

USAGE = "usage"  # something was used
CREDIT = "credit"  # money back: a discount, a free tier, a refund
FEE = "fee"  # tax, support, a commitment: no call has it
UNMAPPED = "unmapped"  # of a service at hand, but nobody knows what it is
OTHER = "other"  # of a service that is no business of ours
CONTROL = "control"  # the sum of an invoice


class BillLine(msgspec.Struct, kw_only=True):
    """One amount, or one quantity, of one thing in one period."""

    dialect: str = ""
    source_file: str = ""
    source_row: int = 0
    provider: str = ""
    kind: str = USAGE
    start_at: int | None = None  # microseconds since 1970 UTC
    end_at: int | None = None  # exclusive
    model: str | None = None  # as billed; None: the line is about all of them
    token_class: str | None = None  # of labels.py; None: all of them
    quantity: Decimal | None = None
    amount: Decimal | None = None  # in units of the currency, cents already made dollars
    currency: str = "USD"
    tier: str | None = None
    region: str | None = None
    account: str | None = None
    line_item: str | None = None  # the label of the bill itself
    call_id: str | None = None  # the provider's id of the response, where the bill is per call
    tool_amount: Decimal | None = None  # of ``amount``, what server tools cost
    key: str | None = None  # equal keys state the same thing, the later in place of the earlier; None: lines add

    @property
    def day(self) -> int | None:
        """The beginning of its UTC day in microseconds since 1970; None: undated."""
        return None if self.start_at is None else day_of(self.start_at)


class BillDialect(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing bills, as data and one small function.

    Attributes:
        name: as in source_format.
        rank: dialects are asked in order of rank; of two bills for a day the lower rank is believed.
        keys: keys or columns that a record has, lower case; each alternative is a set that must be there whole.
        read: a record (keys in lower case) to lines; lines without an amount and a quantity are dropped.
        identity: keys that name what a record is about; ("*",): all but those of ``measures``; (): lines add.
        measures: keys of the figures.
    """

    name: str
    rank: int = 50
    keys: tuple[frozenset[str], ...]
    read: Callable[[Mapping[str, Any]], Iterable[BillLine]]
    identity: tuple[str, ...] = ()
    measures: frozenset[str] = frozenset()

    def recognises(self, present: frozenset[str]) -> bool:
        """Tell whether records with these keys are in this dialect."""
        return any(keys <= present for keys in self.keys)


class BadLine(Exception):  # noqa: N818 - how a line says that it cannot be read
    """A line cannot be read.

    Args:
        reason: a slug of tables.REJECT_REASONS.
        detail: a field, never a value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def keys_of(*alternatives: str) -> tuple[frozenset[str], ...]:
    """Write key sets in short: names separated by spaces or commas."""
    return tuple(frozenset(text.replace(",", " ").lower().split()) for text in alternatives)


def read_amount(value: Any, field: str = "amount") -> Decimal | None:
    """Return a number exactly as it is written; None for nothing.

    Raises:
        BadLine: ``bad_amount``: it is no number.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool | dict | list):
        raise BadLine("bad_amount", field)
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if "," in text and "." in text and text.rindex(".") > text.rindex(","):
        text = text.replace(",", "")  # 1,234.56
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        raise BadLine("bad_amount", field) from None
    exponent = amount.as_tuple().exponent
    if not amount.is_finite() or abs(amount) > MAX_AMOUNT or not isinstance(exponent, int) or exponent < _MIN_EXPONENT:
        raise BadLine("bad_amount", field)
    return amount


def read_count(value: Any, field: str) -> Decimal | None:
    """Return a quantity; None for nothing.

    Raises:
        BadLine: ``bad_amount``: it is no number.
    """
    return read_amount(value, field)


def read_moment(value: Any, field: str, *, us_dates: bool = False) -> int | None:
    """Return a time as microseconds since 1970 UTC; None for nothing stated.

    Args:
        value: ISO 8601, an epoch, or MM/DD/YYYY (also MM/DD/YY) where the bill writes dates so.
        field: named where it cannot be read.
        us_dates: accept MM/DD/YYYY.

    Raises:
        BadLine: ``bad_period``: it is no time.
    """
    if value is None or value == "":
        return None
    moment = read_time(value, us_dates=us_dates)
    if moment is None:
        raise BadLine("bad_period", field)
    return moment


def day_of(moment: int) -> int:
    """Return the beginning of a moment's UTC day."""
    return moment // DAY * DAY


def read_month(text: str, field: str) -> tuple[int, int]:
    """Return the first moment of a period and of what follows it: "2026-11", "2026-11-01" or "A/B" (B inclusive).

    Raises:
        BadLine: ``bad_period``.
    """
    first, slash, last = text.strip().replace("..", "/").partition("/")
    begin, end = _span(first.strip(), field)
    if slash:
        end = _span(last.strip(), field)[1]
    if end <= begin:
        raise BadLine("bad_period", field)
    return begin, end


def _span(text: str, field: str) -> tuple[int, int]:
    if len(text) < len("2026-11"):
        raise BadLine("bad_period", field)
    if len(text) > len("2026-11"):
        begin = read_moment(text, field) or 0
        return begin, begin + DAY
    begin = read_moment(f"{text}-01", field) or 0
    try:
        following = (EPOCH + timedelta(microseconds=begin, days=32)).replace(day=1)
    except OverflowError:  # after the last month of the year 9999
        raise BadLine("bad_period", field) from None
    return begin, read_moment(following, field) or 0


def currency_of(value: Any) -> str:
    """Return a currency's code in capitals; US dollars where none is stated."""
    return str(value or "USD").strip().upper()


def text_of(value: Any) -> str | None:
    """Return a name; None for nothing."""
    return str(value).strip() or None if isinstance(value, str | int) and not isinstance(value, bool) else None
