"""What a bill says, line by line: the struct that every dialect fills, and how amounts and periods are read.

An amount is parsed from its own text and never passes through a float. Which lines replace earlier ones is left to
``restate.py``, what they mean beside the logs to ``stages/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import msgspec

from pipeline.logs.times import read_time

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
    moment = _us_date(str(value)) if us_dates and "/" in str(value) else read_time(value)
    if moment is None:
        raise BadLine("bad_period", field)
    return moment


def _us_date(text: str) -> int | None:
    for form in ("%m/%d/%Y", "%m/%d/%y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M"):
        try:
            return read_time(datetime.strptime(text.strip(), form).replace(tzinfo=UTC))
        except ValueError:
            continue
    return None


def day_of(moment: int) -> int:
    """Return the beginning of a moment's UTC day."""
    return moment // DAY * DAY


def read_month(text: str, field: str) -> tuple[int, int]:
    """Return the first moment of a period and of what follows it: "2026-11", "2026-11-01" or "A/B" (B inclusive).

    Raises:
        BadLine: ``bad_period``.
    """
    first, slash, last = text.strip().replace("..", "/").partition("/")
    try:
        begin, end = _span(first.strip())
        if slash:
            end = _span(last.strip())[1]
    except ValueError:
        raise BadLine("bad_period", field) from None
    if end <= begin:
        raise BadLine("bad_period", field)
    return tuple(read_time(moment) or 0 for moment in (begin, end))  # type: ignore[return-value]


def _span(text: str) -> tuple[datetime, datetime]:
    if len(text) == len("2026-11"):
        begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        return begin, (begin + timedelta(days=32)).replace(day=1)
    begin = datetime.fromisoformat(text)
    begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
    return begin, begin + timedelta(days=1)


def currency_of(value: Any) -> str:
    """Return a currency's code in capitals; US dollars where none is stated."""
    return str(value or "USD").strip().upper()


def text_of(value: Any) -> str | None:
    """Return a name; None for nothing."""
    return str(value).strip() or None if isinstance(value, str | int) and not isinstance(value, bool) else None
