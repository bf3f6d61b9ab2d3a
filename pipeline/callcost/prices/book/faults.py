"""What makes a field of a model no price: where rates of the user's own or of a new map are taken in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from callcost.prices.book.cost_map import is_amount_below, is_kept, is_money, is_number, rate
from callcost.prices.tariffs import TOO_MUCH
from callcost.prices.units import STRUCTURED, is_cost_field, place_field, unit_of

DEAR = Decimal(1)  # dollars: a rate above it is nearly always one per million, written as one per token
DEAR_HINT = "Rates are dollars per token, not per million tokens"
_SMALL = frozenset({"token", "character", "pixel"})  # measures whose units cost less than DEAR
_MOST = 10**18  # what a number beside the prices may be
_WORDS = frozenset({"litellm_provider", "mode"})
_MIXED = "provider_specific_entry"  # holds multipliers, and words that are none
_SHOWN = 40  # characters of a wrong value
_NO_PRICE = "is no price: a number of dollars, 0 or more"


class Fault(NamedTuple):
    """A field of an entry that cannot be what it says.

    Attributes:
        path: of the field: its name, and where it lies in it.
        value: what stands there, as text.
        why: what it is not; a sentence with the value for a subject.
        dear: it can be a price, but of more than DEAR a token: whoever means it may insist.
    """

    path: str
    value: str
    why: str
    dear: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.value!r} {self.why}"


def first_fault(fields: Mapping[Any, Any], *, force: bool = False) -> Fault | None:
    """Return the first field of a model that no price can be read from, None where all are sound.

    Args:
        fields: of the cost map, as they were given: numbers may be floats or text.
        force: take rates above DEAR dollars a token.
    """
    return next((fault for fault in faults_in(fields) if not (force and fault.dear)), None)


def faults_in(fields: Mapping[Any, Any]) -> Iterator[Fault]:
    """Yield every field of a model that cannot be what it says; see ``first_fault``.

    Raises:
        RecursionError: fields lie too deep in each other, or in themselves.
    """
    for field, value in fields.items():
        if not isinstance(field, str):
            yield Fault(_show(field), _show(value), "stands under a name that is no text")
        elif field in _WORDS and not isinstance(value, (str, type(None))):
            yield Fault(field, _show(value), "is no text")
        elif is_kept(field, value):
            yield from _faults(field, field, value, money=is_money(field))


def _faults(path: str, field: str, value: Any, *, money: bool) -> Iterator[Fault]:
    """Yield the faults of a value; ``field`` is the name nearest to it that says what it is the price of."""
    if _is_edge(path) and not (_is_limit(value) and value == int(value)):
        yield Fault(path, _show(value), "is no number of tokens")
    elif isinstance(value, (Mapping, list, tuple)) and field not in STRUCTURED and place_field(field):
        yield Fault(path, _show(value), _NO_PRICE)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                yield Fault(f"{path}.{_show(name)}", _show(item), "stands under a name that is no text")
                continue
            own = name if is_cost_field(name) else field
            yield from _faults(f"{path}.{name}", own, item, money=is_amount_below(name, money))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _faults(f"{path}.{number}", field, item, money=money)
    elif money and not (field == _MIXED and isinstance(value, (str, bool))):
        yield from _faults_of_amount(path, field, value)
    elif not (_is_limit(value) or isinstance(value, (str, bool, type(None)))):
        yield Fault(path, _show(value), "is no number that can stand there")


def _faults_of_amount(path: str, field: str, value: Any) -> Iterator[Fault]:
    if value is None:
        return
    try:
        amount = rate(value.strip() if isinstance(value, str) else value) if is_number(value) else Decimal("NaN")
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        yield Fault(path, _show(value), _NO_PRICE)
    elif amount >= TOO_MUCH:
        yield Fault(path, _show(value), f"is no price: nothing costs {TOO_MUCH:,} dollars")
    elif amount > DEAR:
        placed = place_field(field)
        found = unit_of(placed.unit) if placed else None
        if found and found[0].measure in _SMALL:
            yield Fault(path, _show(value), f"is over {DEAR} dollar a {found[0].measure}", dear=True)


def _is_limit(value: Any) -> bool:
    """Say whether a value is a number that can be kept and passed on."""
    if not isinstance(value, (int, float, Decimal)) or isinstance(value, bool):
        return False
    try:
        number = rate(value)
    except ArithmeticError:
        return False
    return number.is_finite() and abs(number) < _MOST


def _is_edge(path: str) -> bool:
    """Say whether a value is where a range of prompt sizes begins or ends."""
    return path.rpartition(".")[0].endswith(".range")


def _show(value: Any) -> str:
    """Return a wrong value for a message, cut off where it is long; of an object only what it is."""
    if not isinstance(value, (str, int, float, Decimal, type(None))):
        return type(value).__name__
    try:
        text = str(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
