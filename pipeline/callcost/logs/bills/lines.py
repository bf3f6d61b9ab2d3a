"""What a bill says, line by line: the struct that every dialect fills, and how amounts and periods are read.

An amount is parsed from its own text and never passes through a float. Which lines replace earlier ones is left to
``restate.py``, what they mean beside the logs to ``stages/``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from callcost.logs.values.times import EPOCH, read_time

DAY = 86_400_000_000  # microseconds
MAX_AMOUNT = Decimal(10) ** 15
_MIN_EXPONENT = -30
LONG_CONTEXT = "200k-1M"  # what the tier of a line ends in where it is about prompts above 200,000 tokens


class Kind:
    """What a line of a bill is about."""

    USAGE = "usage"  # something was used
    CREDIT = "credit"  # money back: a discount, a free tier, a refund
    FEE = "fee"  # tax, support, a commitment: no call has it
    UNMAPPED = "unmapped"  # of a service at hand, but nobody knows what it is
    OTHER = "other"  # of a service that is no business of ours
    CONTROL = "control"  # the sum of an invoice


class BillLine(msgspec.Struct, kw_only=True):
    """One amount, or one quantity, of one thing in one period.

    Attributes:
        dialect: name of the dialect that it is read in.
        provider: who is paid.
        kind: one of ``Kind``.
        start_at: beginning of the period, in microseconds since 1970 UTC; None: undated.
        end_at: end of the period, exclusive; None: undated.
        model: name on the bill; None: the line is about all of them.
        token_class: class of labels.py, or what is charged beside tokens; None: all of them.
        quantity: number of tokens or of what the class counts; None: not stated.
        amount: money in units of the currency, never cents; None: not stated.
        currency: ISO code in capitals.
        tier: service tier or "batch"; None: standard.
        region: region or place of processing; None: not stated.
        line_item: the bill's own label; None: it has none.
        call_id: provider's id of the response, where the bill is per call.
        tool_amount: part of ``amount`` that is for server tools; None: not stated.
        own_key_amount: money beside ``amount`` that was paid to the model's provider with a key of one's own.
        owners: dimension of owners.py -> who used it.
    """

    dialect: str = ""
    provider: str = ""
    kind: str = Kind.USAGE
    start_at: int | None = None
    end_at: int | None = None
    model: str | None = None
    token_class: str | None = None
    quantity: Decimal | None = None
    amount: Decimal | None = None
    currency: str = "USD"
    tier: str | None = None
    region: str | None = None
    line_item: str | None = None
    call_id: str | None = None
    tool_amount: Decimal | None = None
    own_key_amount: Decimal | None = None
    owners: Mapping[str, str] = {}

    @property
    def day(self) -> int | None:
        """The beginning of its UTC day in microseconds since 1970; None: undated."""
        return None if self.start_at is None else day_of(self.start_at)


class BillDialect(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing bills, as data and one small function.

    Attributes:
        name: name, as in ``BillLine.dialect``.
        rank: place in the order in which dialects are asked; of two bills for a day the lower rank is believed.
        keys: keys or columns of a record, in lower case, with spaces between; each alternative must be there whole.
        read: function from a record (keys in lower case) to lines; lines without an amount and a quantity are dropped.
        identity: keys that name what a record is about, where there are no ``measures``; (): lines add.
        measures: keys of the figures; all others together name what a record is about.
        note: what a reader of the report should know of such a bill; "": nothing.
    """

    name: str
    rank: int = 50
    keys: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Iterable[BillLine]]
    identity: tuple[str, ...] = ()
    measures: frozenset[str] = frozenset()
    note: str = ""

    def recognises(self, present: frozenset[str]) -> bool:
        """Tell whether records with these keys are in this dialect."""
        return any(present.issuperset(keys.split()) for keys in self.keys)


class BadLine(Exception):  # noqa: N818 - how a line says that it cannot be read
    """A line cannot be read.

    Args:
        reason: a slug of tables.REJECT_REASONS.
        detail: a field, never a value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


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


# --- Records as tables of columns -------------------------------------------------------------------------------------

Columns = Mapping[str, str | Sequence[str]]  # attribute of BillLine -> path of its field, or several
_MOMENTS, _NUMBERS = {"start_at", "end_at"}, {"quantity", "amount", "tool_amount", "own_key_amount"}
_SCALES = (
    (re.compile(r"1,?000,?000|\b1m\b|million", re.IGNORECASE), Decimal(1_000_000)),
    (re.compile(r"1,?000|\b1k\b|thousand", re.IGNORECASE), Decimal(1000)),
)


def value_at(record: Mapping[str, Any], path: str) -> Any:
    """Return a field of a record; "sku.description" is nested, or a column with a dot or an underscore."""
    outer, _, inner = path.partition(".")
    found = record.get(outer)
    if not inner:
        return found
    return found.get(inner) if isinstance(found, Mapping) else record.get(path, record.get(f"{outer}_{inner}"))


def text_at(record: Mapping[str, Any], *paths: str) -> str | None:
    """Return the first of several fields that holds a name; None: none does."""
    for path in paths:  # the innermost loop of bills of many rows
        if text := text_of(value_at(record, path)):
            return text
    return None


def line_of(record: Mapping[str, Any], columns: Columns, *, us_dates: bool = False, **known: Any) -> BillLine:
    """Return the line that the columns of a record state.

    Args:
        record: keys in lower case.
        columns: attribute -> path of its field, or several of which the first that is filled counts.
        us_dates: accept MM/DD/YYYY.
        known: attributes that no column states.

    Raises:
        BadLine: ``bad_period`` or ``bad_amount``: a field cannot be read.
    """
    for name, paths in columns.items():
        fields = (paths,) if isinstance(paths, str) else paths
        values = (value_at(record, path) for path in fields)
        value = next((value for value in values if value is not None and value != ""), None)
        if name in _MOMENTS:
            known[name] = read_moment(value, fields[0], us_dates=us_dates)
        elif name in _NUMBERS:
            known[name] = read_amount(value, fields[0])
        else:
            known[name] = currency_of(value) if name == "currency" else text_at(record, *fields)
    return BillLine(**known)


def scale_of(unit: str) -> Decimal:
    """Return how many of a thing its unit holds: "1M", "1,000 tokens", else 1."""
    return next((scale for pattern, scale in _SCALES if pattern.search(unit)), Decimal(1))
