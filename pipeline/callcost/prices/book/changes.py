"""What changed between two entries or two whole maps, field by field.

Compares amounts and multipliers only: limits, sources and dates of deprecation are shown by the command line, but
they change no price. What a change means in money for a log is left to the jobs that have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from callcost.prices.book.cost_map import Entry


class PriceChange(NamedTuple):
    """One price of a model, before and after; None: there was or is none."""

    model: str
    field: str
    old: Decimal | None
    new: Decimal | None

    @property
    def ratio(self) -> Decimal | None:
        """New over old; None where one of them is missing or 0."""
        return self.new / self.old if self.old and self.new else None


class MapChange(NamedTuple):
    """What a later map says that an earlier one does not."""

    added: list[str]
    dropped: list[str]
    prices: list[PriceChange]  # of models that both list


def prices_of(entry: Entry | None) -> dict[str, Decimal]:
    """Return every amount and multiplier of an entry by its path.

    >>> prices_of({"tiered_pricing": [{"range": [0, 9], "input_cost_per_token": Decimal(1)}], "max_tokens": 9})
    {'tiered_pricing[0-9].input_cost_per_token': Decimal('1')}
    """
    return dict(_walk("", entry or {}))


def compare_entries(model: str, old: Entry | None, new: Entry | None) -> list[PriceChange]:
    """Return the prices of a model that differ, by field."""
    before, after = prices_of(old), prices_of(new)
    return [
        PriceChange(model, field, before.get(field), after.get(field))
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    ]


def compare_maps(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> MapChange:
    """Return the models that came and went, and the prices that changed, by model and field."""
    both = sorted(old.keys() & new.keys())
    return MapChange(
        added=sorted(new.keys() - old.keys()),
        dropped=sorted(old.keys() - new.keys()),
        prices=[change for model in both for change in compare_entries(model, old[model], new[model])],
    )


def _walk(path: str, value: Any) -> Iterator[tuple[str, Decimal]]:
    """Yield (path, amount): a row of a list is named by its range where it has one, else by its number."""
    if isinstance(value, Decimal):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(f"{path}.{key}" if path else key, item)
    elif isinstance(value, list):
        for number, row in enumerate(value):
            scale = row.get("range") if isinstance(row, Mapping) else None
            yield from _walk(f"{path}[{'-'.join(map(str, scale)) if isinstance(scale, list) else number}]", row)
